"""What a probe found: a check's name, how it stands, one sentence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome.

    Attributes:
        check: a short stable name, such as "hid-permission".
        sentence: what was found, without a full stop at its end.
        hint: what to do next; empty where there is nothing to do.
    """

    check: str
    status: Status
    sentence: str
    hint: str = ""
