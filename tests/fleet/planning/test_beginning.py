"""A first policy is what is there: held against the same audits, only doubts are left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fleet.planning.audits import account, audited, document, finding, key_line
from tests.fleet.policy.policies import file_line, print_in, print_of, token_line

from fidokit.errors import FileInTheWay, MalformedFile, UsageError
from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.planning.actions import ActionKind
from fidokit.fleet.planning.beginning import BegunPolicy, begin_policy
from fidokit.fleet.planning.fleet_plan import plan_fleet
from fidokit.fleet.planning.saved_audits import SavedAudits
from fidokit.fleet.policy.reading import read_policy
from fidokit.fleet.policy.values import PolicyKey
from fidokit.inventory.kept import Inventory, KnownKey
from fidokit.server.check.policy import BreakGlass, CheckRule

TODAY = date(2026, 12, 1)
A, B, C, D = map(print_of, "abcd")


def begun(
    path: Path, *audits: HostAudit, force: bool = False, inventory: Inventory | None = None
) -> BegunPolicy:
    return begin_policy(
        audits, path, today=TODAY, force=force, key_folders=[path.parent], inventory=inventory
    )


def test_what_is_there_becomes_a_policy(tmp_path: Path) -> None:
    own = token_line(1, "alice@blue")
    (tmp_path / "id.pub").write_text(own + "\n")
    keys = [key_line(print_in(own), comment="alice@elsewhere"), key_line(B, comment="bob@x")]
    root = account("root", keys)
    done = begun(
        tmp_path / "policy.toml",
        audited("web1", root, require=["hardware"]),
        audited("me@WEB2:22", root, require=["hardware"]),
        audited("db", account("root", keys[:1])),
        HostAudit("down", HostState.DOWN, problem="no route"),
    )
    policy = read_policy(tmp_path / "policy.toml")
    assert policy == done.policy
    assert list(policy.people) == ["alice", "bob"]
    assert policy.people["alice"].keys[0].public_line == own
    assert policy.people["bob"].keys[0].fingerprint == B
    web = policy.rules_for("web1")
    assert web
    assert web.let_in == {"root": ("alice", "bob")}
    assert (web.require, web.exclusive) == ((CheckRule.HARDWARE,), True)
    db = policy.rules_for("db")
    assert db
    assert (db.let_in, db.require) == ({"root": ("alice",)}, ())
    assert done.left_out == {"down": "no route"}
    assert done.plan.holds
    assert "# alice@blue (ED25519-SK)" in (tmp_path / "policy.toml").read_text()


def test_keys_of_one_name_at_different_places_are_apart(tmp_path: Path) -> None:
    keys = [key_line(one, comment="al@x") for one in (A, B, C)]
    done = begun(
        tmp_path / "p",
        audited("web", account("root", keys[:2]), account("al", keys)),
        audited("db", account("al", keys[2:])),
    )
    assert sorted(done.policy.people) == ["al", "al-2"]
    assert sorted(len(one.keys) for one in done.policy.people.values()) == [1, 2]
    assert done.plan.holds


def test_tokens_are_those_of_the_kept_inventory(tmp_path: Path) -> None:
    first, backup = token_line(1, "al@x"), token_line(2, "al@x")
    prints = print_in(first), print_in(backup)
    kept = Inventory(
        keys=(
            KnownKey(prints[0], first, token="usb:123"),
            KnownKey(prints[1], backup, token="usb:4 5", backup_of=prints[0]),
            KnownKey(C, token="usb:123"),
            KnownKey(D, token="id:\x1b"),
        )
    )
    keys = [key_line(one, comment="al@x") for one in prints]
    other = account("zoe", [key_line(C), key_line(D)])
    audit = audited("h", account("root", keys), other)
    done = begun(tmp_path / "p", audit, inventory=kept)
    tokens = {token.name: token for token in done.policy.tokens}
    assert {name: token.serial for name, token in tokens.items()} == {
        "usb-123": "123",
        "usb-4-5": "4 5",
        "usb-123-2": "123",
    }
    assert tokens["usb-4-5"].backup_of == "usb-123"
    assert tokens["usb-123"].keys[0].public_line == first
    assert done.policy.key(D) == PolicyKey(D)
    assert done.plan.holds


def test_rules_are_those_that_the_audits_prove(tmp_path: Path) -> None:
    glass = f"break-glass=root:{A}"
    asked = ["hardware", "hardware-or-certified", "no-password", glass, f"break-glass={B}"]
    found = [finding("by password", "no-password", f"break-glass={B}", user="root")]
    done = begun(
        tmp_path / "p", audited("h", account("root", [key_line(A)]), require=asked, findings=found)
    )
    assert done.policy.hosts[0].require == (CheckRule.HARDWARE,)
    assert done.policy.hosts[0].break_glass == (BreakGlass(A, "root"),)


def test_what_cannot_be_seen_is_not_exclusive(tmp_path: Path) -> None:
    hidden = account("eve", [key_line(C)], hidden="permission denied")
    shown = account("root", [key_line(A), key_line(B, refused="weak")])
    authority = {"trustedusercakeys": "/etc/ssh/ca"}
    done = begun(
        tmp_path / "p",
        audited("a", account("root", [key_line(A)]), hidden),
        audited("b", shown),
        audited("c", account("root", [key_line(A)]), settings=authority),
        audited("d", account("root", [key_line(A), key_line(D, authority=True)])),
        audited("e", account("root")),
    )
    exclusive = {name: done.policy.rules_for(name) for name in "abcde"}
    assert {name: rules and rules.exclusive for name, rules in exclusive.items()} == {
        "a": False,
        "b": False,
        "c": False,
        "d": True,
        "e": False,
    }
    assert exclusive["d"]
    assert exclusive["d"].authorities == (D,)
    assert "eve" not in done.policy.hosts[0].let_in
    assert done.plan.holds


def test_doubts_of_the_audits_are_left(tmp_path: Path) -> None:
    found = [finding("not seen", doubt=True)]
    done = begun(tmp_path / "p", audited("h", account("root", [key_line(A)]), findings=found))
    assert done.doubts == 1


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("mine")
    audit = audited("h", account("root", [key_line(A)]))
    with pytest.raises(FileInTheWay):
        begun(path, audit)
    assert path.read_text() == "mine"
    begun(path, audit, force=True)
    assert read_policy(path).people


def test_without_an_audit_there_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no audit of a host can be used: no route"):
        begun(tmp_path / "p", HostAudit("down", HostState.DOWN, problem="no route"))
    assert not (tmp_path / "p").exists()


def test_a_name_that_is_no_host_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MalformedFile, match="is not a pattern of hosts"):
        begun(tmp_path / "p", audited("my host", account("root", [key_line(A)])))
    assert not (tmp_path / "p").exists()


TEXT = st.text(st.sampled_from("al@x \"\\'#\n\x7f\x1b[]\u202e\udcff="), max_size=6)
ACCOUNTS = st.sampled_from(["root", "al", "we b", "DOM\\u$", "\udcff"])
KEYS = st.tuples(st.sampled_from([A, B, C, D]), st.booleans(), st.booleans(), st.booleans())
HOSTS = st.dictionaries(ACCOUNTS, st.lists(KEYS, max_size=4), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HOSTS, min_size=1, max_size=3), st.lists(TEXT, min_size=4, max_size=4))
def test_any_hosts(
    tmp_path: Path,
    hosts: list[dict[str, list[tuple[str, bool, bool, bool]]]],
    comments: Sequence[str],
) -> None:
    comment_of = dict(zip([A, B, C, D], comments, strict=True))
    audits = []
    for number, places in enumerate(hosts):
        users = []
        for name, keys in places.items():
            lines = [
                key_line(
                    one,
                    hardware=hardware,
                    authority=authority,
                    refused="weak" if refused else "",
                    comment=comment_of[one],
                )
                for one, hardware, authority, refused in keys
            ]
            users.append(account(name, lines))
        audits.append(audited(f"h{number}", *users))
    done = begun(tmp_path / "p", *audits, force=True)
    again = plan_fleet(read_policy(tmp_path / "p"), audits, today=TODAY)
    assert again == done.plan
    assert not {action.kind for plan in again.hosts for action in plan.actions} - {ActionKind.DOUBT}


# --- saved audits ------------------------------------------------------------------------------


def saved(path: Path, *users: dict[str, Any], **parts: Any) -> Path:
    path.write_text(json.dumps(document(users, **parts)))
    return path


def test_saved_audits(tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    folder.mkdir()
    saved(folder / "web1.json", account("root", [key_line(A)]), require=["hardware"])
    saved(folder / "web2.json")
    other = saved(tmp_path / "x.txt")
    found = SavedAudits.of([str(folder), f"db={other}"])
    assert len(found) == 3
    assert [(one.host, one.state) for one in found] == [
        ("web1", HostState.CHECKED),
        ("web2", HostState.CHECKED),
        ("db", HostState.CHECKED),
    ]
    assert [one.host for one in SavedAudits.of([str(folder / "web2.json")])] == ["web2"]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"schema": 1}', b"[" * 10_000, b'{"a": 1' + b" " * (1 << 24)]
)
def test_a_damaged_audit_is_a_value(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "web1.json"
    path.write_bytes(data)
    (found,) = SavedAudits.of([str(path)])
    assert found.state is not HostState.CHECKED
    assert str(path) in found.problem


def test_an_audit_that_is_not_there_is_a_value(tmp_path: Path) -> None:
    (found,) = SavedAudits.of([str(tmp_path / "none.json")])
    assert "does not exist" in found.problem


def test_two_audits_of_a_host_are_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "web1.json")
    with pytest.raises(UsageError, match="two audits of web1"):
        SavedAudits.of([str(path), f"web1={path}"])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file HOST\.json"):
        SavedAudits.of([str(tmp_path)])


def test_a_public_line_that_is_not_utf8_stays_a_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_bytes(file_line(1).encode() + b" caf\xe9\n")
    found = print_in(file_line(1))
    audit = audited("h", account("root", [key_line(found, hardware=False)]))
    (person,) = begun(tmp_path / "p", audit).policy.people.values()
    assert person.keys[0].public_line == ""
