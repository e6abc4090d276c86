"""What is proved of each place that knew a lost key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fidokit.types import Word


class OldKey(Word):
    """What is proved of a lost key at a place."""

    OUT = "kept out"
    IN = "still lets in"
    UNKNOWN = "cannot be known"


class NewKey(Word):
    """What is proved of the key that takes its place."""

    IN = "lets in"
    OUT = "does not let in"
    UNKNOWN = "cannot be known"
    NONE = "no backup"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class LossRow:
    """One place and one lost key.

    Attributes:
        kind: `host`, `forge`, `certificate`, `signers`, `revocation list`, `this machine`.
        place: as a user would name it; hostile text.
        key: the fingerprint of the lost key.
        old: what is proved of it.
        backup: what is proved of the key that takes its place.
        done: what was done there now, a few words each.
        why: what is in the way, or not known; hostile text.
        by_hand: commands that do by hand what was not done.
    """

    kind: str
    place: str
    key: str
    old: OldKey = OldKey.UNKNOWN
    backup: NewKey = NewKey.UNKNOWN
    done: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether the lost key is out, and the backup in wherever there is one."""
        good = {NewKey.IN, NewKey.NONE, NewKey.NOT_NEEDED}
        return self.old is OldKey.OUT and self.backup in good

    def also(self, *, why: Sequence[str] = (), by_hand: Sequence[str] = ()) -> LossRow:
        """The row with more reasons and commands."""
        return replace(
            self,
            why=tuple(dict.fromkeys((*self.why, *why))),
            by_hand=tuple(dict.fromkeys((*self.by_hand, *by_hand))),
        )
