"""Threads for work: each job at once, the last few threads kept, none left behind."""

from __future__ import annotations

import threading

import pytest

from fidokit.agent.work_threads import MOST_IDLE, WorkThreads

WAIT_S = 20.0


def test_jobs_run_side_by_side_and_no_thread_outlives_the_end() -> None:
    threads, seen = WorkThreads(), []
    together = threading.Barrier(MOST_IDLE + 3)

    def job() -> None:
        seen.append(threading.current_thread())
        together.wait(WAIT_S)

    for _ in range(MOST_IDLE + 2):
        threads.start(job)
    together.wait(WAIT_S)
    assert len(set(seen)) == MOST_IDLE + 2
    threads.close(WAIT_S)
    assert not any(thread.is_alive() for thread in seen)


def test_threads_take_one_job_after_the_other() -> None:
    threads, seen = WorkThreads(), []
    for _ in range(100):
        done = threading.Event()

        def job(done: threading.Event = done) -> None:
            seen.append(threading.current_thread())
            done.set()

        threads.start(job)
        assert done.wait(WAIT_S)
    threads.close(WAIT_S)
    assert len(seen) == 100
    assert len(set(seen)) < 100


def test_a_job_under_way_ends_its_thread_after_the_end() -> None:
    threads, begun, go, seen = WorkThreads(), threading.Event(), threading.Event(), []

    def job() -> None:
        seen.append(threading.current_thread())
        begun.set()
        go.wait(WAIT_S)

    threads.start(job)
    assert begun.wait(WAIT_S)
    threads.close(0)
    assert seen[0].is_alive()
    go.set()
    seen[0].join(WAIT_S)
    assert not seen[0].is_alive()


def test_where_the_system_has_no_thread_the_caller_hears_of_it_and_can_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads, done = WorkThreads(), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            threads.start(done.set)
    threads.start(done.set)
    assert done.wait(WAIT_S)
    threads.close(WAIT_S)
