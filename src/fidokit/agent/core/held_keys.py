"""The keys that the agent holds: by public blob, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fidokit.openssh.agent_constraints import Destination
from fidokit.openssh.agent_messages import MAX_FRAME
from fidokit.openssh.certificates.certificate import FOREVER
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.plain_private import AnyPrivate
from fidokit.openssh.keys.private import SkPrivate

MOST_KEYS: Final = 2048
"""As many as stock ssh takes in a list; no client tries them all."""
MOST_BYTES: Final = 8 << 20
"""Of all requests whose keys are held: what clients can have this process keep."""
MOST_HOST_KEYS: Final = 4096
"""In the destinations of all keys: each list on a forwarded connection looks at every one."""
LOOK_S: Final = 3600
"""Certificates are looked at so often: the clock that they go by can be set."""
_ANSWER_HEAD: Final = 5
_IDENTITY_HEAD: Final = 8
"""Bytes of an answer with identities around what it lists."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One key.

    Args:
        private: what signs.
        comment: what it is called in lists; hostile text.
        expires: the clock's second at which it goes, None for never.
        confirm: whether each use is asked for.
        destinations: where it may be used; empty for anywhere.
        token: the selector of the token that it was found on; None if it was added.
        size: bytes of the request that added it.
        late: whether its certificate had expired when a client added it, which then wants it so.
    """

    private: AnyPrivate
    comment: str
    expires: float | None = None
    confirm: bool = False
    destinations: tuple[Destination, ...] = ()
    token: str | None = None
    size: int = 0
    late: bool = False

    @property
    def blob(self) -> bytes:
        """The public key or certificate that names it."""
        return self.private.public_blob()

    @property
    def valid_before(self) -> int | None:
        """Seconds since 1970 at which its certificate ends; None if none does or it is late."""
        certificate = self.private.certificate
        if certificate is None or self.late or certificate.valid_before == FOREVER:
            return None
        return certificate.valid_before

    @property
    def fingerprint(self) -> str:
        """Of the plain public key, under a certificate too."""
        return fingerprint.sha256(self.private.public.blob())

    @property
    def called(self) -> str:
        """Comment and fingerprint, for the user."""
        return f"{self.comment} ({self.fingerprint})"

    @property
    def on_token(self) -> bool:
        """Whether a token has to sign."""
        return isinstance(self.private, SkPrivate)


class Keyring:
    """The keys of one agent."""

    def __init__(self) -> None:
        self._entries: dict[bytes, HeldKey] = {}
        self._costs: dict[bytes, _Cost] = {}
        self.has_deadlines = False
        """Whether any key, or certificate, has an end."""
        self.version = 0
        """Grows with every change, for whoever keeps an answer that was made of the keys."""

    def __iter__(self) -> Iterator[HeldKey]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def blobs(self) -> frozenset[bytes]:
        """The public blobs of all keys, as they are now."""
        return frozenset(self._entries)

    def get(self, blob: bytes) -> HeldKey | None:
        """The key of that public blob."""
        return self._entries.get(blob)

    def add(self, entry: HeldKey) -> bool:
        """Take a key, in the place of one with the same public half; whether there was room."""
        if not self._has_room(entry):
            return False
        self._put(entry)
        self._changed()
        return True

    def _has_room(self, entry: HeldKey) -> bool:
        """Whether a list with it still fits into one answer, and all is within its bounds."""
        costs = [cost for blob, cost in self._costs.items() if blob != entry.blob]
        costs.append(_cost(entry))
        listed, kept, host_keys = (sum(part) for part in zip(*costs, strict=True))
        return (
            len(costs) <= MOST_KEYS
            and _ANSWER_HEAD + listed <= MAX_FRAME
            and kept <= MOST_BYTES
            and host_keys <= MOST_HOST_KEYS
        )

    def _put(self, entry: HeldKey) -> None:
        self._entries[entry.blob] = entry
        self._costs[entry.blob] = _cost(entry)

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
        self._changed()
        for entry in entries:
            if entry.blob not in self._entries and self._has_room(entry):
                self._put(entry)
        self._changed()

    def expire(self, now: float, wall: float) -> list[HeldKey]:
        """Drop the keys whose time has come, and return the certificates that have ended.

        Args:
            now: the clock's second.
            wall: seconds since 1970, which certificates go by.
        """
        if not self.has_deadlines:
            return []
        ended = [entry for entry in self if _ended(entry, wall)]
        if ended or any(_dead(entry, now) for entry in self):
            self._entries = {
                blob: entry
                for blob, entry in self._entries.items()
                if not (_dead(entry, now) or _ended(entry, wall))
            }
            self._changed()
        return ended

    def next_expiry(self, now: float, wall: float) -> float | None:
        """The clock's second at which the next key goes; the arguments are those of `expire`."""
        if not self.has_deadlines:
            return None
        ends = [entry.expires for entry in self if entry.expires is not None]
        left = [one.valid_before - wall for one in self if one.valid_before is not None]
        ends += [now + min(max(seconds, 0), LOOK_S) for seconds in left]
        return min(ends)

    def _changed(self) -> None:
        self.version += 1
        if len(self._costs) != len(self._entries):
            self._costs = {blob: self._costs[blob] for blob in self._entries}
        self.has_deadlines = any(
            entry.expires is not None or entry.valid_before is not None for entry in self
        )


_Cost = tuple[int, int, int]
"""Bytes in a list, bytes of the request, host keys in destinations."""


def _cost(entry: HeldKey) -> _Cost:
    comment = entry.comment.encode("utf-8", "surrogateescape")
    host_keys = sum(len(d.origin.keys) + len(d.to.keys) for d in entry.destinations)
    return _IDENTITY_HEAD + len(entry.blob) + len(comment), entry.size, host_keys


def _ended(entry: HeldKey, wall: float) -> bool:
    return entry.valid_before is not None and entry.valid_before <= wall


def _dead(entry: HeldKey, now: float) -> bool:
    return entry.expires is not None and entry.expires <= now
