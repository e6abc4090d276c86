"""The agent's sockets: its own, mode 0600 in a folder of mode 0700, and the agent's behind it.

Its own may also be one that systemd hands over.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, Malformed, NoPermission, UsageError, WouldOverwrite
from fidokit.openssh.agent_messages import FAILURE, FrameReader, frame
from fidokit.unix_socket import peer_uid

BACKLOG: Final = 128
FIRST_DESCRIPTOR: Final = 3
"""Where the descriptors begin that systemd hands over (sd_listen_fds(3))."""
_FOLDER_MODE: Final = 0o700
_OTHERS_WRITE: Final = 0o022
_LONGEST: Final = 103
"""Bytes of a path in sockaddr_un beside its NUL: 103 on BSD and macOS, 107 on Linux."""


@dataclass(slots=True)
class Listening:
    """A listening socket.

    Args:
        socket: bound and listening.
        path: where clients find it.
        folder: made for it alone, None if it was there before.
        owned: whether the path is ours to remove.
    """

    socket: socket.socket
    path: Path
    folder: Path | None = None
    owned: bool = True

    def remove(self) -> None:
        """Take the path away, and the folder that was made for it."""
        if self.owned:
            self.path.unlink(missing_ok=True)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def listen(path: Path | None) -> Listening:
    """Listen at a path, or at a new one in a new folder.

    Args:
        path: None for a new one under TMPDIR, as ssh-agent does. Folders that are missing are
            made, with mode 0700.

    Raises:
        WouldOverwrite: an agent answers there already, or something else has the name.
        NoPermission: others may write to its folder, or we may not.
        UsageError: the path is too long for a socket.
    """
    if path is None:
        folder = Path(tempfile.mkdtemp(prefix="fidokit-"))
        return Listening(
            _bound(folder / f"agent.{os.getpid()}"), folder / f"agent.{os.getpid()}", folder
        )
    path = path.absolute()
    _check_folder(path)
    _clear(path)
    return Listening(_bound(path), path)


def _check_folder(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST:
        raise UsageError(f"the path {path} is too long for a socket", hint="choose a shorter one")
    folder = path.parent
    try:
        folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise NoPermission(f"the folder {folder} cannot be used: {error.strerror}") from None
    if found.st_uid not in {0, os.geteuid()} or stat.S_IMODE(found.st_mode) & _OTHERS_WRITE:
        raise NoPermission(
            f"others can replace the socket in the folder {folder}",
            hint="put it into a folder of your own, of mode 0700 or 0755",
        )


def _clear(path: Path) -> None:
    """Remove what an agent that was killed left; nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode) or answers(path):
        what = "an agent answers" if stat.S_ISSOCK(mode) else "something else is"
        raise WouldOverwrite(f"{what} at {path} already", hint="choose another path")
    path.unlink()


def answers(path: Path) -> bool:
    """Whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def is_own(channel: socket.socket) -> bool:
    """Whether this user, or root, is at the other end; if the system does not say who is, the
    socket's mode 0600 keeps others out."""
    return peer_uid(channel) in {None, 0, os.geteuid()}


def _bound(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # never there with another mode, not for an instant
    try:
        server.bind(str(path))
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        raise FidokitError(f"no socket can be made at {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    return server


def handed_over(environ: Mapping[str, str]) -> Listening | None:
    """The socket that systemd opened for us; None if this process was started otherwise.

    Raises:
        UsageError: it handed over no listening Unix socket, or several.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environ.get("LISTEN_FDS") != "1":
        raise UsageError("systemd must pass exactly one socket", hint="see docs/agent.md")
    os.set_inheritable(FIRST_DESCRIPTOR, False)
    with suppress(OSError):
        server = socket.socket(fileno=FIRST_DESCRIPTOR)
        if server.family == socket.AF_UNIX and server.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            return Listening(server, Path(server.getsockname()), owned=False)
        server.detach()
    raise UsageError("what systemd passed is not a listening Unix socket")


# --- the agent behind this one ---------------------------------------------------------------


_CHUNK: Final = 65_536
_WAIT_S: Final = 300.0
"""It may ask its own person, and a token; a client that gives up ends the wait earlier."""


class SocketUpstream:
    """A connection that is made at the first request, and lasts as long as the client's.

    Args:
        path: the socket of the agent behind.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        self._reader = FrameReader()
        self._asked: bytes | None = None
        """The request whose answer is to come."""

    def ask(self, payload: bytes, wait_s: float) -> bytes | None:
        """Send a request, return the answer where it comes within so many seconds.

        After None, `exchange` with the same request waits for the answer.
        """
        with self._turn:
            deadline = time.monotonic() + wait_s
            try:
                channel = self._connected(wait=False)
            except OSError:
                return None  # `exchange` has the same trouble, or waits
            try:
                channel.settimeout(wait_s)
                self._send(channel, payload)
                return self._answer(channel, deadline)
            except TimeoutError:
                return None if self._asked else self._failed()
            except (OSError, Malformed):
                return self._failed()

    def exchange(self, payload: bytes) -> bytes:
        """Send a request and wait for the answer; FAILURE where that agent does not answer."""
        with self._turn:
            try:
                channel = self._connected(wait=True)
                channel.settimeout(_WAIT_S)
                self._send(channel, payload)
                return self._answer(channel, None)
            except (OSError, Malformed):
                return self._failed()

    def _failed(self) -> bytes:
        self._closed = True  # its bindings are lost: a new connection would be a local one
        self._hang_up()
        return FAILURE

    def close(self) -> None:
        """Hang up; an exchange that is under way ends with FAILURE."""
        self._closed = True
        self._hang_up()

    def _connected(self, *, wait: bool) -> socket.socket:
        if self._closed:
            raise OSError
        if self._socket is None:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            channel.settimeout(_WAIT_S if wait else 0)
            try:
                self._socket = channel
                channel.connect(self._path)
            except OSError:
                self._socket = None
                channel.close()
                raise
        return self._socket

    def _send(self, channel: socket.socket, payload: bytes) -> None:
        """Send a request, unless it was sent and its answer is to come."""
        if self._asked is None:
            channel.sendall(frame(payload))
            self._asked = payload
        elif self._asked != payload:
            raise OSError  # the answer to come would be taken for this one's

    def _answer(self, channel: socket.socket, deadline: float | None) -> bytes:
        """The answer that is to come; TimeoutError at the deadline, what came is kept."""
        answer = None
        while answer is None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError
            data = channel.recv(_CHUNK)
            self._reader.feed(data)
            answer = self._reader.next()
            if not data or (answer is not None and self._reader.pending):
                raise OSError  # it hung up, or sent what nobody asked for
        self._asked = None
        return answer

    def _hang_up(self) -> None:
        channel = self._socket
        if channel is not None:
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
            channel.close()
