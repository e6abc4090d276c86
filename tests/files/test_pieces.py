"""Files and streams in pieces."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, UsageError
from fidokit.files.pieces import PIECE, pieces


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE])
def test_all_of_it_and_never_much_at_once(tmp_path: Path, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    (tmp_path / "file").write_bytes(data)
    for source in (tmp_path / "file", io.BytesIO(data)):
        parts = list(pieces(source))
        assert b"".join(parts) == data
        assert all(0 < len(part) <= PIECE for part in parts)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FidokitError, match="does not exist"):
        list(pieces(tmp_path / "missing"))
    with pytest.raises(UsageError, match="is a folder"):
        list(pieces(tmp_path))
