"""What sshd makes of a key, by its settings and the line's options."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.settings import TOKENS, settings

from fidokit.openssh.lines.options import Option
from fidokit.server.check.key_verdicts import CheckVerdict, KeyRules, Strength, rules_for
from fidokit.server.check.policy import CheckRule, Claim

SK = "sk-ssh-ed25519@openssh.com"
PLAIN = "ssh-ed25519"
NOW = 1_800_000_000.0
EVERY_RULE = frozenset(CheckRule)
AUTHORITY = "cert-authority"


def options(*texts: str) -> list[Option]:
    parts = [text.partition("=") for text in texts]
    return [Option(name, value if equals else None) for name, equals, value in parts]


def rules(*, is_root: bool = False, **changes: str) -> KeyRules:
    return rules_for(settings(**changes), is_root=is_root, rules=EVERY_RULE, now=NOW)


def judge(kind: str, *given: str, bits: int = 256, **changes: Any) -> CheckVerdict:
    return rules(**changes).judge(kind, bits, options(*given))


def broken(verdict: CheckVerdict) -> set[str]:
    return {str(rule) for rule, _ in verdict.violates}


@pytest.mark.parametrize(
    ("server", "given", "touch", "verify"),
    [
        ("none", [], True, False),
        ("none", ["no-touch-required"], False, False),
        ("none", ["verify-required"], True, True),
        ("none", ["no-touch-required", "verify-required"], False, True),
        ("touch-required", ["no-touch-required"], True, False),
        ("verify-required", [], True, True),
        ("touch-required verify-required", ["no-touch-required"], True, True),
        # Of two that contradict each other, the last one counts.
        ("none", ["no-touch-required", "touch-required"], True, False),
        ("none", ["verify-required", "no-verify-required"], True, False),
        ("none", ["no-verify-required", "verify-required"], True, True),
        ("verify-required", ["no-verify-required"], True, True),
    ],
)
def test_demands(server: str, given: list[str], touch: bool, verify: bool) -> None:
    found = judge(SK, *given, pubkeyauthoptions=server)
    assert (found.hardware, found.touch, found.verify) == (True, touch, verify)
    assert broken(found) == (set() if verify else {"verify"})


def test_nothing_is_demanded_of_a_key_that_is_on_no_token() -> None:
    found = judge(PLAIN, "verify-required", pubkeyauthoptions="verify-required")
    assert (found.hardware, found.touch, found.verify) == (False, None, None)
    assert broken(found) == {"hardware", EITHER, "verify"}


@pytest.mark.parametrize(
    ("kind", "bits", "strength"),
    [
        ("ssh-rsa", 1024, Strength.WEAK),
        ("ssh-rsa", 2047, Strength.WEAK),
        ("ssh-rsa", 2048, Strength.SHORT),
        ("ssh-rsa", 3071, Strength.SHORT),
        ("ssh-rsa", 3072, Strength.GOOD),
        ("ssh-dss", 1024, Strength.WEAK),
        ("ecdsa-sha2-nistp256", 256, Strength.GOOD),
        (PLAIN, 256, Strength.GOOD),
    ],
)
def test_strength(kind: str, bits: int, strength: Strength) -> None:
    assert judge(kind, bits=bits).strength is strength


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (PLAIN, {"pubkeyacceptedalgorithms": TOKENS}, f"leaves out {PLAIN}"),
        ("ssh-dss", {}, "leaves out ssh-dss"),
        ("ssh-rsa", {"requiredrsasize": "3072"}, "RequiredRSASize is 3072"),
        ("ssh-rsa", {"pubkeyacceptedalgorithms": PLAIN}, "leaves out ssh-rsa"),
        (SK, {"pubkeyauthentication": "no"}, "PubkeyAuthentication is off"),
        (SK, {"permitrootlogin": "forced-commands-only", "is_root": True}, "requires a command="),
    ],
)
def test_refused_keys_break_no_rule(kind: str, changes: dict[str, Any], why: str) -> None:
    found = judge(kind, bits=2048, **changes)
    assert any(why in said for said in found.refusals)
    assert broken(found) == set()


def test_rsa_signs_by_other_names() -> None:
    assert judge("ssh-rsa", bits=3072, pubkeyacceptedalgorithms="rsa-sha2-256").refusals == ()


def test_forced_commands_only() -> None:
    only: dict[str, Any] = {"permitrootlogin": "forced-commands-only"}
    assert judge(SK, "command=date", is_root=True, **only).refusals == ()
    assert judge(SK, **only).refusals == ()


@pytest.mark.parametrize(
    ("times", "expired"),
    [
        (["20200101Z"], True),
        (["20990101Z"], False),
        (["20990101Z", "20200101Z"], True),  # the earliest counts
        (["20270115080000Z"], False),  # this very second
        (["20270115075959Z"], True),
    ],
)
def test_expiry(times: list[str], expired: bool) -> None:
    found = judge(SK, *(f"expiry-time={time}" for time in times))
    assert bool(found.refusals) is expired
    assert broken(found) == (set() if expired else {"verify"})


def test_an_authority_may_certify_anything() -> None:
    found = judge(PLAIN, AUTHORITY, "verify-required")
    assert found.is_authority
    assert (found.hardware, found.touch, found.verify) == (None, None, None)
    assert broken(found) == {"hardware", EITHER, "verify"}


BOUNDED = (AUTHORITY, "principals=alice", "expiry-time=20990101")
EITHER = "hardware-or-certified"


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        (SK, BOUNDED, ""),
        (PLAIN, BOUNDED, "the authority's own key is not on a token"),
        (SK, BOUNDED[:2], "no expiry-time= sets an end"),
        (SK, (AUTHORITY, BOUNDED[2]), "names no principals="),
        (SK, (AUTHORITY, "principals=", BOUNDED[2]), "names no principals="),
        (SK, (AUTHORITY,), "names no principals="),
        (SK, (), ""),
        (PLAIN, (), "the key is not on a token"),
    ],
)
def test_a_bounded_authority_on_a_token(kind: str, given: tuple[str, ...], why: str) -> None:
    found = dict(judge(kind, *given).violates)
    assert (CheckRule.HARDWARE in found) == (kind == PLAIN or bool(given))
    assert why in found.get(CheckRule.HARDWARE_OR_CERTIFIED, "")
    assert (CheckRule.HARDWARE_OR_CERTIFIED in found) == bool(why)


def test_nothing_bounds_an_authority_of_trusted_user_ca_keys() -> None:
    found = dict(rules().authority(SK).violates)
    assert "no expiry-time=" in found[CheckRule.HARDWARE_OR_CERTIFIED]


def test_what_two_places_say_of_an_authority() -> None:
    bounded = Claim(False, False, "", None)
    free = Claim(False, False, "", "no end")
    only = frozenset({CheckRule.HARDWARE_OR_CERTIFIED})
    assert (bounded & Claim(True, True)).broken(only) == ()
    for both in (bounded & free, free & bounded):
        assert both.broken(only) == ((CheckRule.HARDWARE_OR_CERTIFIED, "no end"),)


def test_an_authority_where_only_tokens_are_certified() -> None:
    accepted = "sk-ssh-ed25519-cert-v01@openssh.com,ssh-ed25519"
    found = judge(PLAIN, AUTHORITY, pubkeyacceptedalgorithms=accepted)
    assert (found.hardware, found.touch, found.verify) == (True, True, False)
    assert broken(found) == {"verify"}


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (PLAIN, {"pubkeyacceptedalgorithms": TOKENS}, "leaves out certificates"),
        ("ecdsa-sha2-nistp384", {}, "CASignatureAlgorithms leaves out"),
    ],
)
def test_authorities_that_count_for_nothing(kind: str, changes: dict[str, Any], why: str) -> None:
    found = judge(kind, AUTHORITY, **changes)
    assert any(why in said for said in found.refusals)
    assert broken(found) == set()


def test_a_file_that_is_passed_over() -> None:
    passed = rules().refusing(["others may write to it"])
    assert passed.judge(PLAIN, 256).refusals == ("others may write to it",)
    assert broken(passed.judge(PLAIN, 256)) == set()
    assert {rule for rule, _ in passed.judge(PLAIN, 256).spared} == {
        CheckRule.HARDWARE,
        CheckRule.HARDWARE_OR_CERTIFIED,
        CheckRule.VERIFY,
    }
    assert {rule for rule, _ in rules().doubted("too long")} == {
        CheckRule.HARDWARE,
        CheckRule.HARDWARE_OR_CERTIFIED,
        CheckRule.VERIFY,
    }
    assert rules().refusing([]) == rules()


def test_keys_that_nobody_sees() -> None:
    assert {r for r, _ in rules().unseen().broken(EVERY_RULE)} == {
        CheckRule.HARDWARE,
        CheckRule.HARDWARE_OR_CERTIFIED,
        CheckRule.VERIFY,
    }
    tokens = rules(pubkeyacceptedalgorithms=TOKENS)
    assert {r for r, _ in tokens.unseen().broken(EVERY_RULE)} == {CheckRule.VERIFY}
    sure = rules(pubkeyacceptedalgorithms=TOKENS, pubkeyauthoptions="verify-required")
    assert sure.unseen().broken(EVERY_RULE) == ()
