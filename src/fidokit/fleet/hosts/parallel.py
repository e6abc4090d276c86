"""Many hosts: N conversations at a time, each result as soon as it is there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.conversation import AuditRequest, audit_host
from fidokit.fleet.hosts.destinations import FleetHost

_JOIN_S: Final = 10.0
_WAITING: Final = 4
"""Reports that wait for their reader instead of filling memory."""

_PAUSE_S: Final = 0.2


def audit_hosts(
    destinations: Iterable[FleetHost],
    request: AuditRequest,
    *,
    parallel: int = 32,
    waiting: Callable[[], None] = lambda: None,
) -> Generator[HostAudit]:
    """Audit hosts, and yield each audit as it ends; a host that fails is an audit, too.

    Closing the iterator, as an exception in the loop over it does, ends every ssh that runs.

    Args:
        destinations: the hosts.
        request: what is asked of each.
        parallel: how many at a time.
        waiting: called several times a second while nothing comes.
    """
    pool = _Pool(iter(destinations), request)
    workers = [threading.Thread(target=pool.work, daemon=True) for _ in range(max(parallel, 1))]
    try:
        for worker in workers:
            worker.start()
        left = len(workers)
        while left:
            try:
                audit = pool.done.get(timeout=_PAUSE_S)
            except queue.Empty:
                waiting()
                continue
            if audit is None:
                left -= 1
            else:
                yield audit
    finally:
        pool.stop.set()
        for worker in workers:
            if worker.is_alive():
                worker.join(_JOIN_S)


class _Pool:
    """What the threads share."""

    def __init__(self, todo: Iterator[FleetHost], request: AuditRequest) -> None:
        self._todo = todo
        self._request = request
        self._lock = threading.Lock()
        self.stop = threading.Event()
        self.done: queue.Queue[HostAudit | None] = queue.Queue(maxsize=_WAITING)

    def work(self) -> None:
        """Audit one host after the other; None says that this thread has no more."""
        while not self.stop.is_set() and (at := self._next()) is not None:
            self._put(_boundary(at, self._request, self.stop))
        self._put(None)

    def _next(self) -> FleetHost | None:
        with self._lock:
            return next(self._todo, None)

    def _put(self, item: HostAudit | None) -> None:
        while not self.stop.is_set():
            try:
                self.done.put(item, timeout=_PAUSE_S)
            except queue.Full:
                continue
            return


def _boundary(at: FleetHost, request: AuditRequest, stop: threading.Event) -> HostAudit:
    try:
        return audit_host(at, request, stop)
    except Exception as error:  # noqa: BLE001  the boundary: one host's defect is not another's
        why = f"fidokit failed on its report ({type(error).__name__})"
        return HostAudit(at.name, HostState.FAILED, problem=why)
