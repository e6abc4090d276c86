"""Stands between programs and any token, and keeps what is said."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from fidokit.client.ports import Candidate, Link
from fidokit.errors import FidokitError, NoPermission, TokenGone, WouldOverwrite
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.lab.program import plugged_in, require_reachable
from fidokit.lab.recording.blanking import blanked_answer, blanked_request
from fidokit.system.foreground import run_command
from fidokit.tokens.configuration import VARIABLE
from fidokit.virtual.core.profile import HidManners
from fidokit.virtual.recorded import LONGEST, RecordedExchange, Recording, decode
from fidokit.virtual.transports.socket_owner import Listener

_PRIVATE: Final = 0o600


def read_recording(path: Path) -> Recording:
    """The recording in a file that `fidokit token record` wrote.

    Raises:
        MalformedFile: it is not a recording, is damaged, or too long.
        NoPermission, FidokitError: it cannot be read.
    """
    return decode(read_bounded(path, LONGEST))


class RecordFile:
    """The file of a recording that goes on; made anew, for this user alone.

    A message is in the file before its answer reaches the program.

    Args:
        path: where nothing is.
        head: says what is recorded.

    Raises:
        WouldOverwrite: something has this path.
        NoPermission, FidokitError: the disk refused.
    """

    def __init__(self, path: Path, head: Recording) -> None:
        try:
            with explained(path):
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        except FidokitError as error:
            if os.path.lexists(path) and not isinstance(error, NoPermission):
                raise WouldOverwrite(f"{path} already exists", hint="choose another name") from None
            raise
        self._file = os.fdopen(file, "wb")
        self._turn = threading.Lock()
        self._left = LONGEST
        self.count = 0
        self._write(head.head())

    def add(self, exchange: RecordedExchange) -> None:
        """One message; those that do not fit any more are left out."""
        self._write(exchange.line())
        self.count += 1

    def _write(self, line: bytes) -> None:
        with self._turn:
            if len(line) <= self._left and not self._file.closed:
                self._left -= len(line)
                self._file.write(line)
                self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._file.close()


class RecordedToken:
    """A token for transports, behind which another one is.

    Args:
        link: to the other one; closed by whoever opened it.
        file: gets what is said.
        serial: what it is called on USB.
    """

    silent: Final = False

    def __init__(self, link: Link, file: RecordFile, serial: str) -> None:
        self._link = link
        self._file = file
        self._turn = threading.Lock()
        self._began = time.monotonic()
        self._channels = itertools.count(1)
        self.serial = serial
        self.capabilities = link.capabilities
        self.manners = HidManners()
        self.plugged_in = True

    def link(self) -> _Channel:
        """A new channel to it."""
        if not self.plugged_in:
            raise TokenGone("the token that is recorded is gone")
        return _Channel(self, next(self._channels))

    def wink(self, channel: int) -> None:
        """Pass a wink on."""
        self._recorded(channel, "wink", b"", lambda _: self._wink())

    def _wink(self) -> bytes:
        self._link.wink()
        return b""

    def cbor(
        self,
        channel: int,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """Pass a CTAP2 command on."""

        def act(heard: Callable[[int], None]) -> bytes:
            def both(status: int) -> None:
                heard(status)
                on_keepalive(status)

            return self._link.cbor(request, both, canceled)

        return self._recorded(channel, "cbor", request, act)

    def msg(self, channel: int, apdu: bytes) -> bytes:
        """Pass a U2F message on."""
        return self._recorded(channel, "msg", apdu, lambda _: self._link.msg(apdu))

    def _recorded(
        self,
        channel: int,
        kind: str,
        request: bytes,
        act: Callable[[Callable[[int], None]], bytes],
    ) -> bytes:
        heard: list[tuple[int, int]] = []
        answer, error = b"", ""
        with self._turn:
            began = time.monotonic()

            def keepalive(status: int) -> None:
                if not heard or heard[-1][1] != status:
                    heard.append((_ms(began), status))

            try:
                answer = act(keepalive)
            except (FidokitError, OSError) as gone:
                error = type(gone).__name__
                self.plugged_in = self.plugged_in and not isinstance(gone, TokenGone | OSError)
                raise
            finally:
                sent, received = request, answer
                if kind == "cbor":
                    sent = blanked_request(request)
                    received = blanked_answer(request[0] if request else -1, answer)
                at = round((began - self._began) * 1000)
                blanked = (sent, received) != (request, answer)
                told = (at, channel, kind, sent, received, _ms(began), tuple(heard), blanked, error)
                self._file.add(RecordedExchange(*told))
        return answer


def _ms(since: float) -> int:
    return round((time.monotonic() - since) * 1000)


class _Channel:
    """One opening of the token by a program."""

    def __init__(self, token: RecordedToken, number: int) -> None:
        self._token = token
        self._number = number
        self.capabilities = token.capabilities

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        return self._token.cbor(self._number, request, on_keepalive, canceled)

    def msg(self, apdu: bytes) -> bytes:
        return self._token.msg(self._number, apdu)

    def wink(self) -> None:
        self._token.wink(self._number)

    def close(self) -> None:
        """The link goes on for the other channels."""


def record_program(
    command: Sequence[str], candidate: Candidate, link: Link, path: Path
) -> tuple[int, int]:
    """Run a program for which a token is a USB key, and fidokit's token; record what is said.

    Args:
        command: the program and its words.
        candidate: the token as it was found.
        link: to it.
        path: of the recording, where nothing is.

    Returns:
        The program's exit status, and how many messages there were.

    Raises:
        UsageError: there is no such program.
        WouldOverwrite: something has this path.
        Unsupported: the program cannot be reached, or the library cannot be compiled.
    """
    require_reachable(command[0])
    head = Recording(link.capabilities, str(candidate.transport), candidate.product)
    with (
        RecordFile(path, head) as file,
        tempfile.TemporaryDirectory(prefix="fidokit-", ignore_cleanup_errors=True) as folder,
    ):
        token = RecordedToken(link, file, candidate.serial or "recorded")
        place = Path(folder) / "token.sock"
        with plugged_in([token]) as environ:
            listener = Listener.at(token, place)
            try:
                code = run_command(command, environ | {VARIABLE: f"socket:{place}"})
            except OSError as error:
                raise FidokitError(f"{command[0]} cannot be started: {error.strerror}") from None
            finally:
                listener.close()
        return code, file.count
