"""The token taken away in the middle: a clear error, nothing half done, and it works again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hwtests.desk import Desk
from hwtests.hands import Hands

from fidokit.client.session import Session
from fidokit.errors import FidokitError, TokenGone, TokenMisbehaved
from fidokit.types import KeyType
from hwtests import keys

pytestmark = pytest.mark.needs("replugging")


class PullingHands:
    """Take the token away in place of touching it."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._pulling = threading.Thread(target=hands.unplug)

    def touch(self, why: str) -> None:
        self._pulling.start()

    @property
    def asked(self) -> bool:
        return self._pulling.ident is not None

    def wait(self) -> None:
        self._pulling.join()

    def unplug(self) -> None:
        self._hands.unplug()

    def insert(self) -> None:
        self._hands.insert()


def test_it_works_after_power_was_away(desk: Desk, tmp_path: Path) -> None:
    if desk.info.pin_set and desk.person.pin is None:
        pytest.skip("the PIN is not known: give --pin-file")
    with desk.open() as session:
        made = keys.make(session, tmp_path / "id", KeyType.ECDSA_SK)
    desk.replug()
    with desk.open() as session:
        assert keys.use(session, made.path).touched


def test_taken_away_while_it_is_open(desk: Desk, tmp_path: Path) -> None:
    with desk.open() as session:
        desk.unplug()
        with pytest.raises((TokenGone, TokenMisbehaved)):
            keys.make(session, tmp_path / "id", KeyType.ECDSA_SK)
    assert list(tmp_path.iterdir()) == []
    desk.insert()
    assert desk.look().versions


def test_taken_away_while_it_waits_for_a_touch(desk: Desk, tmp_path: Path) -> None:
    if desk.info.pin_set and desk.person.pin is None:
        pytest.skip("the PIN is not known: give --pin-file")
    patient = desk.person.hands
    pulling = desk.person.hands = PullingHands(patient)
    try:
        with desk.open() as session, pytest.raises(FidokitError):
            _make_until_it_waits(desk, session, tmp_path)
        pulling.wait()
    finally:
        desk.person.hands = patient
        if pulling.asked:
            desk.insert()
    assert list(tmp_path.iterdir()) == []


def _make_until_it_waits(desk: Desk, session: Session, folder: Path) -> None:
    """The first key of one that lies on a reader may be made by the tap."""
    keys.make(session, folder / "id", KeyType.ECDSA_SK)
    assert desk.contactless, "the token did not wait for a touch"
    for file in folder.iterdir():
        file.unlink()
    keys.make(session, folder / "id", KeyType.ECDSA_SK)
    pytest.skip("the token wants no touch while it lies on the reader")
