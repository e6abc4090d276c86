from __future__ import annotations

import signal
import threading
import time

import pytest
from tests.support.fake_link import QUICK, FakeClock

from fidokit.client.links.watchdog import PROCESSING, TOUCH_NEEDED, Patience, Pulse, guarded
from fidokit.errors import (
    Interrupted,
    PinBlocked,
    TokenGone,
    TokenMisbehaved,
    TouchTimedOut,
)


def test_the_result_comes_back() -> None:
    assert guarded(lambda _pulse: 42, QUICK) == 42


def test_our_errors_come_back() -> None:
    def operation(_pulse: Pulse) -> None:
        raise PinBlocked("blocked")

    with pytest.raises(PinBlocked):
        guarded(operation, QUICK)


def test_a_broken_transport_is_a_token_gone() -> None:
    def operation(_pulse: Pulse) -> None:
        raise OSError(19, "No such device")

    with pytest.raises(TokenGone, match="No such device"):
        guarded(operation, QUICK)


def test_silence_ends() -> None:
    release = threading.Event()
    try:
        with pytest.raises(TokenMisbehaved, match="does not answer"):
            guarded(lambda _pulse: release.wait(30), QUICK)
    finally:
        release.set()


def test_signs_of_life_extend_the_deadline() -> None:
    waiting = threading.Event()

    def operation(pulse: Pulse) -> str:
        end = time.monotonic() + 3 * QUICK.silence
        while time.monotonic() < end:
            pulse.canceled()
            waiting.wait(QUICK.silence / 10)
        return "late but alive"

    assert guarded(operation, QUICK) == "late but alive"


def test_endless_waiting_for_a_touch_ends_as_that() -> None:
    clock = FakeClock()
    patience = Patience(silence=50, total=120, grace=1, clock=clock)

    def operation(pulse: Pulse) -> None:
        pulse.keepalive(TOUCH_NEEDED)
        clock.now = 130
        pulse.keepalive(PROCESSING)
        pulse.keepalive(TOUCH_NEEDED)
        pulse.stop.wait(5)

    with pytest.raises(TouchTimedOut):
        guarded(operation, patience)


def test_endless_processing_is_misbehavior_even_when_cancel_works() -> None:
    clock = FakeClock()
    patience = Patience(silence=50, total=120, grace=1, clock=clock)

    def operation(pulse: Pulse) -> None:
        clock.now = 130
        pulse.keepalive(PROCESSING)
        pulse.stop.wait(5)

    with pytest.raises(TokenMisbehaved):
        guarded(operation, patience)


def test_changes_of_status_are_told_in_the_callers_thread_and_once() -> None:
    told: list[tuple[int, threading.Thread]] = []

    def operation(pulse: Pulse) -> None:
        for status in (PROCESSING, PROCESSING, TOUCH_NEEDED, TOUCH_NEEDED, PROCESSING):
            pulse.keepalive(status)

    guarded(operation, QUICK, lambda status: told.append((status, threading.current_thread())))
    assert [status for status, _ in told] == [PROCESSING, TOUCH_NEEDED, PROCESSING]
    assert {thread for _, thread in told} == {threading.current_thread()}


def test_somebody_else_can_stop_it() -> None:
    stop = threading.Event()

    def operation(pulse: Pulse) -> bool:
        stop.set()
        return pulse.canceled()

    assert guarded(operation, QUICK, stop=stop) is True


def test_ctrl_c_cancels_on_the_token_and_waits_for_its_answer() -> None:
    answered = threading.Event()

    def operation(pulse: Pulse) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if pulse.stop.wait(5):
            answered.set()

    with pytest.raises(Interrupted):
        guarded(operation, Patience(silence=5, grace=5))
    assert answered.is_set()


def test_an_unforeseen_error_is_no_success(capfd: pytest.CaptureFixture[str]) -> None:
    def operation(_pulse: Pulse) -> None:
        raise ZeroDivisionError

    crashes: list[threading.ExceptHookArgs] = []
    hook, threading.excepthook = threading.excepthook, crashes.append  # type: ignore[assignment]
    try:
        with pytest.raises(TokenMisbehaved, match="unforeseen"):
            guarded(operation, QUICK)
    finally:
        threading.excepthook = hook
