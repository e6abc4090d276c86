from __future__ import annotations

import pytest
from tests.client.conftest import Opened
from tests.support.fake_link import FakeLink, info, ok, session_on

from fidokit.client.credentials.enrollment import Enrolled, Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.errors import CredentialNotFound, FidokitError, TokenMisbehaved
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.signatures.signature import parse_signature, verify
from fidokit.types import Application, KeyHandle, KeyType, SkFlag
from fidokit.virtual.token import VirtualToken

SSH = Application("ssh:")


def private(made: Enrolled, flags: SkFlag | None = None) -> SkPrivate:
    return SkPrivate(made.public, made.flags if flags is None else flags, made.key_handle)


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("touch", [True, False])
@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("resident", [True, False])
def test_flags_are_followed(
    with_pin: Opened, key_type: KeyType, touch: bool, verified: bool, resident: bool
) -> None:
    wanted = Enrollment(
        key_type, SSH, touch_required=touch, verify_required=verified, resident=resident
    )
    made = enroll(with_pin(), wanted)
    session = with_pin()
    signature = sign(session, private(made), b"message")
    assert signature.user_present is touch
    assert signature.user_verified is verified
    assert session.round_trips == (5 if verified else 2)
    verify(made.public, parse_signature(signature.blob()), b"message")


def test_the_counter_goes_up(opened: Opened) -> None:
    made = enroll(opened(), Enrollment(KeyType.ECDSA_SK, SSH))
    counters = [sign(opened(), private(made), b"m").counter for _ in range(3)]
    assert counters == sorted(set(counters))


def test_another_token_does_not_hold_it(opened: Opened) -> None:
    made = enroll(opened(), Enrollment(KeyType.ECDSA_SK, SSH))
    with VirtualToken(presence="auto") as other, session_on(other.link()) as session:
        with pytest.raises(CredentialNotFound, match="ssh:") as caught:
            sign(session, private(made), b"m")
        assert "plug in the token that made the key" in caught.value.hint


def test_a_hidden_key_gets_a_hint(with_pin: Opened) -> None:
    made = enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, SSH, verify_required=True))
    with pytest.raises(CredentialNotFound) as caught:
        sign(with_pin(), private(made, SkFlag.USER_PRESENCE_REQUIRED), b"m")
    assert "key flags" in caught.value.hint


def answer_of(token: VirtualToken, made: Enrolled, message: bytes = b"m") -> bytes:
    """A true answer of the token, to be bent."""
    seen: list[bytes] = []
    link = token.link()

    class Spy(FakeLink):
        def cbor(self, request, on_keepalive, canceled):  # type: ignore[no-untyped-def]
            seen.append(link.cbor(request, on_keepalive, canceled))
            return seen[-1]

    sign(session_on(Spy()), private(made), message)
    return seen[-1]


def bent(answer: bytes, **changes: object) -> bytes:
    from fidokit import cbor

    members = cbor.decode(answer[1:])
    assert isinstance(members, dict)
    return ok({**members, **{int(k[1:]): v for k, v in changes.items()}})


def auth_data(answer: bytes) -> bytes:
    from fidokit import cbor

    members = cbor.decode(answer[1:])
    assert isinstance(members, dict)
    data = members[2]
    assert isinstance(data, bytes)
    return data


def lies(token: VirtualToken, made: Enrolled) -> dict[str, bytes]:
    true = answer_of(token, made)
    data = auth_data(true)
    return {
        "another message": answer_of(token, made, b"other"),
        "another RP": bent(true, _2=bytes(32) + data[32:]),
        "another counter": bent(true, _2=data[:36] + bytes([data[36] ^ 1])),
        "extensions": bent(true, _2=data[:32] + bytes([data[32] | 0x80]) + data[33:] + b"\xa0"),
        "trailing": bent(true, _2=data + b"\0"),
        "cut": bent(true, _2=data[:36]),
        "another key": bent(true, _1={"id": b"other", "type": "public-key"}),
        "no signature": bent(true, _3=b""),
        "short signature": bent(true, _3=bytes(63)),
        "huge signature": bent(true, _3=bytes(5000)),
        "text signature": bent(true, _3="signed"),
        "no touch": bent(true, _2=data[:32] + b"\0" + data[33:]),
    }


def test_a_lying_token_produces_no_signature(token: VirtualToken, opened: Opened) -> None:
    made = enroll(opened(), Enrollment(KeyType.ED25519_SK, SSH))
    for answer in lies(token, made).values():
        with pytest.raises(FidokitError):
            sign(session_on(FakeLink(info(), answer)), private(made), b"m")
    true = answer_of(token, made)
    assert sign(session_on(FakeLink(info(), true)), private(made), b"m")


def test_the_handle_of_another_key_is_not_signed_for(opened: Opened) -> None:
    first = enroll(opened(), Enrollment(KeyType.ECDSA_SK, SSH))
    second = enroll(opened(), Enrollment(KeyType.ECDSA_SK, SSH))
    crossed = SkPrivate(first.public, first.flags, KeyHandle(second.key_handle))
    with pytest.raises(TokenMisbehaved, match="bad signature"):
        sign(opened(), crossed, b"m")
