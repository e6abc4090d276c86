"""What goes to the token, byte by byte: OpenSSH's conventions and CTAP's numbers."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from tests.client.conftest import PATIENT, PIN
from tests.support.fake_link import Person, session_on
from tests.support.spy import Spy

from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.client.owner import config, pin
from fidokit.client.ports import PinCode
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, KeyType
from fidokit.virtual.token import VirtualToken

WORK = Application("ssh:work")
MAKE, GET, CLIENT_PIN, CRED_MGMT, CONFIG = 1, 2, 6, 0x0A, 0x0D


@pytest.fixture
def spied(token: VirtualToken) -> Spy:
    """A link to a token with a PIN."""
    pin.set_pin(session_on(token.link(), Person(PIN), PATIENT), PinCode.parse(PIN))
    return Spy(token.link())


def made(spy: Spy, **wanted: object) -> dict[object, object]:
    key_type = wanted.pop("key_type", KeyType.ECDSA_SK)
    session = session_on(spy, Person(PIN), PATIENT)
    enroll(session, Enrollment(key_type, WORK, challenge=b"challenge", **wanted))  # type: ignore[arg-type]
    return spy.sent(MAKE)[-1]


def test_client_data_hash_is_the_hash_of_the_challenge(spied: Spy) -> None:
    assert made(spied)[1] == hashlib.sha256(b"challenge").digest()


def test_rp_is_the_application(spied: Spy) -> None:
    assert made(spied)[2] == {"id": "ssh:work", "name": "ssh:work"}


@pytest.mark.parametrize(("key_type", "alg"), [(KeyType.ECDSA_SK, -7), (KeyType.ED25519_SK, -8)])
def test_one_algorithm_is_asked_for(spied: Spy, key_type: KeyType, alg: int) -> None:
    assert made(spied, key_type=key_type)[4] == [{"alg": alg, "type": "public-key"}]


@pytest.mark.parametrize(
    ("user", "user_id"),
    [("", bytes(32)), ("me", b"me".ljust(32, b"\0")), ("\u00e9" * 15, b"\xc3\xa9" * 15 + b"\0\0"),
     ("u" * 31, b"u" * 31 + b"\0")],
)  # fmt: skip
def test_the_user_string_is_padded_to_32_bytes(spied: Spy, user: str, user_id: bytes) -> None:
    entity = made(spied, user=user)[3]
    assert isinstance(entity, dict)
    assert entity["id"] == user_id


def test_names_are_stocks_unless_given(spied: Spy) -> None:
    entity = made(spied)[3]
    assert isinstance(entity, dict)
    assert (entity["name"], entity["displayName"]) == ("openssh", "openssh")
    richer = made(spied, user_name="me@host", comment="laptop", touch_required=False)[3]
    assert isinstance(richer, dict)
    assert (richer["name"], richer["displayName"]) == ("me@host", "no-touch-required laptop")


def test_names_are_cut_to_64_bytes(spied: Spy) -> None:
    entity = made(spied, user_name="n" * 100, display_name="\u20ac" * 50)[3]
    assert isinstance(entity, dict)
    assert len(entity["name"]) == 64
    assert entity["displayName"] == "\u20ac" * 21


@pytest.mark.parametrize(
    ("resident_key", "verify", "extensions"),
    [
        (False, False, None),
        (True, False, {"credProtect": 2}),
        (False, True, {"credProtect": 3}),
        (True, True, {"credProtect": 3}),
    ],
)
def test_protection_as_openssh_sets_it(
    spied: Spy, resident_key: bool, verify: bool, extensions: object
) -> None:
    request = made(spied, resident=resident_key, verify_required=verify)
    assert request.get(6) == extensions
    assert request.get(7) == ({"rk": True} if resident_key else None)


def test_a_plain_key_gives_no_proof(spied: Spy) -> None:
    assert not {7, 8, 9} & set(made(spied))
    assert CLIENT_PIN not in spied.commands


def test_just_the_permissions_that_are_needed(spied: Spy) -> None:
    made(spied, verify_required=True)
    asked = spied.sent(CLIENT_PIN)[-1]
    assert (asked[2], asked[9], asked[10]) == (9, 0x01, "ssh:work")
    made(spied, resident=True)
    asked = spied.sent(CLIENT_PIN)[-1]
    assert (asked[9], asked[10]) == (0x03, "ssh:work")


def test_the_look_for_a_key_of_the_same_name_is_silent(spied: Spy) -> None:
    made(spied, resident=True)
    (look,) = spied.sent(GET)
    assert (look[1], look[5]) == ("ssh:work", {"up": False})
    assert 3 not in look
    assert {6, 7} <= set(look)


@pytest.mark.parametrize("touch", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_signing(spied: Spy, touch: bool, verify: bool) -> None:
    session = session_on(spied, Person(PIN), PATIENT)
    key = enroll(
        session,
        Enrollment(KeyType.ED25519_SK, WORK, touch_required=touch, verify_required=verify),
    )
    sign(session, SkPrivate(key.public, key.flags, key.key_handle), b"message")
    (request,) = spied.sent(GET)
    assert request[1] == "ssh:work"
    assert request[2] == hashlib.sha256(b"message").digest()
    assert request[3] == [{"id": key.key_handle, "type": "public-key"}]
    assert request.get(5) == (None if touch else {"up": False})
    assert (6 in request) is (7 in request) is verify
    if verify:
        asked = spied.sent(CLIENT_PIN)[-1]
        assert (asked[9], asked[10]) == (0x02, "ssh:work")


def test_listing_is_bound_to_one_application_where_one_is_named(spied: Spy) -> None:
    resident.list_credentials(session_on(spied, Person(PIN), PATIENT), application=WORK)
    asked = spied.sent(CLIENT_PIN)[-1]
    assert (asked[9], asked[10]) == (0x04, "ssh:work")
    (begin,) = spied.sent(CRED_MGMT)
    assert begin[1] == 4
    assert begin[2] == {1: hashlib.sha256(b"ssh:work").digest()}


def test_listing_all_is_bound_to_none(spied: Spy) -> None:
    resident.list_credentials(session_on(spied, Person(PIN), PATIENT))
    asked = spied.sent(CLIENT_PIN)[-1]
    assert asked[9] == 0x04
    assert 10 not in asked


def test_config_sends_only_what_changes(spied: Spy) -> None:
    session = session_on(spied, Person(PIN), PATIENT)
    pin.set_min_pin_length(session, 6)
    assert spied.sent(CONFIG)[-1][2] == {1: 6}
    pin.force_pin_change(session_on(spied, Person(PIN), PATIENT))
    assert spied.sent(CONFIG)[-1][2] == {3: True}


def test_switches_have_no_parameters(spied: Spy) -> None:
    config.set_always_uv(session_on(spied, Person(PIN), PATIENT), True)
    request = spied.sent(CONFIG)[-1]
    assert request[1] == 2
    assert 2 not in request


def test_the_pin_never_travels(spied: Spy) -> None:
    session = session_on(spied, Person(PIN), PATIENT)
    pin.verify_pin(session)
    pin.change_pin(session, PinCode.parse(PIN), PinCode.parse("another one"))
    digest = hashlib.sha256(PIN.encode()).digest()
    for request in spied.requests:
        whole = repr(request).encode()
        for secret in (PIN.encode(), b"another one", repr(digest[:16]).encode()):
            assert secret not in whole


@pytest.mark.parametrize("version", [1, 2])
def test_the_mac_of_a_message(version: int) -> None:
    from fidokit.client import pin_protocol

    key = bytes(range(32))
    whole = hmac.new(key, b"message", "sha256").digest()
    expected = whole if version == 2 else whole[:16]
    assert pin_protocol.authenticate(version, key, b"message") == expected
