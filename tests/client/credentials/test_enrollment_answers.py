"""A token that makes something else than what was asked for: no key file comes of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.client.conftest import PATIENT, PIN
from tests.support.fake_link import Person, session_on
from tests.support.spy import Bend, Spy

from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.errors import TokenMisbehaved
from fidokit.types import Application, KeyType
from fidokit.virtual.token import VirtualToken

WORK = Application("ssh:work")
MAKE = 1
Members = dict[object, object]


def try_with(token: VirtualToken, bend: Bend, **wanted: object) -> None:
    key_type = wanted.pop("key_type", KeyType.ECDSA_SK)
    session = session_on(Spy(token.link(), {MAKE: bend}), Person(PIN), PATIENT)
    enroll(session, Enrollment(key_type, WORK, **wanted))  # type: ignore[arg-type]


def data_of(answer: Members) -> bytes:
    data = answer[2]
    assert isinstance(data, bytes)
    return data


def unsigned(answer: Members, data: bytes) -> Mapping[object, object]:
    """The answer with other authenticator data, and no signature that could give it away."""
    return {**answer, 1: "none", 2: data, 3: {}}


def no_change(answer: Members) -> Mapping[object, object]:
    return answer


def none_attestation(answer: Members) -> Mapping[object, object]:
    return unsigned(answer, data_of(answer))


def test_format_none_makes_a_key(token: VirtualToken) -> None:
    try_with(token, no_change)
    try_with(token, none_attestation)


def other_rp(answer: Members) -> Mapping[object, object]:
    return unsigned(answer, bytes(32) + data_of(answer)[32:])


def no_touch(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    return unsigned(answer, data[:32] + bytes([data[32] & ~1]) + data[33:])


def no_credential(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    return unsigned(answer, data[:32] + b"\x01" + data[33:37])


def off_the_curve(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    return unsigned(answer, data[:-1] + bytes([data[-1] ^ 1]))


def tampered(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    return {**answer, 2: data[:60] + bytes([data[60] ^ 1]) + data[61:]}


def no_signature(answer: Members) -> Mapping[object, object]:
    statement = answer[3]
    assert isinstance(statement, dict)
    return {**answer, 3: {key: value for key, value in statement.items() if key != "sig"}}


def no_data(answer: Members) -> Mapping[object, object]:
    return {key: value for key, value in answer.items() if key != 2}


def no_format(answer: Members) -> Mapping[object, object]:
    return {key: value for key, value in answer.items() if key != 1}


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (other_rp, "another application"),
        (no_touch, "without a touch"),
        (no_credential, "no credential"),
        (off_the_curve, "not a key"),
        (tampered, "does not verify"),
        (no_signature, "no signature"),
        (no_data, "is missing"),
        (no_format, "is missing"),
    ],
)
def test_lies(token: VirtualToken, bend: Bend, said: str) -> None:
    with pytest.raises(TokenMisbehaved, match=said) as caught:
        try_with(token, bend)
    assert caught.value.hint


@pytest.mark.parametrize("resident", [False, True])
def test_a_key_that_stays_behind_is_named(with_a_pin: VirtualToken, resident: bool) -> None:
    """What it made is useless, and takes room on the token."""
    with pytest.raises(TokenMisbehaved) as caught:
        try_with(with_a_pin, tampered, resident=resident, user="ada")
    named = f"keeps it, for {WORK!r}, user 'ada': see `fidokit key list`"
    assert (named in caught.value.hint) is resident


def test_another_type_than_asked_for(token: VirtualToken) -> None:
    other: list[Members] = []

    def keep(answer: Members) -> Mapping[object, object]:
        other.append(answer)
        return answer

    try_with(token, keep, key_type=KeyType.ED25519_SK)
    with pytest.raises(TokenMisbehaved, match="not ecdsa-sk"):
        try_with(token, lambda _true: unsigned(other[0], data_of(other[0])))


@pytest.fixture
def with_a_pin(token: VirtualToken) -> VirtualToken:
    pin.set_pin(session_on(token.link(), Person(PIN), PATIENT), PinCode.parse(PIN))
    return token


def lower_protection(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    return unsigned(answer, data[:-1] + b"\x01")


def no_protection(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    extension = b"\xa1\x6bcredProtect\x03"
    assert data.endswith(extension)
    flags = bytes([data[32] & ~0x80])
    return unsigned(answer, data[:32] + flags + data[33 : -len(extension)])


def not_verified(answer: Members) -> Mapping[object, object]:
    data = data_of(answer)
    return unsigned(answer, data[:32] + bytes([data[32] & ~4]) + data[33:])


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (lower_protection, "protection 1, not 3"),
        (no_protection, "protection None, not 3"),
        (not_verified, "did not verify its owner"),
    ],
)
def test_protection_that_was_not_given(with_a_pin: VirtualToken, bend: Bend, said: str) -> None:
    try_with(with_a_pin, none_attestation, verify_required=True)
    with pytest.raises(TokenMisbehaved, match=said):
        try_with(with_a_pin, bend, verify_required=True)


@pytest.mark.parametrize("count", [1025, 2**31])
def test_impossible_counts_of_keys(with_a_pin: VirtualToken, count: int) -> None:
    token = with_a_pin
    wanted = Enrollment(KeyType.ECDSA_SK, WORK, user="a", resident=True)
    enroll(session_on(token.link(), Person(PIN), PATIENT), wanted)
    spy = Spy(token.link(), {2: lambda answer: {**answer, 5: count}})
    with pytest.raises(TokenMisbehaved, match="impossible"):
        enroll(
            session_on(spy, Person(PIN), PATIENT),
            Enrollment(KeyType.ECDSA_SK, WORK, user="b", resident=True),
        )
    assert MAKE not in spy.commands


@pytest.mark.parametrize("user", [None, {}, {"id": "text"}, {"id": bytes(65)}, []])
def test_a_look_that_cannot_tell_ends_before_anything_is_made(
    with_a_pin: VirtualToken, user: object
) -> None:
    token = with_a_pin
    wanted = Enrollment(KeyType.ECDSA_SK, WORK, user="a", resident=True)
    enroll(session_on(token.link(), Person(PIN), PATIENT), wanted)

    def bend(answer: Members) -> Mapping[object, object]:
        return {key: value for key, value in {**answer, 4: user}.items() if value is not None}

    spy = Spy(token.link(), {2: bend})
    with pytest.raises(TokenMisbehaved):
        enroll(
            session_on(spy, Person(PIN), PATIENT),
            Enrollment(KeyType.ECDSA_SK, WORK, user="b", resident=True),
        )
    assert MAKE not in spy.commands
