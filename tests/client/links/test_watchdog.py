from __future__ import annotations

import signal
import threading
import time
from queue import Empty, SimpleQueue

import pytest
from tests.support.fake_link import HANGING_S, SteeredClock

from fidokit.client.links.watchdog import PROCESSING, TOUCH_NEEDED, Patience, Pulse, guarded, take
from fidokit.errors import (
    Interrupted,
    PinBlocked,
    TokenGone,
    TokenSilent,
    TouchTimedOut,
)


@pytest.fixture
def clock() -> SteeredClock:
    return SteeredClock()


@pytest.fixture
def patience(clock: SteeredClock) -> Patience:
    return clock.patience()


def test_the_result_comes_back(patience: Patience) -> None:
    assert guarded(lambda _pulse: 42, patience) == 42


def test_our_errors_come_back(patience: Patience) -> None:
    def operation(_pulse: Pulse) -> None:
        raise PinBlocked("blocked")

    with pytest.raises(PinBlocked):
        guarded(operation, patience)


def test_a_broken_transport_is_a_token_gone(patience: Patience) -> None:
    def operation(_pulse: Pulse) -> None:
        raise OSError(19, "No such device")

    with pytest.raises(TokenGone, match="No such device"):
        guarded(operation, patience)


def test_silence_ends(clock: SteeredClock, patience: Patience) -> None:
    release = threading.Event()

    def operation(_pulse: Pulse) -> None:
        clock.rush()
        release.wait(HANGING_S)

    try:
        with pytest.raises(TokenSilent, match="does not answer"):
            guarded(operation, patience)
        assert clock.now == patience.silence + patience.grace
    finally:
        release.set()


def test_real_time_passes() -> None:
    box: SimpleQueue[object] = SimpleQueue()
    with pytest.raises(Empty):
        take(box, time.monotonic() - 1)
    box.put("event")
    assert take(box, time.monotonic() - 1) == "event"


def test_signs_of_life_extend_the_deadline(clock: SteeredClock, patience: Patience) -> None:
    def operation(pulse: Pulse) -> str:
        while clock.now < 3 * patience.silence:
            clock.advance(patience.silence - 1)
            pulse.canceled()
        return "late but alive"

    assert guarded(operation, patience) == "late but alive"


def test_endless_waiting_for_a_touch_ends_as_that(clock: SteeredClock, patience: Patience) -> None:
    def operation(pulse: Pulse) -> None:
        pulse.keepalive(TOUCH_NEEDED)
        clock.advance(130)
        pulse.keepalive(PROCESSING)
        pulse.keepalive(TOUCH_NEEDED)
        pulse.stop.wait(HANGING_S)

    with pytest.raises(TouchTimedOut):
        guarded(operation, patience)


def test_endless_processing_is_silence_even_when_cancel_works(
    clock: SteeredClock, patience: Patience
) -> None:
    def operation(pulse: Pulse) -> None:
        clock.advance(130)
        pulse.keepalive(PROCESSING)
        pulse.stop.wait(HANGING_S)

    with pytest.raises(TokenSilent):
        guarded(operation, patience)


def test_changes_of_status_are_told_in_the_callers_thread_and_once(patience: Patience) -> None:
    told: list[tuple[int, threading.Thread]] = []

    def operation(pulse: Pulse) -> None:
        for status in (PROCESSING, PROCESSING, TOUCH_NEEDED, TOUCH_NEEDED, PROCESSING):
            pulse.keepalive(status)

    guarded(operation, patience, lambda status: told.append((status, threading.current_thread())))
    assert [status for status, _ in told] == [PROCESSING, TOUCH_NEEDED, PROCESSING]
    assert {thread for _, thread in told} == {threading.current_thread()}


def test_somebody_else_can_stop_it(patience: Patience) -> None:
    stop = threading.Event()

    def operation(pulse: Pulse) -> bool:
        stop.set()
        return pulse.canceled()

    assert guarded(operation, patience, stop=stop) is True


def test_ctrl_c_cancels_on_the_token_and_waits_for_its_answer(patience: Patience) -> None:
    answered = threading.Event()

    def operation(pulse: Pulse) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if pulse.stop.wait(HANGING_S):
            answered.set()

    with pytest.raises(Interrupted):
        guarded(operation, patience)
    assert answered.is_set()


def test_an_unforeseen_error_is_no_success(
    capfd: pytest.CaptureFixture[str], patience: Patience
) -> None:
    def operation(_pulse: Pulse) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(operation, patience)
