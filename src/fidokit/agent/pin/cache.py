"""PINs that are kept for a time: bytes in locked memory, never a Python string.

CPython copies what it is given and forgets no copy. So a PIN comes through a pipe straight into a
locked page, and goes from there through a pipe to a child that lives for one signature. At rest it
is masked, so that it does not stand in the memory of the process at all.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fidokit.system.process_memory import locked_page

LONGEST: Final = 63
"""Bytes of a PIN (CTAP 2.3 section 6.5.1)."""
_SLOT: Final = 64
_PAD_AT: Final = 2048
"""The mask lies in the same page, apart from the PIN."""


@dataclass(slots=True)
class _Kept:
    page: mmap.mmap
    length: int
    expires: float


class PinCache:
    """At most one PIN for each token.

    Args:
        seconds: how long a PIN is kept after it was typed; 0 keeps none.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._turn = threading.Lock()

    @property
    def tokens(self) -> frozenset[str]:
        """Whose PINs are kept."""
        with self._turn:
            return frozenset(self._kept)

    def has(self, token: str) -> bool:
        """Whether the PIN of a token is kept and its time is not over."""
        self.expire()
        return token in self._kept

    def keep(self, token: str, source: int) -> bool:
        """Take a PIN from a pipe, up to its end; whether there was one.

        Args:
            token: what it is kept for.
            source: the descriptor to read; it is left open.
        """
        page = locked_page()
        length = _fill(source, page)
        if not (self.seconds and 0 < length <= LONGEST):
            _wipe(page)
            return False
        _draw_pad(page)
        _mask(page)
        with self._turn:
            self._forget(token)
            self._kept[token] = _Kept(page, length, self._clock() + self.seconds)
        return True

    def hand_out(self, token: str, target: int) -> bool:
        """Write the PIN of a token into a pipe; whether one was kept.

        Args:
            token: whose.
            target: the descriptor; a pipe with room for a PIN.
        """
        self.expire()
        with self._turn:
            kept = self._kept.get(token)
            if kept is None:
                return False
            _mask(kept.page)
            try:
                with memoryview(kept.page) as view, view[: kept.length] as pin:
                    os.write(target, pin)
            finally:
                _mask(kept.page)
        return True

    def expire(self) -> None:
        """Wipe what was kept long enough."""
        now = self._clock()
        with self._turn:
            for token in [t for t, kept in self._kept.items() if kept.expires <= now]:
                self._forget(token)

    def forget(self, token: str) -> None:
        """Wipe the PIN of a token."""
        with self._turn:
            self._forget(token)

    def forget_all(self) -> None:
        """Wipe the PINs of all tokens."""
        with self._turn:
            for token in list(self._kept):
                self._forget(token)

    def next_expiry(self) -> float | None:
        """The clock's second at which the next PIN goes."""
        with self._turn:
            return min((kept.expires for kept in self._kept.values()), default=None)

    def _forget(self, token: str) -> None:
        kept = self._kept.pop(token, None)
        if kept is not None:
            _wipe(kept.page)


def _fill(source: int, page: mmap.mmap) -> int:
    """How many bytes came; more than fit into a slot are none of a PIN."""
    length = 0
    with memoryview(page) as view:
        while length < _SLOT:
            with view[length:_SLOT] as room:
                got = os.readv(source, [room])
            if not got:
                break
            length += got
    return length


def _draw_pad(page: mmap.mmap) -> None:
    """Straight from the kernel into the page: the mask is not a Python object either."""
    source = os.open("/dev/urandom", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with memoryview(page) as view, view[_PAD_AT : _PAD_AT + _SLOT] as pad:
            os.readv(source, [pad])
    finally:
        os.close(source)


def _mask(page: mmap.mmap) -> None:
    """Put the mask on, or take it off; byte by byte, for small integers are not copies."""
    for at in range(_SLOT):
        page[at] ^= page[_PAD_AT + at]


def _wipe(page: mmap.mmap) -> None:
    for at in range(_SLOT):
        page[at] = page[_PAD_AT + at] = 0
    page.close()
