"""What is proved of a key: by sshd's answer, the key's flags, and what sshd demands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.server.samples import PLAIN, TOKEN, wanted
from tests.server.settings import settings

from fidokit.openssh.lines.options import Option
from fidokit.server.authorize.standing import (
    Admittance,
    KeyStanding,
    ServerAnswer,
    judge,
    sample_address,
)
from fidokit.server.authorize.wishes import SshdFacts, WantedKey

NO_TOUCH, VERIFY = Option("no-touch-required"), Option("verify-required")
IN, ACCEPTED = Admittance.LETS_IN, Admittance.ACCEPTED
UNPROVED, REFUSED = Admittance.UNPROVED, Admittance.REFUSED


def judged(
    key: WantedKey, *options: Option, accepted: bool | None = True, **changes: str
) -> KeyStanding:
    answer = ServerAnswer(accepted, tuple(options), "no ssh here")
    facts = SshdFacts(now=1_800_000_000)
    return judge(key, answer, settings(**changes), lines=[tuple(options)], facts=facts)


@pytest.mark.parametrize(
    ("touch", "verify", "options", "server", "expected"),
    [
        (True, False, (), "none", IN),
        (None, None, (), "none", ACCEPTED),
        (False, False, (), "none", REFUSED),
        (False, False, (NO_TOUCH,), "none", IN),
        (None, None, (NO_TOUCH,), "none", IN),
        (False, False, (NO_TOUCH,), "touch-required", REFUSED),
        (True, True, (VERIFY,), "none", IN),
        (True, None, (VERIFY,), "none", ACCEPTED),
        (True, False, (VERIFY,), "none", ACCEPTED),
        (True, True, (), "touch-required verify-required", IN),
        (True, False, (), "verify-required", ACCEPTED),
    ],
)
def test_flags_and_demands(
    touch: bool | None,
    verify: bool | None,
    options: tuple[Option, ...],
    server: str,
    expected: Admittance,
) -> None:
    key = replace(wanted(TOKEN), touch=touch, verify=verify)
    found = judged(key, *options, pubkeyauthoptions=server)
    assert found.standing == expected
    assert bool(found.why) is (expected != IN)


def test_a_key_in_a_file_needs_no_flags() -> None:
    assert judged(wanted(PLAIN), VERIFY).standing == IN


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ("any", IN),
        ("publickey", IN),
        ("publickey,password", ACCEPTED),
        ("password publickey", IN),
        ("publickey,publickey", ACCEPTED),
    ],
)
def test_more_than_a_key(methods: str, expected: Admittance) -> None:
    assert judged(wanted(PLAIN), authenticationmethods=methods).standing == expected


@pytest.mark.parametrize(
    ("options", "accepted", "expected", "said"),
    [
        ((Option("expiry-time", "20200101"),), False, REFUSED, "is past"),
        ((Option("expiry-time", "20200101"),), None, REFUSED, "is past"),
        ((Option("from", "192.0.2.1"),), False, UNPROVED, "excludes this machine"),
        ((), None, UNPROVED, "no ssh here"),
        ((), False, REFUSED, "refuses"),
    ],
)
def test_what_sshd_does_not_take(
    options: tuple[Option, ...], accepted: bool | None, expected: Admittance, said: str
) -> None:
    found = judged(wanted(PLAIN), *options, accepted=accepted)
    assert found.standing == expected
    assert said in found.why


def test_an_authority_is_shown_by_its_certificates_alone() -> None:
    assert judged(wanted(PLAIN, Option("cert-authority"))).standing == UNPROVED


@pytest.mark.parametrize(
    ("places", "address"),
    [
        ("192.0.2.0/24", "192.0.2.1"),
        ("192.0.2.9", "192.0.2.9"),
        ("!192.0.2.1,192.0.2.0/24", ""),
        ("2001:db8::/32", "2001:db8::1"),
        ("*.example.org", ""),
        ("127/8,192.0.2.9", ""),
    ],
)
def test_an_address_that_fits(places: str, address: str) -> None:
    assert sample_address([(Option("from", places),)]) == address
    assert sample_address([(Option("from", places),), ()]) in {address, ""}
