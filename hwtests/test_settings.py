"""Settings of the token, on tokens that may be erased: most of them have no other way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hwtests.desk import Desk

from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import PinPolicy
from fidokit.tokens.owner import (
    always_uv,
    change_pin,
    configuration,
    enterprise_attestation,
    set_min_pin_length,
    verify_pin,
)
from fidokit.types import KeyType
from hwtests import keys


@pytest.mark.needs("ctap2")
def test_shown(token: Session) -> None:
    assert configuration(token) == configuration(token)


@pytest.mark.needs("ctap2", "pin", "always uv", "erasing")
def test_always_uv(
    desk: Desk, token: Session, tmp_path: Path, differs: Callable[[str], None]
) -> None:
    was = token.info.always_uv
    assert always_uv(token, True)
    with desk.open() as session:
        made = keys.make(session, tmp_path / "id", KeyType.ECDSA_SK)
        if not keys.use(session, made.path).verified:
            differs("it shows alwaysUv as on and does not enforce it")
        if not was:
            assert not always_uv(session, False)
    desk.look()


@pytest.mark.needs("ctap2", "pin", "enterprise", "erasing")
def test_enterprise_attestation(token: Session) -> None:
    assert enterprise_attestation(token, enable=True)


@pytest.mark.needs("ctap2", "pin", "min length", "erasing")
def test_a_longer_minimum_length_holds(desk: Desk, token: Session) -> None:
    length = token.info.min_pin_length + 1
    set_min_pin_length(token, length)
    info = desk.look()
    assert info.min_pin_length == length
    old = desk.person.pin
    assert old is not None
    with desk.open() as session, pytest.raises(PinPolicy):
        change_pin(session, old, PinCode.parse("1" * (length - 1)))
    with desk.open() as session:
        verify_pin(session)
