"""What runs on the hosts of a fleet: the program that traveled there starts here (Python 3.9).

`fleet.hosts.program` sends it. It writes one frame to standard output and nothing to the disk; what
a check needs for a moment is taken away again, even if the connection ends.

A frame is a line `NONCE KIND`, a body, and a line `NONCE end`. KIND is `document` (the JSON of
`server check`) or `error` (`{"kind": ..., "message": ...}`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from fidokit.cli.commands.server.check_json import document
from fidokit.errors import FidokitError
from fidokit.server.check.findings.advice import Advice
from fidokit.server.check.findings.tally import CheckTally
from fidokit.server.check.policy import parse_rule
from fidokit.server.check.report import CheckRequest, check_server

_INPUT: Final = 0


@dataclass(frozen=True)
class FarRequest:
    """What is asked of a host.

    Attributes:
        nonce: a word that tells our lines from what the host's own files print at a login.
        seconds: how long it may take.
        users: by name; all where empty.
        rules: as `server check --require` takes them.
    """

    nonce: str
    seconds: int
    users: Sequence[str] = ()
    rules: Sequence[str] = ()


class ConnectionEnded(BaseException):
    """Whoever asked is gone, or the time is up; nothing below catches it by accident."""


def main(request: str) -> None:
    """Answer one request.

    Args:
        request: the members of `FarRequest` as JSON.
    """
    asked = FarRequest(**json.loads(request))
    try:
        with _ends_with_the_connection(asked.seconds):
            _answer(asked)
    except (ConnectionEnded, BrokenPipeError):
        os._exit(1)  # standard output is closed, and flushing it at the end would fail


def _answer(asked: FarRequest) -> None:
    pieces = _document(asked)
    try:
        kind, first = "document", next(pieces)
    except FidokitError as error:
        kind, first = "error", json.dumps({"kind": type(error).__name__, "message": error.message})
    write_frame(asked.nonce, kind, first, pieces)  # none of them behind an error


def write_frame(nonce: str, kind: str, first: str, pieces: Iterable[str] = ()) -> None:
    """Write a frame; what goes wrong in the middle ends it without its last line."""
    sys.stdout.write(f"\n{nonce} {kind}\n{first}")
    for piece in pieces:
        sys.stdout.write(piece)
    sys.stdout.write(f"\n{nonce} end\n")
    sys.stdout.flush()


def _document(asked: FarRequest) -> Iterator[str]:
    rules = tuple(map(parse_rule, dict.fromkeys(asked.rules)))
    tally = CheckTally(tuple(map(str, rules)))
    report = check_server(CheckRequest(users=asked.users, rules=rules))
    yield from document(tally.watch(report), tally, Advice)


@contextmanager
def _ends_with_the_connection(seconds: int) -> Iterator[None]:
    """Leave the block, tidily, once standard input ends or the time is up."""

    def stop(*_: object) -> None:
        _react(signal.SIG_IGN)  # a second signal must not cut the tidying short
        raise ConnectionEnded

    def wait() -> None:
        while os.read(_INPUT, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    _react(stop)
    signal.alarm(seconds)
    threading.Thread(target=wait, daemon=True).start()
    try:
        yield
    finally:
        _react(signal.SIG_IGN)


def _react(handler: Any) -> None:
    for number in (signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
