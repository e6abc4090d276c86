"""Runs one blocking call to a token with a limit: silence, endless waiting and Ctrl-C all end it.

The call runs in a daemon thread, because a read from a device node cannot be given a deadline
on every system; a thread that never returns dies with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar, cast

from fidokit.errors import (
    FidokitError,
    Interrupted,
    TokenGone,
    TokenMisbehaved,
    TokenSilent,
    TouchTimedOut,
)

_T = TypeVar("_T")

PROCESSING = 1
TOUCH_NEEDED = 2
"""Keep-alive statuses of CTAPHID (CTAP 2.1 section 11.2.9.1.4)."""


def take(box: SimpleQueue[object], deadline: float) -> object:
    """The next event of `box`.

    Args:
        box: where events come.
        deadline: until when one is waited for, in seconds of `time.monotonic`.

    Raises:
        Empty: none came.
    """
    return box.get(timeout=max(0.0, deadline - time.monotonic()))


class Patience(NamedTuple):
    """How long a token may take, in seconds; time is a test's knob.

    Args:
        silence: without an answer, a keep-alive or a poll.
        total: for one call, a person's hesitation included.
        grace: for the answer after a cancel.
        busy: waits between tries while another program holds the token.
        clock: seconds that never run backwards.
        sleep: waits so many seconds of `clock`, between polls of a U2F token.
        take: the next event of a queue, or Empty when `clock` reaches a deadline.
    """

    silence: float = 10.0
    total: float = 120.0
    grace: float = 2.0
    busy: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    take: Callable[[SimpleQueue[object], float], object] = take


class _Done(NamedTuple):
    value: object


class _Failed(NamedTuple):
    error: FidokitError | OSError


class _Crashed:
    """The worker ended by an error that no link may raise; its traceback went to stderr."""


class _Said(NamedTuple):
    status: int


@dataclass(slots=True)
class Pulse:
    """The signs of life that a call gives, and the order to stop that it gets."""

    clock: Callable[[], float]
    stop: threading.Event
    box: SimpleQueue[object] = field(default_factory=SimpleQueue)
    last: float = 0.0
    status: int = 0

    def keepalive(self, status: int) -> None:
        """The token says that it is busy (1) or waits for a touch (2)."""
        self.last = self.clock()
        if status != self.status:  # a flood of keep-alives must not become a flood of memory
            self.status = status
            self.box.put(_Said(status))

    def canceled(self) -> bool:
        """Whether the token must be told to stop; asking is a sign of life."""
        self.last = self.clock()
        return self.stop.is_set()


def guarded(
    operation: Callable[[Pulse], _T],
    patience: Patience,
    told: Callable[[int], None] = lambda _status: None,
    stop: threading.Event | None = None,
) -> _T:
    """The result of `operation`, which talks to a token, within the limits of `patience`.

    Args:
        operation: the blocking call; raises FidokitError or OSError, nothing else.
        told: hears each change of the keep-alive status, in the caller's thread.
        stop: set by somebody else to cancel the call on the token.

    Raises:
        TokenSilent: the token says nothing, or is still busy after `patience.total`.
        TokenMisbehaved: `operation` raised something else, which is our own defect.
        TouchTimedOut: nobody touched it within `patience.total`.
        TokenGone: the transport broke.
        Interrupted: Ctrl-C; the token was told.
    """
    start = patience.clock()
    pulse = Pulse(patience.clock, stop or threading.Event(), last=start)
    try:
        threading.Thread(target=_work, args=(operation, pulse), daemon=True).start()
        outcome = _outcome(pulse, patience, start, told)
    except KeyboardInterrupt:
        pulse.stop.set()
        _last_words(pulse, patience)
        raise Interrupted("interrupted; the token was told to stop waiting") from None
    return cast("_T", _value(outcome))  # what the operation returned


def _work(operation: Callable[[Pulse], _T], pulse: Pulse) -> None:
    outcome: object = _Crashed()
    try:
        outcome = _Done(operation(pulse))
    except (FidokitError, OSError) as error:
        outcome = _Failed(error)
    finally:
        pulse.box.put(outcome)


def _outcome(pulse: Pulse, patience: Patience, start: float, told: Callable[[int], None]) -> object:
    while True:
        now = patience.clock()  # first: a sign of life may come in between
        deadline = min(pulse.last + patience.silence, start + patience.total)
        if now >= deadline:
            return _Failed(_gave_up(pulse, patience))
        try:
            event = patience.take(pulse.box, deadline)
        except Empty:
            continue  # a poll may have moved the deadline meanwhile
        if not isinstance(event, _Said):
            return event
        told(event.status)


def _gave_up(pulse: Pulse, patience: Patience) -> FidokitError:
    pulse.stop.set()
    answered = _last_words(pulse, patience)
    if answered and pulse.status == TOUCH_NEEDED:
        return TouchTimedOut(
            "nobody touched the token in time", hint="repeat, and touch the token when it blinks"
        )
    return TokenSilent(
        "the token does not answer", hint="unplug the token, plug it in again and repeat"
    )


def _last_words(pulse: Pulse, patience: Patience) -> bool:
    """Whether the token answered to the cancel within `patience.grace`."""
    deadline = patience.clock() + patience.grace
    while patience.clock() < deadline:
        try:
            event = patience.take(pulse.box, deadline)
        except Empty:
            return False
        if not isinstance(event, _Said):
            return True
    return False


def _value(outcome: object) -> object:
    if isinstance(outcome, _Done):
        return outcome.value
    if isinstance(outcome, _Failed):
        raise _told_plainly(outcome.error)
    raise TokenMisbehaved("the connection to the token failed in an unforeseen way")


def _told_plainly(error: FidokitError | OSError) -> FidokitError:
    if isinstance(error, FidokitError):
        return error
    return TokenGone(
        f"the token disappeared: {error.strerror or error}",
        hint="plug it in again and repeat; check the cable or the reader",
    )
