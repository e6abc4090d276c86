"""The large blob array that a platform is sending, fragment by fragment."""

from __future__ import annotations

from typing import NamedTuple


class Upload(NamedTuple):
    """What has come so far.

    Args:
        length: of the whole array in bytes, as announced with the first fragment.
        channel: who sends.
        data: so far, from the first byte.
    """

    length: int
    channel: int
    data: bytes = b""


class Uploads:
    """At most one upload: another command, another first fragment and a loss of power end it.

    The array that is served stays the old one until the last fragment has come.
    """

    def __init__(self) -> None:
        self._upload: Upload | None = None

    @property
    def going_on(self) -> bool:
        """Whether there is one."""
        return self._upload is not None

    def keep(self, upload: Upload) -> None:
        """Remember, in the place of any other."""
        self._upload = upload

    def due(self, channel: int, offset: int) -> Upload | None:
        """The upload of this channel that goes on at this offset."""
        upload = self._upload
        if upload is None or upload.channel != channel or len(upload.data) != offset:
            return None
        return upload

    def drop(self) -> None:
        """Forget it."""
        self._upload = None
