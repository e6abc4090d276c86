"""What became of the audit of one host; a host that cannot be audited is a value, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class HostState(StrEnum):
    """What became of a host; all but CHECKED count against every policy, since nothing is known."""

    CHECKED = "checked"
    DOWN = "down"
    REFUSED = "refused"
    NO_PYTHON = "no-python"
    TIMED_OUT = "timed-out"
    HOSTILE = "hostile"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def meaning(self) -> str:
        """The state in a few words, for the heading of a list of hosts."""
        return _MEANINGS[self]


_MEANINGS: Mapping[HostState, str] = {
    HostState.CHECKED: "checked",
    HostState.DOWN: "cannot be reached",
    HostState.REFUSED: "refused the login, or sudo",
    HostState.NO_PYTHON: "no Python 3.9 or later",
    HostState.TIMED_OUT: "past the time limit",
    HostState.HOSTILE: "sent what no audit sends",
    HostState.FAILED: "the audit failed there",
    HostState.STOPPED: "stopped before it was checked",
}


@dataclass(frozen=True, slots=True)
class HostAudit:
    """One host, and what its audit found.

    All text in it but `host` comes from the host, and is hostile.

    Attributes:
        host: as the user, the inventory or the policy calls it.
        state: what became of it.
        document: the JSON of `server check` (docs/json.md, schema 1) on that host, its shape
            verified; None unless the state is CHECKED.
        problem: why there is no document, in one sentence; empty if there is one.
        seconds: how long it took.
    """

    host: str
    state: HostState
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    problem: str = ""
    seconds: float = 0.0
