"""sshd asked about a configuration, played by a script: what it is told, what its answers mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.errors import FidokitError, MalformedFile
from fidokit.server.sshd.program import SshdProgram, find_sshd

CONFIG = Path("/etc/x")


def sshd(tmp_path: Path, code: str, host_key: Path | None = None) -> SshdProgram:
    return SshdProgram(str(executable(tmp_path / "sshd", f"import sys\n{code}")), host_key)


def test_effective_settings(tmp_path: Path) -> None:
    program = sshd(
        tmp_path, "print('port 22'); print('x', *sys.argv[1:]); print('y 1', file=sys.stderr)"
    )
    settings = program.effective(CONFIG)
    assert settings.first("port") == "22"
    assert settings.first("x") == "-T -f /etc/x"
    assert "y" not in settings.values
    asked = program.effective(CONFIG, "me").first("x")
    assert asked.startswith("-T -f /etc/x -C user=me,host=localhost,addr=127.0.0.1,")


def test_another_host_key_for_who_may_not_read_the_machine_s(tmp_path: Path) -> None:
    program = sshd(tmp_path, "print('x', *sys.argv[1:])", Path("/key"))
    expected = "-T -f /etc/x" if os.geteuid() == 0 else "-T -f /etc/x -h /key"
    assert program.effective(CONFIG).first("x") == expected


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("x: line 3: Bad configuration option: Z", "sshd -t"),
        ("Missing privilege separation directory: /run/sshd", "mkdir"),
        ("sshd: no hostkeys available -- exiting.", "sudo"),
    ],
)
def test_a_configuration_that_is_refused(tmp_path: Path, said: str, hint: str) -> None:
    with pytest.raises(MalformedFile) as refused:
        sshd(tmp_path, f"sys.exit({said!r})").check(CONFIG)
    assert str(refused.value) == f"sshd refuses /etc/x: {said}"
    assert hint in refused.value.hint


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(FidokitError, match="cannot be run"):
        SshdProgram(str(tmp_path)).check(CONFIG)


def test_where_sshd_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = executable(tmp_path / "other-sshd", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_sshd("other-sshd") == str(made)
    with pytest.raises(FidokitError, match="nothing-such is not installed"):
        find_sshd("nothing-such")
