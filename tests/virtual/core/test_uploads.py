"""Which fragment goes on with which upload."""

from __future__ import annotations

import pytest

from fidokit.virtual.core.uploads import Upload, Uploads


@pytest.fixture
def uploads() -> Uploads:
    """Channel 7 has sent five bytes of nine."""
    uploads = Uploads()
    uploads.keep(Upload(9, 7, b"fives"))
    return uploads


@pytest.mark.check("LB-05")
def test_only_the_next_byte_of_the_same_channel_goes_on(uploads: Uploads) -> None:
    due = {(c, o) for c in range(10) for o in range(10) if uploads.due(c, o) is not None}
    assert due == {(7, 5)}
    assert uploads.due(7, 5) == uploads.due(7, 5) == Upload(9, 7, b"fives")


def test_a_new_upload_takes_the_place_of_the_old(uploads: Uploads) -> None:
    uploads.keep(Upload(20, 3))
    assert uploads.due(7, 5) is None
    assert uploads.due(3, 0) == Upload(20, 3, b"")


def test_dropping(uploads: Uploads) -> None:
    uploads.drop()
    uploads.drop()
    assert uploads.due(7, 5) is None
    assert Uploads().due(0, 0) is None
