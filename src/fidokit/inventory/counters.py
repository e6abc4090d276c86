"""Signature counters by key: one that went back is a sign of a cloned token (WebAuthn 6.1.1).

A token counts its signatures, for each key or for all of them. Of two tokens with the same secret,
one falls behind. Tokens that always report 0 do not count, and nothing can be told from them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Final

from fidokit.errors import MalformedFile

SCHEMA: Final = 1
MOST_KEYS: Final = 10_000
"""Keys whose counters are kept; beyond that, those seen longest ago go."""

_PRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_COUNTER_END: Final = 1 << 32
_TIME_END: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class CloneAlarm:
    """A counter that went back.

    Attributes:
        before: what it was.
        value: what it was afterwards.
        seen: when that was seen, seconds since 1970.
        by: who saw it, such as `the agent`.
    """

    before: int
    value: int
    seen: float
    by: str


@dataclass(frozen=True, slots=True)
class KeptCounter:
    """The signature counter of one key.

    Attributes:
        value: the highest that was seen.
        seen: when the last signature was there, seconds since 1970.
        alarm: the first time that it went back; None if it never did.
    """

    value: int
    seen: float
    alarm: CloneAlarm | None = None


@dataclass(frozen=True, slots=True)
class CounterReading:
    """What a signature told.

    Attributes:
        key: the fingerprint.
        value: of the counter.
        began, ended: when the token was asked, and had answered, seconds since 1970.
        by: who saw it.
    """

    key: str
    value: int
    began: float
    ended: float
    by: str


@dataclass(frozen=True, slots=True)
class CounterHistory:
    """The counters of all keys, by fingerprint."""

    keys: dict[str, KeptCounter] = field(default_factory=dict)

    def after(self, reading: CounterReading) -> CounterHistory:
        """The history with one more reading.

        Two signatures that were asked for at the same time may be noted in either order, so a lower
        value is an alarm only if its signature began after the higher one was there.
        """
        before = self.keys.get(reading.key)
        if before is None:
            counter = KeptCounter(reading.value, reading.ended)
        elif reading.value > before.value:
            counter = replace(before, value=reading.value, seen=reading.ended)
        elif before.value == 0 or reading.began < before.seen:
            counter = replace(before, seen=max(before.seen, reading.ended))
        else:
            alarm = CloneAlarm(before.value, reading.value, reading.ended, reading.by)
            counter = replace(before, seen=reading.ended, alarm=before.alarm or alarm)
        keys = {**self.keys, reading.key: counter}
        if len(keys) > MOST_KEYS:
            idle = (key for key in keys if key != reading.key and keys[key].alarm is None)
            oldest = min(idle, key=lambda key: keys[key].seen, default=reading.key)
            del keys[oldest]
        return CounterHistory(keys)

    def without_alarm(self, key: str) -> CounterHistory:
        """The history after the owner looked into an alarm: the count starts anew."""
        return CounterHistory({name: one for name, one in self.keys.items() if name != key})

    @property
    def alarms(self) -> dict[str, CloneAlarm]:
        """The alarms by fingerprint."""
        return {key: one.alarm for key, one in self.keys.items() if one.alarm}


# --- JSON ------------------------------------------------------------------------------------


def encode_counters(history: CounterHistory) -> bytes:
    """The counters as JSON."""
    keys = {key: _members(one) for key, one in history.keys.items()}
    return json.dumps({"schema": SCHEMA, "keys": keys}, indent=1).encode() + b"\n"


def _members(counter: KeptCounter) -> dict[str, object]:
    found: dict[str, object] = {"value": counter.value, "seen": counter.seen}
    if counter.alarm:
        alarm = counter.alarm
        found["alarm"] = {
            "before": alarm.before, "value": alarm.value, "seen": alarm.seen, "by": alarm.by
        }  # fmt: skip
    return found


def parse_counters(data: bytes) -> CounterHistory:
    """The counters in JSON.

    Raises:
        MalformedFile: it is something else; says where.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"not valid JSON: {error}") from None
    match document:
        case {"schema": 1, "keys": dict(keys)} if len(keys) <= MOST_KEYS:
            return CounterHistory({key: _counter(key, one) for key, one in keys.items()})
        case _:
            raise MalformedFile(f"not signature counters of schema {SCHEMA}")


def _counter(key: str, members: object) -> KeptCounter:
    match members:
        case {"value": value, "seen": seen, **rest} if (
            _PRINT.fullmatch(key) and _is_count(value) and _is_time(seen)
        ):
            return KeptCounter(value, float(seen), _alarm(key, rest.get("alarm")))
        case _:
            raise MalformedFile(f"the counter of {key[:60]!r} has another form")


def _alarm(key: str, members: object) -> CloneAlarm | None:
    match members:
        case None:
            return None
        case {"before": before, "value": value, "seen": seen, "by": str(by)} if (
            _is_count(before) and _is_count(value) and _is_time(seen)
        ):
            return CloneAlarm(before, value, float(seen), by[:200])
        case _:
            raise MalformedFile(f"the alarm of {key} has another form")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _COUNTER_END


def _is_time(value: object) -> bool:
    return type(value) in {int, float} and 0 <= value < _TIME_END  # type: ignore[operator]
