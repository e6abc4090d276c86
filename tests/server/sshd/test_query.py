"""Asking sshd: which program, with which conditions, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.errors import (
    FidokitError,
    MalformedFile,
    NoPermission,
    Unsupported,
    UsageError,
)
from fidokit.server.sshd.query import LoginOrigin, Sshd, SshdProgram, find_sshd

GOOD = "pubkeyauthentication yes\nusepam no\n"


def says(*answers: str | None) -> tuple[Callable[[Sequence[str]], str | None], list[list[str]]]:
    asked: list[list[str]] = []

    def run(argv: Sequence[str]) -> str | None:
        asked.append(list(argv))
        return answers[len(asked) - 1]

    return run, asked


def test_the_first_program_that_is_there_is_asked() -> None:
    run, asked = says(None, GOOD)
    settings = Sshd(run).settings("alice")
    assert settings.is_on("pubkeyauthentication")
    assert [argv[0] for argv in asked] == ["/usr/sbin/sshd", "/usr/local/sbin/sshd"]
    assert asked[1][1:] == [
        "-T",
        "-C",
        "user=alice,host=192.0.2.1,addr=192.0.2.1,laddr=192.0.2.2,lport=22",
    ]


def test_a_named_program_and_configuration() -> None:
    run, asked = says(GOOD)
    Sshd(run, "/opt/sshd", "/tmp/conf", LoginOrigin.parse("addr=10.0.0.1")).settings()
    (argv,) = asked
    assert argv[:4] == ["/opt/sshd", "-T", "-f", "/tmp/conf"]
    assert argv[-1] == "host=10.0.0.1,addr=10.0.0.1,laddr=192.0.2.2,lport=22"


def test_origins() -> None:
    everything = "host=a.example,addr=10.0.0.1,laddr=10.0.0.2,lport=2222,rdomain=blue"
    assert LoginOrigin.parse(everything).spec("bob") == f"user=bob,{everything}"
    assert LoginOrigin.parse("host=x").addr == LoginOrigin().addr


@pytest.mark.parametrize("given", ["", "10.0.0.1", "user=root", "addr=", "addr=1,,", "a=b"])
def test_what_is_no_origin(given: str) -> None:
    with pytest.raises(UsageError):
        LoginOrigin.parse(given)


@pytest.mark.parametrize("name", ["a,addr=10.0.0.1", "a\nb"])
def test_a_name_that_would_forge_another_condition_is_never_asked_about(name: str) -> None:
    run, asked = says(GOOD)
    with pytest.raises(UsageError, match="cannot be asked"):
        Sshd(run).settings(name)
    assert asked == []


def test_no_sshd() -> None:
    with pytest.raises(Unsupported, match="no sshd was found"):
        Sshd(lambda _: None).settings()
    with pytest.raises(Unsupported, match="/opt/sshd does not exist"):
        Sshd(lambda _: None, "/opt/sshd").settings()


def test_a_bad_configuration_is_told_in_sshds_words() -> None:
    run, _ = says("/etc/ssh/sshd_config: line 3: Bad configuration option: Foo\n")
    with pytest.raises(MalformedFile, match="line 3: Bad configuration option: Foo"):
        Sshd(run).settings()


@pytest.mark.parametrize(
    ("printed", "kind", "hint"),
    [
        ("Missing privilege separation directory: /run/sshd\n", FidokitError, "mkdir"),
        ("sshd: no hostkeys available -- exiting.\n", NoPermission, "sudo"),
    ],
)
def test_what_the_machine_lacks(printed: str, kind: type[FidokitError], hint: str) -> None:
    run, asked = says(printed, "unknown option -- G\nusage: sshd\n")
    with pytest.raises(kind) as caught:
        Sshd(run).settings()
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert [argv[1] for argv in asked] == ["-T", "-G"]
    newer, _ = says(printed, GOOD)
    assert Sshd(newer).settings().is_on("pubkeyauthentication")


def test_an_ordinary_user_asks_with_a_host_key_of_their_own() -> None:
    run, asked = says("sshd: no hostkeys available -- exiting.\n", "unknown option -- G\n", GOOD)
    settings = Sshd(run, spare_key=lambda: "/tmp/mine").settings()
    assert settings.is_on("pubkeyauthentication")
    assert asked[2][-2:] == ["-h", "/tmp/mine"]


def test_silence() -> None:
    run, _ = says("")
    with pytest.raises(FidokitError, match="no answer"):
        Sshd(run).settings()


# --- a program that is about to serve ----------------------------------------------------


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
