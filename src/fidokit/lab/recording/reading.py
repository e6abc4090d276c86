"""The file of a recording."""

from __future__ import annotations

from pathlib import Path

from fidokit.files.keyfile import read_bounded
from fidokit.virtual.recorded import LONGEST, Recording, decode


def read_recording(path: Path) -> Recording:
    """The recording that `fidokit token record` wrote.

    Raises:
        MalformedFile: it is none, is damaged, or too long.
        NoPermission, FidokitError: it cannot be read.
    """
    return decode(read_bounded(path, LONGEST))
