"""A plan names what differs, doubts what an audit doubts, and never locks anybody out."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fleet.planning.audits import account, audited, finding, key_line
from tests.fleet.policy.policies import file_line, policy, print_in, print_of, token_line

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.planning.actions import ActionKind, FleetPlan, HostPlan, PlanAction
from fidokit.fleet.planning.fleet_plan import plan_fleet
from fidokit.fleet.planning.host_plan import NOBODY
from fidokit.fleet.policy.proofs import KeyProofs, ProvedKey
from fidokit.fleet.policy.values import FleetPolicy
from fidokit.metadata.certification import CertificationLevel

TODAY = date(2026, 12, 1)
ALICE, BOB, FILE = token_line(1, "alice@blue"), token_line(2, "bob"), file_line(3, "carol")
A, B, C = map(print_in, (ALICE, BOB, FILE))
GLASS, STRANGER = print_of("glass"), print_of("stranger")
PEOPLE = f"""
[people.alice]
keys = ["{ALICE}"]
[people.bob]
keys = ["{BOB}"]
[people.carol]
keys = ["{FILE}"]
[groups]
admins = ["alice", "bob"]
[[hosts]]
match = ["web*"]
"""


def rules(text: str) -> FleetPolicy:
    """The three people, and a block of `web*` with these settings."""
    return policy(PEOPLE + text)


def planned(block: str, *users: dict[str, Any], **parts: Any) -> HostPlan:
    """The plan of one host."""
    (plan,) = plan_fleet(rules(block), [audited("web1", *users, **parts)], today=TODAY).hosts
    return plan


def steps(plan: HostPlan) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.account, one.fingerprint) for one in plan.actions]


def kinds(plan: HostPlan) -> list[str]:
    return [one.kind.value for one in plan.actions]


ROOT = 'let-in = { root = ["@admins"] }\n'


# --- who gets in -----------------------------------------------------------------------------


def test_no_difference() -> None:
    plan = planned(ROOT + "exclusive = true\n", account("root", [key_line(A), key_line(B)]))
    assert plan == HostPlan("web1")
    assert FleetPlan((plan,)).holds


def test_what_is_missing_is_authorized() -> None:
    plan = planned(ROOT, account("root", [key_line(A)]))
    assert plan.actions == (
        PlanAction(ActionKind.AUTHORIZE, "the key is not there", "root", B, "bob", BOB),
    )
    assert not FleetPlan((plan,)).holds


def test_a_fingerprint_alone_is_said() -> None:
    only = policy(f'[people.x]\nkeys = ["{A}"]\n[[hosts]]\nmatch = ["*"]\nlet-in = {{ r = ["x"] }}')
    (plan,) = plan_fleet(only, [audited("h", account("r"))], today=TODAY).hosts
    assert plan.actions[0].public_line == ""
    assert "its fingerprint alone" in plan.actions[0].why


def test_strangers_stay_unless_it_is_exclusive() -> None:
    keys = [key_line(A), key_line(B), key_line(STRANGER)]
    assert planned(ROOT, account("root", keys)).actions == ()
    (step,) = planned(ROOT + "exclusive = true\n", account("root", keys)).actions
    assert (step.kind, step.fingerprint, step.line) == (ActionKind.REVOKE, STRANGER, 3)
    assert step.path == "/home/root/.ssh/authorized_keys"


def test_exclusive_holds_for_accounts_that_the_policy_does_not_name() -> None:
    users = account("root", [key_line(A), key_line(B)]), account("eve", [key_line(A)])
    assert planned(ROOT, *users).actions == ()
    assert steps(planned(ROOT + "exclusive = true\n", *users)) == [("revoke", "eve", A)]


def test_a_known_key_that_is_not_let_in_goes() -> None:
    keys = [key_line(A), key_line(B), key_line(C, hardware=False)]
    assert steps(planned(ROOT, account("root", keys))) == [("revoke", "root", C)]


def test_a_key_that_sshd_refuses_goes_only_where_it_is_exclusive() -> None:
    keys = [key_line(A), key_line(B), key_line(C, hardware=False, refused="weak")]
    assert planned(ROOT, account("root", keys)).actions == ()
    assert steps(planned(ROOT + "exclusive = true\n", account("root", keys))) == [
        ("revoke", "root", C)
    ]


def test_a_key_that_sshd_refuses_is_a_conflict() -> None:
    plan = planned(ROOT, account("root", [key_line(A), key_line(B, refused="weak")]))
    assert steps(plan) == [("conflict", "root", B)]
    assert "weak" in plan.actions[0].why


def test_authorities_stay_only_by_name() -> None:
    keys = [key_line(A), key_line(B), key_line(STRANGER, authority=True)]
    assert planned(ROOT, account("root", keys)).actions == ()
    exclusive = ROOT + "exclusive = true\n"
    assert steps(planned(exclusive, account("root", keys))) == [("revoke", "root", STRANGER)]
    named = exclusive + f'authorities = ["{STRANGER}"]\n'
    assert planned(named, account("root", keys)).actions == ()


def test_an_authority_is_not_a_login_by_its_key() -> None:
    plan = planned(ROOT, account("root", [key_line(A), key_line(B, authority=True)]))
    assert steps(plan) == [("authorize", "root", B)]


def test_a_line_that_several_accounts_share_is_not_taken_out() -> None:
    lines, path = [key_line(A), key_line(B)], "/etc/ssh/keys"
    users = account("root", lines, path=path), account("eve", lines, path=path)
    plan = planned(ROOT + "exclusive = true\n", *users)
    assert set(kinds(plan)) == {"conflict"}


# --- time --------------------------------------------------------------------------------------


def test_access_that_ends_needs_an_expiry_time() -> None:
    settings = ROOT + "expires = 2027-01-01\n"
    keys = [key_line(A, expires="20261231"), key_line(B, expires="20270102")]
    (step,) = planned(settings, account("root", keys)).actions
    assert (step.kind, step.fingerprint, step.expires) == (
        ActionKind.AUTHORIZE,
        B,
        date(2027, 1, 1),
    )
    (step,) = planned(
        settings, account("root", [key_line(A, expires="20270101"), key_line(B)])
    ).actions
    assert step.fingerprint == B


@pytest.mark.parametrize("day", ["2026-12-01", "2026-11-30"])
def test_access_that_ended_is_revoked(day: str) -> None:
    keys = [key_line(A), key_line(GLASS)]
    plan = planned(
        ROOT + f'expires = {day}\nbreak-glass = ["root:{GLASS}"]\n', account("root", keys)
    )
    assert ("revoke", "root", A) in steps(plan)
    assert plan.refused == ""


# --- what must never happen --------------------------------------------------------------------


def test_the_break_glass_key_stays() -> None:
    settings = ROOT + f'exclusive = true\nbreak-glass = ["root:{GLASS}"]\n'
    keys = [key_line(A), key_line(B), key_line(GLASS)]
    rule = f"break-glass=root:{GLASS}"
    assert planned(settings, account("root", keys), require=[rule]).actions == ()
    users = account("root", keys), account("eve", [key_line(GLASS)])
    assert steps(planned(settings, *users, require=[rule])) == [("revoke", "eve", GLASS)]


def test_a_missing_break_glass_key_is_authorized_or_said() -> None:
    users = [account("root", [key_line(A)])]
    known = planned(f'break-glass = ["root:{B}"]\n', *users, require=[f"break-glass=root:{B}"])
    assert known.actions[0].public_line == BOB
    assert kinds(known) == ["authorize"]
    nowhere = planned(f'break-glass = ["{B}"]\n', *users, require=[f"break-glass={B}"])
    assert kinds(nowhere) == ["conflict"]
    other = planned(f'break-glass = ["eve:{B}"]\n', *users, require=[f"break-glass=eve:{B}"])
    assert kinds(other) == ["doubt"]


def test_a_plan_that_leaves_nobody_in_is_refused() -> None:
    only_eve = account("root"), account("eve", [key_line(STRANGER)])
    plan = planned('exclusive = true\nlet-in = { toor = ["alice"] }\n', *only_eve)
    assert ("revoke", "eve", STRANGER) in steps(plan)
    assert plan.refused == NOBODY
    assert FleetPlan((plan,)).refused == (plan,)
    allowed = planned('exclusive = true\nlet-in = { root = ["alice"] }\n', *only_eve)
    assert steps(allowed) == [("authorize", "root", A), ("revoke", "eve", STRANGER)]
    assert allowed.refused == ""


def test_hardening_that_leaves_nobody_in_is_refused() -> None:
    found = finding("by password", "no-password", user="root")
    users = [account("root", [key_line(STRANGER, hardware=False)])]
    plan = planned('require = ["no-password"]\n', *users, require=["no-password"], findings=[found])
    assert (kinds(plan), plan.refused) == (["harden"], NOBODY)


# --- rules ---------------------------------------------------------------------------------------


def test_a_rule_that_was_not_asked_is_in_doubt() -> None:
    keys = account("root", [key_line(A), key_line(B)])
    plan = planned(ROOT + 'require = ["hardware", "verify"]\n', keys, require=["hardware"])
    assert [(one.kind, one.why, one.find_out) for one in plan.actions] == [
        (
            ActionKind.DOUBT,
            "the audit was not asked whether verify holds",
            "audit it with --require verify",
        )
    ]


def test_a_broken_rule_is_hardened() -> None:
    settings = ROOT + 'require = ["hardware", "no-password", "verify"]\n'
    asked = ["hardware", "no-password", "verify"]
    found = [finding("by password", "no-password", user="eve"), finding("no PIN", "verify")]
    plan = planned(
        settings, account("root", [key_line(A), key_line(B)]), require=asked, findings=found
    )
    assert kinds(plan) == ["harden"]
    assert plan.actions[0].levels == "verify hardware-only"
    assert "by password (eve)" in plan.actions[0].why


def test_what_is_revoked_needs_no_hardening() -> None:
    path = "/home/root/.ssh/authorized_keys"
    found = finding("the key is not on a token", "hardware", path=path, line=3, user="root")
    plan = planned(
        ROOT + 'exclusive = true\nrequire = ["hardware"]\n',
        account("root", [key_line(A), key_line(B), key_line(C, hardware=False)]),
        require=["hardware"],
        findings=[found],
    )
    assert steps(plan) == [("revoke", "root", C)]


def test_hardening_never_locks_out_the_break_glass_key() -> None:
    found = finding("by password", "no-password", user="root")
    plan = planned(
        ROOT + f'require = ["no-password"]\nbreak-glass = ["root:{GLASS}"]\n',
        account("root", [key_line(A), key_line(B), key_line(GLASS, hardware=False)]),
        require=["no-password", f"break-glass=root:{GLASS}"],
        findings=[found],
    )
    assert kinds(plan) == ["conflict"]
    assert "would lock out" in plan.actions[0].why


def test_a_key_in_a_file_is_not_let_in_where_tokens_are_required() -> None:
    settings = 'let-in = { root = ["alice", "carol"] }\nrequire = ["hardware"]\n'
    keys = [key_line(A)]
    assert planned(settings, account("root", keys), require=["hardware"]).actions == ()
    keys.append(key_line(C, hardware=False))
    plan = planned(settings, account("root", keys), require=["hardware"])
    assert steps(plan) == [("revoke", "root", C)]


def test_rules_without_a_level_are_conflicts() -> None:
    found = finding("not certified", "hardware-or-certified")
    plan = planned(
        'require = ["hardware-or-certified"]\n',
        require=["hardware-or-certified"],
        findings=[found],
    )
    assert kinds(plan) == ["conflict"]


def test_rules_that_the_policy_does_not_state_do_not_count() -> None:
    found = finding("by password", "no-password")
    assert planned("", require=["no-password"], findings=[found]).actions == ()


# --- doubt --------------------------------------------------------------------------------------


def test_what_the_audit_doubts_is_in_doubt() -> None:
    found = finding(
        "a file is hidden", "hardware", user="eve", doubt=True, steps=["run it as root"]
    )
    plan = planned('require = ["hardware"]\n', require=["hardware"], findings=[found])
    (step,) = plan.actions
    assert (step.kind, step.account, step.find_out) == (ActionKind.DOUBT, "eve", "run it as root")
    plain = finding("something was not seen", doubt=True)
    assert kinds(planned("", findings=[plain])) == ["doubt"]


def test_many_doubts_are_counted() -> None:
    found = [finding(f"doubt {number}", doubt=True) for number in range(500)]
    plan = planned("", findings=found)
    assert len(plan.actions) == 21
    assert plan.actions[-1].why == "there are 480 further remarks"


@pytest.mark.parametrize(
    "users",
    [
        [],
        [account("root", unknown="sshd did not tell")],
        [account("root", hidden="permission denied")],
    ],
)
def test_an_account_that_is_not_seen_is_in_doubt(users: list[dict[str, Any]]) -> None:
    assert [step[:2] for step in steps(planned(ROOT, *users))] == [("doubt", "root")]


def test_a_doubt_is_said_once() -> None:
    found = finding("sshd did not tell", "hardware", user="root", doubt=True)
    users = [account("root", unknown="sshd did not tell")]
    plan = planned(
        ROOT + 'require = ["hardware"]\n', *users, require=["hardware"], findings=[found]
    )
    assert steps(plan) == [("doubt", "root", "")]


def test_keys_that_nobody_sees_count_against_exclusive() -> None:
    keys = account("root", [key_line(A), key_line(B)])
    settings = {"trustedusercakeys": "/etc/ssh/ca", "authorizedkeyscommand": "none"}
    assert planned(ROOT, keys, settings=settings).actions == ()
    assert kinds(planned(ROOT + "exclusive = true\n", keys, settings=settings)) == ["doubt"]
    own = account("eve", settings={"authorizedkeyscommand": "/usr/bin/keys"})
    assert kinds(planned(ROOT + "exclusive = true\n", keys, own)) == ["doubt"]


def test_hosts_without_an_audit_are_in_doubt() -> None:
    text = rules('[[hosts]]\nmatch = ["DB1", "db2"]\n')
    down = HostAudit("web2", HostState.DOWN, problem="no route to host")
    plan = plan_fleet(text, [down, audited("db2"), audited("other")], today=TODAY)
    said = {one.host: [step.why for step in one.actions] for one in plan.hosts}
    assert said == {
        "web2": ["the host was not audited: cannot be reached: no route to host"],
        "db2": [],
        "other": ["no block of the policy matches this host"],
        "db1": ["the policy names this host, and there is no audit of it"],
    }
    assert plan.counts() == {ActionKind.DOUBT: 3}
    assert len(plan.differing) == 3


# --- models --------------------------------------------------------------------------------------

MODEL, OTHER = "2fc0579f-8113-47ea-b116-bb5a8db9202a", "c5ef55ff-ad9a-4b9f-b580-adebafe026d0"


def with_proofs(settings: str, **proofs: ProvedKey) -> HostPlan:
    keys = [key_line(A), key_line(B)]
    known = KeyProofs({print_in(ALICE): proofs["alice"]} if proofs else {})
    audit = audited("web1", account("root", keys))
    (plan,) = plan_fleet(rules(ROOT + settings), [audit], today=TODAY, proofs=known).hosts
    return plan


@pytest.mark.parametrize(
    ("proved", "expected"),
    [
        (ProvedKey(MODEL, "m", CertificationLevel.L2, untrusted=False), [("doubt", "root", B)]),
        (
            ProvedKey(MODEL, "m", CertificationLevel.L1, untrusted=False),
            [("revoke", "root", A), ("doubt", "root", B)],
        ),
        (
            ProvedKey(MODEL, "m", None, untrusted=False),
            [("revoke", "root", A), ("doubt", "root", B)],
        ),
        (
            ProvedKey(MODEL, "m", CertificationLevel.L3, untrusted=True),
            [("revoke", "root", A), ("doubt", "root", B)],
        ),
        (
            ProvedKey(OTHER, "o", CertificationLevel.L3, untrusted=False),
            [("revoke", "root", A), ("doubt", "root", B)],
        ),
    ],
)
def test_models_are_proved_or_in_doubt(
    proved: ProvedKey, expected: list[tuple[str, str, str]]
) -> None:
    plan = with_proofs(f'models = ["{MODEL}"]\nlevel = "L2"\n', alice=proved)
    assert steps(plan) == expected


def test_what_is_not_proved_is_neither_authorized_nor_revoked() -> None:
    text = rules(ROOT + 'level = "L1"\nexclusive = true\n')
    audit = audited("web1", account("root", [key_line(A)]))
    (plan,) = plan_fleet(text, [audit], today=TODAY).hosts
    assert kinds(plan) == ["doubt", "doubt"]


# --- any host ------------------------------------------------------------------------------------

PRINTS = [A, B, C, GLASS, STRANGER]
LINES = st.lists(st.sampled_from(PRINTS), max_size=4)
SETTINGS = st.sampled_from(
    [
        ROOT,
        ROOT + "exclusive = true\n",
        f'exclusive = true\nlet-in = {{ web = ["carol"] }}\nbreak-glass = ["root:{GLASS}"]\n',
        f'exclusive = true\nbreak-glass = ["{GLASS}"]\nlet-in = {{ root = ["bob"], web = [] }}\n',
    ]
)


def applied(users: Iterable[dict[str, Any]], plan: HostPlan) -> list[dict[str, Any]]:
    """The accounts after a plan was carried out."""
    after = deepcopy(list(users))
    gone = {(one.path, one.line) for one in plan.of(ActionKind.REVOKE)}
    for user in after:
        file = user["files"][0]
        kept = [one for one in file["lines"] if (file["path"], one["line"]) not in gone]
        wanted = [one for one in plan.of(ActionKind.AUTHORIZE) if one.account == user["user"]]
        kept += [key_line(one.fingerprint) for one in wanted if one.public_line]
        file["lines"] = [{**one, "line": at} for at, one in enumerate(kept, 1)]
    return after


@given(SETTINGS, st.dictionaries(st.sampled_from(["root", "web", "eve"]), LINES))
def test_any_host(settings: str, places: dict[str, list[str]]) -> None:
    users = [account(name, map(key_line, prints)) for name, prints in places.items()]
    asked = [f"break-glass=root:{GLASS}", f"break-glass={GLASS}"]
    plan = planned(settings, *users, require=asked)
    glass = {"root", "eve", "web"} if f'["{GLASS}"]' in settings else {"root"}
    for step in plan.of(ActionKind.REVOKE):
        if "break-glass" in settings and step.account in glass:
            assert step.fingerprint != GLASS
    after = applied(users, plan)
    left = [line for user in after for line in user["files"][0]["lines"]]
    assert bool(plan.refused) == (bool(plan.of(ActionKind.REVOKE)) and not left)
    again = planned(settings, *after, require=asked)
    assert not again.of(ActionKind.REVOKE)
    assert not [one for one in again.of(ActionKind.AUTHORIZE) if one.public_line]


def test_verify_is_not_planned_for_keys_in_files_that_may_stay() -> None:
    plan = planned(
        ROOT + f'require = ["verify"]\nbreak-glass = ["root:{GLASS}"]\n',
        account("root", [key_line(A), key_line(B), key_line(GLASS, hardware=False)]),
        require=["verify", f"break-glass=root:{GLASS}"],
        findings=[finding("no PIN", "verify")],
    )
    assert kinds(plan) == ["conflict"]
    assert "verify asks nothing of keys" in plan.actions[0].why
