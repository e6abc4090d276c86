"""Verifying signatures: true ones, each way of being false, and the bytes that a token signs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.signers import (
    SSH,
    TOKENS,
    PlainKey,
    Token,
    ecdsa_key,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    plain_keys,
    rsa_key,
    webauthn_signature,
)

import fidokit
from fidokit.errors import MalformedKey, SignatureInvalid
from fidokit.openssh import wire
from fidokit.openssh.keys.public import Ed25519Public, PublicKey, RsaPublic, SkEd25519Public
from fidokit.openssh.signatures.signature import (
    PlainSignature,
    Signature,
    SkEcdsaSignature,
    SkEd25519Signature,
    client_data_prefix,
    sk_signed_bytes,
    verify,
)
from fidokit.types import Application

MESSAGE = b"a message"
EVERY_TOKEN = pytest.mark.parametrize("token", TOKENS, ids=lambda t: t.public.type_name)
EVERY_PLAIN = pytest.mark.parametrize("key", plain_keys(), ids=lambda k: k.sign(b"").type_name)


def refused(public: PublicKey, signature: Signature, message: bytes = MESSAGE) -> str:
    with pytest.raises(SignatureInvalid) as caught:
        verify(public, signature, message)
    return caught.value.message


def test_signed_bytes_are_the_ones_of_the_specification() -> None:
    assert sk_signed_bytes(SSH, 0x05, 0x01020304, MESSAGE) == (
        hashlib.sha256(b"ssh:").digest()
        + b"\x05\x01\x02\x03\x04"
        + hashlib.sha256(MESSAGE).digest()
    )
    assert sk_signed_bytes(SSH, 1, 0, MESSAGE, extensions=b"\xa0")[37:38] == b"\xa0"


# --- token keys ----------------------------------------------------------------------------


@EVERY_TOKEN
def test_a_true_token_signature(token: Token) -> None:
    verify(token.public, token.sign(MESSAGE), MESSAGE)


@EVERY_TOKEN
def test_any_changed_field_of_a_token_signature_is_noticed(token: Token) -> None:
    signature = token.sign(MESSAGE, flags=1, counter=7)
    assert "does not verify" in refused(token.public, signature, b"a messagf")
    assert "does not verify" in refused(token.public, replace(signature, flags=5))
    assert "does not verify" in refused(token.public, replace(signature, counter=8))
    other = replace(token.public, application=Application("ssh:other"))
    assert "does not verify" in refused(other, signature)


@pytest.mark.parametrize("make", [ed25519_token, ecdsa_token])
def test_another_tokens_signature(make: type[Token]) -> None:
    one, other = make(1), make(2)  # type: ignore[call-arg, arg-type]
    assert "does not verify" in refused(one.public, other.sign(MESSAGE))


@EVERY_TOKEN
def test_touch_is_demanded_only_when_asked(token: Token) -> None:
    untouched = token.sign(MESSAGE, flags=0)
    verify(token.public, untouched, MESSAGE)
    with pytest.raises(SignatureInvalid, match="without a touch"):
        verify(token.public, untouched, MESSAGE, require_touch=True)
    verify(token.public, token.sign(MESSAGE, flags=1), MESSAGE, require_touch=True)


@EVERY_TOKEN
def test_verification_is_demanded_only_when_asked(token: Token) -> None:
    touched = token.sign(MESSAGE, flags=1)
    with pytest.raises(SignatureInvalid, match="PIN or a fingerprint"):
        verify(token.public, touched, MESSAGE, require_verification=True)
    verified = token.sign(MESSAGE, flags=5)
    verify(token.public, verified, MESSAGE, require_touch=True, require_verification=True)


def test_a_claimed_flag_does_not_meet_a_requirement() -> None:
    token = ed25519_token()
    forged = replace(token.sign(MESSAGE, flags=1), flags=5)
    with pytest.raises(SignatureInvalid, match="does not verify"):
        verify(token.public, forged, MESSAGE, require_verification=True)


# --- webauthn ------------------------------------------------------------------------------


def test_a_true_webauthn_signature() -> None:
    verify(ecdsa_token().public, webauthn_signature(MESSAGE), MESSAGE)
    extended = webauthn_signature(MESSAGE, flags=0x81, extensions=b"\xa1\x61a\xf5")
    verify(ecdsa_token().public, extended, MESSAGE)


def test_the_challenge_is_the_message_in_base64url_without_padding() -> None:
    assert client_data_prefix(b"\xfb\xff\xfe\xff", "o") == (
        b'{"type":"webauthn.get","challenge":"-__-_w","origin":"o"'
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"origin": 'https://a","x":"'}, "quote"),
        ({"flags": 0x41}, "registration"),
        ({"flags": 0x81}, "disagree"),
        ({"extensions": b"\xa0"}, "disagree"),
        ({"origin": "https://evil.example"}, "another origin"),
        ({"client_data": b"{}"}, "another message"),
        ({"counter": 8}, "does not verify"),
        ({"r": 0}, "does not verify"),
    ],
)
def test_a_changed_webauthn_signature(change: dict[str, object], reason: str) -> None:
    changed = replace(webauthn_signature(MESSAGE), **change)  # type: ignore[arg-type]
    assert reason in refused(ecdsa_token().public, changed)


def test_a_webauthn_signature_for_another_message() -> None:
    assert "another message" in refused(ecdsa_token().public, webauthn_signature(b"x"))


def test_members_in_another_order_are_refused_as_openssh_does() -> None:
    shuffled = webauthn_signature(
        MESSAGE,
        client_data=b'{"challenge":"YSBtZXNzYWdl","type":"webauthn.get","origin":"https://example.com"}',
    )
    assert "another message" in refused(ecdsa_token().public, shuffled)


# --- ordinary keys -------------------------------------------------------------------------


@EVERY_PLAIN
def test_a_true_ordinary_signature(key: PlainKey) -> None:
    verify(key.public, key.sign(MESSAGE), MESSAGE, require_touch=True, require_verification=True)


@EVERY_PLAIN
def test_a_changed_message_or_signature(key: PlainKey) -> None:
    signature = key.sign(MESSAGE)
    assert "does not verify" in refused(key.public, signature, b"a messagf")
    flipped = replace(signature, data=signature.data[:-1] + bytes([signature.data[-1] ^ 1]))
    assert "does not verify" in refused(key.public, flipped)


def test_rsa_leading_zeros_may_be_missing() -> None:
    key = rsa_key()
    for number in range(4096):
        signature = key.sign(b"%d" % number)
        if signature.data.startswith(b"\0"):
            break
    else:
        pytest.fail("no signature in 4096 began with a zero: 1 in 256 should")
    stripped = replace(signature, data=signature.data.lstrip(b"\0"))
    verify(key.public, stripped, b"%d" % number)


@pytest.mark.parametrize("data", [b"", bytes(255), bytes(256), b"\xff" * 256, b"\xff" * 300])
def test_rsa_rubbish(data: bytes) -> None:
    assert "does not verify" in refused(rsa_key().public, PlainSignature("rsa-sha2-512", data))


@pytest.mark.parametrize("r", [0, 1 << 256, 1 << 4000])
def test_ecdsa_numbers_out_of_range(r: int) -> None:
    assert "does not verify" in refused(ecdsa_token().public, SkEcdsaSignature(r, 1, 1, 0))
    plain = PlainSignature("ecdsa-sha2-nistp256", wire.mpint(1) + wire.mpint(r))
    assert "does not verify" in refused(ecdsa_key().public, plain)


# --- what does not go together -------------------------------------------------------------


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (ed25519_token().public, ecdsa_token().sign(MESSAGE)),
        (ecdsa_token().public, ed25519_token().sign(MESSAGE)),
        (ed25519_token().public, webauthn_signature(MESSAGE)),
        (ed25519_token().public, ed25519_key(1).sign(MESSAGE)),
        (ed25519_key(1).public, ed25519_token().sign(MESSAGE)),
        (ecdsa_key("nistp256").public, ecdsa_key("nistp384").sign(MESSAGE)),
        (ed25519_key().public, rsa_key().sign(MESSAGE)),
        (rsa_key().public, ed25519_key().sign(MESSAGE)),
    ],
)
def test_a_signature_of_another_type(public: PublicKey, signature: Signature) -> None:
    assert "cannot be by a key of type" in refused(public, signature)


def test_a_key_that_cannot_be_one_is_malformed() -> None:
    even = RsaPublic(2, rsa_key().public.n)  # type: ignore[union-attr]
    with pytest.raises(MalformedKey, match="RSA numbers"):
        verify(even, rsa_key().sign(MESSAGE), MESSAGE)
    short = Ed25519Public(bytes(31))
    with pytest.raises(MalformedKey, match="Ed25519 numbers"):
        verify(short, ed25519_key().sign(MESSAGE), MESSAGE)


def test_a_point_off_the_curve_never_verifies() -> None:
    off = SkEd25519Public(b"\x02" + bytes(31), SSH)
    with pytest.raises((SignatureInvalid, MalformedKey)):
        verify(off, SkEd25519Signature(bytes(64), 1, 0), MESSAGE)


def test_reading_signatures_does_not_load_cryptography() -> None:
    code = (
        "import sys, fidokit.openssh.signatures.signature, fidokit.openssh.signatures.sshsig,"
        "fidokit.openssh.lines.allowed_signers, fidokit.openssh.lines.authorized_keys;"
        "print([m for m in ('cryptography', 'fido2', 'asyncio', 'rich') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(fidokit.__file__).parents[1])},
    )
    assert loaded.stdout == "[]\n"
