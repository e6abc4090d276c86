"""From assertions to OpenSSH signatures, and the assertions that have none."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import TokenMisbehaved, Unsupported
from fidokit.openssh.signatures.assertion import from_assertion
from fidokit.openssh.signatures.wire_forms import SkEcdsaSignature, SkEd25519Signature
from fidokit.types import KeyType

numbers = st.integers(min_value=1, max_value=(1 << 256) - 1)


@given(numbers, numbers)
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
