"""Post-quantum keys in every form that OpenSSH 10.6 writes, and without the parts to use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from tests.support import agent_keys
from tests.support.samples import ML_DSA
from tests.support.signers import certificate, ed25519_key, ml_dsa_key

from fidokit.errors import MalformedKey, SignatureInvalid, Unsupported
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    Certificate,
    parse_certificate,
    parse_key,
    verify_signature,
)
from fidokit.openssh.keys.plain_private import PlainPrivate, parse_any_private, read_any_private
from fidokit.openssh.keys.private import peek_public
from fidokit.openssh.keys.public import MlDsaEd25519Public, parse_public, parse_public_line
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.key_stream import Listed, list_fingerprints
from fidokit.openssh.lines.known_hosts import parse_known_hosts
from fidokit.openssh.signatures import composite
from fidokit.openssh.signatures.signature import PlainSignature, parse_signature, verify
from fidokit.openssh.signatures.sshsig import parse_armor
from fidokit.openssh.signatures.sshsig import verify as verify_file

STOCK = Path(__file__).parents[2] / "vectors" / "ml_dsa"
"""What ssh-keygen of OpenSSH 10.6 wrote."""
FINGERPRINT = "SHA256:781ivgmIB9FiqYmr4l2HglvyMwFqxgJBIpyU2fl+l0M"
MESSAGE = b"a message"
KEY = ml_dsa_key()


def stock(name: str) -> bytes:
    return (STOCK / name).read_bytes()


def no_passphrase() -> bytes:
    raise AssertionError("nothing is to be asked for")


# --- what stock writes ---------------------------------------------------------------------


def test_a_private_file() -> None:
    key, comment = parse_any_private(stock("key"), no_passphrase)
    assert isinstance(key, PlainPrivate)
    assert comment == "pq key"
    assert key.public == parse_public_line(stock("key.pub")).key == peek_public(stock("key"))
    verify(key.public, parse_signature(key.sign(MESSAGE, 0)), MESSAGE)


def test_a_signed_file() -> None:
    verify_file(parse_armor(stock("message.sig")), stock("message"), "file")
    with pytest.raises(SignatureInvalid):
        verify_file(parse_armor(stock("message.sig")), b"another message", "file")


def test_a_certificate_by_an_authority_of_the_same_type() -> None:
    made, _ = key_text.read_key(stock("key-cert.pub").strip())
    assert isinstance(made, Certificate)
    assert made.type_name == "ssh-mldsa44-ed25519-cert"
    verify_signature(made)
    assert parse_certificate(made.blob()) == made


@pytest.mark.parametrize(("name", "kind"), [("key.pub", ""), ("key-cert.pub", "-CERT")])
def test_lists(name: str, kind: str) -> None:
    [listed] = list_fingerprints([stock(name)])
    assert listed == Listed(1, 512, FINGERPRINT, "pq key", f"MLDSA44-ED25519{kind}")


def test_known_hosts() -> None:
    [host] = parse_known_hosts("near.example " + stock("key.pub").decode())
    assert host.key == parse_public_line(stock("key.pub")).key


# --- wire forms ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "blob"),
    [
        (parse_public, ML_DSA.blob()),
        (parse_signature, KEY.sign(MESSAGE).blob()),
        (parse_certificate, certificate(KEY.public, ed25519_key()).blob()),
        (parse_certificate, certificate(ed25519_key().public, KEY).blob()),
    ],
    ids=["public", "signature", "certificate", "certificate of its authority"],
)
def test_cut_at_every_byte_and_one_more(read: Callable[[bytes], object], blob: bytes) -> None:
    read(blob)
    for cut in range(len(blob)):
        with pytest.raises(MalformedKey):
            read(blob[:cut])
    with pytest.raises(MalformedKey):
        read(blob + b"\0")


def test_the_private_fields_are_cut_at_every_byte() -> None:
    fields = agent_keys.ML_DSA.fields
    for cut in range(len(fields)):
        with pytest.raises(MalformedKey):
            read_any_private(fields[:cut])


def test_the_name_of_releases_before_10_6_stays() -> None:
    old = ml_dsa_key(type_name="ssh-mldsa44-ed25519@openssh.com")
    assert parse_public(old.public.blob()) == old.public != KEY.public
    made = certificate(old.public, old)
    assert made.type_name == "ssh-mldsa44-ed25519-cert-v01@openssh.com"
    assert parse_key(made.blob()) == made
    verify_signature(made)
    with pytest.raises(SignatureInvalid):
        verify(KEY.public, old.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("at", [0, composite.ML_DSA_SIGNATURE])
def test_both_signatures_have_to_hold(at: int) -> None:
    made = KEY.sign(MESSAGE)
    changed = bytearray(made.data)
    changed[at] ^= 1
    verify(KEY.public, made, MESSAGE)
    with pytest.raises(SignatureInvalid):
        verify(KEY.public, PlainSignature(made.type_name, bytes(changed)), MESSAGE)


def test_seeds_of_another_key() -> None:
    fields = KEY.public.blob() + wire.string(bytes(64))
    with pytest.raises(MalformedKey, match="not that of the public key"):
        read_any_private(fields)


def test_points_that_are_none() -> None:
    nobody = MlDsaEd25519Public(b"\xff" * MlDsaEd25519Public.size)
    with pytest.raises(SignatureInvalid):
        verify(nobody, KEY.sign(MESSAGE), MESSAGE)


# --- where `cryptography` has not the parts ------------------------------------------------


@pytest.fixture
def without_ml_dsa(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an OpenSSL that is older than ML-DSA."""

    def refuse(_data: bytes) -> None:
        raise UnsupportedAlgorithm("ML-DSA-44 is not supported")

    class Refusing:
        from_seed_bytes = staticmethod(refuse)
        from_public_bytes = staticmethod(refuse)

    monkeypatch.setattr(mldsa, "MLDSA44PrivateKey", Refusing)
    monkeypatch.setattr(mldsa, "MLDSA44PublicKey", Refusing)


@pytest.mark.usefixtures("without_ml_dsa")
def test_such_keys_are_read_and_refused_by_name() -> None:
    signature = parse_signature(KEY.sign(MESSAGE).blob())
    for use in (
        lambda: parse_any_private(stock("key"), no_passphrase),
        lambda: verify(parse_public(KEY.public.blob()), signature, MESSAGE),
        lambda: verify_signature(certificate(ed25519_key().public, KEY)),
    ):
        with pytest.raises(Unsupported, match="ssh-mldsa44-ed25519"):
            use()
    assert peek_public(stock("key")) == parse_public_line(stock("key.pub")).key
    # which authority certifies it is another question
    verify_signature(certificate(KEY.public, ed25519_key()))
