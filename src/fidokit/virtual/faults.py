"""Faults on demand: a virtual token that breaks at a chosen command, for testing clients.

token.faults.add(Truncate(), command=0x01)           # the next makeCredential
token.faults.add(Unplug(acted=True), after=2)        # the third command, whichever it is
token.faults.add(Refuse(0x6F00), u2f=0x02, count=3)  # three U2F authentications
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol, TypeAlias, assert_never

from fidokit.errors import TokenGone, UsageError
from fidokit.types import CtapStatus
from fidokit.virtual import wrong_answers
from fidokit.virtual.core.ports import Clock
from fidokit.virtual.presence import UP_NEEDED, Canceled, OnKeepalive
from fidokit.virtual.wrong_answers import (
    NonCanonical,
    Oversize,
    Spoiling,
    Truncate,
    WrongCredentialId,
    WrongSignature,
)

__all__ = [
    "Fault",
    "Faults",
    "KeyStoreFull",
    "NonCanonical",
    "Oversize",
    "PowerCycle",
    "Refuse",
    "Slow",
    "Stall",
    "StallInSilence",
    "Truncate",
    "Unplug",
    "WrongCredentialId",
    "WrongSignature",
]

PROCESSING: Final = 1
"""The keep-alive status of a token that works (CTAP 2.3 section 11.2.9.1.7)."""

_TICK_S: Final = 0.025
_TICKS_PER_KEEPALIVE: Final = 4
_LONGEST_STATUS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Unplug:
    """The token loses its power for good.

    Args:
        acted: after the command was done, whose answer is lost; else before it begins.
    """

    acted: bool = False


@dataclass(frozen=True, slots=True)
class PowerCycle:
    """The token loses its power and gets it back; the command ends with TokenGone.

    Args:
        acted: as `Unplug`.
    """

    acted: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Keep-alives without end, and no answer.

    Args:
        status: what they say: 1 processing, 2 user presence needed.
        obeys_cancel: whether a cancel ends it, with KEEPALIVE_CANCEL.
    """

    status: int = UP_NEEDED
    obeys_cancel: bool = True


@dataclass(frozen=True, slots=True)
class StallInSilence:
    """Neither answer nor keep-alive, whatever the platform does."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The right answer, late; keep-alives (processing) until then, and a cancel is obeyed.

    Args:
        milliseconds: on the token's clock.
    """

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """A status in place of doing anything.

    Args:
        status: of CTAP2, 01 to FF; for a U2F message the status word, 0100 to FFFF.
    """

    status: int


@dataclass(frozen=True, slots=True)
class KeyStoreFull:
    """KEY_STORE_FULL in place of doing anything; for U2F, 6A84 (not enough memory)."""


Power: TypeAlias = Unplug | PowerCycle
Waiting: TypeAlias = Stall | StallInSilence | Slow
Refusing: TypeAlias = Refuse | KeyStoreFull
Fault: TypeAlias = Power | Waiting | Refusing | Spoiling


class Breakable(Protocol):
    """The token that faults happen to."""

    @property
    def power(self) -> int:
        """Changes whenever power is lost."""
        ...

    def unplug(self) -> None:
        """Lose power for good."""
        ...

    def power_cycle(self) -> None:
        """Lose power, and get it back."""
        ...


class _Protocol(Enum):
    CTAP2 = auto()
    U2F = auto()


@dataclass(slots=True)
class _Rule:
    fault: Fault
    protocol: _Protocol | None
    code: int | None
    after: int
    left: int

    def fits(self, message: _Message) -> bool:
        return self.protocol in {None, message.protocol} and self.code in {None, message.code}


@dataclass(frozen=True, slots=True)
class _Message:
    """One message to the token, and what following it takes."""

    protocol: _Protocol
    code: int
    act: Callable[[], bytes]
    on_keepalive: OnKeepalive = field(repr=False)
    canceled: Canceled = field(repr=False)


class Faults:
    """The faults that wait for their command; each happens as often as it was asked for.

    Safe to use from any thread, also while a command stalls.

    Args:
        token: whom they happen to.
        clock: the token's.
    """

    def __init__(self, token: Breakable, clock: Clock) -> None:
        self._token = token
        self._clock = clock
        self._rules: list[_Rule] = []
        self._changed = threading.Condition()
        self._released = 0
        self._silences = 0
        self.struck: list[Fault] = []
        """What happened, in order."""

    def add(
        self,
        fault: Fault,
        *,
        command: int | None = None,
        u2f: int | None = None,
        count: int = 1,
        after: int = 0,
    ) -> None:
        """Let a fault happen.

        A `WrongSignature` and the like wait for an answer that has what they change.

        Args:
            fault: what.
            command: only at this CTAP2 command byte; without it and `u2f`, at every message.
            u2f: only at U2F messages with this instruction byte.
            count: how often, at least 1.
            after: how many fitting messages pass unharmed before.

        Raises:
            UsageError: numbers that are not valid.
        """
        if command is not None and u2f is not None:
            raise UsageError("a fault is for a CTAP2 command or for a U2F message, not for both")
        if count < 1 or after < 0:
            raise UsageError("a fault happens once or more often, after none or more messages")
        if isinstance(fault, Refuse) and not 0 < fault.status <= _LONGEST_STATUS:
            raise UsageError(f"{fault.status:#x} is not a status that a token refuses with")
        protocol = _Protocol.CTAP2 if command is not None else None
        protocol = _Protocol.U2F if u2f is not None else protocol
        rule = _Rule(fault, protocol, command if u2f is None else u2f, after, count)
        with self._changed:
            self._rules.append(rule)

    @property
    def pending(self) -> bool:
        """Whether a fault waits for its command."""
        return bool(self._rules)

    @property
    def silent(self) -> bool:
        """Whether a command stalls in silence: then no transport may say that it goes on."""
        return bool(self._silences)

    def clear(self) -> None:
        """Forget the faults that wait; what stalls goes on and answers."""
        with self._changed:
            self._rules.clear()
            self._released += 1
            self._changed.notify_all()

    def wait(self, count: int = 1, seconds: float = 10.0) -> bool:
        """Whether so many faults happened within the time: for acting while a command stalls."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.struck) >= count, seconds)

    def wake(self) -> None:
        """Make what stalls look again at whether the token has power."""
        with self._changed:
            self._changed.notify_all()

    def around_cbor(
        self,
        request: bytes,
        on_keepalive: OnKeepalive,
        canceled: Canceled,
        act: Callable[[], bytes],
    ) -> bytes:
        """The answer to a CTAP2 command, spoiled if its turn has come.

        Raises:
            TokenGone: power was lost.
        """
        if not self._rules:
            return act()
        code = request[0] if request else -1
        return self._around(_Message(_Protocol.CTAP2, code, act, on_keepalive, canceled))

    def around_msg(self, apdu: bytes, act: Callable[[], bytes]) -> bytes:
        """The answer to a U2F message, with the faults that wait for it."""
        if not self._rules:
            return act()
        code = apdu[1] if len(apdu) > 1 else -1
        return self._around(_Message(_Protocol.U2F, code, act, lambda _: None, lambda: False))

    def _around(self, message: _Message) -> bytes:
        rule = self._take(message)
        if rule is None:
            return message.act()
        fault = rule.fault
        if isinstance(fault, Unplug | PowerCycle):
            return self._cut_power(fault, message)
        if isinstance(fault, Stall | StallInSilence | Slow):
            return self._stall(fault, message)
        if isinstance(fault, Refuse | KeyStoreFull):
            return _refusal(fault, message.protocol)
        return self._spoil(rule, fault, message)

    def _take(self, message: _Message) -> _Rule | None:
        """The first rule whose turn has come, its count taken down."""
        with self._changed:
            for rule in [rule for rule in self._rules if rule.fits(message)]:
                if rule.after > 0:
                    rule.after -= 1
                    continue
                rule.left -= 1
                if not rule.left:
                    self._rules.remove(rule)
                self.struck.append(rule.fault)
                self._changed.notify_all()
                return rule
        return None

    def _give_back(self, rule: _Rule) -> None:
        with self._changed:
            self.struck.remove(rule.fault)
            if not rule.left:
                self._rules.insert(0, rule)
            rule.left += 1

    def _cut_power(self, fault: Power, message: _Message) -> bytes:
        if fault.acted:
            message.act()
        if isinstance(fault, Unplug):
            self._token.unplug()
        else:
            self._token.power_cycle()
        raise _gone()

    def _stall(self, fault: Waiting, message: _Message) -> bytes:
        match fault:
            case Stall(status, obeys_cancel):
                on_keepalive = _telling(message.on_keepalive, status)
                given_up = message.canceled if obeys_cancel else _heedless(message.canceled)
                canceled = self._wait(on_keepalive, given_up, None)
            case Slow(milliseconds):
                on_keepalive = _telling(message.on_keepalive, PROCESSING)
                deadline = self._clock.now_ms() + milliseconds
                canceled = self._wait(on_keepalive, message.canceled, deadline)
            case StallInSilence():
                canceled = self._wait_silently()
            case _:
                assert_never(fault)
        return bytes([CtapStatus.KEEPALIVE_CANCEL]) if canceled else message.act()

    def _wait(
        self, on_keepalive: Callable[[], None], canceled: Canceled, deadline_ms: int | None
    ) -> bool:
        """Whether it was canceled, once it was, or the deadline passed, or `clear` was called."""
        power, released, ticks = self._token.power, self._released, 0
        while self._released == released:
            if ticks % _TICKS_PER_KEEPALIVE == 0:
                on_keepalive()
            if canceled():
                return True
            if deadline_ms is not None and self._clock.now_ms() >= deadline_ms:
                return False
            with self._changed:
                self._changed.wait(_TICK_S)
            if self._token.power != power:
                raise _gone()
            ticks += 1
        return False

    def _wait_silently(self) -> bool:
        with self._changed:
            self._silences += 1
        try:
            return self._wait(lambda: None, lambda: False, None)
        finally:
            with self._changed:
                self._silences -= 1

    def _spoil(self, rule: _Rule, fault: Spoiling, message: _Message) -> bytes:
        answer = message.act()
        if message.protocol is _Protocol.CTAP2:
            spoiled = wrong_answers.spoil(fault, message.code, answer)
        else:
            spoiled = wrong_answers.spoil_u2f(fault, message.code, answer)
        if spoiled is None:
            self._give_back(rule)
            return answer
        return spoiled


def _telling(on_keepalive: OnKeepalive, status: int) -> Callable[[], None]:
    return lambda: on_keepalive(status)


def _heedless(canceled: Canceled) -> Canceled:
    """Asks, so that whoever waits sees a token that lives, and takes no notice."""
    return lambda: canceled() and False


def _refusal(fault: Refusing, protocol: _Protocol) -> bytes:
    if protocol is _Protocol.CTAP2:
        status = CtapStatus.KEY_STORE_FULL if isinstance(fault, KeyStoreFull) else fault.status
        return bytes([status & 0xFF])
    word = 0x6A84 if isinstance(fault, KeyStoreFull) else fault.status
    return word.to_bytes(2)


def _gone() -> TokenGone:
    return TokenGone("the virtual token was unplugged", hint="plug it in and repeat the command")
