"""ARKG-P256: python-fido2 derives public keys, and the seed finds the private key of each."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ARKG_P256_PLACEHOLDER, CoseKey
from hypothesis import given
from hypothesis import strategies as st

from fidokit.virtual.core.keys.arkg import HANDLE_LENGTH, MAX_CONTEXT, Seed

SEED = Seed.from_secret(bytes(range(32)))
CONTEXT = b"a context"


def derived(seed: Seed, entropy: bytes, context: bytes) -> tuple[tuple[int, int], bytes]:
    """A public key and its handle, made by somebody who has the public seed alone."""
    public = CoseKey.parse(dict(seed.cose()))
    assert isinstance(public, ARKG_P256_PLACEHOLDER)
    key, args = public.derive_public_key(entropy, context)
    assert args[-2] == context
    return (int.from_bytes(key[-2]), int.from_bytes(key[-3])), args[-1]


def point(key: ec.EllipticCurvePrivateKey | None) -> tuple[int, int]:
    assert key is not None
    numbers = key.public_key().public_numbers()
    return numbers.x, numbers.y


PUBLIC, HANDLE = derived(SEED, b"e" * 32, CONTEXT)


@given(
    secret=st.binary(min_size=32, max_size=32),
    entropy=st.binary(min_size=32, max_size=48),
    context=st.binary(max_size=MAX_CONTEXT),
)
def test_both_halves_agree(secret: bytes, entropy: bytes, context: bytes) -> None:
    seed = Seed.from_secret(secret)
    public, handle = derived(seed, entropy, context)
    assert len(handle) == HANDLE_LENGTH
    assert point(seed.derive(handle, context)) == public


def test_a_seed_follows_from_its_secret() -> None:
    assert Seed.from_secret(bytes(range(32))).cose() == SEED.cose()
    assert Seed.from_secret(bytes(32)).cose() != SEED.cose()
    assert SEED.cose()[-1] != SEED.cose()[-2]


@pytest.mark.parametrize("cut", range(HANDLE_LENGTH))
def test_cut_handles(cut: int) -> None:
    assert SEED.derive(HANDLE[:cut], CONTEXT) is None


@pytest.mark.parametrize("at", range(HANDLE_LENGTH))
def test_changed_handles(at: int) -> None:
    changed = HANDLE[:at] + bytes([HANDLE[at] ^ 1]) + HANDLE[at + 1 :]
    assert SEED.derive(changed, CONTEXT) is None


def test_strangers() -> None:
    assert point(SEED.derive(HANDLE, CONTEXT)) == PUBLIC
    assert SEED.derive(HANDLE + b"\0", CONTEXT) is None
    assert SEED.derive(HANDLE, b"another context") is None
    assert SEED.derive(HANDLE, bytes(MAX_CONTEXT + 1)) is None
    assert Seed.from_secret(bytes(32)).derive(HANDLE, CONTEXT) is None
