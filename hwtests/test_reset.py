"""Erasing: nothing is left of keys and PIN. Last of all, since all else is gone with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hwtests.desk import Desk

from fidokit.errors import CredentialNotFound, UsageError
from fidokit.types import KeyType
from hwtests import keys

pytestmark = pytest.mark.needs("ctap2", "erasing")


def test_a_wrong_name_erases_nothing(desk: Desk, tmp_path: Path) -> None:
    with desk.open() as session:
        made = keys.make(session, tmp_path / "id", KeyType.ECDSA_SK)
    with pytest.raises(UsageError):
        desk.reset("something else")
    with desk.open() as session:
        assert keys.use(session, made.path).touched


def test_keys_and_pin_are_gone(desk: Desk, tmp_path: Path) -> None:
    with desk.open() as session:
        made = keys.make(session, tmp_path / "id", KeyType.ECDSA_SK)
    desk.reset(desk.plan_reset().confirm)
    assert not desk.info.pin_set
    with desk.open() as session, pytest.raises(CredentialNotFound):
        keys.use(session, made.path)
