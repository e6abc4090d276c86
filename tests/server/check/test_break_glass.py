"""A key that has to get in: what holds, what is broken, and what cannot be known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.server.settings import settings

from fidokit.errors import UsageError
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.accounts import Account
from fidokit.server.check.audit import CheckEvent, FileReport, UserReport
from fidokit.server.check.break_glass import Acceptance, BreakGlassWatch, public_text, watched
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.key_lines import read_lines
from fidokit.server.check.key_verdicts import rules_for
from fidokit.server.check.login_methods import PasswordWay
from fidokit.server.check.policy import BreakGlass, CheckRule, parse_rule
from fidokit.server.sshd.settings import SshdSettings


def print_of(line: PublicLine) -> str:
    return sha256(line.key.blob())


class World:
    """Users with files, and an sshd that accepts what it is told to."""

    def __init__(self, folder: Path, answer: bool | None = True) -> None:
        self.folder, self.answer = folder, answer
        self.asked: list[tuple[str, str, str]] = []
        self.events: list[CheckEvent] = []

    def user(
        self,
        name: str,
        data: bytes,
        given: SshdSettings | None = None,
        refusals: Sequence[str] = (),
    ) -> None:
        path = self.folder / name
        path.write_bytes(data)
        account = Account(name, os.geteuid(), os.getegid(), self.folder)
        given = given or settings()
        rules = rules_for(given, is_root=False, refusals=refusals, now=2e9)
        self.events.append(UserReport(account, given, rules.refusals, PasswordWay(False, "")))
        self.events.append(FileReport(name, str(path)))
        with path.open("rb") as file:
            self.events += read_lines(file.read, rules)

    def accepts(self, user: str, line: str, fingerprint: str) -> Acceptance:
        self.asked.append((user, line, fingerprint))
        return Acceptance(self.answer, "only root can")

    def verdict(self, rule: BreakGlass) -> CheckFinding | None:
        watch = BreakGlassWatch(rule, self.accepts)
        *before, last = watched(iter(self.events), [watch])
        if isinstance(last, CheckFinding):
            assert before == self.events
            return last
        return None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


RULE = BreakGlass(print_of(PLAIN))


def test_it_holds_where_sshd_accepts_it(world: World) -> None:
    world.user("alice", text(OTHER, PLAIN))
    assert world.verdict(RULE) is None
    ((user, line, fingerprint),) = world.asked
    assert (user, fingerprint) == ("alice", RULE.fingerprint)
    assert line == " ".join(PLAIN.encode().split()[:2])


@pytest.mark.parametrize(
    ("answer", "doubt", "why"), [(False, False, "does not accept"), (None, True, "only root can")]
)
def test_what_sshd_says_decides(tmp_path: Path, answer: bool | None, doubt: bool, why: str) -> None:
    world = World(tmp_path, answer)
    world.user("alice", text(PLAIN))
    found = world.verdict(RULE)
    assert found is not None
    assert (found.kind.id, found.user, found.line) == ("FK112", "alice", 1)
    assert found.rules == (str(RULE),)
    assert why in found.why
    assert found.doubt is doubt


@pytest.mark.parametrize(
    ("options", "given", "why"),
    [
        (b"", {"authenticationmethods": "publickey,password"}, "asks for more than a key"),
        (b"", {"authenticationmethods": "publickey,publickey"}, "asks for more than a key"),
        (b'command="/bin/true" ', {}, "runs a command of its own"),
        (b"", {"forcecommand": "internal-sftp"}, "ForceCommand"),
        (b'expiry-time="20200101" ', {}, "expired"),
        (b"cert-authority ", {}, "signs certificates"),
        (b"", {"pubkeyacceptedalgorithms": "ssh-rsa"}, "PubkeyAcceptedAlgorithms"),
    ],
)
def test_what_is_broken_without_asking(
    world: World, options: bytes, given: dict[str, str], why: str
) -> None:
    given = {"passwordauthentication": "yes", **given}
    world.user("alice", options + text(PLAIN), settings(**given))
    found = world.verdict(RULE)
    assert found is not None
    assert why in found.why
    assert found.doubt is False
    assert world.asked == []


def test_a_pin_and_a_touch_are_doubts(world: World) -> None:
    rule = BreakGlass(print_of(TOKEN))
    world.user("alice", b"verify-required " + text(TOKEN))
    for name in ("bob", "carol"):
        found = world.verdict(rule)
        assert found is not None
        assert found.doubt is True
        assert "only a login can" in found.why
        world.user(name, b"no-pty " + text(TOKEN))
    world.user("dan", b"no-touch-required " + text(TOKEN))
    assert world.verdict(rule) is None


def test_one_good_place_is_enough_and_a_named_user_must_be_it(world: World) -> None:
    world.user("alice", text(PLAIN), refusals=["DenyUsers names the user"])
    world.user("bob", text(PLAIN))
    assert world.verdict(RULE) is None
    assert world.verdict(BreakGlass(RULE.fingerprint, "bob")) is None
    found = world.verdict(BreakGlass(RULE.fingerprint, "alice"))
    assert found is not None
    assert found.why == "DenyUsers names the user"


@pytest.mark.parametrize("user", ["", "alice", "carol"])
def test_a_key_that_is_nowhere(world: World, user: str) -> None:
    world.user("alice", text(OTHER))
    found = world.verdict(BreakGlass(RULE.fingerprint, user))
    assert found is not None
    assert found.why == f"no file of {user or 'anybody checked'} has the key"
    assert (found.user, found.path) == (user, "")


def test_a_file_that_changed_meanwhile(world: World) -> None:
    world.user("alice", text(PLAIN))
    (world.folder / "alice").write_bytes(text(OTHER))
    found = world.verdict(RULE)
    assert found is not None
    assert found.doubt is True


@pytest.mark.parametrize("before", ["", 'restrict,from="a b" ', 'command="AAAA ssh-ed25519 B" '])
def test_the_text_of_a_key(world: World, before: str) -> None:
    world.user("alice", b"#\n" + before.encode() + text(PLAIN))
    account = Account("alice", os.geteuid(), os.getegid(), world.folder)
    (key,) = [event for event in world.events if hasattr(event, "fingerprint")]
    shown = public_text(account, str(world.folder / "alice"), key)  # type: ignore[arg-type]
    assert shown == " ".join(PLAIN.encode().split()[:2])


# --- how it is stated --------------------------------------------------------------------------

PRINT = "SHA256:" + "a+/0" * 10 + "abc"


@pytest.mark.parametrize(
    ("given", "user"), [(PRINT, ""), (f"alice:{PRINT}", "alice"), (f"a b\\x$:{PRINT}=", "a b\\x$")]
)
def test_reading_the_rule(given: str, user: str) -> None:
    rule = parse_rule(f"break-glass={given}")
    assert rule == BreakGlass(PRINT, user)
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    "given",
    [
        "break-glass",
        "break-glass=",
        "break-glass=alice",
        "break-glass=SHA256:abc",
        f"break-glass=:{PRINT}",
        f"break-glass=alice{PRINT}",
        f"break-glass={PRINT}x",
        f"hardware={PRINT}",
        "magic",
        "",
    ],
)
def test_other_rules_are_refused(given: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_rule(given)
    assert "break-glass=" in refused.value.hint


def test_the_words_are_rules() -> None:
    assert [parse_rule(str(rule)) for rule in CheckRule] == list(CheckRule)
