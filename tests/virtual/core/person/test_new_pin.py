"""The policy for new PINs at its edges (PIN-11..15)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import Bench

from fidokit.types import CtapStatus
from fidokit.virtual.core.person import new_pin
from fidokit.virtual.core.ports import CtapRejection

TOKEN = Bench().authenticator.token


@pytest.mark.check("PIN-11", "PIN-13")
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=70))
def test_code_points_and_bytes_decide(pin: str) -> None:
    raw = pin.encode()
    padded = raw + bytes(max(0, 64 - len(raw)))
    if len(pin) >= 4 and len(raw) <= 63:
        expected = hashlib.sha256(raw).digest()[:16]
        assert new_pin.judge(TOKEN, padded) == (expected, len(pin))
        return
    with pytest.raises(CtapRejection) as refused:
        new_pin.judge(TOKEN, padded)
    assert refused.value.status == CtapStatus.PIN_POLICY_VIOLATION


@pytest.mark.check("PIN-12")
@pytest.mark.parametrize(
    "padded", [None, b"", b"1234", bytes(63), bytes(64), bytes(80), b"\xc3\xa9" * 32]
)
def test_forms_that_are_none(padded: bytes | None) -> None:
    with pytest.raises(CtapRejection):
        new_pin.judge(TOKEN, padded)
