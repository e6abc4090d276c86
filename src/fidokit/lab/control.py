"""The control socket of a served token: the hands of whoever tests, in any language.

The protocol is lines of JSON over a Unix socket: one greeting, then an answer to each request, in
order. docs/control-socket.md describes it.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from fidokit.errors import FidokitError, NoPermission, UsageError
from fidokit.lab.bay import Bay
from fidokit.unix_socket import require_own_user
from fidokit.virtual import places
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import accept_all, alone
from fidokit.virtual.transports.socket_owner import SEND_WAIT, listening, require_free
from fidokit.virtual.world import ManualClock

PROTOCOL: Final = 1
VARIABLE: Final = "FIDOKIT_CONTROL"
"""Names the socket, in programs that `fidokit virtual run` starts."""

LONGEST_LINE: Final = 65_536
"""Bytes of a request with its line feed; a longer one costs the connection."""

MOST_CLIENTS: Final = 16
LONGEST_WAIT_S: Final = 600
ACTED_S: Final = 2.0
"""How long a touch waits for the command that it is for to go on: acts keep their order."""

_CHUNK: Final = 16_384
_MOST_WORDS: Final = 100

Json = dict[str, object]
Arguments = Mapping[str, object]


def control_path(name: str) -> Path:
    """Where the control socket of a named token lies while it is served.

    Raises:
        UsageError: no token can have this name.
    """
    state = places.path_of(name)
    return state.with_name(f"{state.name}.control")


class _Action(NamedTuple):
    run: Callable[[Bay, Arguments], Json]
    takes: Mapping[str, type]


# --- what can be done -----------------------------------------------------------------------------


def _touch(bay: Bay, given: Arguments) -> Json:
    bay.token.touch(held=bool(given.get("held", False)))
    bay.token.waits.answered(ACTED_S)
    return {}


def _refuse(bay: Bay, _: Arguments) -> Json:
    bay.token.refuse()
    bay.token.waits.answered(ACTED_S)
    return {}


def _finger(bay: Bay, given: Arguments) -> Json:
    samples = _names(given.get("samples", []), "samples")
    if samples:
        bay.token.sensor.script(*samples)
    elif given.get("match", True):
        bay.token.uv_match()
    else:
        bay.token.uv_mismatch()
    bay.token.waits.answered(ACTED_S)
    return {}


def _forget(bay: Bay, _: Arguments) -> Json:
    bay.token.forget_gestures()
    bay.token.faults.clear()
    return {}


def _unplug(bay: Bay, _: Arguments) -> Json:
    bay.unplug()
    return {}


def _insert(bay: Bay, _: Arguments) -> Json:
    bay.insert()
    return {}


def _power_cycle(bay: Bay, _: Arguments) -> Json:
    bay.token.power_cycle()
    return {}


def _fault(bay: Bay, given: Arguments) -> Json:
    from fidokit.lab.fault_words import command_code, fault  # most tokens never break

    parameters = given.get("with", {})
    assert isinstance(parameters, dict)  # noqa: S101  by _ACTIONS
    command, u2f = given.get("command"), given.get("u2f")
    bay.token.faults.add(
        fault(str(given.get("fault", "")), parameters),
        command=None if command is None else command_code(command),
        u2f=None if u2f is None else command_code(u2f),
        count=_number(given, "count", 1),
        after=_number(given, "after", 0),
    )
    return {}


def _quirks(bay: Bay, given: Arguments) -> Json:
    bay.token.become(_names(given.get("names", []), "names"))
    return {}


def _clock(bay: Bay, given: Arguments) -> Json:
    clock = bay.token.clock
    if not isinstance(clock, ManualClock):
        raise UsageError(
            "the token runs by the system's clock", hint="serve it with --clock, to move its clock"
        )
    clock.advance(_number(given, "advance", 0))
    return {"now": clock.now_ms()}


def _state(bay: Bay, _: Arguments) -> Json:
    return {"state": _state_of(bay.token) if bay.plugged_in else {"plugged_in": False}}


def _state_of(token: VirtualToken) -> Json:
    return {
        "plugged_in": True,
        "serial": token.identity.serial,
        "profile": token.profile.name,
        "quirks": list(token.quirks),
        "waiting": token.waits.now,
        "winks": token.winks,
        "faults_pending": token.faults.pending,
        "faults_struck": len(token.faults.struck),
    }


def _wait_for_touch(bay: Bay, given: Arguments) -> Json:
    seconds = _number(given, "seconds", 10)
    if seconds > LONGEST_WAIT_S:
        raise UsageError(f"a wait can last at most {LONGEST_WAIT_S} seconds")
    return {"waiting": bay.token.waits.until_one(seconds)}


_ACTIONS: Final[Mapping[str, _Action]] = {
    "touch": _Action(_touch, {"held": bool}),
    "refuse": _Action(_refuse, {}),
    "finger": _Action(_finger, {"match": bool, "samples": list}),
    "forget": _Action(_forget, {}),
    "unplug": _Action(_unplug, {}),
    "insert": _Action(_insert, {}),
    "power-cycle": _Action(_power_cycle, {}),
    "fault": _Action(
        _fault,
        {"fault": str, "with": dict, "command": object, "u2f": object, "count": int, "after": int},
    ),
    "quirks": _Action(_quirks, {"names": list}),
    "clock": _Action(_clock, {"advance": int}),
    "state": _Action(_state, {}),
    "wait-for-touch": _Action(_wait_for_touch, {"seconds": int}),
}


def _number(given: Arguments, name: str, default: int) -> int:
    value = given.get(name, default)
    if type(value) is not int or not 0 <= value <= 1_000_000_000:
        raise UsageError(f"{name} is a number, not negative")
    return value


def _names(given: object, what: str) -> Sequence[str]:
    names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
    if not isinstance(given, list) or len(names) != len(given) or len(names) > _MOST_WORDS:
        raise UsageError(f"{what} is a list of at most {_MOST_WORDS} names")
    return names


def answer_to(bay: Bay, line: bytes) -> Json:
    """What is answered to one request; never raises for what a client sent.

    Args:
        bay: the token's.
        line: the request, without its line feed.
    """
    try:
        action, given = _parsed(line)
        return {"ok": True, **action.run(bay, given)}
    except FidokitError as error:
        kind = type(error).__name__
        return {"ok": False, "error": error.message, "hint": error.hint, "kind": kind}


def _parsed(line: bytes) -> tuple[_Action, Arguments]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("the request is not valid JSON") from None
    if not isinstance(request, dict) or not isinstance(name := request.pop("do", None), str):
        raise UsageError('a request is an object with "do"', hint=f"do: {', '.join(_ACTIONS)}")
    action = _ACTIONS.get(name)
    if action is None:
        raise UsageError(f"there is nothing called {name!r} to do", hint=", ".join(_ACTIONS))
    for member, value in request.items():
        kind = action.takes.get(member)
        if kind is None:
            takes = ", ".join(action.takes) or "nothing"
            raise UsageError(f"{name} does not take {member!r}", hint=f"it takes {takes}")
        if not isinstance(value, kind):
            raise UsageError(f"{member} of {name} is not of the type {kind.__name__}")
    return action, request


# --- the socket -----------------------------------------------------------------------------------


class ControlSocket:
    """The socket at which a token can be acted on, from `with` on.

    Each client has a thread; what is wrong with one ends that one alone, and none delays the token.

    Args:
        bay: the token's.
        path: in a folder that exists; what is there must be a socket that nobody listens at.

    Raises:
        WouldOverwrite: something else has the path.
        StateUnusable, Unsupported: the folder takes no socket, or the path is too long.
    """

    def __init__(self, bay: Bay, path: Path) -> None:
        require_free(path)
        self._bay = bay
        self._path = path
        self._server = listening(path, MOST_CLIENTS)
        self._turn = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> ControlSocket:
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._closed, clients = True, list(self._clients)
        self._path.unlink(missing_ok=True)
        for end in [self._server, *clients]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        accept_all(self._server, self._admit, lambda: self._closed)

    def _admit(self, channel: socket.socket) -> None:
        try:
            require_own_user(channel)
        except NoPermission:
            channel.close()  # a stranger is told nothing
            return
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_WAIT)
        with self._turn:
            full = self._closed or len(self._clients) >= MOST_CLIENTS
            if not full:
                self._clients.add(channel)
        if full:
            with suppress(OSError):
                channel.sendall(_line({"ok": False, "error": "too many clients", "hint": ""}))
            channel.close()
            return
        threading.Thread(target=self._serve, args=(channel,), daemon=True).start()

    def _serve(self, channel: socket.socket) -> None:
        with alone("a client of the control socket"), suppress(OSError):
            channel.sendall(_line({"fidokit-control": PROTOCOL, "token": self._bay.name}))
            self._talk(channel)
        with self._turn:
            self._clients.discard(channel)
        channel.close()

    def _talk(self, channel: socket.socket) -> None:
        heard = bytearray()
        while data := channel.recv(_CHUNK):
            heard += data
            while (end := heard.find(b"\n")) >= 0:
                line = bytes(heard[:end])
                del heard[: end + 1]
                channel.sendall(_line(answer_to(self._bay, line)))
            if len(heard) >= LONGEST_LINE:
                said = f"a request has {LONGEST_LINE} bytes at most"
                channel.sendall(_line({"ok": False, "error": said, "hint": ""}))
                return


def _line(members: Json) -> bytes:
    return json.dumps(members).encode() + b"\n"


def the_control_path(name: str | None) -> Path:
    """Where to act on a token: on the named one, else on the one that FIDOKIT_CONTROL names.

    Raises:
        UsageError: neither is given, or a name that is not valid.
    """
    if name is not None:
        return control_path(name.removeprefix("virtual:"))
    if found := os.environ.get(VARIABLE):
        return Path(found)
    raise UsageError(
        "no token is named",
        hint="name one that is served, as in: fidokit virtual touch NAME; in a program of `fidokit "
        f"virtual run`, {VARIABLE} names the first",
    )
