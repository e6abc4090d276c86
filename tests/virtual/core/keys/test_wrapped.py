"""Wrapped credential ids: round trip, bounds, and strangers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import SeededRng

from fidokit.types import CoseAlg, CredProtect
from fidokit.virtual.core.keys.wrapped import WrappedCredential, Wrapper

RP_HASH = bytes(range(32))
WRAPPER = Wrapper(b"k" * 32, SeededRng())
ONE = WRAPPER.wrap(RP_HASH, CoseAlg.ES256, b"s" * 32, CredProtect.UV_REQUIRED)


@pytest.mark.check("MC-36")
@given(
    alg=st.sampled_from(CoseAlg),
    level=st.sampled_from(CredProtect),
    secret=st.binary(min_size=32, max_size=64),
    payment=st.booleans(),
)
def test_round_trip(alg: CoseAlg, level: CredProtect, secret: bytes, payment: bool) -> None:
    made = WRAPPER.wrap(RP_HASH, alg, secret, level, third_party_payment=payment)
    assert len(made.id) == 34 + len(secret)
    assert WRAPPER.unwrap(RP_HASH, made.id) == made
    assert made == WrappedCredential(made.id, RP_HASH, alg, secret, level, payment)


def test_ids_are_short_enough_for_u2f_and_openssh() -> None:
    assert len(ONE.id) == 66


@pytest.mark.check("GA-12")
@pytest.mark.parametrize("cut", range(len(ONE.id)))
def test_cut(cut: int) -> None:
    assert WRAPPER.unwrap(RP_HASH, ONE.id[:cut]) is None


@pytest.mark.check("GA-12")
@pytest.mark.parametrize("at", range(len(ONE.id)))
def test_changed(at: int) -> None:
    changed = ONE.id[:at] + bytes([ONE.id[at] ^ 0x80]) + ONE.id[at + 1 :]
    assert WRAPPER.unwrap(RP_HASH, changed) is None


def test_trailing_byte() -> None:
    assert WRAPPER.unwrap(RP_HASH, ONE.id + b"\0") is None


@pytest.mark.check("GA-12", "RST-04")
def test_strangers() -> None:
    assert WRAPPER.unwrap(bytes(32), ONE.id) is None
    assert Wrapper(b"K" * 32, SeededRng()).unwrap(RP_HASH, ONE.id) is None


def test_the_secret_is_neither_shown_nor_readable() -> None:
    assert ONE.secret not in ONE.id
    assert repr(ONE.secret) not in repr(ONE)
