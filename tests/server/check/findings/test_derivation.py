"""What a report comes to: which finding follows which event."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.server.settings import settings

from fidokit.server.accounts import Account
from fidokit.server.check.audit import CheckEvent, FileReport, ServerReport, UserReport
from fidokit.server.check.findings.derivation import Derivation
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.findings.server_files import ServerFiles
from fidokit.server.check.findings.setting_origins import SettingOrigins
from fidokit.server.check.findings.tally import CheckTally, LoginWay
from fidokit.server.check.key_lines import KeyLine, KeyPosition, UnreadableLine, read_lines
from fidokit.server.check.key_verdicts import rules_for
from fidokit.server.check.login_methods import PasswordWay
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.sshd.settings import ConfigPlace, ConfigReading

ALL = frozenset(CheckRule)
ALICE = Account("alice", 1000, 1000, Path("/home/alice"))
KEYS = "/home/alice/.ssh/authorized_keys"
QUIET = PasswordWay(False, "no password is set")


def derive(*events: CheckEvent, lines: dict[str, int] | None = None) -> list[CheckFinding]:
    places = {name.lower(): ConfigPlace("/c", at) for name, at in (lines or {}).items()}
    said = next(
        (e.settings for e in events if isinstance(e, (ServerReport, UserReport))), settings()
    )
    explained = replace(said, reading=ConfigReading(places, ("/c",)))
    origins = SettingOrigins(lambda _asked: explained)
    seen = list(Derivation(origins, ServerFiles(frozenset({0}))).watch(iter(events)))
    assert [event for event in seen if not isinstance(event, CheckFinding)] == list(events)
    return [event for event in seen if isinstance(event, CheckFinding)]


def user(**changes: object) -> UserReport:
    return replace(UserReport(ALICE, settings(), (), QUIET), **changes)  # type: ignore[arg-type]


def lines(data: bytes, *rules: CheckRule, **given: str) -> list[KeyLine | UnreadableLine]:
    made = [data]
    found = rules_for(settings(**given), is_root=False, rules=frozenset(rules), now=2e9)
    return list(read_lines(lambda _size: made.pop() if made else b"", found))


def of_lines(found: Sequence[KeyLine | UnreadableLine]) -> list[CheckFinding]:
    return derive(user(), FileReport("alice", KEYS), *found)


def brief(found: Sequence[CheckFinding]) -> list[tuple[str, int | None, tuple[str, ...], bool]]:
    return [(f.kind.id, f.line, f.rules, f.doubt) for f in found]


def test_a_good_report_has_no_findings() -> None:
    events = [ServerReport(settings()), user(), FileReport("alice", KEYS), *lines(text(TOKEN))]
    assert derive(*events) == []


@pytest.mark.parametrize(
    ("data", "rules", "expected"),
    [
        (text(PLAIN), (), []),
        (text(PLAIN), (CheckRule.HARDWARE,), [("FK101", 1, ("hardware",), False)]),
        (text(PLAIN), (CheckRule.VERIFY,), [("FK101", 1, ("verify",), False)]),
        (
            text(PLAIN),
            (CheckRule.HARDWARE, CheckRule.VERIFY),
            [("FK101", 1, ("hardware", "verify"), False)],
        ),
        (text(TOKEN), (CheckRule.VERIFY,), [("FK102", 1, ("verify",), False)]),
        (b"no-touch-required " + text(TOKEN), (), [("FK106", 1, (), False)]),
        (b"verify-required " + text(PLAIN), (), [("FK107", 1, (), False)]),
        (b"cert-authority " + text(PLAIN), (), []),
        (
            b"cert-authority " + text(PLAIN),
            (CheckRule.HARDWARE,),
            [("FK108", 1, ("hardware",), False)],
        ),
        (
            b'expiry-time="20010101" ' + text(PLAIN),
            (CheckRule.HARDWARE,),
            [("FK110", 1, (), False)],
        ),
        (b"junk\n" + text(PLAIN), (), [("FK111", 1, (), False)]),
    ],
)
def test_keys(
    data: bytes,
    rules: tuple[CheckRule, ...],
    expected: list[tuple[str, int | None, tuple[str, ...], bool]],
) -> None:
    found = of_lines(lines(data, *rules))
    assert brief(found) == expected
    assert all((f.user, f.path) == ("alice", KEYS) for f in found)


def test_each_of_many_keys() -> None:
    data = text(TOKEN, PLAIN, OTHER, TOKEN) + b"no-touch-required " + text(TOKEN)
    found = of_lines(lines(data, CheckRule.HARDWARE))
    assert [(f.kind.id, f.line) for f in found] == [("FK101", 2), ("FK101", 3), ("FK106", 5)]
    assert found[0].key != found[1].key
    assert found[0].message == f"ED25519 {found[0].key} (plain)"


def test_a_key_that_is_there_twice() -> None:
    (key,) = lines(text(TOKEN))
    assert isinstance(key, KeyLine)
    twin = key._replace(duplicate=KeyPosition("bob", "/home/bob/k", 7))
    (found,) = of_lines([twin])
    assert found.kind.id == "FK105"
    assert "/home/bob/k:7 (bob)" in found.why


@pytest.mark.parametrize(
    ("bits", "expected"), [(1024, ["FK103"]), (2048, ["FK104"]), (3072, []), (4096, [])]
)
def test_sizes(bits: int, expected: list[str]) -> None:
    verdict = rules_for(settings(), is_root=False).judge("ssh-rsa", bits)
    found = of_lines([KeyLine(1, bits, "SHA256:x", "", "RSA", verdict)])
    assert [f.kind.id for f in found] == expected


@pytest.mark.parametrize(
    ("why", "kind", "switches"),
    [
        ("by password", "FK201", {"PasswordAuthentication": 3}),
        ("with an EMPTY password", "FK202", {"PermitEmptyPasswords": 4}),
    ],
)
@pytest.mark.parametrize("stated", [False, True])
def test_passwords(why: str, kind: str, switches: dict[str, int], stated: bool) -> None:
    broken = (Violation(CheckRule.NO_PASSWORD, "alice", why),) if stated else ()
    report = user(password=PasswordWay(True, why), violations=broken)
    (found,) = derive(report, lines={"PasswordAuthentication": 3, "PermitEmptyPasswords": 4})
    assert found.kind.id == kind
    assert found.rules == (("no-password",) if stated else ())
    assert {setting.keyword: setting.line for setting in found.settings} == switches
    assert str(found.severity) == ("error" if stated or kind == "FK202" else "warning")


@pytest.mark.parametrize(
    ("keyword", "kind", "doubt"),
    [
        ("AuthorizedKeysCommand", "FK109", True),
        ("TrustedUserCAKeys", "FK108", True),
        ("TrustedUserCAKeys", "FK108", False),
    ],
)
def test_what_is_not_seen(keyword: str, kind: str, doubt: bool) -> None:
    why = f"{keyword} gives keys that are not looked at here (/x)"
    rules = (CheckRule.HARDWARE, CheckRule.VERIFY)
    broken = tuple(Violation(rule, "alice", why, doubt=doubt) for rule in rules)
    (found,) = derive(user(violations=broken), lines={keyword: 9})
    assert brief([found]) == [(kind, None, ("hardware", "verify"), doubt)]
    assert [(s.keyword, s.line) for s in found.settings] == [(keyword, 9)]


def test_an_unknown_user() -> None:
    broken = tuple(Violation(rule, "alice", "silence") for rule in sorted(CheckRule))
    (found,) = derive(user(unknown="silence", violations=broken))
    assert brief([found]) == [("FK401", None, tuple(sorted(map(str, CheckRule))), True)]


def test_files() -> None:
    found = derive(
        user(),
        FileReport(
            "alice",
            KEYS,
            refusals=(f"others may write to {KEYS}; fix it with: chmod go-w {KEYS}",),
        ),
        FileReport(
            "alice",
            "/c",
            hidden="/c cannot be read by you",
            violations=(Violation(CheckRule.HARDWARE, "alice", "hidden", "/c"),),
        ),
    )
    assert brief(found) == [
        ("FK302", None, (), False),
        ("FK402", None, ("hardware",), True),
    ]
    assert found[0].why == f"others may write to {KEYS}"
    assert found[0].fix == ()  # the folder may be /tmp


def test_a_key_file_with_bad_modes_that_sshd_does_not_mind(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("")
    path.chmod(0o666)
    account = replace(ALICE, uid=os.geteuid())
    file = FileReport("alice", str(path), warnings=("others may write to /tmp",))
    (found,) = derive(user(account=account), file)
    assert (found.kind.id, found.path, found.fix) == (
        "FK301",
        str(path),
        ("chmod", "go-w", str(path)),
    )
    path.chmod(0o644)
    assert derive(user(account=account), file) == []  # /tmp is sticky


def test_a_line_that_cannot_be_judged() -> None:
    line = UnreadableLine(3, "too long", ((CheckRule.HARDWARE, "too long"),), doubt="too long")
    assert brief(of_lines([line])) == [("FK403", 3, ("hardware",), True)]


def test_notes_of_the_server_are_said_once() -> None:
    found = derive(
        ServerReport(settings(hostbasedauthentication="yes", gssapiauthentication="yes"), ("n",)),
        user(notes=("n", "of alice")),
        lines={"HostbasedAuthentication": 2},
    )
    assert [(f.kind.id, f.user, f.why) for f in found if f.kind.id == "FK404"] == [
        ("FK404", "", "n"),
        ("FK404", "alice", "of alice"),
    ]
    others = {f.kind.id: f.settings[0] for f in found if f.kind.id != "FK404"}
    assert (others["FK203"].line, others["FK204"].line) == (2, None)


def test_who_gets_in_by_what() -> None:
    tally = CheckTally(("hardware",))
    events = [
        user(password=PasswordWay(True, "by password")),
        FileReport("alice", KEYS),
        *lines(text(TOKEN, TOKEN, PLAIN) + b"cert-authority " + text(PLAIN), CheckRule.HARDWARE),
        replace(user(), account=replace(ALICE, name="bob"), unknown="silence"),
        replace(user(), account=replace(ALICE, name="carol")),
    ]
    origins = SettingOrigins(lambda _user: settings())
    derived = Derivation(origins, ServerFiles(frozenset({0}))).watch(iter(events))
    for _ in tally.watch(derived):
        pass
    assert tally.names == ["alice", "bob", "carol"]
    assert tally.ways == {
        LoginWay.TOKEN: {"alice": 2},
        LoginWay.FILE: {"alice": 1},
        LoginWay.CERTIFICATE: {"alice": 1},
        LoginWay.PASSWORD: {"alice": 1},
        LoginWay.UNKNOWN: {"bob": 1},
    }
    assert tally.by_password == ["alice"]
    assert (tally.holds(), tally.holds("hardware"), tally.holds("verify")) == (False, False, True)
    assert (tally.broken("hardware", doubt=False), tally.broken("hardware", doubt=True)) == (2, 0)
