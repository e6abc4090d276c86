"""`fidokit udev print|install`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.sandbox import Sandbox

from fidokit.cli.settings import with_sudo
from fidokit.errors import FileInTheWay, NoPermission
from fidokit.tokens.udev_rules import GroupState, Installed, rules_text

Run = Callable[..., int]
Answer = Callable[[Installed | Exception], list[tuple[object, ...]]]
PATH = Path("/etc/udev/rules.d/70-fidokit.rules")


@pytest.fixture
def installing(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Say what installing comes to; gives the list of calls."""

    def answer(result: Installed | Exception) -> list[tuple[object, ...]]:
        calls: list[tuple[object, ...]] = []

        def install(group: str | None, *, force: bool) -> Installed:
            calls.append((group, force))
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr("fidokit.tokens.udev_rules.install_udev_rules", install)
        return calls

    return answer


def test_printed_as_they_are_installed(sandbox: Sandbox) -> None:
    done = sandbox.run("udev", "print")
    assert done.code == 0
    assert done.out == rules_text()
    document = json.loads(sandbox.run("udev", "print", "--group", "fido", "--json").out)
    assert document["udev"] == {"path": str(PATH), "rules": rules_text("fido", with_group=True)}


def test_a_group_that_none_can_be(sandbox: Sandbox) -> None:
    done = sandbox.run("udev", "print", "--group", 'x", RUN+="/bin/sh')
    assert done.code == 2
    assert "cannot be the name of a group" in done.err


def test_installed(in_process: Run, installing: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    calls = installing(Installed(PATH, True, None, GroupState.USED))
    assert in_process("udev", "install", "--force", "--group", "fido") == 0
    assert calls == [("fido", True)]
    said = capsys.readouterr()
    assert said.out == f"Wrote {PATH}.\n"
    assert said.err == ""


def test_installed_where_things_lack(
    in_process: Run, installing: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    installing(Installed(PATH, False, "udevadm is not installed", GroupState.MISSING))
    assert in_process("udev", "install") == 0
    said = capsys.readouterr()
    assert "already" in said.out
    assert "udevadm is not installed" in said.err
    assert "sudo groupadd --system fido" in said.err


def test_a_group_that_will_not_do_for_long(
    in_process: Run, installing: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    installing(Installed(PATH, True, None, GroupState.USED_FOR_NOW))
    assert in_process("udev", "install", "--group", "staff") == 0
    assert "staff is a group for users" in capsys.readouterr().err


def test_as_json(in_process: Run, installing: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    installing(Installed(PATH, True, None, GroupState.USED))
    assert in_process("udev", "install", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["udev"] == {
        "path": str(PATH),
        "changed": True,
        "problem": None,
        "group": "used",
    }


def test_one_in_the_way(
    in_process: Run, installing: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    installing(FileInTheWay("it differs", hint="--force"))
    assert in_process("udev", "install") == 9
    assert "differs" in capsys.readouterr().err


def test_an_ordinary_user_is_told_the_command(
    in_process: Run, installing: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    installing(NoPermission("this user may not"))
    assert in_process("udev", "install", "--group", "fido", "--force") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "udev install --group fido --force" in said
    assert "run: sudo " in said


def test_sudo_gets_the_program_that_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "a folder" / "fidokit"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    words = shlex.split(with_sudo("udev", "install"))
    assert words == ["sudo", str(program), "udev", "install"]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["-m"])
    assert shlex.split(with_sudo("udev", "install"))[:4] == [
        *("sudo", sys.executable, "-m", "fidokit"),
    ]
