"""What goes on over several commands: the items that getNextAssertion and credentialManagement hand
out piece by piece, and the large blob array that a platform sends fragment by fragment.

One enumeration is remembered at a time. It is dropped by another command (the engine), by a call
from another channel, 30 s of silence, a power cycle, and when the pinUvAuthToken that authorized
it expires or is replaced (CTAP 2.3 section 6, stateful commands; GN-02..04, CM-09, TOK-15).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple

from fidokit.types import CtapStatus
from fidokit.virtual.core.ports import Clock, CtapRejection

IDLE_LIMIT_MS = 30_000


class Continuation(Enum):
    """What a later command may go on with."""

    ASSERTIONS = auto()
    RELYING_PARTIES = auto()
    CREDENTIALS = auto()
    FRAGMENTS = auto()
    """No enumeration: the upload of a large blob array, which `Uploads` keeps."""


@dataclass(slots=True)
class _Remembered:
    what: Continuation
    rest: Iterator[Any]
    channel: int
    last_used_ms: int
    token_serial: int | None


class Enumerations:
    """The one remembered enumeration.

    Args:
        clock: the token's.
        interleave: a list of relying parties is laid aside for lists of credentials, and goes on
            after them (`Behavior.listings_interleave`).
    """

    def __init__(self, clock: Clock, *, interleave: bool = False) -> None:
        self._clock = clock
        self._interleave = interleave
        self._current: _Remembered | None = None
        self._aside: _Remembered | None = None

    def begin(
        self, what: Continuation, rest: Iterable[Any], channel: int, token_serial: int | None
    ) -> None:
        """Remember what follows the item that the Begin command itself returned.

        Args:
            what: what the rest belongs to.
            rest: the items still to be handed out.
            channel: who asked.
            token_serial: `TokenState.serial` of the token that authorized it, or None.
        """
        now = self._clock.now_ms()
        if self._interleave and what is Continuation.CREDENTIALS:
            self._lay_aside()
        self._current = _Remembered(what, iter(rest), channel, now, token_serial)

    def take(self, what: Continuation, channel: int, token_serial: int | None) -> Any:
        """The next item.

        Args:
            what: what the caller continues.
            channel: who asks.
            token_serial: of the token that is alive now, or None.

        Raises:
            CtapRejection: NOT_ALLOWED where nothing (more) is remembered for this caller.
        """
        current, self._current = self._current, None
        if self._aside is not None and self._aside.what is what:
            current, self._aside = self._aside, None
        if current is None or not self._continues(current, what, channel, token_serial):
            raise CtapRejection(CtapStatus.NOT_ALLOWED)
        try:
            item = next(current.rest)
        except StopIteration:
            raise CtapRejection(CtapStatus.NOT_ALLOWED) from None
        current.last_used_ms = self._clock.now_ms()
        self._current = current
        return item

    def _continues(
        self, current: _Remembered, what: Continuation, channel: int, token_serial: int | None
    ) -> bool:
        return (
            current.what is what
            and current.channel == channel
            and self._clock.now_ms() - current.last_used_ms <= IDLE_LIMIT_MS
            and current.token_serial in (None, token_serial)
        )

    def _lay_aside(self) -> None:
        current = self._current
        if current is not None and current.what is Continuation.RELYING_PARTIES:
            self._aside = current

    def drop(self) -> None:
        """Forget the enumeration that is going on."""
        self._current = self._aside = None

    def keep_only(self, kept: frozenset[Continuation]) -> None:
        """Forget it unless it is one of these; the engine calls this before every command."""
        if self._current is not None and self._current.what not in kept:
            self._current = None
        if self._aside is not None and self._aside.what not in kept:
            self._aside = None


class Upload(NamedTuple):
    """What has come of a large blob array so far.

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
        """Forget the upload that is going on."""
        self._upload = None
