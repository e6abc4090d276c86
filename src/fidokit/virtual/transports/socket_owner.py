"""The owner's side of a token's socket: lets other processes of the same user talk to it."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from fidokit.errors import (
    FidokitError,
    Malformed,
    NoPermission,
    StateUnusable,
    TokenBusy,
    TokenGone,
    TokenMisbehaved,
    WouldOverwrite,
)
from fidokit.types import CtapStatus
from fidokit.unix_socket import (
    address,
    peer_process,
    process_name,
    require_own_user,
    socket_path,
)
from fidokit.virtual.transports.memory import TokenLink, accept_all, alone
from fidokit.virtual.transports.socket import (
    COMMANDS,
    FROM_CLIENT,
    Frame,
    FrameKind,
    SocketFrameReader,
    failure,
    hello,
)

_DEFECT: Final = TokenMisbehaved(
    "the process that powers the virtual token could not run this command",
    hint="see what it logged, and report it; the token itself goes on",
)
MOST_CLIENTS: Final = 64
"""Connections at a time; each may hold one frame and one answer."""

_PRIVATE: Final = 0o600
_CHUNK: Final = 16_384
_ALIVE_S: Final = 0.1
SEND_WAIT: Final = struct.pack("ll", 5, 0)
"""A timeval: a client that reads nothing for five seconds has hung up."""


class SharedToken(Protocol):
    """The token that is shared."""

    def link(self) -> TokenLink:
        """A new channel to it."""
        ...


class Listener:
    """A token's socket, from `Listener.open` to `close`.

    Clients are served by one thread each; what is wrong with one of them ends that one alone.
    """

    def __init__(self, token: SharedToken, path: Path, server: socket.socket) -> None:
        self._token = token
        self._path = path
        self._server = server
        self._clients: set[_Client] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @classmethod
    def open(cls, token: SharedToken, state: Path) -> Listener:
        """Listen beside the token's file, which this process owns.

        What lies under the socket's name was left by an owner that was killed: the lock says so.

        Args:
            token: what clients are given links to.
            state: the token's file, in a folder that is closed to other users.

        Raises:
            StateUnusable: the folder takes no socket.
            Unsupported: its path is too long for this system.
        """
        return cls._listen(token, socket_path(state))

    @classmethod
    def at(cls, token: SharedToken, path: Path) -> Listener:
        """Listen at a path of the caller's choice, for containers and other programs.

        A socket that nobody listens at any more is replaced; whatever else has the name is not.

        Args:
            token: what clients are given links to.
            path: in a folder that exists.

        Raises:
            WouldOverwrite: something has this name that is not a dead socket.
            StateUnusable: the folder takes no socket.
            Unsupported: the path is too long for this system.
        """
        require_free(path)
        return cls._listen(token, path)

    @classmethod
    def _listen(cls, token: SharedToken, path: Path) -> Listener:
        listener = cls(token, path, listening(path, MOST_CLIENTS))
        listener._thread.start()
        return listener

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def holder(self, asking: _Client) -> str:
        """Who uses the token while it is busy for a client: another one, else this process."""
        with self._changed:
            others = [one for one in self._clients - {asking} if one.since_s is not None]
        first = min(others, key=lambda one: one.since_s or 0.0, default=None)
        return (first.process() if first else "") or process_name(os.getpid())

    def stop(self) -> None:
        """Take no new clients; those that are connected stay. Harmless when repeated."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()

    def wait_for_clients(self, seconds: float) -> bool:
        """Whether the last client hung up within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._clients, seconds)

    def close(self) -> None:
        """Take no new clients and disconnect the others; harmless when repeated."""
        self.stop()
        with self._changed:
            clients = list(self._clients)
        for client in clients:
            client.hang_up()

    def _accept(self) -> None:
        accept_all(self._server, self._admit, lambda: self._closed)

    def _admit(self, channel: socket.socket) -> None:
        client = _Client(self, channel)
        try:
            require_own_user(channel)
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_WAIT)
            self._add(client)
            channel.sendall(hello(client.open(self._token)).encode())
        except NoPermission:
            channel.close()  # a stranger is told nothing
        except FidokitError as error:
            client.refuse(error)
            self.remove(client)
        except OSError:
            channel.close()
            self.remove(client)
        else:
            threading.Thread(target=client.serve, daemon=True).start()

    def _add(self, client: _Client) -> None:
        with self._changed:
            if self._closed:
                raise TokenGone("the virtual token is being unplugged", hint="repeat the command")
            if len(self._clients) >= MOST_CLIENTS:
                raise TokenBusy(
                    f"{MOST_CLIENTS} programs talk to the virtual token already",
                    hint="close one of them",
                )
            self._clients.add(client)

    def remove(self, client: _Client) -> None:
        """Forget a client that hung up."""
        with self._changed:
            self._clients.discard(client)
            self._changed.notify_all()


def require_free(path: Path) -> None:
    """Let nothing be at a path but a socket that nobody listens at any more.

    Raises:
        WouldOverwrite: something is.
    """
    if os.path.lexists(path) and not _is_dead_socket(path):
        raise WouldOverwrite(
            f"{path} already exists, and is not the socket of a token that was killed",
            hint="choose another name, or end the process that listens there",
        )


def listening(path: Path, backlog: int) -> socket.socket:
    """A socket that listens at a path, in the place of what is there, for this user alone.

    Args:
        path: in a folder that exists.
        backlog: clients that may wait to be admitted.

    Raises:
        StateUnusable: the folder takes no socket.
        Unsupported: the path is too long for this system.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with address(path) as where:
            before = os.umask(0o177)  # never for a moment open to others
            try:
                server.bind(where)
            finally:
                os.umask(before)
        path.chmod(_PRIVATE)
        server.listen(backlog)
    except OSError as error:
        server.close()
        raise StateUnusable(
            f"the virtual token's socket {path} cannot be made: {error.strerror}",
            hint="choose a writable folder on a local disk with XDG_STATE_HOME",
        ) from error
    except BaseException:
        server.close()
        raise
    return server


def _is_dead_socket(path: Path) -> bool:
    """Whether it is a socket that refuses connections: who made it is gone."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, address(path) as where:
            probe.connect(where)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


class _Client:
    """One connection: reads commands, and while one runs, whether it is still wanted."""

    def __init__(self, listener: Listener, channel: socket.socket) -> None:
        self._listener = listener
        self._channel = channel
        self._reader = SocketFrameReader(FROM_CLIENT)
        self._running = 0
        self._wanted = True
        self._said_s = 0.0
        self._link: TokenLink | None = None
        self.since_s: float | None = None
        """When the command began that runs now; None for no command."""

    def open(self, token: SharedToken) -> int:
        """Take a link to the token; returns its capabilities."""
        self._link = token.link()
        return self._link.capabilities

    def refuse(self, error: FidokitError) -> None:
        """Say why, and hang up."""
        with suppress(OSError):
            self._channel.sendall(failure(0, error).encode())
        self._channel.close()

    def process(self) -> str:
        """The program at the other end, see `peer_process`; empty for one that hung up."""
        with suppress(OSError):
            return peer_process(self._channel)
        return ""

    def hang_up(self) -> None:
        """End the connection, from any thread."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Answer commands until the client hangs up or says what it may not say."""
        with alone("a client of a virtual token"), suppress(OSError, Malformed):
            while data := self._channel.recv(_CHUNK):
                for frame in self._reader.feed(data):
                    self._take(frame)
        self._channel.close()
        self._listener.remove(self)

    def _take(self, frame: Frame) -> None:
        if frame.kind not in COMMANDS:
            return  # a cancel that came when its command had ended
        self._running, self._wanted = frame.number, True
        answer = failure(frame.number, _DEFECT)
        self.since_s = time.monotonic()
        with alone("a command of a virtual token's client"):
            answer = self._answer(frame)
        self.since_s = None
        self._channel.sendall(answer.encode())

    def _answer(self, frame: Frame) -> Frame:
        try:
            return Frame(FrameKind.ANSWER, frame.number, self._run(frame))
        except FidokitError as error:
            return failure(frame.number, error)

    def _run(self, frame: Frame) -> bytes:
        assert self._link is not None  # noqa: S101  opened before this thread began
        if frame.kind is FrameKind.CBOR:
            answer = self._link.cbor(frame.body, self._keepalive, self._canceled)
            busy = answer == bytes([CtapStatus.CHANNEL_BUSY])
            return answer + self._listener.holder(self).encode() if busy else answer
        if frame.kind is FrameKind.MSG:
            return self._link.msg(frame.body)
        self._link.wink()
        return b""

    def _keepalive(self, status: int) -> None:
        self._say(Frame(FrameKind.KEEPALIVE, self._running, bytes([status])))

    def _canceled(self) -> bool:
        """Polled by the token several times a second while a command waits."""
        if self._wanted:
            self._wanted = self._still_wanted()
        if self._wanted and time.monotonic() - self._said_s >= _ALIVE_S:
            self._say(Frame(FrameKind.ALIVE, self._running))
        return not self._wanted

    def _say(self, frame: Frame) -> None:
        self._said_s = time.monotonic()
        try:
            self._channel.sendall(frame.encode())
        except OSError:
            self._wanted = False

    def _still_wanted(self) -> bool:
        frames = self._heard()
        # One command at a time, so that a client costs one frame of memory.
        if frames is None or any(frame.kind in COMMANDS for frame in frames):
            self.hang_up()
            return False
        return all(frame.number != self._running for frame in frames)

    def _heard(self) -> list[Frame] | None:
        """What the client said while its command runs; None if it hung up, or ought to."""
        try:
            data = self._channel.recv(_CHUNK, socket.MSG_DONTWAIT)
            return list(self._reader.feed(data)) if data else None
        except BlockingIOError:
            return list(self._reader.feed(b""))
        except (OSError, Malformed):
            return None
