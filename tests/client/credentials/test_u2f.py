from __future__ import annotations

import hashlib
import threading

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.client.conftest import PATIENT
from tests.support.fake_link import FakeLink, Person, SteeredClock, session_on
from tests.support.mutate import fuzz_count, mutants

from fidokit.client.credentials import u2f
from fidokit.client.credentials.auth_data import parse_auth_data
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.client.session import Session
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    Interrupted,
    TokenMisbehaved,
    TokenRefused,
    TouchTimedOut,
    Unsupported,
)
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, KeyHandle, KeyType, SkFlag
from fidokit.virtual.token import VirtualToken

SSH = Application("ssh:")
APPLICATION = hashlib.sha256(b"ssh:").digest()
TOUCH = b"\x69\x85"
UNKNOWN = b"\x6a\x80"
OK = b"\x90\x00"
HANDLE = b"handle of sixty-four bytes".ljust(64, b".")


class Key:
    """A U2F token's key, made here."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.point = self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    def registration(self, challenge: bytes, certificate: bytes) -> bytes:
        signature = self.sign(b"\0" + APPLICATION + challenge + HANDLE + self.point)
        return b"\x05" + self.point + bytes([len(HANDLE)]) + HANDLE + certificate + signature + OK

    def authentication(self, message: bytes, presence: int = 1, counter: int = 7) -> bytes:
        head = bytes([presence]) + counter.to_bytes(4, "big")
        return head + self.sign(APPLICATION + head + hashlib.sha256(message).digest()) + OK


def certificate_of(key: Key) -> bytes:
    import datetime

    from cryptography import x509

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day.replace(year=2036))
        .sign(key.private, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


@pytest.fixture(scope="module")
def certificate(key: Key) -> bytes:
    return certificate_of(key)


def on(*apdus: bytes, person: Person | None = None) -> tuple[Session, FakeLink, SteeredClock]:
    link, clock = FakeLink(apdus=apdus, capabilities=0), SteeredClock()
    patience = clock.patience(silence=500, total=60)
    return session_on(link, person or Person(), patience), link, clock


def enrollment(**changes: object) -> Enrollment:
    return Enrollment(KeyType.ECDSA_SK, SSH, challenge=b"challenge", **changes)  # type: ignore[arg-type]


CHALLENGE = hashlib.sha256(b"challenge").digest()


def test_enrollment_polls_for_the_touch(key: Key, certificate: bytes) -> None:
    person = Person()
    reply = key.registration(CHALLENGE, certificate)
    session, link, clock = on(TOUCH, TOUCH, TOUCH, reply, person=person)
    made = enroll(session, enrollment())
    assert made.key_handle == HANDLE
    assert made.public.point == key.point
    assert made.flags == SkFlag.USER_PRESENCE_REQUIRED
    assert clock.now == pytest.approx(0.6)
    assert len(set(link.requests)) == 1
    assert link.requests[0] == bytes.fromhex("00010000000040") + CHALLENGE + APPLICATION + b"\0\0"
    assert person.touches == ["making the key"]
    assert person.touches_over == 1


def test_attestation_is_libfido2s_shape(key: Key, certificate: bytes) -> None:
    session, _, _ = on(key.registration(CHALLENGE, certificate))
    made = enroll(session, enrollment())
    assert made.attestation.leaf_der == certificate
    data = parse_auth_data(made.attestation.auth_data or b"")
    assert (data.flags, data.counter, data.credential_id) == (0x41, 0, HANDLE)


def test_a_forged_registration_makes_no_key(key: Key, certificate: bytes) -> None:
    session, _, _ = on(key.registration(bytes(32), certificate))
    with pytest.raises(TokenMisbehaved, match="attestation"):
        enroll(session, enrollment())


def test_a_certificate_that_nobody_can_read_passes(key: Key) -> None:
    session, _, _ = on(key.registration(CHALLENGE, b"\x30\x03abc"))
    assert enroll(session, enrollment()).public.point == key.point


def test_a_point_off_the_curve_makes_no_key(key: Key, certificate: bytes) -> None:
    reply = bytearray(key.registration(CHALLENGE, certificate))
    reply[40] ^= 1
    session, _, _ = on(bytes(reply))
    with pytest.raises(TokenMisbehaved):
        enroll(session, enrollment())


@pytest.mark.parametrize(
    "wanted",
    [
        Enrollment(KeyType.ED25519_SK, SSH),
        Enrollment(KeyType.ECDSA_SK, SSH, resident=True),
        Enrollment(KeyType.ECDSA_SK, SSH, verify_required=True),
    ],
)
def test_what_u2f_cannot(wanted: Enrollment) -> None:
    session, link, _ = on()
    with pytest.raises(Unsupported) as caught:
        enroll(session, wanted)
    assert caught.value.hint
    assert link.requests == []


def private(key: Key, flags: SkFlag = SkFlag.USER_PRESENCE_REQUIRED) -> SkPrivate:
    from fidokit.openssh.keys.public import SkEcdsaPublic

    return SkPrivate(SkEcdsaPublic(key.point, SSH), flags, KeyHandle(HANDLE))


def test_signing(key: Key) -> None:
    session, link, _ = on(TOUCH, key.authentication(b"message"))
    signature = sign(session, private(key), b"message")
    assert (signature.flags, signature.counter) == (1, 7)
    assert link.requests[0][1:3] == b"\x02\x03"


def test_signing_without_touch(key: Key) -> None:
    session, link, _ = on(key.authentication(b"message", presence=0))
    signature = sign(session, private(key, SkFlag(0)), b"message")
    assert signature.flags == 0
    assert link.requests[0][1:3] == b"\x02\x08"


def test_a_bad_signature_is_not_returned(key: Key) -> None:
    session, _, _ = on(key.authentication(b"another message"))
    with pytest.raises(TokenMisbehaved):
        sign(session, private(key), b"message")


def test_an_unknown_handle(key: Key) -> None:
    session, _, _ = on(UNKNOWN)
    with pytest.raises(CredentialNotFound):
        sign(session, private(key), b"message")


def test_a_handle_that_is_too_long_is_nobodys(key: Key) -> None:
    session, link, _ = on()
    long = SkPrivate(private(key).public, SkFlag(1), KeyHandle(bytes(256)))
    with pytest.raises(CredentialNotFound):
        sign(session, long, b"message")
    assert not u2f.holds(session.connection, APPLICATION, bytes(256))
    assert link.requests == []


def test_nobody_touches() -> None:
    session, _, clock = on(*[TOUCH] * 1000)
    with pytest.raises(TouchTimedOut):
        session.select()
    assert 30 <= clock.now < 31


def test_canceled() -> None:
    session, _, _ = on(*[TOUCH] * 10)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        session.select(stop)


def test_other_statuses() -> None:
    session, _, _ = on(b"\x6f\x00")
    with pytest.raises(TokenRefused, match="0x6f00"):
        session.select()


@pytest.mark.parametrize(("reply", "held"), [(TOUCH, True), (OK, True), (UNKNOWN, False)])
def test_check_only(reply: bytes, held: bool) -> None:
    session, link, _ = on(reply)
    assert u2f.holds(session.connection, APPLICATION, HANDLE) is held
    assert link.requests[0][2] == 7


def test_registrations_are_cut_at_every_byte(key: Key, certificate: bytes) -> None:
    whole = key.registration(CHALLENGE, certificate)[:-2]
    signature_at = len(whole) - len(u2f.parse_registration(whole).signature)
    for cut in range(signature_at + 1):
        with pytest.raises(TokenMisbehaved):
            u2f.parse_registration(whole[:cut])


def test_authentications_are_cut_at_every_byte(key: Key) -> None:
    whole = key.authentication(b"m")[:-2]
    for cut in range(13):
        with pytest.raises(TokenMisbehaved):
            u2f.parse_authentication(whole[:cut])
    with pytest.raises(TokenMisbehaved):
        u2f.parse_authentication(whole + bytes(72))


def test_fuzz_answers(key: Key, certificate: bytes) -> None:
    honest = [key.registration(CHALLENGE, certificate)[:-2], key.authentication(b"m")[:-2]]
    count = fuzz_count(300)
    for mutant in mutants(honest, count):
        session, _, _ = on(mutant + OK)
        try:
            made = enroll(session, enrollment())
        except FidokitError:
            continue
        # only a certificate that cannot be read leaves the rest unchecked
        assert made.attestation.leaf_der != certificate or made.public.point == key.point


# --- over the virtual token, which shares no code with this --------------------------------------


def test_the_life_of_a_key_on_a_virtual_u2f_token() -> None:
    with VirtualToken(profile="u2f", presence="auto") as token:
        made = enroll(session_on(token.link(), patience=PATIENT), enrollment())
        session = session_on(token.link(), patience=PATIENT)
        assert session.info.is_u2f_only
        assert u2f.holds(session.connection, APPLICATION, made.key_handle)
        assert not u2f.holds(session.connection, bytes(32), made.key_handle)
        private = SkPrivate(made.public, made.flags, made.key_handle)
        first, second = (sign(session, private, b"m") for _ in range(2))
        assert first.user_present
        assert second.counter > first.counter
        session.select()
    with (
        VirtualToken(profile="u2f", presence="auto") as other,
        pytest.raises(CredentialNotFound),
    ):
        sign(session_on(other.link(), patience=PATIENT), private, b"m")


def test_a_u2f_key_works_as_fido2_key_of_the_same_token() -> None:
    with VirtualToken(presence="auto") as token:
        old = session_on(Ctap1Only(token.link()), patience=PATIENT)
        made = enroll(old, enrollment())
        private = SkPrivate(made.public, made.flags, made.key_handle)
        assert sign(session_on(token.link(), patience=PATIENT), private, b"m").user_present


class Ctap1Only:
    """A link through which only CTAP1 is seen, as through an old browser."""

    capabilities = 0

    def __init__(self, link: object) -> None:
        self.msg = link.msg  # type: ignore[attr-defined]
        self.close = link.close  # type: ignore[attr-defined]
