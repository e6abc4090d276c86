"""The times of expiry-time=, valid-after= and valid-before=, as OpenSSH reads them."""

from __future__ import annotations

import re
import time
from typing import Final

from fidokit.errors import MalformedFile

_FORM: Final = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(Z|UTC)?", re.ASCII | re.IGNORECASE
)
_LIMITS: Final = ((1, 12), (1, 31), (0, 23), (0, 59), (0, 61))
"""Month, day, hour, minute, second, as strptime(3) has them: two leap seconds, no look at how
many days the month has."""


def parse_time(text: str) -> int:
    """Seconds since 1970 of `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`.

    With `Z` or `UTC` behind it the time is UTC, else the machine's own zone. OpenSSH takes
    local time to be standard time even in summer, and so does this: it is sshd who decides.

    Raises:
        MalformedFile: another form, or a time before 1970.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise _bad(text)
    year, *parts = (int(part or 0) for part in found.groups()[:6])
    if year < 1969 or not all(
        low <= part <= high for part, (low, high) in zip(parts, _LIMITS, strict=True)
    ):
        raise _bad(text)
    month, day, hour, minute, second = parts
    seconds = _seconds(
        (year, month, day, hour, minute, second, 0, 0, 0), utc=found.group(7) is not None
    )
    if seconds < 0:
        raise _bad(text)
    return seconds


def _seconds(moment: tuple[int, int, int, int, int, int, int, int, int], *, utc: bool) -> int:
    year, month, day, hour, minute, second = moment[:6]
    if utc:
        import calendar  # 4 ms, for what few lines need

        midnight = calendar.timegm((year, month, 1, 0, 0, 0))
        return midnight + ((day - 1) * 24 + hour) * 3600 + minute * 60 + second
    try:
        return int(time.mktime(moment))
    except (OverflowError, ValueError):
        return -1


def _bad(text: str) -> MalformedFile:
    return MalformedFile(
        f"{text[:64]!r} is not a time",
        hint="Write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z behind it for UTC",
    )
