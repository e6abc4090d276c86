"""One host's steps over stock ssh: carried out there, then kept or taken back on our word."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from fidokit.fleet.hosts.audit import HostState
from fidokit.fleet.hosts.conversation import (
    LONGEST,
    MEBIBYTE,
    OPTIONS,
    HostTalk,
    exchange,
    exit_status,
    failure,
    started,
)
from fidokit.fleet.hosts.destinations import FleetHost
from fidokit.fleet.hosts.frame import AnswerKind, frame_reader
from fidokit.fleet.hosts.program import TravelingProgram, far_command
from fidokit.fleet.planning.actions import ActionKind, HostPlan
from fidokit.server.host_steps import KEEP, HostStep, StepKind

FileMembers = Mapping[str, str | None]
"""A changed file as the host tells it: path, account, and base64 of the text before and after."""

MOST_BYTES: Final = 16 * MEBIBYTE
"""Of what a host may tell about its steps."""

FAREWELL_S: Final = 60.0
"""Seconds that a host has for taking back what it did."""

_MEMBERS: Final = ("path", "account", "before", "after")


@dataclass(frozen=True, slots=True)
class StepsRequest:
    """How hosts are reached, and what their steps may take.

    Attributes:
        program: what travels; its entry is `fidokit.cli.far_side.steps`.
        ssh: the program and its first words.
        sudo: run as root there, by sudo without a password.
        seconds: for the steps of one host and their proof, after which the host takes them back.
    """

    program: TravelingProgram
    ssh: Sequence[str] = ("ssh",)
    sudo: bool = False
    seconds: int = 300


@dataclass(slots=True)
class StepsResult:
    """What became of the steps of a host.

    Attributes:
        files: those that are changed now, in the order in which they were.
        problem: why nothing is changed, or what could not be taken back; empty if all is done.
        restored: with a problem, whether the host is known to be as it was.
    """

    files: list[FileMembers] = field(default_factory=list)
    problem: str = ""
    restored: bool = True


class BadTelling(Exception):
    """A host sent nothing, or something that does not tell what became of steps."""


def steps_of(plan: HostPlan, *, unproved: bool = False) -> list[HostStep]:
    """The steps that a plan asks for, in its order.

    Args:
        plan: of a host.
        unproved: see `HostStep`.
    """
    found = {
        ActionKind.AUTHORIZE: StepKind.AUTHORIZE,
        ActionKind.REVOKE: StepKind.REVOKE,
        ActionKind.HARDEN: StepKind.HARDEN,
    }
    steps = [
        HostStep(
            found[one.kind],
            one.account,
            one.public_line,
            one.fingerprint,
            f"{one.expires:%Y%m%d}" if one.expires else "",
            one.levels,
            unproved,
        )
        for one in plan.actions
        if one.kind in found
    ]
    return list(dict.fromkeys(steps))


def carry_out_steps(
    at: FleetHost,
    steps: Sequence[HostStep],
    request: StepsRequest,
    proof: Callable[[list[FileMembers]], str],
    stop: threading.Event,
) -> StepsResult:
    """Carry out the steps of one host; they last only if they are proved.

    Args:
        at: the host.
        steps: see `steps_of`.
        proof: called with the changed files while the host waits; why they must be taken back, or
            empty if they may stay.
        stop: ends it early when set; the host then takes everything back.
    """
    asked = {"seconds": request.seconds, "steps": [asdict(step) for step in steps]}
    deadline = time.monotonic() + request.seconds
    with _far_program(at, request, asked) as far:
        try:
            first = far.tell(deadline, stop)
        except BadTelling as error:
            why = f"{error}; it takes back what it did, which the next run checks"
            return StepsResult(problem=why, restored=False)
        if why := next((one for one in first["problems"] if one), ""):
            return _result(why, first["restored"])
        why = proof(first["files"])
        far.say("take back" if why else KEEP)
        try:
            second = far.tell(time.monotonic() + FAREWELL_S, threading.Event())
        except BadTelling as error:
            said = f"{why}; " if why else ""
            problem = f"{said}it is not known whether the steps stayed: {error}"
            return StepsResult(first["files"], problem, restored=False)
    if second["kept"] and not why:
        return StepsResult(first["files"])
    return _result(why or "the host took its steps back", second["problems"], first["files"])


def take_back_files(
    at: FleetHost, files: Sequence[FileMembers], request: StepsRequest, stop: threading.Event
) -> StepsResult:
    """Have a host make files what they were before steps.

    Args:
        at: the host.
        files: of `StepsResult`.
        stop: ends it early when set.
    """
    with _far_program(at, request, {"files": list(files)}) as far:
        try:
            told = far.tell(time.monotonic() + request.seconds, stop)
        except BadTelling as error:
            return StepsResult(list(files), str(error), restored=False)
    return _result("", told["problems"], files)


def _result(why: str, problems: Sequence[str], files: Sequence[FileMembers] = ()) -> StepsResult:
    said = [one for one in (why, *(f"not restored: {one}" for one in problems)) if one]
    return StepsResult(list(files) if problems else [], "; ".join(said), restored=not problems)


# --- the talk --------------------------------------------------------------------------------


@dataclass
class _FarProgram:
    """The program that runs on a host, and what was not yet said to it."""

    process: subprocess.Popen[bytes]
    nonce: str
    unsaid: memoryview

    def say(self, word: str) -> None:
        """Say one word, with the next `tell`."""
        self.unsaid = memoryview(f"{word}\n".encode())

    def tell(self, deadline: float, stop: threading.Event) -> dict[str, Any]:
        """Return what it tells next.

        Raises:
            BadTelling: it tells nothing, or something else.
        """
        with frame_reader(self.nonce, MOST_BYTES) as reader:
            talk = HostTalk(reader)
            talk.ended_by = exchange(talk, self.process, self.unsaid, deadline, stop)
            if reader.complete:
                return _told(reader.kind, reader.read())
            if talk.ended_by is not None:
                late = talk.ended_by is HostState.TIMED_OUT
                raise BadTelling("it took too long" if late else talk.flood or "it was stopped")
            talk.status = exit_status(self.process)
            state, why = failure(talk)
            raise BadTelling(f"{state.meaning}: {why}")


@contextmanager
def _far_program(
    at: FleetHost, request: StepsRequest, asked: Mapping[str, Any]
) -> Iterator[_FarProgram]:
    nonce = secrets.token_hex(16)
    sent = request.program.input(nonce, json.dumps({"nonce": nonce, **asked}))
    command = [*request.ssh, *at.options, *OPTIONS, "--", at.address]
    command.append(far_command(at.python, sudo=request.sudo))
    with started(command) as process:
        yield _FarProgram(process, nonce, memoryview(sent))


def _told(kind: AnswerKind | None, body: bytes) -> dict[str, Any]:
    """What a host told, its shape verified; all text in it is hostile.

    Raises:
        BadTelling: it is something else.
    """
    if kind is AnswerKind.PYTHON:
        raise BadTelling(HostState.NO_PYTHON.meaning)
    try:
        found = json.loads(body)
        told = {
            "problems": [_text(one) for one in found["problems"]],
            "restored": [_text(one) for one in found.get("restored", [])],
            "files": [_file(one) for one in found.get("files", [])],
            "kept": found.get("kept") is True,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadTelling("it sent what no host sends about its steps") from None
    return told


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:LONGEST]


def _file(members: Mapping[str, Any]) -> FileMembers:
    found = {name: members[name] for name in _MEMBERS}
    if not all(isinstance(one, str) or one is None for one in found.values()):
        raise TypeError
    return found
