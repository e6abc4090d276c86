"""Signature blobs: round trips, every cut, and what must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signers import TOKENS, plain_keys, webauthn_signature

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.signatures.wire_forms import (
    MAX_SIGNATURE,
    TYPE_NAMES,
    PlainSignature,
    Signature,
    SkEcdsaSignature,
    SkEd25519Signature,
    WebauthnSkEcdsaSignature,
    parse_signature,
    split_ecdsa,
)

MESSAGE = b"a message"
SAMPLES: tuple[Signature, ...] = (
    *(token.sign(MESSAGE, flags=5, counter=0x01020304) for token in TOKENS),
    webauthn_signature(MESSAGE),
    webauthn_signature(MESSAGE, flags=0x81, extensions=b"\xa0"),
    *(key.sign(MESSAGE) for key in plain_keys()),
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
