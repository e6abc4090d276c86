"""One host: stock ssh is started, given the program, and listened to until the frame is whole."""

from __future__ import annotations

import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from fidokit.errors import Malformed
from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.destinations import FleetHost
from fidokit.fleet.hosts.document import read_document
from fidokit.fleet.hosts.frame import AnswerKind, AnswerReader, Flooded, frame_reader
from fidokit.fleet.hosts.program import TravelingProgram, far_command
from fidokit.server.sshd.ssh_client import environment

MEBIBYTE: Final = 1 << 20

OPTIONS: Final = (
    *("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
    # an audit forwards nothing to a host that may be hostile, and runs no other command there
    *("-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes"),
    *("-o", "RemoteCommand=none"),
)
"""Behind the user's own words for ssh, so that these win; before those of the configuration."""

_SSH_FAILED: Final = 255
_REFUSED: Final = re.compile(
    r"Permission denied|Host key verification failed|Too many authentication failures"
    r"|No supported authentication|HOST IDENTIFICATION HAS CHANGED"
)
_NO_PYTHON: Final = re.compile(r"not found|No such file or directory|Unknown command")
_PIECE: Final = 1 << 16
_LAST_WORDS: Final = 4096
_PAUSE_S: Final = 0.2
_FAREWELL_S: Final = 3.0
LONGEST: Final = 300

_parsing = threading.Lock()
"""One report at a time is made into values, so that memory does not grow with the hosts at once."""


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """What is asked of every host, and what it may take.

    Attributes:
        program: what travels; its entry is `fidokit.cli.far_side.audit`.
        ssh: the program and its first words.
        users: accounts by name; all where empty.
        rules: as `server check --require` takes them.
        sudo: run as root there, by sudo without a password.
        seconds: for one host, from the start of ssh to the end of its report.
        most_bytes: of one host's report.
    """

    program: TravelingProgram
    ssh: Sequence[str] = ("ssh",)
    users: Sequence[str] = ()
    rules: Sequence[str] = ()
    sudo: bool = False
    seconds: int = 60
    most_bytes: int = 16 * MEBIBYTE


@dataclass
class HostTalk:
    """What has come from one host so far."""

    reader: AnswerReader
    last_words: bytearray = field(default_factory=bytearray)
    status: int | None = None
    ended_by: HostState | None = None
    flood: str = ""

    def heard(self, data: bytes) -> None:
        """Take what ssh wrote to standard error."""
        self.last_words += data
        del self.last_words[:-_LAST_WORDS]

    @property
    def words(self) -> list[str]:
        """The last lines of it."""
        lines = self.last_words.decode("utf-8", "replace").splitlines()
        return [line.strip()[:LONGEST] for line in lines if line.strip()]


def audit_host(at: FleetHost, request: AuditRequest, stop: threading.Event) -> HostAudit:
    """Audit one host; whatever happens is a value.

    Args:
        at: where it is.
        request: what to ask.
        stop: ends it early when set.
    """
    began = time.monotonic()
    if at.problem:
        return HostAudit(at.name, HostState.FAILED, problem=at.problem)
    with frame_reader(secrets.token_hex(16), request.most_bytes) as reader:
        talk = HostTalk(reader)
        try:
            _converse(talk, at, request, stop)
            state, problem, document = _outcome(talk, at, request)
        except OSError as error:
            state, problem, document = HostState.FAILED, f"ssh cannot be run: {error}", None
    return HostAudit(at.name, state, document, problem, time.monotonic() - began)


def _rules(at: FleetHost, request: AuditRequest) -> list[str]:
    return list(dict.fromkeys([*request.rules, *at.rules]))


# --- the talk --------------------------------------------------------------------------------


def _converse(talk: HostTalk, at: FleetHost, request: AuditRequest, stop: threading.Event) -> None:
    asked = {
        "nonce": talk.reader.nonce,
        "seconds": request.seconds,
        "users": list(request.users),
        "rules": _rules(at, request),
    }
    sent = memoryview(request.program.input(talk.reader.nonce, json.dumps(asked)))
    command = [*request.ssh, *at.options, *OPTIONS, "--", at.address]
    command.append(far_command(at.python, sudo=request.sudo))
    deadline = time.monotonic() + request.seconds
    with started(command) as process:
        talk.ended_by = exchange(talk, process, sent, deadline, stop)
        if talk.ended_by is None:
            talk.status = exit_status(process)


@contextmanager
def started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ssh in a group of its own, of which nothing is left behind the block."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603  the user's own words for ssh, and no shell
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment(),
        start_new_session=True,
        bufsize=0,
    )
    try:
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None  # noqa: S101  there are pipes
            os.set_blocking(stream.fileno(), False)
        yield process
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def exit_status(process: subprocess.Popen[bytes]) -> int | None:
    """How ssh ended; its input is closed, on which the far side ends, too."""
    with suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]
    with suppress(subprocess.TimeoutExpired):
        return process.wait(_FAREWELL_S)
    return None


def exchange(
    talk: HostTalk,
    process: subprocess.Popen[bytes],
    sent: memoryview,
    deadline: float,
    stop: threading.Event,
) -> HostState | None:
    """Write the program and read what comes, until the frame is whole or the output ends.

    Returns:
        What ended it before that.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(_of(process.stdin), selectors.EVENT_WRITE)
        selector.register(_of(process.stdout), selectors.EVENT_READ)
        selector.register(_of(process.stderr), selectors.EVENT_READ)
        while process.stdout in {key.fileobj for key in selector.get_map().values()}:
            if stop.is_set():
                return HostState.STOPPED
            if (left := deadline - time.monotonic()) <= 0:
                return HostState.TIMED_OUT
            for key, _ in selector.select(min(left, _PAUSE_S)):
                if key.fileobj is process.stdin:
                    sent = _send(selector, _of(process.stdin), sent)
                    continue
                data = _received(key.fd)
                if data == b"":
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    talk.heard(data or b"")
                else:
                    try:
                        talk.reader.feed(data or b"")
                    except Flooded as error:
                        talk.flood = str(error)
                        return HostState.HOSTILE
                    if talk.reader.complete:
                        return None
    return None


def _of(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101  there are pipes
    return stream


def _send(selector: selectors.BaseSelector, stream: IO[bytes], left: memoryview) -> memoryview:
    """Write what fits; the stream stays open, since its end tells the far side to stop."""
    try:
        left = left[os.write(stream.fileno(), left[:_PIECE]) :]
    except BlockingIOError:
        return left
    except OSError:
        left = left[len(left) :]  # ssh is gone, or reads no more: its output says why
    if not left:
        selector.unregister(stream)
    return left


def _received(descriptor: int) -> bytes | None:
    """Bytes; none at the end, None if there are none now."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return None
    except OSError:
        return b""


# --- what came of it -------------------------------------------------------------------------

_Outcome = tuple[HostState, str, Mapping[str, Any] | None]


def _outcome(talk: HostTalk, at: FleetHost, request: AuditRequest) -> _Outcome:
    if talk.reader.complete:
        with _parsing:
            return _of_frame(talk.reader, _rules(at, request))
    if talk.ended_by is not None:
        said = {
            HostState.TIMED_OUT: f"no report within {request.seconds} s",
            HostState.HOSTILE: f"it sent {talk.flood}",
        }
        return talk.ended_by, said.get(talk.ended_by, talk.ended_by.meaning), None
    return (*failure(talk), None)


def _of_frame(reader: AnswerReader, rules: Sequence[str]) -> _Outcome:
    body = reader.read()
    if reader.kind is AnswerKind.PYTHON:
        version = body[:20].decode("ascii", "replace").strip()
        return HostState.NO_PYTHON, f"its python3 is {version}", None
    try:
        if reader.kind is AnswerKind.ERROR:
            return HostState.FAILED, _error(body), None
        return HostState.CHECKED, "", read_document(body, rules)
    except Malformed as error:
        return HostState.HOSTILE, error.message[:LONGEST], None


def _error(body: bytes) -> str:
    try:
        said = json.loads(body[: 1 << 16])
        return str(said["message"])[:LONGEST]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("it sent an error that is not one") from None


def failure(talk: HostTalk) -> tuple[HostState, str]:
    """Why there is no frame, from how ssh ended and what it wrote last."""
    words = talk.words
    last = words[-1] if words else f"it ended with status {talk.status} and no report"
    if talk.reader.kind is not None:
        in_the_middle = "the connection ended in the middle of its report"
        return HostState.FAILED, in_the_middle if talk.status == _SSH_FAILED else last
    if talk.status == _SSH_FAILED:
        refusal = next((line for line in words if _REFUSED.search(line)), "")
        return (HostState.REFUSED, refusal) if refusal else (HostState.DOWN, last)
    missing = next((line for line in words if "python" in line and _NO_PYTHON.search(line)), "")
    if missing:
        return HostState.NO_PYTHON, missing
    return HostState.REFUSED if last.startswith("sudo:") else HostState.FAILED, last
