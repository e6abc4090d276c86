"""The wire forms of public keys, byte by byte, and that types differ where bytes do."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from itertools import combinations

import pytest
from tests.support.samples import ECDSA, ED25519, PUBLIC_KEYS, RSA, SK_ECDSA, SK_ED25519, key_id

from fidokit.openssh.keys.key_types import PublicKey
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
