"""Threads that begin when they are needed, and end when they are not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from fidokit.virtual.transports.reports import JobThread, ThreadAlarm, now_ms

LONG_S = 20


@contextmanager
def thread_of(begin: Callable[[], None]) -> Iterator[threading.Thread]:
    before = set(threading.enumerate())
    begin()
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    yield thread


def test_jobs_run_one_after_the_other_in_one_thread() -> None:
    worker = JobThread()
    ran: SimpleQueue[int] = SimpleQueue()
    for _ in range(3):
        worker.submit(lambda: ran.put(threading.get_ident()))
        first = ran.get(timeout=LONG_S)
        worker.submit(lambda: ran.put(threading.get_ident()))
        assert ran.get(timeout=LONG_S) == first != threading.get_ident()


def test_only_the_newest_job_waits() -> None:
    worker = JobThread()
    entered, leave = threading.Event(), threading.Event()
    ran: SimpleQueue[str] = SimpleQueue()

    def busy() -> None:
        entered.set()
        assert leave.wait(LONG_S)

    worker.submit(busy)
    assert entered.wait(LONG_S)
    worker.submit(lambda: ran.put("dropped"))
    worker.submit(lambda: ran.put("newest"))
    leave.set()
    assert ran.get(timeout=LONG_S) == "newest"
    assert ran.empty()


def test_an_idle_worker_ends_and_begins_again() -> None:
    worker = JobThread(linger_s=0)
    ran: SimpleQueue[None] = SimpleQueue()
    for _ in range(2):
        leave = threading.Event()

        def wait(leave: threading.Event = leave) -> None:
            leave.wait(LONG_S)
            ran.put(None)

        with thread_of(lambda job=wait: worker.submit(job)) as thread:  # type: ignore[misc]
            leave.set()
            ran.get(timeout=LONG_S)
            thread.join(LONG_S)
            assert not thread.is_alive()


def test_a_job_that_breaks_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    worker = JobThread()
    begun, leave = threading.Event(), threading.Event()

    def broken() -> None:
        begun.set()
        leave.wait(LONG_S)
        raise RuntimeError("a mistake of ours")

    worker.submit(broken)
    assert begun.wait(LONG_S)
    ran: SimpleQueue[None] = SimpleQueue()
    worker.submit(lambda: ran.put(None))
    leave.set()
    ran.get(timeout=LONG_S)
    assert "RuntimeError: a mistake of ours" in caplog.text


def test_an_alarm_that_breaks_rings_again(caplog: pytest.LogCaptureFixture) -> None:
    rang: SimpleQueue[None] = SimpleQueue()

    def ring() -> None:
        rang.put(None)
        raise RuntimeError("a mistake of ours")

    alarm = ThreadAlarm(ring)
    for _ in range(2):
        alarm.set(now_ms())
        rang.get(timeout=LONG_S)
    assert "RuntimeError: a mistake of ours" in caplog.text


def test_an_alarm_rings_at_its_time() -> None:
    rang: SimpleQueue[int] = SimpleQueue()
    alarm = ThreadAlarm(lambda: rang.put(now_ms()))
    begun = alarm.now_ms()
    alarm.set(begun + 30)
    assert rang.get(timeout=LONG_S) >= begun + 30
    assert rang.empty()


def test_an_alarm_can_be_set_earlier() -> None:
    rang: SimpleQueue[int] = SimpleQueue()
    alarm = ThreadAlarm(lambda: rang.put(now_ms()))
    alarm.set(now_ms() + 1000 * LONG_S)
    alarm.set(now_ms() + 10)
    assert rang.get(timeout=LONG_S / 2) < now_ms() + 1000 * LONG_S


def test_an_alarm_that_is_set_later_or_taken_back_does_not_ring() -> None:
    rang: SimpleQueue[str] = SimpleQueue()
    first = ThreadAlarm(lambda: rang.put("moved"))
    first.set(now_ms() + 10)
    first.set(now_ms() + 1000 * LONG_S)
    second = ThreadAlarm(lambda: rang.put("taken back"))
    second.set(now_ms() + 10)
    second.set(None)
    third = ThreadAlarm(lambda: rang.put("third"))
    third.set(now_ms() + 40)
    assert rang.get(timeout=LONG_S) == "third"
    assert rang.empty()


def test_an_alarm_that_rings_may_be_set_again_by_whom_it_calls() -> None:
    rang: SimpleQueue[int] = SimpleQueue()

    def ring() -> None:
        rang.put(0)
        alarm.set(now_ms() + 1)

    alarm = ThreadAlarm(ring)
    alarm.set(now_ms())
    for _ in range(5):
        rang.get(timeout=LONG_S)
    alarm.set(None)


def test_an_idle_alarm_ends_and_begins_again() -> None:
    rang: SimpleQueue[None] = SimpleQueue()
    alarm = ThreadAlarm(lambda: rang.put(None), linger_s=0)
    for _ in range(2):
        with thread_of(lambda: alarm.set(now_ms() + 5)) as thread:
            rang.get(timeout=LONG_S)
            thread.join(LONG_S)
            assert not thread.is_alive()
