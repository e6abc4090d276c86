"""Certificates by tokens and ordinary keys: their bytes, files and refusals."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.signing.test_signers import keygen
from tests.support.desk import Desk
from tests.support.keygen import line
from tests.support.signers import PlainKey, certificate, ecdsa_token, ed25519_key, plain_keys

from fidokit.errors import (
    FileInTheWay,
    MalformedKey,
    SignatureInvalid,
    TokenMisbehaved,
    UsageError,
)
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.openssh.certificates.certificate import Certificate, CertKind, CertOption
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.signatures.signature import Signature
from fidokit.signing import certificates
from fidokit.signing.certificates import CertificateRequest, certificate_request, issue_certificate
from fidokit.signing.signers import Signer, open_signer
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")

SUBJECT = ecdsa_token().public
REQUEST = certificate_request("an id", principals="alice,bob", validity="always:forever")


class Authority:
    """An ordinary key as a Signer, which may sign something else."""

    def __init__(self, key: PlainKey, public: PublicKey | Certificate | None = None) -> None:
        self.key = key
        self.public = public or key.public
        self.name = "the authority"
        self.honest = True

    def sign(self, message: bytes) -> Signature:
        return self.key.sign(message if self.honest else b"something else")


@pytest.fixture
def subject(folder: Path) -> Path:
    path = folder / "user.pub"
    path.write_bytes(line(SUBJECT, "").lstrip().rstrip(b"\n") + b" a comment\n")
    return path


# --- requests ------------------------------------------------------------------------------


def test_a_request() -> None:
    made = certificate_request(
        "id", host=True, principals="a.example,b.example", validity="+1d", options=["permit-pty"],
        now=1_700_000_030,
    )  # fmt: skip
    assert made == CertificateRequest(
        key_id="id",
        kind=CertKind.HOST,
        principals=("a.example", "b.example"),
        validity=(1_699_999_920, 1_700_086_430),
        critical_options=(),
        extensions=(CertOption("permit-pty"),),
    )


def test_the_present_counts() -> None:
    before = int(time.time())
    after, until = certificate_request("id", validity="+1h").validity
    assert before - 120 < after <= until - 3600
    assert certificate_request("id").validity == (0, 2**64 - 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"principals": ""},
        {"principals": "a,,b"},
        {"principals": "a,"},
        {"principals": ",".join(map(str, range(257)))},
        {"principals": "a\0b"},
        {"principals": "a\udcff"},
        {"key_id": "a\0"},
        {"key_id": "\udcff"},
        {"validity": "soon"},
        {"options": ["bogus"]},
    ],
    ids=str,
)
def test_requests_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        certificate_request(**({"key_id": "id"} | wrong))  # type: ignore[arg-type]


def test_as_many_principals_as_openssh_reads() -> None:
    names = ",".join(map(str, range(256)))
    assert len(certificate_request("id", principals=names).principals) == 256


# --- issuing -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", plain_keys(), ids=lambda key: key.sign(b"").type_name)
def test_what_is_written_is_what_was_asked(subject: Path, key: PlainKey) -> None:
    done = issue_certificate(Authority(key), subject, REQUEST, serial=2**64 - 1)
    assert done.path == subject.with_name("user-cert.pub")
    assert done.path.stat().st_mode & 0o777 == 0o644
    assert done.path.read_bytes().endswith(b" a comment\n")
    shown = certificates.show_certificate(done.path)
    assert (shown.certificate, shown.facts) == (done.certificate, done.facts)
    made = shown.certificate
    assert (made.public, made.signature_key) == (SUBJECT, key.public)
    assert (made.serial, made.key_id, made.principals) == (2**64 - 1, "an id", ("alice", "bob"))
    assert (made.kind, made.extensions) == (CertKind.USER, REQUEST.extensions)
    assert len(made.nonce) == 32


def test_no_two_are_the_same(subject: Path) -> None:
    authority = Authority(ed25519_key())
    first = issue_certificate(authority, subject, REQUEST)
    second = issue_certificate(authority, subject, REQUEST, force=True)
    assert first.certificate.nonce != second.certificate.nonce


@pytest.mark.parametrize("key_type", list(KeyType))
def test_by_a_token(desk: Desk, subject: Path, key_type: KeyType) -> None:
    with desk.open() as session:
        ca = generate_key(session, GenerateRequest(key_type, subject.with_name("ca")))
    with open_signer(ca.path, desk.person, backends=[desk]) as signer:
        done = issue_certificate(signer, subject, REQUEST)
    assert done.facts.authority.endswith(ca.fingerprint)


@pytest.mark.interop
def test_a_private_file_is_certified_by_its_public_half(folder: Path) -> None:
    path = keygen(folder, "-t", "ed25519", "-N", "words", "-a", "1")
    done = issue_certificate(Authority(ed25519_key()), path, REQUEST)
    assert done.path == folder / "key-cert.pub"


def test_nothing_is_overwritten(desk: Desk, subject: Path) -> None:
    there = subject.with_name("user-cert.pub")
    there.write_text("precious")
    with desk.open() as session:
        ca = generate_key(session, GenerateRequest(KeyType.ED25519_SK, subject.with_name("ca")))
    touches = len(desk.person.touches)
    with open_signer(ca.path, desk.person, backends=[desk]) as signer:
        with pytest.raises(FileInTheWay):
            issue_certificate(signer, subject, REQUEST)
        assert (there.read_text(), len(desk.person.touches)) == ("precious", touches)
        assert issue_certificate(signer, subject, REQUEST, force=True).path == there


def test_a_bad_signature_is_not_written(subject: Path) -> None:
    authority = Authority(ed25519_key())
    authority.honest = False
    with pytest.raises(TokenMisbehaved, match="the authority made a signature"):
        issue_certificate(authority, subject, REQUEST)
    assert not subject.with_name("user-cert.pub").exists()


def test_certificates_are_not_certified(subject: Path) -> None:
    subject.write_bytes(line(certificate(SUBJECT, ed25519_key()), "").lstrip())
    with pytest.raises(UsageError, match="is a certificate"):
        issue_certificate(Authority(ed25519_key()), subject, REQUEST)


def test_nor_do_they_certify(subject: Path) -> None:
    key = ed25519_key()
    by: Signer = Authority(key, certificate(key.public, ed25519_key(3)))
    with pytest.raises(UsageError, match="named by a certificate"):
        issue_certificate(by, subject, REQUEST)


@pytest.mark.parametrize("serial", [-1, 2**64])
def test_serials_have_their_bounds(subject: Path, serial: int) -> None:
    with pytest.raises(UsageError, match="serial"):
        issue_certificate(Authority(ed25519_key()), subject, REQUEST, serial=serial)


@pytest.mark.parametrize("data", [b"", b"junk", b"ssh-ed25519 AAAA x\n", b"\xff\x00"])
def test_what_is_no_key(subject: Path, data: bytes) -> None:
    subject.write_bytes(data)
    with pytest.raises(MalformedKey):
        issue_certificate(Authority(ed25519_key()), subject, REQUEST)
    with pytest.raises(MalformedKey):
        certificates.show_certificate(subject)


# --- showing -------------------------------------------------------------------------------


def test_a_plain_key_is_no_certificate(subject: Path) -> None:
    with pytest.raises(MalformedKey, match="no certificate"):
        certificates.show_certificate(subject)


def test_a_forged_certificate(subject: Path) -> None:
    honest = certificate(SUBJECT, ed25519_key())
    other = certificate(SUBJECT, ed25519_key(), principals=("root",))
    forged = Certificate(
        **{name: getattr(other, name) for name in Certificate.__dataclass_fields__}
        | {"signature": honest.signature}
    )
    subject.write_bytes(line(forged, "").lstrip())
    with pytest.raises(SignatureInvalid, match="not signed by the authority"):
        certificates.show_certificate(subject)
