"""Threads for what takes long: one for each piece of work, and the last few wait for the next.

To start a thread takes longer than a list of an upstream agent's keys.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

MOST_IDLE: Final = 4
"""Threads that wait for work; those beyond end with theirs."""

Job = Callable[[], None]


class WorkThreads:
    """Runs each job at once, in a thread that has nothing else to do."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._idle: list[SimpleQueue[Job | None]] = []
        self._closed = False

    def start(self, job: Job) -> None:
        """Run a job in the background.

        Raises:
            RuntimeError: the system has no thread for it.
        """
        with self._turn:
            jobs = self._idle.pop() if self._idle else None
        if jobs is None:
            jobs = SimpleQueue()
            thread = threading.Thread(target=self._run, args=(jobs,), daemon=True)
            thread.start()
            with self._turn:
                self._threads.add(thread)
        jobs.put(job)

    def close(self, grace_s: float) -> None:
        """End the threads that are idle now or later, and wait for them for so many seconds."""
        with self._turn:
            self._closed = True
            for jobs in self._idle:
                jobs.put(None)
            self._idle.clear()
            threads = list(self._threads)
        deadline = time.monotonic() + grace_s
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _run(self, jobs: SimpleQueue[Job | None]) -> None:
        try:
            while (job := jobs.get()) is not None:
                job()
                del job  # what it holds must not last until the next one comes
                if not self._waits(jobs):
                    return
        finally:
            with self._turn:
                self._threads.discard(threading.current_thread())

    def _waits(self, jobs: SimpleQueue[Job | None]) -> bool:
        """Whether the thread is to wait for another job."""
        with self._turn:
            if self._closed or len(self._idle) >= MOST_IDLE:
                return False
            self._idle.append(jobs)
        return True
