"""Signatures: verifying, wire forms, and from assertions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signers import (
    SSH,
    TOKENS,
    PlainKey,
    Token,
    ecdsa_key,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    ml_dsa_key,
    plain_keys,
    rsa_key,
    webauthn_signature,
)

import fidokit
from fidokit.errors import MalformedKey, SignatureInvalid, TokenMisbehaved, Unsupported
from fidokit.openssh import wire
from fidokit.openssh.keys.public import (
    ML_DSA_ED25519_NAMES,
    Ed25519Public,
    PublicKey,
    RsaPublic,
    SkEd25519Public,
)
from fidokit.openssh.signatures.signature import (
    MAX_SIGNATURE,
    TYPE_NAMES,
    PlainSignature,
    Signature,
    SkEcdsaSignature,
    SkEd25519Signature,
    WebauthnSkEcdsaSignature,
    client_data_prefix,
    from_assertion,
    parse_signature,
    sk_signed_bytes,
    split_ecdsa,
    verify,
)
from fidokit.types import Application, KeyType

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


SAMPLES: tuple[Signature, ...] = (
    *(token.sign(MESSAGE, flags=5, counter=0x01020304) for token in TOKENS),
    webauthn_signature(MESSAGE),
    webauthn_signature(MESSAGE, flags=0x81, extensions=b"\xa0"),
    *(key.sign(MESSAGE) for key in plain_keys()),
    *(ml_dsa_key(type_name=name).sign(MESSAGE) for name in ML_DSA_ED25519_NAMES),
)
EVERY_SIGNATURE = pytest.mark.parametrize("signature", SAMPLES, ids=lambda s: s.type_name)


def test_the_samples_cover_every_type() -> None:
    assert {signature.type_name for signature in SAMPLES} == TYPE_NAMES


@EVERY_SIGNATURE
def test_round_trip(signature: Signature) -> None:
    blob = signature.blob()
    assert parse_signature(blob) == signature
    assert parse_signature(blob).blob() == blob


@EVERY_SIGNATURE
def test_truncation(signature: Signature) -> None:
    blob = signature.blob()
    for cut in range(len(blob)):
        with pytest.raises(MalformedKey):
            parse_signature(blob[:cut])


@EVERY_SIGNATURE
def test_trailing_byte(signature: Signature) -> None:
    with pytest.raises(MalformedKey, match="1 bytes follow"):
        parse_signature(signature.blob() + b"\0")


def test_layout_of_a_token_signature_byte_for_byte() -> None:
    ed25519 = SkEd25519Signature(b"s" * 64, 0x05, 0x01020304)
    assert ed25519.blob() == (
        b"\0\0\0\x1ask-ssh-ed25519@openssh.com\0\0\0\x40" + b"s" * 64 + b"\x05\x01\x02\x03\x04"
    )
    ecdsa = SkEcdsaSignature(0x80, 0x7F, 0x01, 0x01020304)
    assert ecdsa.blob() == (
        b"\0\0\0\x22sk-ecdsa-sha2-nistp256@openssh.com"
        b"\0\0\0\x0b\0\0\0\x02\0\x80\0\0\0\x01\x7f"
        b"\x01\x01\x02\x03\x04"
    )
    webauthn = WebauthnSkEcdsaSignature(1, 2, 0x81, 9, "https://o", b"{}", b"\xa0")
    assert webauthn.blob() == (
        b"\0\0\0\x2bwebauthn-sk-ecdsa-sha2-nistp256@openssh.com"
        b"\0\0\0\x0a\0\0\0\x01\x01\0\0\0\x01\x02"
        b"\x81\0\0\0\x09\0\0\0\x09https://o\0\0\0\x02{}\0\0\0\x01\xa0"
    )


@pytest.mark.parametrize(
    ("flags", "present", "verified"),
    [(0, False, False), (1, True, False), (4, False, True), (5, True, True), (0xFA, False, False)],
)
def test_flags_say_what_the_token_saw(flags: int, present: bool, verified: bool) -> None:
    signature = SkEd25519Signature(bytes(64), flags, 0)
    assert (signature.user_present, signature.user_verified) == (present, verified)


@pytest.mark.parametrize("length", [0, 63, 65])
@pytest.mark.parametrize("type_name", ["ssh-ed25519", "sk-ssh-ed25519@openssh.com"])
def test_ed25519_signatures_have_one_length(type_name: str, length: int) -> None:
    blob = wire.text(type_name) + wire.string(bytes(length)) + bytes(5)
    with pytest.raises(MalformedKey, match=f"has {length}$"):
        parse_signature(blob)


def test_sha1_is_refused_by_name() -> None:
    with pytest.raises(MalformedKey, match="SHA-1") as caught:
        parse_signature(wire.text("ssh-rsa") + wire.string(bytes(256)))
    assert "rsa-sha2-256" in caught.value.hint


@pytest.mark.parametrize(
    "type_name", ["", "ssh-dss", "sk-ssh-ed25519-cert-v01@openssh.com", "x" * 99]
)
def test_unknown_types_are_refused(type_name: str) -> None:
    with pytest.raises(MalformedKey, match="is not known"):
        parse_signature(wire.text(type_name) + wire.string(b""))


@pytest.mark.parametrize(
    "data",
    [b"", wire.mpint(1), wire.mpint(1) * 3, wire.string(b"\x80") * 2, wire.string(b"\0\x01") * 2],
)
def test_ecdsa_signatures_are_two_short_integers(data: bytes) -> None:
    with pytest.raises(MalformedKey):
        split_ecdsa(data)
    with pytest.raises(MalformedKey):
        parse_signature(wire.text("ecdsa-sha2-nistp256") + wire.string(data))


def test_origin_is_text_without_nul() -> None:
    for origin in (b"https://a\0b", b"\xff"):
        blob = webauthn_signature(MESSAGE, origin="ORIGIN").blob()
        blob = blob.replace(wire.string(b"ORIGIN"), wire.string(origin))
        with pytest.raises(MalformedKey, match=r"origin|UTF-8"):
            parse_signature(blob)


def test_size_is_bounded() -> None:
    huge = PlainSignature("rsa-sha2-512", bytes(MAX_SIGNATURE)).blob()
    with pytest.raises(MalformedKey, match="more than"):
        parse_signature(huge)


numbers = st.integers(min_value=0, max_value=(1 << 256) - 1)
flag_bytes = st.integers(min_value=0, max_value=0xFF)
counters = st.integers(min_value=0, max_value=0xFFFFFFFF)


@given(st.binary(min_size=64, max_size=64), flag_bytes, counters)
def test_any_sk_ed25519_round_trip(data: bytes, flags: int, counter: int) -> None:
    signature = SkEd25519Signature(data, flags, counter)
    assert parse_signature(signature.blob()) == signature


@given(numbers, numbers, flag_bytes, counters)
def test_any_sk_ecdsa_round_trip(r: int, s: int, flags: int, counter: int) -> None:
    signature = SkEcdsaSignature(r, s, flags, counter)
    assert parse_signature(signature.blob()) == signature


@given(numbers, flag_bytes, counters, st.text().filter(lambda t: "\0" not in t), st.binary())
def test_any_webauthn_round_trip(
    r: int, flags: int, counter: int, origin: str, data: bytes
) -> None:
    signature = WebauthnSkEcdsaSignature(r, r, flags, counter, origin, data, data)
    assert parse_signature(signature.blob()) == signature


@given(st.sampled_from(["rsa-sha2-256", "rsa-sha2-512"]), st.binary(max_size=600))
def test_any_rsa_round_trip(type_name: str, data: bytes) -> None:
    signature = PlainSignature(type_name, data)
    assert parse_signature(signature.blob()) == signature


@given(st.binary(max_size=200))
def test_junk_is_malformed(junk: bytes) -> None:
    with pytest.raises(MalformedKey):
        parse_signature(junk)


positive_numbers = st.integers(min_value=1, max_value=(1 << 256) - 1)


@given(positive_numbers, positive_numbers)
def test_es256(r: int, s: int) -> None:
    der = encode_dss_signature(r, s)
    assert from_assertion(KeyType.ECDSA_SK, 5, 9, der) == SkEcdsaSignature(r, s, 5, 9)


def test_eddsa() -> None:
    signature = bytes(range(64))
    assert from_assertion(KeyType.ED25519_SK, 1, 0, signature) == SkEd25519Signature(
        signature, 1, 0
    )


@pytest.mark.parametrize("flags", [0x81, 0x41, 0xC5])
@pytest.mark.parametrize("key_type", list(KeyType))
def test_more_than_flags_and_counter_cannot_be_expressed(key_type: KeyType, flags: int) -> None:
    with pytest.raises(Unsupported, match="more into its assertion") as caught:
        from_assertion(key_type, flags, 0, bytes(64))
    assert "without extensions" in caught.value.hint


@pytest.mark.parametrize("length", [0, 63, 65])
def test_eddsa_of_another_length(length: int) -> None:
    with pytest.raises(TokenMisbehaved, match=f"has {length} bytes"):
        from_assertion(KeyType.ED25519_SK, 1, 0, bytes(length))


@given(st.binary(max_size=80))
def test_es256_rubbish(junk: bytes) -> None:
    with pytest.raises(TokenMisbehaved, match="not DER"):
        from_assertion(KeyType.ECDSA_SK, 1, 0, b"\x31" + junk)


def test_es256_cut_or_longer() -> None:
    der = encode_dss_signature(1 << 255, 1 << 200)
    for broken in (*(der[:cut] for cut in range(len(der))), der + b"\0"):
        with pytest.raises(TokenMisbehaved):
            from_assertion(KeyType.ECDSA_SK, 1, 0, broken)
