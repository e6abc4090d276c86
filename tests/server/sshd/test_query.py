"""Asking sshd: which program, with which conditions, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.errors import (
    FidokitError,
    SshdConfigRefused,
    SshdHidesSettings,
    SshdMissing,
    SshdNotAsked,
    UsageError,
)
from fidokit.server.sshd.query import (
    LoginOrigin,
    Ran,
    Sshd,
    find_sshd,
    option_value,
    run_sshd,
    without_option,
)
from fidokit.server.sshd.settings import SshdSettings

GOOD = Ran(0, "pubkeyauthentication yes\nusepam no\n", "")
STRANGER = "host=192.0.2.1,addr=192.0.2.1,laddr=192.0.2.2,lport=22"


def says(*answers: Ran) -> tuple[Callable[[Sequence[str]], Ran], list[list[str]]]:
    asked: list[list[str]] = []

    def run(argv: Sequence[str]) -> Ran:
        asked.append(list(argv))
        return answers[len(asked) - 1]

    return run, asked


def complaint(text: str) -> Ran:
    return Ran(255, "", text)


def test_a_user_is_named_in_the_question() -> None:
    run, asked = says(GOOD)
    assert Sshd("/sshd", run=run).settings("alice").is_on("PubkeyAuthentication")
    assert asked == [["/sshd", "-T", "-C", f"user=alice,{STRANGER}"]]


def test_its_arguments_are_passed_on() -> None:
    run, asked = says(GOOD)
    sshd = Sshd("/sshd", ("-f", "/x", "-o", "UsePAM no"), run=run).with_config("/y")
    assert sshd.named_config == "/y"
    sshd.settings(origin=LoginOrigin.parse("addr=10.0.0.1"))
    assert asked[0][1:] == [
        *("-T", "-f", "/y", "-o", "UsePAM no"),
        *("-C", "host=10.0.0.1,addr=10.0.0.1,laddr=192.0.2.2,lport=22"),
    ]


def test_options_of_a_command_line() -> None:
    words = ("-f", "/a", "-p", "1", "-f", "/b")
    assert option_value(words, "-f") == "/b"
    assert option_value(words, "-o") is None
    assert without_option(words, "-f") == ("-p", "1")


def test_origins() -> None:
    everything = "host=a.example,addr=10.0.0.1,laddr=10.0.0.2,lport=2222,rdomain=blue"
    assert LoginOrigin.parse(everything).spec("bob") == f"user=bob,{everything}"
    assert LoginOrigin.parse("host=x").addr == LoginOrigin().addr


@pytest.mark.parametrize("given", ["", "10.0.0.1", "user=root", "addr=", "addr=1,,", "a=b"])
def test_what_is_no_origin(given: str) -> None:
    with pytest.raises(UsageError):
        LoginOrigin.parse(given)


@pytest.mark.parametrize("name", ["a,addr=10.0.0.1", "a\nb", "a\0b"])
def test_a_name_that_would_forge_another_condition_is_never_asked_about(name: str) -> None:
    run, asked = says(GOOD)
    with pytest.raises(UsageError, match="cannot be asked"):
        Sshd("/sshd", run=run).settings(name)
    assert asked == []


def test_no_sshd(tmp_path: Path) -> None:
    with pytest.raises(SshdMissing, match="cannot be run"):
        Sshd(str(tmp_path / "none")).settings()
    with pytest.raises(SshdMissing, match="cannot be run"):
        Sshd(str(tmp_path)).check()


def test_a_bad_configuration_is_told_in_sshds_words() -> None:
    run, _ = says(complaint("debug1: x\n/etc/x: line 3: Bad configuration option: Foo\n"))
    with pytest.raises(SshdConfigRefused, match=r"take /x: /etc/x: line 3: Bad config.*: Foo$"):
        Sshd("/sshd", ("-f", "/x"), run=run).settings()


@pytest.mark.parametrize(
    ("printed", "kind", "hint"),
    [
        ("Missing privilege separation directory: /run/sshd\n", SshdNotAsked, "mkdir"),
        ("sshd: no hostkeys available -- exiting.\n", SshdHidesSettings, "sudo"),
    ],
)
def test_what_the_machine_lacks(printed: str, kind: type[FidokitError], hint: str) -> None:
    run, asked = says(complaint(printed), complaint("unknown option -- G\nusage: sshd\n"))
    with pytest.raises(kind) as caught:
        Sshd("/sshd", run=run).settings()
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert [argv[1] for argv in asked] == ["-T", "-G"]
    newer, _ = says(complaint(printed), GOOD)
    assert Sshd("/sshd", run=newer).settings().is_on("pubkeyauthentication")


def test_an_ordinary_user_asks_with_a_host_key_of_their_own() -> None:
    refused = complaint("sshd: no hostkeys available -- exiting.\n")
    run, asked = says(refused, complaint("unknown option -- G\n"), GOOD)
    settings = Sshd("/sshd", spare_key=lambda: "/tmp/mine", run=run).settings()
    assert settings.is_on("pubkeyauthentication")
    assert asked[2][-2:] == ["-h", "/tmp/mine"]
    run, asked = says(refused, Ran(0, "", ""))
    Sshd("/sshd", spare_key=lambda: "/tmp/mine", run=run).check()
    assert asked[1][-2:] == ["-h", "/tmp/mine"]


def test_silence_is_no_answer() -> None:
    run, _ = says(Ran(0, "", ""))
    with pytest.raises(SshdNotAsked, match="no answer"):
        Sshd("/sshd", run=run).settings()


def test_a_word_of_a_warning_is_no_setting(tmp_path: Path) -> None:
    code = "import sys\nprint('pubkeyauthentication yes')\nprint('UsePAM no', file=sys.stderr)"
    assert "usepam" not in Sshd(str(executable(tmp_path / "sshd", code))).settings().values


def test_a_program_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.server.sshd.query.TIMEOUT_S", 0.05)
    assert run_sshd(["sleep", "60"]).status is None


def test_where_sshd_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = executable(tmp_path / "other-sshd", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_sshd("other-sshd") == str(made)
    with pytest.raises(SshdMissing, match="nothing-such is not installed"):
        find_sshd("nothing-such")


def test_many_questions_are_answered_in_order(tmp_path: Path) -> None:
    code = """import sys
user = sys.argv[-1].partition(",")[0].removeprefix("user=")
if user.endswith("3"):
    sys.exit("line 1: refused")
print("pubkeyauthentication yes"); print("banner", user)"""
    sshd = Sshd(str(executable(tmp_path / "sshd", code)))
    users = [f"u{number}" for number in range(12)]
    asked = ((user, LoginOrigin()) for user in [*users, "a,b"])
    answers = {question[0]: answer for question, answer in sshd.each(asked, workers=3)}
    assert list(answers) == [*users, "a,b"]
    for user, answer in answers.items():
        if isinstance(answer, SshdSettings):
            assert answer.first("banner") == user
        else:
            assert user in {"u3", "a,b"}


def test_root_s_question_needs_no_other_key() -> None:
    run, asked = says(GOOD)
    Sshd("/sshd", spare_key=lambda: pytest.fail("asked for"), run=run).settings()
    assert "-h" not in asked[0]
    assert Path(find_sshd("sh")).is_absolute()
