"""The keys that the agent holds: by public blob, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fidokit.openssh.agent_constraints import Destination
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.plain_private import AnyPrivate
from fidokit.openssh.keys.private import SkPrivate

MOST_KEYS: Final = 2048
"""A list of as many still fits into a message; no client tries them all."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One key.

    Args:
        private: what signs.
        comment: what it is called in lists; hostile text.
        expires: the clock's second at which it goes, None for never.
        confirm: whether each use is asked for.
        destinations: where it may be used; empty for anywhere.
        token: the selector of the token that it was found on; None where it was added.
    """

    private: AnyPrivate
    comment: str
    expires: float | None = None
    confirm: bool = False
    destinations: tuple[Destination, ...] = ()
    token: str | None = None

    @property
    def blob(self) -> bytes:
        """The public key or certificate that names it."""
        return self.private.public_blob()

    @property
    def called(self) -> str:
        """Comment and fingerprint, for a person."""
        return f"{self.comment} ({fingerprint.sha256(self.private.public.blob())})"

    @property
    def on_token(self) -> bool:
        """Whether a token has to sign."""
        return isinstance(self.private, SkPrivate)


class Keyring:
    """The keys of one agent."""

    def __init__(self) -> None:
        self._entries: dict[bytes, HeldKey] = {}
        self.has_deadlines = False
        """Whether any key has an end."""
        self.version = 0
        """Grows with every change, for whoever keeps an answer that was made of the keys."""

    def __iter__(self) -> Iterator[HeldKey]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, blob: bytes) -> HeldKey | None:
        """The key of that public blob."""
        return self._entries.get(blob)

    def add(self, entry: HeldKey) -> bool:
        """Take a key, in the place of one with the same public half; whether there was room."""
        blob = entry.blob
        if blob not in self._entries and len(self._entries) >= MOST_KEYS:
            return False
        self._entries[blob] = entry
        self._changed()
        return True

    def remove(self, blob: bytes) -> bool:
        """Drop a key; whether it was there."""
        found = self._entries.pop(blob, None) is not None
        self._changed()
        return found

    def clear(self) -> None:
        """Drop all keys, those found on tokens too."""
        self._entries.clear()
        self._changed()

    def found_on(self, token: str, entries: Iterable[HeldKey]) -> None:
        """Hold just these of a token; a key that was also added stays as it was added."""
        self._entries = {b: e for b, e in self._entries.items() if e.token != token}
        for entry in entries:
            if entry.blob not in self._entries and len(self._entries) < MOST_KEYS:
                self._entries[entry.blob] = entry
        self._changed()

    def expire(self, now: float) -> None:
        """Drop the keys whose time has come."""
        if self.has_deadlines and any(_dead(entry, now) for entry in self):
            self._entries = {b: e for b, e in self._entries.items() if not _dead(e, now)}
            self._changed()

    def next_expiry(self) -> float | None:
        """When the next key goes."""
        if not self.has_deadlines:
            return None
        return min(e.expires for e in self if e.expires is not None)

    def _changed(self) -> None:
        self.version += 1
        self.has_deadlines = any(entry.expires is not None for entry in self)


def _dead(entry: HeldKey, now: float) -> bool:
    return entry.expires is not None and entry.expires <= now
