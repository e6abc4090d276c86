"""The loop around the core: one thread for all clients, others for answers that take long.

A client has at most one request at work and one answer on its way; what it sends meanwhile stays in
the kernel. One that hangs up cancels its work. What is wrong with one client ends that one alone,
whatever it is; where there are more clients than this process can have, idle ones go first.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from fidokit.agent.core.agent import Agent, ClientState, Later, SlowRead, Step
from fidokit.agent.core.signatures import Work
from fidokit.agent.work_threads import WorkThreads
from fidokit.errors import Malformed
from fidokit.openssh.agent_messages import FAILURE, FrameReader, frame
from fidokit.unix_socket import peer_process

MOST_CLIENTS: Final = 512
GRACE_S: Final = 5.0
"""How long the end waits for work that was canceled."""
_PAUSE_MS: Final = 100
"""How long nobody is let in after the system had no descriptor for a client."""
_CHUNK: Final = 65_536
_LONGEST_REPORT: Final = 300
"""Characters of a defect in the log."""
_HANGUP: Final = getattr(select, "POLLRDHUP", 0)
_GONE: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL | _HANGUP


class _Client:
    """One connection: what it said and was not answered yet, and what it did not take yet."""

    __slots__ = ("connection", "heard", "out", "reader", "socket", "stop")

    def __init__(self, channel: socket.socket) -> None:
        self.socket = channel
        self.connection = ClientState(peer=partial(peer_process, channel))
        self.reader = FrameReader()
        self.out = b""
        self.stop: threading.Event | None = None
        """Set while a request is at work, or waits for its time."""
        self.heard = 0
        """The turn of the loop in which it last sent something."""

    @property
    def idle(self) -> bool:
        """Whether nothing of it is under way."""
        return self.stop is None and not self.out


class AgentServer:
    """Serves one agent on a listening socket.

    Args:
        agent: the core.
        listener: bound and listening; the server closes it.
        admits: whether the peer of a connection may talk to this agent.
        most: clients at a time; one more takes the place of an idle one, or waits in the kernel.
    """

    def __init__(
        self,
        agent: Agent,
        listener: socket.socket,
        admits: Callable[[socket.socket], bool],
        most: int = MOST_CLIENTS,
    ) -> None:
        self._agent = agent
        self._listener = listener
        self._admits = admits
        self._most = most
        self._poll = select.poll()
        self._clients: dict[int, _Client] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._later: list[tuple[float, _Client, bytes]] = []
        self._threads = WorkThreads()
        self._wake_in, self._wake_out = os.pipe()
        self._turn_of_wake = threading.RLock()  # a signal may come while its holder is at work
        self._running = True
        self._turns = 0
        self._out_of_descriptors = False
        for end in (self._wake_in, self._wake_out):
            os.set_blocking(end, False)
        listener.setblocking(False)
        self._poll.register(self._wake_in, select.POLLIN)
        self._poll.register(listener, select.POLLIN)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def call(self, function: Callable[[], None]) -> None:
        """Have the server's thread call a function; from any thread or signal handler."""
        self._calls.append(function)
        with self._turn_of_wake, suppress(BlockingIOError):  # full: it wakes up anyway
            if self._wake_out >= 0:
                os.write(self._wake_out, b"!")

    def stop(self) -> None:
        """End `run`; from any thread or signal handler."""
        self.call(self._end)

    def _end(self) -> None:
        self._running = False

    def run(self) -> None:
        """Serve until `stop`; then disconnect all clients and cancel their work."""
        try:
            while self._running:
                if not self._guard(self._turn):
                    time.sleep(_PAUSE_MS / 1000)  # what goes wrong at once may go wrong again
        finally:
            self.close()

    def close(self) -> None:
        """Hang up on everybody; harmless when repeated. `run` does it at its end."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._listener.close()
        self._threads.close(GRACE_S)  # a question on the terminal has to be taken back
        with self._turn_of_wake:  # its number must not be written to once it is another file's
            if self._wake_out < 0:
                return
            os.close(self._wake_in)
            os.close(self._wake_out)
            self._wake_out = -1

    def _guard(self, step: Callable[[], None], client: _Client | None = None) -> bool:
        """Take a step; whatever it raises ends the client that it is for, and nothing else.

        Returns:
            Whether it raised nothing.
        """
        try:
            step()
        except Exception as error:  # noqa: BLE001  the boundary: one client's defect is its own
            if client is None or not isinstance(error, (OSError, Malformed)):
                said = f"{type(error).__name__}: {error}"
                self._agent.settings.say(f"a defect, please report it: {said[:_LONGEST_REPORT]}")
            if client is not None:
                self._drop(client)
            return False
        return True

    def _turn(self) -> None:
        self._turns += 1
        timeout = self._timeout_ms()
        if self._out_of_descriptors:
            timeout = _PAUSE_MS if timeout is None else min(timeout, _PAUSE_MS)
        ready = self._poll.poll(timeout)
        if self._out_of_descriptors:
            self._out_of_descriptors = False
            self._let_in()
        for fd, events in ready:
            client = self._clients.get(fd)
            if client is not None:
                self._guard(partial(self._serve, client, events), client)
            elif fd == self._wake_in:
                self._called()
            else:
                self._accept()
        if self._later:
            self._repeat()

    def _timeout_ms(self) -> int | None:
        """Until the next key expires or the next request is due; None for ever."""
        expiry = self._agent.tick()
        if expiry is None and not self._later:
            return None
        times = [when for when, _, _ in self._later]
        if expiry is not None:
            times.append(expiry)
        return min(max(int((min(times) - self._agent.settings.clock()) * 1000) + 1, 0), 1 << 30)

    # --- connections -----------------------------------------------------------------------

    def _accept(self) -> None:
        if len(self._clients) >= self._most and not self._make_room():
            self._poll.modify(self._listener, 0)  # until one leaves, or has been served
            return
        try:
            channel, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client has left again
        except OSError:
            if not self._make_room():
                self._out_of_descriptors = True  # who waits would be seen for ever
                self._poll.modify(self._listener, 0)
            return
        if not self._admits(channel):
            channel.close()
            return
        channel.setblocking(False)
        fd = channel.fileno()
        self._clients[fd] = client = _Client(channel)
        client.heard = self._turns
        self._poll.register(fd, select.POLLIN)

    def _make_room(self) -> bool:
        """Hang up on the client that has been idle for longest; whether there was one."""
        idle = [client for client in self._clients.values() if client.idle]
        if not idle:
            return False
        self._drop(min(idle, key=lambda client: client.heard))
        return True

    def _drop(self, client: _Client) -> None:
        fd = client.socket.fileno()
        if self._clients.pop(fd, None) is None:
            return
        self._poll.unregister(fd)
        if client.stop is not None:
            client.stop.set()
        if client.connection.upstream is not None:
            client.connection.upstream.close()
        client.socket.close()
        self._let_in()

    def _let_in(self) -> None:
        """Hear of new clients again, for whom there may be room now."""
        if not self._out_of_descriptors:
            self._poll.modify(self._listener, select.POLLIN)

    def _serve(self, client: _Client, events: int) -> None:
        client.heard = self._turns
        if client.stop is not None:
            if events & _GONE:
                self._drop(client)
        elif events & select.POLLOUT:
            self._send(client, b"")
            self._advance(client)
        elif data := _received(client.socket):
            # most often it is one whole request, and then there is nothing to cut
            payload = client.reader.whole(data)
            if payload is not None:
                self._handle(client, payload)
            else:
                client.reader.feed(data)
                self._advance(client)
        elif data is not None:
            self._drop(client)

    # --- requests --------------------------------------------------------------------------

    def _advance(self, client: _Client) -> None:
        """Answer what was fed, until something has to be waited for."""
        while client.stop is None and not client.out:
            payload = client.reader.next()
            if payload is None:
                return
            self._handle(client, payload)

    def _handle(self, client: _Client, payload: bytes) -> None:
        self._take(client, payload, self._agent.handle(client.connection, payload))

    def _take(self, client: _Client, payload: bytes, step: Step) -> None:
        """Answer a request, or have it worked at."""
        if isinstance(step, bytes):
            self._send(client, frame(step))
            return
        stop = client.stop = threading.Event()
        self._poll.modify(client.socket, _HANGUP)
        if isinstance(step, Later):
            self._later.append((step.when, client, payload))
            return
        try:
            self._threads.start(partial(self._work, client, payload, step, stop))
        except RuntimeError:  # the system has no thread for it: that request fails, no other
            self._agent.settings.say("refused: the system has no thread for another request")
            self._done(client, payload, lambda: FAILURE)

    def _work(
        self, client: _Client, payload: bytes, step: Work | SlowRead, stop: threading.Event
    ) -> None:
        then: list[Callable[[], Step]] = [lambda: FAILURE]

        def work() -> None:
            if isinstance(step, SlowRead):
                then.append(step.read(stop))
            else:
                answer = step(stop)
                then.append(lambda: answer)

        self._guard(work)
        self.call(lambda: self._done(client, payload, then[-1]))

    def _done(self, client: _Client, payload: bytes, then: Callable[[], Step]) -> None:
        """Go on with a client whose work is done, in the loop's thread."""
        if client.socket.fileno() < 0:
            return  # it hung up meanwhile
        client.stop = None
        self._poll.modify(client.socket, select.POLLIN)
        if len(self._clients) >= self._most:
            self._let_in()
        self._guard(partial(self._take_and_advance, client, payload, then), client)

    def _take_and_advance(self, client: _Client, payload: bytes, then: Callable[[], Step]) -> None:
        self._take(client, payload, then())
        self._advance(client)

    def _repeat(self) -> None:
        """Take up the requests whose time has come."""
        now = self._agent.settings.clock()
        due = [entry for entry in self._later if entry[0] <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        for _, client, payload in due:
            if client.socket.fileno() < 0:
                continue
            client.stop = None
            self._poll.modify(client.socket, select.POLLIN)
            self._guard(partial(self._handle_and_advance, client, payload), client)

    def _handle_and_advance(self, client: _Client, payload: bytes) -> None:
        self._handle(client, payload)
        self._advance(client)

    def _send(self, client: _Client, data: bytes) -> None:
        had = client.out
        if had:
            data = had + data
        try:
            sent = client.socket.send(data)
        except BlockingIOError:
            sent = 0
        if had or sent < len(data):
            client.out = data[sent:]
            self._poll.modify(client.socket, select.POLLOUT if client.out else select.POLLIN)

    def _called(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_in, _CHUNK)
        while self._calls:
            self._guard(self._calls.popleft())


def _received(channel: socket.socket) -> bytes | None:
    """What came, empty at the end; None if nothing did."""
    try:
        return channel.recv(_CHUNK)
    except BlockingIOError:
        return None
