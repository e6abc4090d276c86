"""When a certificate is valid, as `ssh-keygen -V` is told it (ssh-keygen(1), "-V")."""

from __future__ import annotations

import re
from typing import Final

from fidokit.errors import MalformedFile, UsageError
from fidokit.openssh.certificates.certificate import FOREVER
from fidokit.openssh.lines.timestamps import parse_time

ALWAYS: Final = (0, FOREVER)
"""What a certificate gets that nobody set an end to."""

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART: Final = re.compile(r"([0-9]{1,10})([smhdw]?)", re.IGNORECASE)
_MOST: Final = (1 << 31) - 1
"""Longest interval, seconds: 68 years (INT_MAX, as OpenSSH's convtime has it)."""

_HINT: Final = "Write +52w, -1d:+52w, 20260101:20270101 or always:forever"


def parse_validity(text: str, now: int) -> tuple[int, int]:
    """From when and until when, seconds since 1970.

    Args:
        text: `+INTERVAL`, which begins a minute ago; or `FROM:TO`, each of them `+INTERVAL`,
            `-INTERVAL`, a date (see `parse_time`) or a number of seconds as `0x...`; FROM may be
            `always`, TO `forever`. An interval is `1w2d3h4m5s` or parts of it.
        now: seconds since 1970.

    Raises:
        UsageError: another form, or an end that is not later than the beginning.
    """
    if text.startswith("+") and ":" not in text:
        # a minute back, to the full minute: clocks differ
        return (now - 59) // 60 * 60, now + _interval(text[1:], text)
    first, _, last = text.partition(":")
    if not first or not last:
        raise _bad(text)
    after = 0 if first == "always" else _moment(first, now)
    before = FOREVER if last == "forever" else _moment(last, now)
    if before <= after:
        raise UsageError(f"{text[:64]!r} ends before it begins", hint=_HINT)
    return after, before


def _moment(text: str, now: int) -> int:
    if text[0] in "+-":
        away = _interval(text[1:], text)
        moment = now + (away if text[0] == "+" else -away)
    elif re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        moment = int(text, 16)
    else:
        try:
            moment = parse_time(text)
        except MalformedFile:
            raise _bad(text) from None
    if moment < 0:
        raise UsageError(f"{text[:64]!r} is a time before 1970", hint=_HINT)
    return moment


def _interval(text: str, whole: str) -> int:
    parts = _PART.findall(text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        raise _bad(whole)
    seconds = sum(int(number) * _UNITS[unit.lower()] for number, unit in parts)
    if seconds > _MOST:
        raise UsageError(f"{whole[:64]!r} is longer than 68 years", hint="Use forever, or a date")
    return seconds


def _bad(text: str) -> UsageError:
    return UsageError(f"{text[:64]!r} is no time for a certificate", hint=_HINT)
