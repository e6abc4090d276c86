from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.support.mutate import fuzz_count, survive

from fidokit import cbor
from fidokit.client.answer import Answer
from fidokit.client.credentials.auth_data import Flag, parse_auth_data, sk_public
from fidokit.errors import TokenMisbehaved
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.types import Application

SSH = Application("ssh:")
ED25519 = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
"""RFC 8032 section 7.1, test 1."""
GX = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
GY = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
"""The base point of P-256 (SEC 2)."""
COSE_ED: dict[Any, Any] = {1: 1, 3: -8, -1: 6, -2: ED25519}
COSE_P256: dict[Any, Any] = {1: 2, 3: -7, -1: 1, -2: GX, -3: GY}
RP = hashlib.sha256(b"ssh:").digest()


def data(flags: int, credential: bytes = b"", extensions: bytes = b"", counter: int = 7) -> bytes:
    return RP + bytes([flags]) + counter.to_bytes(4, "big") + credential + extensions


def attested(key: dict[int, object], handle: bytes = b"handle") -> bytes:
    return bytes(16) + len(handle).to_bytes(2, "big") + handle + cbor.encode(key)  # type: ignore[arg-type]


ASSERTION = data(0x05)
CREDENTIAL = data(0x41, attested(COSE_P256))
WHOLE = data(0xC5, attested(COSE_ED), cbor.encode({"credProtect": 3}))


def test_an_assertion() -> None:
    parsed = parse_auth_data(ASSERTION)
    assert (parsed.flags, parsed.counter) == (Flag.USER_PRESENT | Flag.USER_VERIFIED, 7)
    assert parsed.credential_id is None
    assert parsed.raw == ASSERTION
    parsed.require_rp(SSH)
    with pytest.raises(TokenMisbehaved):
        parsed.require_rp(Application("ssh:other"))


def test_a_credential_with_extensions() -> None:
    parsed = parse_auth_data(WHOLE)
    assert parsed.credential_id == b"handle"
    assert parsed.cose_key is not None
    assert sk_public(parsed.cose_key, SSH) == SkEd25519Public(ED25519, SSH)
    assert parsed.extensions.uint("credProtect") == 3


@pytest.mark.parametrize("whole", [ASSERTION, CREDENTIAL, WHOLE], ids=["assertion", "key", "all"])
def test_cut_at_every_byte_and_one_too_many(whole: bytes) -> None:
    for cut in range(len(whole)):
        with pytest.raises(TokenMisbehaved):
            parse_auth_data(whole[:cut])
    with pytest.raises(TokenMisbehaved):
        parse_auth_data(whole + b"\0")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(data(0x41, attested(COSE_P256, b"")), id="no credential id"),
        pytest.param(data(0x41, attested(COSE_P256, bytes(1024))), id="endless credential id"),
        pytest.param(data(0x80, b"", b"\x01"), id="extensions that are not a map"),
        pytest.param(data(0x80, b"", b"\xbf"), id="extensions without end"),
        pytest.param(data(0x41, bytes(16) + b"\0\1h" + b"\x80"), id="key that is not a map"),
        pytest.param(data(0x01, b"", b"\xa0"), id="extensions without their flag"),
    ],
)
def test_rubbish(raw: bytes) -> None:
    with pytest.raises(TokenMisbehaved):
        parse_auth_data(raw)


def test_fuzz_auth_data() -> None:
    honest = [ASSERTION, CREDENTIAL, WHOLE]
    assert survive(honest, parse_auth_data, TokenMisbehaved, fuzz_count(1000)) > 100


@pytest.mark.parametrize("alg", [-7, -9])
def test_p256(alg: int) -> None:
    key = sk_public(Answer({**COSE_P256, 3: alg}, "public key"), SSH)
    assert key == SkEcdsaPublic(b"\x04" + GX + GY, SSH)


@pytest.mark.parametrize("alg", [-8, -19])
def test_ed25519(alg: int) -> None:
    assert sk_public(Answer({**COSE_ED, 3: alg}, "public key"), SSH) is not None


@pytest.mark.parametrize(
    "key",
    [{1: 3, 3: -257, -1: b"n", -2: b"e"}, {1: 7, 3: -48, -1: b"x"}, {**COSE_P256, -1: 8},
     {**COSE_ED, -1: 7}, {**COSE_ED, 3: -7}],
)  # fmt: skip
def test_kinds_that_openssh_does_not_know(key: dict[object, object]) -> None:
    assert sk_public(Answer(key, "public key"), SSH) is None


@pytest.mark.parametrize(
    "key",
    [
        {}, {1: 2}, {1: "2", 3: -7}, {**COSE_P256, -2: GX[:-1]}, {**COSE_P256, -3: None},
        {**COSE_P256, -3: GX}, {**COSE_P256, -2: "x" * 32}, {**COSE_P256, -1: True},
        {**COSE_ED, -2: b"\2" + bytes(31)}, {**COSE_ED, -2: ED25519 + b"\0"}, {**COSE_ED, 3: 1.0},
    ],
)  # fmt: skip
def test_what_is_no_key(key: dict[object, object]) -> None:
    members = {name: value for name, value in key.items() if value is not None}
    with pytest.raises(TokenMisbehaved):
        sk_public(Answer(members, "public key"), SSH)
