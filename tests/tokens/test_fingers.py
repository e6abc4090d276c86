from __future__ import annotations

import pytest
from tests.support.desk import Desk

from fidokit.errors import NotStored, UsageError
from fidokit.tokens import fingers
from fidokit.tokens.fingers import Fingerprint, Sample

pytestmark = pytest.mark.usefixtures("home")

KNOWN = [
    Fingerprint(bytes.fromhex("a1b2c3"), "thumb"),
    Fingerprint(bytes.fromhex("a1ffff"), "index"),
    Fingerprint(bytes.fromhex("ccdd00"), ""),
    Fingerprint(bytes.fromhex("ee0000"), "index"),
]


def test_the_life_of_a_finger(desk: Desk) -> None:
    heard: list[Sample] = []
    with desk.open() as session:
        made = fingers.enroll_fingerprint(session, "thumb", heard.append)
        assert len(heard) == 5
        assert fingers.list_fingerprints(session) == [made]
        renamed = fingers.rename_fingerprint(session, made, "left thumb")
        assert fingers.list_fingerprints(session) == [renamed]
        fingers.delete_fingerprint(session, made)
        assert fingers.list_fingerprints(session) == []
    assert len(desk.person.asked) == 1


@pytest.mark.parametrize(
    ("typed", "number"), [("thumb", 0), ("a1b2c3", 0), ("A1B2", 0), ("a1f", 1), ("cc", 2)]
)
def test_choosing(typed: str, number: int) -> None:
    assert fingers.resolve_fingerprint(typed, KNOWN) == KNOWN[number]


@pytest.mark.parametrize("typed", ["nobody", "", "c", "ccdd0000"])
def test_choosing_what_is_not_there(typed: str) -> None:
    with pytest.raises(NotStored) as caught:
        fingers.resolve_fingerprint(typed, KNOWN)
    assert caught.value.hint


@pytest.mark.parametrize("typed", ["index", "a1"])
def test_choosing_among_several(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        fingers.resolve_fingerprint(typed, KNOWN)
    assert "a1ffff" in caught.value.hint
