"""The agent's side of a child that handles a PIN: starting, hearing and canceling it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from fidokit.agent.pin import worker
from fidokit.errors import FidokitError, Interrupted

WORKER: Final = (sys.executable, "-P", "-m", "fidokit.agent.pin.worker")
"""The program of a child; -P: not from the folder that the agent was started in."""
POLL_S: Final = 0.1
"""Between two looks at whether the client hung up."""
GRACE_S: Final = 3.0
"""For the child to cancel on the token."""
LONGEST_LINE: Final = 1 << 22
"""Bytes of a result; a token's keys have some hundred each."""


class Hears(Protocol):
    """What the agent does when its child says something."""

    def touch_wanted(self, token: str) -> None:
        """The token waits for a touch."""

    def touch_over(self) -> None:
        """It waits no longer."""

    def pin_wrong(self) -> None:
        """The PIN that was handed over is wrong."""


@dataclass(frozen=True, slots=True)
class PinPipes:
    """How PINs go to the child and come back.

    Args:
        hand_out: writes the PIN that is kept into a descriptor; None if none is.
        keep: reads the one that was typed from a descriptor; None if none is to be kept.
    """

    hand_out: Callable[[int], object] | None = None
    keep: Callable[[int], object] | None = None


class Children:
    """Starts children.

    Args:
        command: the program of a child (`fidokit.agent.pin.worker`) and its arguments.
        asking: held while a question is open: a user has one terminal.
        method: how the user is asked: "auto", "terminal", "askpass" or "pinentry".
    """

    def __init__(
        self, command: Sequence[str], asking: threading.Lock, method: str = "auto"
    ) -> None:
        self._command = list(command)
        self._asking = asking
        self._method = method

    def run(
        self,
        order: Mapping[str, object],
        hears: Hears,
        stop: threading.Event,
        pins: PinPipes,
    ) -> Mapping[str, object]:
        """Have a child do one piece of work; returns its result.

        Args:
            order: from `pin.worker`, and what the question for the PIN says.
            hears: is told what happens.
            stop: set when the client hung up.
            pins: for the PIN, both ways.

        Raises:
            FidokitError: the child's error; Interrupted where `stop` was set.
        """
        with ExitStack() as stack:
            inward, outward = _pipe(stack), _pipe(stack)
            child = stack.enter_context(self._started(order, inward.read, outward.write))
            inward.close_read()
            outward.close_write()
            if pins.hand_out is not None:
                pins.hand_out(inward.write)
            inward.close_write()
            result = self._heard(child, hears, stop)
            if pins.keep is not None:
                pins.keep(outward.read)
        worker.raise_error(result)
        return result

    def _started(
        self, order: Mapping[str, object], pin_in: int, pin_out: int
    ) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(  # noqa: S603  our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(pin_in, pin_out),
            bufsize=0,
        )
        told = {**order, "method": self._method, "pin_in": pin_in, "pin_out": pin_out}
        assert child.stdin  # noqa: S101  a pipe, as asked for
        child.stdin.write(json.dumps(told).encode() + b"\n")
        return child

    def _heard(
        self, child: subprocess.Popen[bytes], hears: Hears, stop: threading.Event
    ) -> Mapping[str, object]:
        """Follow the child to its result."""
        holding = False
        try:
            for event in _lines(child, stop):
                match event.get("event"):
                    case "ask":
                        holding = self._take_turn(stop)
                        _tell(child, b"go\n")
                    case "asked":
                        holding = self._give_turn(holding)
                    case "pin_wrong":
                        hears.pin_wrong()
                    case "touch_wanted":
                        hears.touch_wanted(str(event.get("token")))
                    case "touch_over":
                        hears.touch_over()
                    case _:
                        return event
        finally:
            self._give_turn(holding)
            _end(child)
        if stop.is_set():
            raise Interrupted("the client hung up; the token no longer waits")
        raise FidokitError("the process that handles the PIN ended without an answer")

    def _take_turn(self, stop: threading.Event) -> bool:
        while not self._asking.acquire(timeout=POLL_S):
            if stop.is_set():
                return False
        return True

    def _give_turn(self, holding: bool) -> bool:
        if holding:
            self._asking.release()
        return False


def _lines(child: subprocess.Popen[bytes], stop: threading.Event) -> Iterator[Mapping[str, object]]:
    """What the child says, until it ends; closing its input tells it to cancel."""
    assert child.stdout  # noqa: S101  a pipe, as asked for
    assert child.stdin  # noqa: S101  a pipe, as asked for
    buffer = b""
    deadline: int | None = None
    while len(buffer) < LONGEST_LINE:
        if stop.is_set() and deadline is None:
            deadline = int(GRACE_S / POLL_S)
            child.stdin.close()
        if deadline is not None:
            deadline -= 1
            if deadline < 0:
                return
        if not select.select([child.stdout], [], [], POLL_S)[0]:
            continue
        data = child.stdout.read(1 << 16)
        if not data:
            return
        *whole, buffer = (buffer + data).split(b"\n")
        for line in whole:
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _tell(child: subprocess.Popen[bytes], line: bytes) -> None:
    assert child.stdin  # noqa: S101  a pipe, as asked for
    with suppress(OSError, ValueError):
        child.stdin.write(line)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let the child end by itself; one that does not is ended."""
    assert child.stdin  # noqa: S101  a pipe, as asked for
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


class _Pipe:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()

    def close_read(self) -> None:
        if self.read >= 0:
            os.close(self.read)
            self.read = -1

    def close_write(self) -> None:
        if self.write >= 0:
            os.close(self.write)
            self.write = -1


def _pipe(stack: ExitStack) -> _Pipe:
    pipe = _Pipe()
    stack.callback(pipe.close_read)
    stack.callback(pipe.close_write)
    return pipe
