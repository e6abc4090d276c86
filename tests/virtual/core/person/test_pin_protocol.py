"""PIN/UV auth protocols against python-fido2's half."""

from __future__ import annotations

import pytest
from fido2.cose import CoseKey
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import SeededRng

from fidokit.virtual.core.person.pin_protocol import PROTOCOLS, KeyAgreement, SharedSecret, verify

THEIRS = {1: PinProtocolV1(), 2: PinProtocolV2()}
VERSIONS = pytest.mark.parametrize("version", [1, 2])


def agreed(version: int) -> tuple[SharedSecret, bytes]:
    ours = KeyAgreement(version, SeededRng())
    their_key, their_secret = THEIRS[version].encapsulate(CoseKey.parse(ours.public()))
    return ours.agree(dict(their_key)), their_secret


@VERSIONS
@pytest.mark.check("PIN-07", "PIN-08")
def test_both_halves_agree(version: int) -> None:
    secret, theirs = agreed(version)
    plain = bytes(range(64))
    protocol = PROTOCOLS[version]
    sealed = protocol.encrypt(secret, plain, SeededRng())
    assert THEIRS[version].decrypt(theirs, sealed) == plain
    assert protocol.decrypt(secret, THEIRS[version].encrypt(theirs, plain)) == plain
    mac = THEIRS[version].authenticate(theirs, b"message")
    assert len(mac) == protocol.mac_length
    assert verify(version, secret.mac_key, b"message", mac)
    assert not verify(version, secret.mac_key, b"massage", mac)
    assert not verify(version, secret.mac_key, b"message", mac[:-1])


@VERSIONS
@pytest.mark.check("PIN-08")
def test_ivs(version: int) -> None:
    secret, _ = agreed(version)
    rng = SeededRng()
    first, second = (PROTOCOLS[version].encrypt(secret, bytes(32), rng) for _ in range(2))
    assert (first == second) is (version == 1)
    assert len(first) == 32 + PROTOCOLS[version].iv_length


@VERSIONS
@given(sealed=st.binary(max_size=100))
@pytest.mark.check("PIN-24")
def test_any_cipher_text_opens_or_not(version: int, sealed: bytes) -> None:
    secret = SharedSecret(bytes(32), bytes(32))
    plain = PROTOCOLS[version].decrypt(secret, sealed)
    body = len(sealed) - PROTOCOLS[version].iv_length
    assert (plain is not None) is (body > 0 and body % 16 == 0)
    assert plain is None or len(plain) == body
