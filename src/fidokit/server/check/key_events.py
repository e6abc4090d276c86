"""What lines of authorized_keys become in a report."""

from __future__ import annotations

from typing import NamedTuple

from fidokit.server.check.key_verdicts import Verdict
from fidokit.server.check.policy import Rule


class Place(NamedTuple):
    """Where a key stands; `user` and `path` are hostile text."""

    user: str
    path: str
    line: int


class KeyLine(NamedTuple):
    """A line with a key that sshd can read.

    `line` counts from 1; `type` is ssh-keygen's name, such as ED25519-SK; `comment` is hostile
    text. `duplicate` is where the same key stood before.
    """

    line: int
    bits: int
    fingerprint: str
    comment: str
    type: str
    verdict: Verdict
    duplicate: Place | None = None


class UnreadableLine(NamedTuple):
    """A line that sshd passes over; `violates` rules where it is so long that nobody can tell."""

    line: int
    reason: str
    violates: tuple[tuple[Rule, str], ...] = ()
