"""The platform's side of the PIN protocols, held against python-fido2's."""

from __future__ import annotations

import pytest
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from hypothesis import given
from hypothesis import strategies as st

from fidokit.client.pin_protocol import PinProtocolOne, PinProtocolTwo

PAIRS = [(PinProtocolOne(), PinProtocolV1()), (PinProtocolTwo(), PinProtocolV2())]
KEYS = {0: 32, 1: 64}


@pytest.mark.parametrize("which", [0, 1])
@given(st.data())
def test_both_do_the_same(which: int, data: st.DataObject) -> None:
    ours, theirs = PAIRS[which]
    key = data.draw(st.binary(min_size=KEYS[which], max_size=KEYS[which]))
    plain = data.draw(
        st.integers(1, 6).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n))
    )
    assert theirs.decrypt(key, ours.encrypt(key, plain)) == plain
    assert ours.decrypt(key, theirs.encrypt(key, plain)) == plain
    assert ours.authenticate(key, plain) == theirs.authenticate(key, plain)
    token = data.draw(st.binary(min_size=32, max_size=32))
    assert ours.authenticate(token, plain) == theirs.authenticate(token, plain)


@pytest.mark.parametrize("which", [0, 1])
def test_both_ends_share_one_secret(which: int) -> None:
    """python-fido2's derivation from the other end of the exchange."""
    from cryptography.hazmat.primitives.asymmetric import ec

    ours, theirs = PAIRS[which]
    token = ec.generate_private_key(ec.SECP256R1())
    numbers = token.public_key().public_numbers()
    peer: dict[object, object] = {
        1: 2,
        3: -25,
        -1: 1,
        -2: numbers.x.to_bytes(32),
        -3: numbers.y.to_bytes(32),
    }
    key, shared = ours.encapsulate(peer)
    x, y = key[-2], key[-3]
    assert isinstance(x, bytes)
    assert isinstance(y, bytes)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    assert theirs.kdf(token.exchange(ec.ECDH(), public)) == shared


@pytest.mark.parametrize("which", [0, 1])
def test_lengths_that_cannot_be(which: int) -> None:
    ours = PAIRS[which][0]
    for size in (1, 15, 17, 33):
        with pytest.raises(ValueError, match=r"length|vector"):
            ours.decrypt(bytes(KEYS[which]), bytes(size))
    for size in (0, 15, 33, 48):
        with pytest.raises(ValueError, match="pinUvAuthToken"):
            ours.validate_token(bytes(size))
