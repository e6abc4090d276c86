"""The whole report: its order, what is there twice, and what breaks a rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, TOKEN_ECDSA, text
from tests.server.settings import TOKENS, settings

from fidokit.errors import FidokitError, UsageError
from fidokit.server.accounts import Account, Password, ShadowEntry
from fidokit.server.check.admission import LoginUser
from fidokit.server.check.audit import Audit, CheckEvent, FileReport, ServerReport, UserReport
from fidokit.server.check.findings.tally import CheckTally
from fidokit.server.check.key_lines import KeyLine, KeyPosition, UnreadableLine
from fidokit.server.check.keys.evidence import SshdEvidence
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.key_questions import PublicText
from fidokit.server.sshd.query import LoginOrigin, Sshd
from fidokit.server.sshd.settings import ConfigReading, SshdSettings

STRANGER = LoginOrigin()


ABOUT_KEYS = set(CheckRule) - {CheckRule.NO_PASSWORD}


@dataclass
class FakeSshd:
    """Answers with some settings for all, and others for some users or places."""

    general: SshdSettings
    of: Mapping[str, SshdSettings | FidokitError] = field(default_factory=dict)
    asked: list[tuple[str | None, str]] = field(default_factory=list)
    from_ten: SshdSettings | None = None
    program: str = "/sshd"
    arguments: tuple[str, ...] = ()
    named_config: str | None = "/nowhere/sshd_config"

    def settings(self, user: str | None = None, origin: LoginOrigin = STRANGER) -> SshdSettings:
        self.asked.append((user, origin.addr))
        found = self.of.get(user or "", self.general)
        if isinstance(found, FidokitError):
            raise found
        if self.from_ten is not None and origin.addr.startswith("10."):
            return self.from_ten
        return found

    explained = settings


@dataclass
class FakeEvidence:
    """Agrees with every refusal, or says otherwise."""

    taken: bool | None = False
    asked: list[str] = field(default_factory=list)
    open_place: str = "nowhere"

    def user_is_allowed(
        self, _sshd: object, user: str, origin: LoginOrigin
    ) -> tuple[bool | None, str]:
        self.asked.append(user)
        if origin.addr.startswith(self.open_place):
            return True, ""
        return self.taken, "nobody answers" if self.taken is None else ""

    def keys_are_taken(
        self, _sshd: object, _user: str, keys: Sequence[PublicText], _origins: object
    ) -> dict[str, tuple[bool | None, str]]:
        self.asked += [key.fingerprint for key in keys]
        why = "nobody answers" if self.taken is None else ""
        return {key.fingerprint: (self.taken, why) for key in keys}


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
    evidence: FakeEvidence | None = None,
) -> tuple[list[CheckEvent], Tally]:
    instances = [SshdInstance(cast("Sshd", sshd))]
    asked = cast("SshdEvidence", evidence or FakeEvidence())
    audit = Audit(instances, person(password), asked, frozenset(rules), now=1.0)
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
        elif isinstance(event, ServerReport):
            yield from event.violations
        else:
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


def test_a_users_own_settings_count(homes: Mapping[str, Account]) -> None:
    for account in homes.values():
        write(account, text(PLAIN if account.name == "alice" else OTHER))
    sshd = FakeSshd(settings(), {"bob": settings(pubkeyacceptedalgorithms=TOKENS)})
    _, tally = run(sshd, homes, CheckRule.HARDWARE)
    assert [(found.user, found.line) for found in tally.broken_rules] == [("alice", 1)]
    assert tally.refused == 1


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


@pytest.mark.parametrize(("taken", "broken"), [(False, 0), (True, 1), (None, 1)])
def test_a_file_that_we_call_refused_is_asked_about(
    homes: Mapping[str, Account], taken: bool | None, broken: int
) -> None:
    path = Path(write(homes["alice"], text(PLAIN)))
    path.chmod(0o666)
    evidence = FakeEvidence(taken)
    sshd = FakeSshd(settings())
    found, tally = run(sshd, homes, CheckRule.HARDWARE, evidence=evidence)
    (file,) = [event for event in found if isinstance(event, FileReport)]
    assert "others than its owner may write" in file.refusals[0]
    assert len(tally.broken_rules) == broken
    (key,) = [event for event in found if isinstance(event, KeyLine)]
    assert bool(key.verdict.refusals) is (taken is not True)
    assert ("nobody answers" in key.verdict.doubt) is (taken is None)
    assert evidence.asked == [key.fingerprint]


def test_every_place_is_asked_about_where_a_reading_keeps_somebody_out(
    homes: Mapping[str, Account],
) -> None:
    """The settings are the same from everywhere, and sshd lets in from one place alone."""
    write(homes["alice"], text(PLAIN))
    sshd = FakeSshd(settings(denyusers="alice\nalice@10.0.0.0/8"))
    only_alice = {"alice": homes["alice"]}
    shut = FakeEvidence(False)
    assert run(sshd, only_alice, CheckRule.HARDWARE, evidence=shut)[1].violations == []
    assert len(shut.asked) > 1
    opened = FakeEvidence(False, open_place="10.")
    (found,) = run(sshd, only_alice, CheckRule.HARDWARE, evidence=opened)[1].broken_rules
    assert (found.rule, found.doubt) == (CheckRule.HARDWARE, False)


def test_what_breaks_no_rule_is_not_asked_about(homes: Mapping[str, Account]) -> None:
    path = Path(write(homes["alice"], text(TOKEN)))
    path.chmod(0o666)
    evidence = FakeEvidence(None)
    sshd = FakeSshd(settings(denyusers="alice"))
    assert run(sshd, homes, CheckRule.HARDWARE, evidence=evidence)[1].violations == []
    run(sshd, homes)
    assert evidence.asked == ["alice"]


@pytest.mark.parametrize("line", [b"junk", b"ssh-ed25519 AAAA"])
def test_a_line_that_nobody_understands_is_a_doubt(
    homes: Mapping[str, Account], line: bytes
) -> None:
    write(homes["alice"], line + b"\n")
    _, tally = run(FakeSshd(settings()), homes, *CheckRule)
    assert {found.rule for found in tally.broken_rules} == ABOUT_KEYS


def test_every_user_is_asked_about_and_every_place(homes: Mapping[str, Account]) -> None:
    sshd = FakeSshd(settings(allowusers="alice@10.0.0.0/8\nbob"))
    run(sshd, homes)
    for user in (None, "alice", "bob"):
        assert (user, "192.0.2.1") in sshd.asked
    assert {addr for user, addr in sshd.asked if user == "bob"} >= {"10.0.0.0", "192.0.2.1"}


@pytest.mark.parametrize("lists", ["alice@10.0.0.0/8", "alice@10.*", "alice@10.0.0.?,x"])
def test_a_password_from_one_place_alone_is_enough(
    homes: Mapping[str, Account], lists: str
) -> None:
    """No stranger gets in; somebody from there does."""
    off = settings(passwordauthentication="no", allowusers=lists)
    sshd = FakeSshd(off, from_ten=settings(passwordauthentication="yes", allowusers=lists))
    alice = {"alice": homes["alice"]}
    _, tally = run(sshd, alice, CheckRule.NO_PASSWORD, password=Password.SET)
    (broken,) = tally.broken_rules
    assert "for logins from 10." in broken.why


def test_other_ways_in_are_a_doubt(homes: Mapping[str, Account]) -> None:
    for keyword in ("hostbasedauthentication", "gssapiauthentication"):
        sshd = FakeSshd(settings(**{keyword: "yes"}))
        _, tally = run(sshd, {"alice": homes["alice"]}, *CheckRule)
        assert {v.rule for v in tally.broken_rules if v.doubt} == set(CheckRule)


@pytest.mark.parametrize("line", ["newoption yes", "pubkeyauthoptions any-key-will-do"])
def test_a_setting_that_nobody_here_knows_is_a_doubt(
    homes: Mapping[str, Account], line: str
) -> None:
    keyword, _, value = line.partition(" ")
    sshd = FakeSshd(settings(**{keyword: value}))
    found, tally = run(sshd, homes, *CheckRule)
    assert isinstance(found[0], ServerReport)
    assert keyword.lower() in found[0].notes[0].lower()
    assert {v.rule for v in tally.broken_rules if v.doubt} == set(CheckRule)


def test_a_connection_that_is_refused_lets_nobody_in(homes: Mapping[str, Account]) -> None:
    write(homes["alice"], text(PLAIN))
    sshd = FakeSshd(settings(refuseconnection="yes"))
    assert run(sshd, homes, *CheckRule, password=Password.SET)[1].violations == []


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
        Violation(CheckRule.HARDWARE, "alice", "the key is not on a token", path, 3),
        Violation(CheckRule.HARDWARE_OR_CERTIFIED, "alice", "the key is not on a token", path, 3),
        Violation(
            CheckRule.VERIFY,
            "alice",
            "the key is not on a token, so nothing asks for a PIN",
            path,
            3,
        ),
        Violation(CheckRule.NO_PASSWORD, "bob", "by password"),
    ]
    assert tally.by_password == ["alice", "bob"]


def test_a_user_whom_sshd_turns_away(homes: Mapping[str, Account]) -> None:
    write(homes["alice"], text(PLAIN))
    sshd = FakeSshd(settings(denyusers="alice\nbob"))
    evidence = FakeEvidence()
    found, tally = run(sshd, homes, *CheckRule, password=Password.SET, evidence=evidence)
    users = [event for event in found if isinstance(event, UserReport)]
    assert all(user.refusals == ("DenyUsers names the user",) for user in users)
    assert not any(user.password.possible for user in users)
    assert tally.broken_rules == []
    assert evidence.asked == ["alice", "bob"]
    for taken in (True, None):
        evidence = FakeEvidence(taken)
        _, tally = run(sshd, homes, *CheckRule, password=Password.SET, evidence=evidence)
        assert {(v.user, v.rule) for v in tally.broken_rules} == {
            *(("alice", rule) for rule in CheckRule),
            ("bob", CheckRule.NO_PASSWORD),
        }


def test_a_user_whom_sshd_cannot_be_asked_about(homes: Mapping[str, Account]) -> None:
    sshd = FakeSshd(settings(), {"alice": UsageError("cannot be asked")})
    found, tally = run(sshd, homes, *CheckRule)
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

    from fidokit.server.check.keys import sources
    from fidokit.server.key_paths import KeySource

    hidden = KeySource(Path("/x"), hidden="cannot be read by you")
    monkeypatch.setattr(sources, "opened_keys", lambda *_, **__: nullcontext(hidden))
    _, tally = run(FakeSshd(settings()), homes, *CheckRule)
    assert {v.rule for v in tally.broken_rules} == ABOUT_KEYS


@pytest.mark.parametrize(
    ("matches", "in_doubt"),
    [
        ((), False),
        (("all",), False),
        ((" All ",), False),
        (("user bob",), True),
        (("all", "address 10.0.0.0/8"), True),
    ],
)
def test_a_match_block_may_be_about_users_whom_nobody_lists(
    matches: tuple[str, ...], in_doubt: bool
) -> None:
    """Without one they are held to what holds for everybody, which here breaks no rule."""
    strict = settings(pubkeyacceptedalgorithms=TOKENS, pubkeyauthoptions="verify-required",
                      passwordauthentication="no")  # fmt: skip
    reading = ConfigReading({}, ("/etc/ssh/sshd_config",), matches)
    sshd = FakeSshd(replace(strict, reading=reading))
    audit = Audit(
        [SshdInstance(cast("Sshd", sshd))],
        person(Password.NONE),
        cast("SshdEvidence", FakeEvidence()),
        frozenset(CheckRule),
        unlisted=("a directory has users",),
    )
    (report,) = audit.run(())
    assert isinstance(report, ServerReport)
    assert report.notes == ("a directory has users",)
    found = [v for v in report.violations if v.why == "a directory has users"]
    assert {v.rule for v in found} == (set(CheckRule) if in_doubt else set())
    assert all(v.doubt for v in found)
    assert all("--user" in v.find_out for v in found)
