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
        total: for one call, including the time that a user takes.
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


class _Crashed(NamedTuple):
    """The worker ended by an error that no link may raise: a defect of our own."""

    error: Exception


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
    keep: Callable[[_T], bool] = lambda _result: False,
) -> _T:
    """The result of `operation`, which talks to a token, within the limits of `patience`.

    Args:
        operation: the blocking call; raises FidokitError or OSError. Anything else is a defect of
            our own, and is raised here as it is: the token is not to blame.
        told: hears each change of the keep-alive status, in the caller's thread.
        stop: set by somebody else to cancel the call on the token.
        keep: whether a result that comes after the order to stop is taken nevertheless: a touch in
            the moment of giving up may have made something.

    Raises:
        TokenSilent: the token says nothing, or is still busy after `patience.total`.
        TouchTimedOut: nobody touched it within `patience.total`.
        TokenGone: the transport broke.
        Interrupted: Ctrl-C; the token was told.
    """
    start = patience.clock()
    pulse = Pulse(patience.clock, stop or threading.Event(), last=start)
    try:
        threading.Thread(target=_work, args=(operation, pulse), daemon=True).start()
        outcome = _outcome(pulse, patience, start, told)
        if outcome is None:
            outcome = _gave_up(pulse, patience, keep)
    except KeyboardInterrupt:
        pulse.stop.set()
        outcome = _late(_last_words(pulse, patience), keep)
        if outcome is None:
            raise Interrupted("interrupted; the token no longer waits") from None
    return cast("_T", _value(outcome))  # what the operation returned


def _work(operation: Callable[[Pulse], _T], pulse: Pulse) -> None:
    outcome: object
    try:
        outcome = _Done(operation(pulse))
    except (FidokitError, OSError) as error:
        outcome = _Failed(error)
    except Exception as error:  # noqa: BLE001  a thread's boundary: raised again by who waits
        outcome = _Crashed(error)
    pulse.box.put(outcome)


def _outcome(pulse: Pulse, patience: Patience, start: float, told: Callable[[int], None]) -> object:
    """How the call ended; None if it did not end in time."""
    while True:
        now = patience.clock()  # first: a sign of life may come in between
        deadline = min(pulse.last + patience.silence, start + patience.total)
        if now >= deadline:
            return None
        try:
            event = patience.take(pulse.box, deadline)
        except Empty:
            continue  # a poll may have moved the deadline meanwhile
        if not isinstance(event, _Said):
            return event
        told(event.status)


def _gave_up(pulse: Pulse, patience: Patience, keep: Callable[[_T], bool]) -> object:
    pulse.stop.set()
    answer = _last_words(pulse, patience)
    late = _late(answer, keep)
    if late is not None:
        return late
    if answer is not None and pulse.status == TOUCH_NEEDED:
        return _Failed(
            TouchTimedOut(
                "the token waited for a touch, and "
                f"nobody touched it for {patience.total:.0f} seconds",
                hint="repeat, and touch the token when it blinks",
            )
        )
    return _Failed(
        TokenSilent(
            "the token does not answer", hint="unplug the token, plug it in again and repeat"
        )
    )


def _late(answer: object, keep: Callable[[_T], bool]) -> object:
    """An answer to the order to stop that is worth keeping, else None."""
    if isinstance(answer, _Done) and keep(cast("_T", answer.value)):
        return answer
    return answer if isinstance(answer, _Crashed) else None


def _last_words(pulse: Pulse, patience: Patience) -> object:
    """How the call ended within `patience.grace` after the order to stop; None: it did not."""
    deadline = patience.clock() + patience.grace
    while patience.clock() < deadline:
        try:
            event = patience.take(pulse.box, deadline)
        except Empty:
            return None
        if not isinstance(event, _Said):
            return event
    return None


def _value(outcome: object) -> object:
    if isinstance(outcome, _Done):
        return outcome.value
    if isinstance(outcome, _Failed):
        raise _told_plainly(outcome.error)
    if isinstance(outcome, _Crashed):
        raise outcome.error
    raise AssertionError(f"no outcome of a call: {outcome!r}")


def _told_plainly(error: FidokitError | OSError) -> FidokitError:
    if isinstance(error, FidokitError):
        return error
    return TokenGone(
        f"the token disappeared: {error.strerror or error}",
        hint="plug it in again and repeat; check the cable or the reader",
    )
