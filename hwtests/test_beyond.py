"""Blobs and fingers, where the token has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hwtests.desk import Desk

from fidokit.client.session import Session
from fidokit.errors import NotStored
from fidokit.keys.blobs import delete_blobs, get_blob, list_blobs, set_blob
from fidokit.tokens.owner import delete_finger, enroll_finger, list_fingers
from hwtests import keys


@pytest.fixture
def resident(desk: Desk, token: Session, tmp_path: Path) -> Iterator[str]:
    """The fingerprint of a resident key that may have a blob."""
    keys.clear(token)
    made = keys.make(token, tmp_path / "id", keys.best_type(desk), resident=True, large_blob=True)
    yield made.fingerprint
    keys.clear(token)


@pytest.mark.needs("ctap2", "pin", "resident", "listing", "large blobs")
def test_a_blob_comes_back_and_goes(token: Session, resident: str) -> None:
    others = list_blobs(token).others
    set_blob(token, resident, b"a certificate, say")
    assert get_blob(token, resident) == b"a certificate, say"
    delete_blobs(token, [resident])
    with pytest.raises(NotStored):
        get_blob(token, resident)
    assert list_blobs(token).others == others


@pytest.mark.needs("ctap2", "sensor", "pin")
def test_fingers_are_listed(token: Session) -> None:
    fingers = list_fingers(token)
    assert len({finger.template_id for finger in fingers}) == len(fingers)


@pytest.mark.needs("ctap2", "sensor", "pin", "erasing")
def test_a_finger_is_enrolled_and_forgotten(desk: Desk, token: Session) -> None:
    desk.person.say(">>> ENROL a finger: lay it on the sensor again and again until this goes on")
    finger = enroll_finger(token, "hwtests")
    assert finger.template_id in [known.template_id for known in list_fingers(token)]
    delete_finger(token, finger)
    assert finger.template_id not in [known.template_id for known in list_fingers(token)]
