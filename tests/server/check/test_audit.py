"""The whole report: its order, what is there twice, and what breaks a rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, TOKEN_ECDSA, text
from tests.server.settings import TOKENS, settings

from fidokit.errors import FidokitError, UsageError
from fidokit.server.accounts import Account, Password, ShadowEntry
from fidokit.server.check.admission import LoginUser
from fidokit.server.check.audit import Audit, CheckEvent, FileReport, ServerReport, UserReport
from fidokit.server.check.findings.tally import CheckTally
from fidokit.server.check.key_lines import KeyLine, KeyPosition, UnreadableLine
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import SshdSettings


@dataclass
class FakeSshd:
    """Answers with some settings for all, and others for some users."""

    general: SshdSettings
    of: Mapping[str, SshdSettings | FidokitError] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)
    origin: LoginOrigin = field(default_factory=LoginOrigin)

    def settings(self, user: str | None = None, _: LoginOrigin | None = None) -> SshdSettings:
        self.asked.append(user)
        found = self.of.get(user or "", self.general)
        if isinstance(found, FidokitError):
            raise found
        return found


@pytest.fixture
def homes(tmp_path: Path) -> Mapping[str, Account]:
    made = {}
    for name in ("alice", "bob"):
        (tmp_path / name / ".ssh").mkdir(parents=True, mode=0o700)
        made[name] = Account(name, os.geteuid(), os.getegid(), tmp_path / name)
    return made


def write(account: Account, data: bytes) -> str:
    path = account.home / ".ssh/authorized_keys"
    path.write_bytes(data)
    path.chmod(0o600)
    return str(path)


def person(password: Password) -> Callable[[Account], LoginUser]:
    return lambda account: LoginUser(
        account.name, 1000, "/bin/sh", ("users",), ShadowEntry(password)
    )


def run(
    sshd: FakeSshd,
    homes: Mapping[str, Account],
    *rules: CheckRule,
    password: Password = Password.NONE,
    criteria: frozenset[str] = frozenset(),
) -> tuple[list[CheckEvent], Tally]:
    audit = Audit(sshd, sshd.origin, person(password), criteria, frozenset(rules), now=1.0)
    tally = Tally()
    # A user of our own, so that nobody's rights have to be taken on.
    found = list(audit.run(homes.values()))
    list(tally.watch(iter(found)))
    tally.broken_rules = list(broken(found))
    return found, tally


@dataclass
class Tally(CheckTally):
    """Counts, and what the events themselves say of rules."""

    broken_rules: list[Violation] = field(default_factory=list)


def broken(events: Sequence[CheckEvent]) -> Iterator[Violation]:
    """What breaks a rule, in the order of the report."""
    user = path = ""
    for event in events:
        if isinstance(event, UserReport):
            user = event.account.name
            yield from event.violations
        elif isinstance(event, FileReport):
            path = event.path
            yield from event.violations
        elif not isinstance(event, ServerReport):
            violates = event.verdict.violates if isinstance(event, KeyLine) else event.violates
            yield from (Violation(rule, user, why, path, event.line) for rule, why in violates)


def test_the_order(homes: Mapping[str, Account]) -> None:
    write(homes["alice"], text(TOKEN) + b"junk\n")
    found, tally = run(FakeSshd(settings()), homes)
    assert [type(event) for event in found] == [
        ServerReport,
        UserReport,
        FileReport,
        KeyLine,
        UnreadableLine,
        UserReport,
    ]
    assert (tally.users, tally.keys, tally.on_tokens, tally.unreadable) == (2, 1, 1, 1)


def test_sshd_is_asked_once_where_no_match_block_looks_at_users(
    homes: Mapping[str, Account],
) -> None:
    sshd = FakeSshd(settings())
    run(sshd, homes, criteria=frozenset({"address"}))
    assert sshd.asked == [None]
    run(sshd, homes, criteria=frozenset({"group"}))
    assert sshd.asked == [None, None, "alice", "bob"]


def test_a_users_own_settings_count(homes: Mapping[str, Account]) -> None:
    for account in homes.values():
        write(account, text(PLAIN if account.name == "alice" else OTHER))
    sshd = FakeSshd(settings(), {"bob": settings(pubkeyacceptedalgorithms=TOKENS)})
    _, tally = run(sshd, homes, CheckRule.HARDWARE, criteria=frozenset({"user"}))
    assert [(found.user, found.line) for found in tally.broken_rules] == [("alice", 1)]
    assert tally.refused == 1


def test_what_match_blocks_look_at_limits_the_report(homes: Mapping[str, Account]) -> None:
    sshd = FakeSshd(settings(), origin=LoginOrigin(addr="10.1.2.3"))
    notes = {}
    for criteria in ("", "user group", "address", "localport user address"):
        (first, *_), _ = run(sshd, homes, criteria=frozenset(criteria.split()))
        assert isinstance(first, ServerReport)
        notes[criteria] = first.notes
    holds = "this holds for logins from 10.1.2.3"
    assert notes == {
        "": (),
        "user group": (),
        "address": (f"Match blocks look at address: {holds}",),
        "localport user address": (f"Match blocks look at address, localport: {holds}",),
    }


def test_keys_that_are_there_twice(homes: Mapping[str, Account]) -> None:
    path = write(homes["alice"], text(TOKEN, PLAIN, TOKEN))
    write(homes["bob"], text(OTHER, PLAIN))
    found, tally = run(FakeSshd(settings()), homes)
    twins = [event.duplicate for event in found if isinstance(event, KeyLine) and event.duplicate]
    assert twins == [KeyPosition("alice", path, 1), KeyPosition("alice", path, 2)]
    assert tally.duplicates == 2


def test_a_file_that_users_share_is_not_its_own_duplicate(
    homes: Mapping[str, Account], tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.write_bytes(text(TOKEN, PLAIN, PLAIN))
    sshd = FakeSshd(settings(authorizedkeysfile=f"{shared} none", strictmodes="no"))
    found, _ = run(sshd, homes)
    keys = [event for event in found if isinstance(event, KeyLine)]
    assert [bool(key.duplicate) for key in keys] == [False, False, True] * 2


@pytest.mark.parametrize("value", ["none", "None", "nowhere none", "NONE nowhere"])
def test_none_is_no_file(homes: Mapping[str, Account], value: str) -> None:
    """Not even where one of that name lies in the home folder, as sshd has it."""
    for name in {"none", *value.split()} - {"nowhere"}:
        (homes["alice"].home / name).write_bytes(text(PLAIN))
    sshd = FakeSshd(settings(authorizedkeysfile=value, strictmodes="no"))
    found, tally = run(sshd, homes, CheckRule.HARDWARE)
    assert not [event for event in found if isinstance(event, FileReport)]
    assert tally.keys == 0


@pytest.mark.parametrize("value", ["none", "None", "NONE"])
def test_settings_without_a_file(value: str) -> None:
    assert settings(authorizedkeysfile=value).key_files == ()
    assert settings(authorizedkeysfile=f"{value} a").key_files == ("a",)
    assert SshdSettings().key_files == (".ssh/authorized_keys", ".ssh/authorized_keys2")


def test_several_files_and_names_that_are_one(homes: Mapping[str, Account]) -> None:
    write(homes["alice"], text(TOKEN))
    (homes["alice"].home / "more").write_bytes(text(TOKEN_ECDSA))
    names = ".ssh/authorized_keys %h/.ssh/authorized_keys more"
    found, _ = run(FakeSshd(settings(authorizedkeysfile=names, strictmodes="no")), homes)
    assert sum(isinstance(event, FileReport) for event in found) == 2
    assert sum(isinstance(event, KeyLine) for event in found) == 2


def test_a_pattern_names_what_fits_it(homes: Mapping[str, Account], tmp_path: Path) -> None:
    for name, line in (("a.keys", TOKEN), ("b.keys", PLAIN), ("c.other", OTHER)):
        (tmp_path / name).write_bytes(text(line))
    sshd = FakeSshd(settings(authorizedkeysfile=f"{tmp_path}/*.keys", strictmodes="no"))
    found, _ = run(sshd, {"alice": homes["alice"]})
    assert [Path(event.path).name for event in found if isinstance(event, FileReport)] == [
        "a.keys",
        "b.keys",
    ]


def test_a_file_that_sshd_passes_over_breaks_nothing(homes: Mapping[str, Account]) -> None:
    path = Path(write(homes["alice"], text(PLAIN)))
    path.chmod(0o666)
    found, tally = run(FakeSshd(settings()), homes, CheckRule.HARDWARE)
    (file,) = [event for event in found if isinstance(event, FileReport)]
    assert "others than its owner may write" in file.refusals[0]
    assert tally.broken_rules == []
    assert tally.refused == 1


def test_every_violation_has_its_place(homes: Mapping[str, Account]) -> None:
    path = write(homes["alice"], b"#\n" + text(TOKEN, PLAIN))
    _, tally = run(FakeSshd(settings()), homes, *CheckRule, password=Password.SET)
    assert tally.broken_rules == [
        Violation(CheckRule.NO_PASSWORD, "alice", "by password"),
        Violation(
            CheckRule.VERIFY,
            "alice",
            "neither PubkeyAuthOptions nor the line has verify-required",
            path,
            2,
        ),
        Violation(CheckRule.HARDWARE, "alice", "the key is on no token", path, 3),
        Violation(
            CheckRule.VERIFY,
            "alice",
            "the key is on no token, so nothing asks for a PIN",
            path,
            3,
        ),
        Violation(CheckRule.NO_PASSWORD, "bob", "by password"),
    ]
    assert tally.by_password == ["alice", "bob"]


@pytest.mark.parametrize("keyword", ["authorizedkeyscommand", "trustedusercakeys"])
def test_keys_that_nobody_sees_are_no_promise(keyword: str, homes: Mapping[str, Account]) -> None:
    found, tally = run(FakeSshd(settings(**{keyword: "/x"})), homes, CheckRule.HARDWARE)
    assert isinstance(found[0], ServerReport)
    assert any("(/x)" in note for note in found[0].notes)
    assert {violation.user for violation in tally.broken_rules} == {"alice", "bob"}
    sure = settings(**{keyword: "/x", "pubkeyacceptedalgorithms": TOKENS})
    assert run(FakeSshd(sure), homes, CheckRule.HARDWARE)[1].violations == []


def test_what_is_not_followed_is_said(homes: Mapping[str, Account]) -> None:
    found, tally = run(
        FakeSshd(
            settings(
                revokedkeys="/krl",
                authorizedprincipalsfile="/p",
                hostbasedauthentication="yes",
            )
        ),
        homes,
        CheckRule.HARDWARE,
        criteria=frozenset({"address"}),
    )
    assert isinstance(found[0], ServerReport)
    said = " ".join(found[0].notes)
    for words in ("192.0.2.1", "/krl", "/p", "HostbasedAuthentication"):
        assert words in said
    assert tally.broken_rules == []


def test_a_user_whom_sshd_turns_away(homes: Mapping[str, Account]) -> None:
    write(homes["alice"], text(PLAIN))
    sshd = FakeSshd(settings(denyusers="alice\nbob"))
    found, tally = run(sshd, homes, *CheckRule, password=Password.SET)
    users = [event for event in found if isinstance(event, UserReport)]
    assert all(user.refusals == ("DenyUsers names it",) for user in users)
    assert not any(user.password.possible for user in users)
    assert tally.broken_rules == []


def test_a_user_whom_sshd_cannot_be_asked_about(homes: Mapping[str, Account]) -> None:
    sshd = FakeSshd(settings(), {"alice": UsageError("cannot be asked")})
    found, tally = run(sshd, homes, *CheckRule, criteria=frozenset({"user"}))
    (alice, _) = (event for event in found if isinstance(event, UserReport))
    assert alice.unknown == "cannot be asked"
    assert [(v.user, v.rule) for v in tally.broken_rules] == [
        ("alice", rule) for rule in sorted(CheckRule)
    ]


def test_without_an_answer_there_is_no_report(homes: Mapping[str, Account]) -> None:
    with pytest.raises(FidokitError, match="no sshd"):
        run(FakeSshd(settings(), {"": FidokitError("no sshd")}), homes)


def test_a_hidden_file_is_no_promise(
    homes: Mapping[str, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    from fidokit.server.check import audit
    from fidokit.server.key_paths import KeySource

    hidden = KeySource(Path("/x"), hidden="cannot be read by you")
    monkeypatch.setattr(audit, "opened_keys", lambda *_, **__: nullcontext(hidden))
    _, tally = run(FakeSshd(settings()), homes, *CheckRule)
    assert {v.rule for v in tally.broken_rules} == {CheckRule.HARDWARE, CheckRule.VERIFY}
