"""The public key types, and points on their curves."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import ECDSA, ED25519, PUBLIC_KEYS, RSA, SK_ECDSA, SK_ED25519, key_id

from fidokit.openssh.keys.key_types import (
    NIST_CURVES,
    PublicKey,
    on_ed25519_curve,
    on_nist_curve,
    on_p256,
)
from fidokit.types import KeyType


def s(text: bytes) -> bytes:
    """An SSH string, spelled out here so that the test shares no code with the source."""
    return bytes([0, 0, len(text) >> 8, len(text) & 255]) + text


@pytest.mark.parametrize(
    ("key", "blob"),
    [
        (SK_ED25519, s(b"sk-ssh-ed25519@openssh.com") + s(SK_ED25519.point) + s(b"ssh:")),
        (
            SK_ECDSA,
            s(b"sk-ecdsa-sha2-nistp256@openssh.com")
            + s(b"nistp256")
            + s(SK_ECDSA.point)
            + s(b"ssh:"),
        ),
        (ED25519, s(b"ssh-ed25519") + s(ED25519.point)),
        (
            ECDSA["nistp521"],
            s(b"ecdsa-sha2-nistp521") + s(b"nistp521") + s(ECDSA["nistp521"].point),
        ),
        (RSA, s(b"ssh-rsa") + s(b"\1\0\1") + s(RSA.n.to_bytes(129, "big"))),
    ],
    ids=key_id,
)
def test_wire_form(key: PublicKey, blob: bytes) -> None:
    assert key.blob() == blob


def test_token_keys_know_their_type() -> None:
    assert SK_ED25519.key_type is KeyType.ED25519_SK
    assert SK_ECDSA.key_type is KeyType.ECDSA_SK


def test_keys_of_different_types_differ() -> None:
    assert all(a != b and a.blob() != b.blob() for a, b in combinations(PUBLIC_KEYS, 2))


@pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
def test_keys_cannot_be_changed(key: PublicKey) -> None:
    for field in fields(key):
        with pytest.raises(FrozenInstanceError):
            setattr(key, field.name, getattr(key, field.name))


OPENSSL = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}
CURVES = pytest.mark.parametrize("name", OPENSSL)
P25519 = 2**255 - 19


def openssl_point(name: str, secret: int) -> bytes:
    key = ec.derive_private_key(secret, OPENSSL[name]).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@CURVES
@pytest.mark.parametrize("secret", [1, 2, 3, 1 << 200, (1 << 255) + 9])
def test_points_of_openssl(name: str, secret: int) -> None:
    assert on_nist_curve(NIST_CURVES[name], openssl_point(name, secret))


@CURVES
def test_every_changed_bit_leaves_the_curve(name: str) -> None:
    point = openssl_point(name, 5)
    for bit in range(8 * len(point)):
        changed = int.from_bytes(point, "big") ^ 1 << bit
        assert not on_nist_curve(NIST_CURVES[name], changed.to_bytes(len(point), "big"))


@CURVES
def test_coordinates_must_be_reduced(name: str) -> None:
    curve = NIST_CURVES[name]
    point = openssl_point(name, 5)
    x, y = point[1 : 1 + curve.size], point[1 + curve.size :]
    room = (1 << 8 * curve.size) - curve.p
    small = next(x for x in range(room) if _y_for(name, x) is not None)
    big_x = (small + curve.p).to_bytes(curve.size, "big")
    small_y = _y_for(name, small)
    assert small_y is not None
    tail = small_y.to_bytes(curve.size, "big")
    assert on_nist_curve(curve, b"\x04" + small.to_bytes(curve.size, "big") + tail)
    assert not on_nist_curve(curve, b"\x04" + big_x + tail)
    assert not on_nist_curve(curve, b"\x04" + x + b"\xff" * len(y))


def _y_for(name: str, x: int) -> int | None:
    curve = NIST_CURVES[name]
    square = (x**3 - 3 * x + curve.b) % curve.p
    root = pow(square, (curve.p + 1) // 4, curve.p)
    return root if root * root % curve.p == square else None


@CURVES
@pytest.mark.parametrize("length", [0, 1, 64, 66])
def test_length_and_form(name: str, length: int) -> None:
    assert not on_nist_curve(NIST_CURVES[name], b"\x04" * length)


@given(st.binary(min_size=64, max_size=64))
def test_p256_short_cut_agrees(xy: bytes) -> None:
    assert on_p256(xy) == on_nist_curve(NIST_CURVES["nistp256"], b"\x04" + xy)


@given(st.integers(1, 1 << 255))
def test_p256_short_cut_accepts_points(secret: int) -> None:
    assert on_p256(openssl_point("nistp256", secret)[1:])


@given(st.binary(min_size=32, max_size=32))
def test_ed25519_points_of_openssl(seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    assert on_ed25519_curve(key.public_bytes_raw())


def test_half_of_all_strings_are_no_ed25519_points() -> None:
    good = sum(on_ed25519_curve(n.to_bytes(32, "little")) for n in range(400))
    assert 150 < good < 250


@pytest.mark.parametrize(
    ("point", "on_curve"),
    [
        ((1).to_bytes(32, "little"), True),  # the neutral element: x = 0, y = 1
        ((1 | 1 << 255).to_bytes(32, "little"), False),  # x = 0 has no odd twin
        ((P25519 - 1).to_bytes(32, "little"), True),  # x = 0, y = -1: of order two
        (P25519.to_bytes(32, "little"), False),  # y is not reduced
        ((P25519 + 1).to_bytes(32, "little"), False),
        ((2).to_bytes(32, "little"), False),
        (b"", False),
        (bytes(31), False),
        (bytes(33), False),
    ],
)
def test_ed25519_edges(point: bytes, on_curve: bool) -> None:
    assert on_ed25519_curve(point) is on_curve
