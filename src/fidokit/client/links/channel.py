"""CTAP requests and answers over a link: counted, guarded, and every answer checked.

What a link returns is untrusted: an answer leaves this module as an `Answer` or not at all.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from fidokit import cbor
from fidokit.client import fido2_device
from fidokit.client.answer import MISBEHAVIOR_HINT, Answer, rubbish
from fidokit.client.links.watchdog import Patience, Pulse, guarded
from fidokit.client.ports import Link
from fidokit.client.status import CtapRefusal
from fidokit.client.tolerance import Notes
from fidokit.errors import FidokitError, MalformedCbor, TokenMisbehaved, TokenSilent, Unsupported
from fidokit.types import CtapCommand, CtapStatus

if TYPE_CHECKING:
    from logging import Logger

LONGEST_ANSWER: Final = 7609
"""Bytes; CTAPHID can carry no more (CTAP 2.3 section 11.2.4), and nothing we ask for needs more."""
OK: Final = bytes([CtapStatus.OK])
BUSY: Final = bytes([CtapStatus.CHANNEL_BUSY])
FIRST_REQUEST: Final = 1024
"""Bytes of a request that every token takes, before getInfo said how many it takes."""

_T = TypeVar("_T")
Told = Callable[[int], None]


def _unheard(_status: int) -> None:
    """Nobody listens to keep-alives."""


class Channel:
    """One open token, spoken to in whole CTAP messages.

    Args:
        link: the open link; the channel closes it.
        patience: the limits of each call.
    """

    def __init__(self, link: Link, patience: Patience) -> None:
        self._link = link
        self.patience = patience
        self.capabilities = link.capabilities
        self.max_request = FIRST_REQUEST
        self.round_trips = 0
        self.notes = Notes()
        self._trace = _trace_logger()
        self._lost: TokenMisbehaved | TokenSilent | None = None

    def cbor(
        self,
        command: int,
        params: Mapping[int, object] | None,
        what: str,
        *,
        told: Told = _unheard,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Send one CTAP2 command and read its answer.

        Args:
            command: the command byte (CTAP 2.3 section 6).
            params: the request map, or None for commands without one.
            what: the answer's name for error messages.
            told: hears the keep-alive status change.
            stop: set by somebody else to cancel on the token.

        Raises:
            CtapRefusal: the token answered with a status other than OK.
            TokenBusy: another program uses the token.
            Unsupported: the request is larger than the token can take.
            TokenMisbehaved: the answer is not a map, or malformed beyond what `tolerance` allows.
            TokenSilent, TokenGone, TouchTimedOut, Interrupted: see `watchdog.guarded`.
        """
        request = bytes([command]) + (b"" if params is None else fido2_device.encode(params))
        if len(request) > self.max_request:
            raise Unsupported(
                f"the request has {len(request)} bytes, and the token takes {self.max_request}",
                hint="use shorter names, or fewer of them",
            )
        start = self.patience.clock()
        reply = self._exchange(request, told, stop)
        for wait in self.patience.busy:
            if reply[:1] != BUSY:
                break
            self.patience.sleep(wait)
            reply = self._exchange(request, told, stop)
        if reply[:1] == BUSY:
            raise fido2_device.busy(getattr(self._link, "holder", None))
        if self._trace:
            from fidokit.client.links import trace

            exchange = trace.Exchange(len(request), len(reply), self.patience.clock() - start)
            trace.ctap2(self._trace, command, params, _readable(reply), exchange)
        return self._answer(reply, what)

    def msg(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one U2F command; return its data and its status word.

        Raises:
            TokenMisbehaved: the answer has no status word.
            TokenSilent, TokenGone, Interrupted: see `watchdog.guarded`.
        """
        start = self.patience.clock()
        reply = self._guarded(lambda _pulse: self._link.msg(apdu))
        if self._trace:
            from fidokit.client.links import trace

            exchange = trace.Exchange(len(apdu), len(reply), self.patience.clock() - start)
            trace.ctap1(self._trace, apdu, reply, exchange)
        if not 2 <= len(reply) <= LONGEST_ANSWER:
            raise rubbish(f"its U2F answer has {len(reply)} bytes")
        return reply[:-2], int.from_bytes(reply[-2:], "big")

    def wink(self) -> None:
        """Make the token blink."""
        self._guarded(lambda _pulse: self._link.wink())

    def close(self) -> None:
        """Let go of the token; never raises, for there is nothing left to be done about it."""
        closing = self.patience._replace(silence=1.0, total=1.0, grace=0.0)
        with suppress(FidokitError):
            guarded(lambda _pulse: self._link.close(), closing)

    def _guarded(
        self,
        operation: Callable[[Pulse], _T],
        told: Told = _unheard,
        stop: threading.Event | None = None,
        keep: Callable[[_T], bool] = lambda _result: False,
    ) -> _T:
        if self._lost is not None:
            raise type(self._lost)(self._lost.message, hint=MISBEHAVIOR_HINT)
        self.round_trips += 1
        try:
            return guarded(operation, self.patience, told, stop, keep)
        except (TokenMisbehaved, TokenSilent) as error:
            # its thread may still sit in the link: a second call would mix the two answers
            self._lost = error
            raise

    def _exchange(self, request: bytes, told: Told, stop: threading.Event | None) -> bytes:
        return self._guarded(
            lambda pulse: self._link.cbor(request, pulse.keepalive, pulse.canceled),
            told,
            stop,
            # who lets go of a credential that was made loses it, and nobody else knows of it
            lambda reply: request[0] == CtapCommand.MAKE_CREDENTIAL and reply[:1] == OK,
        )

    def _answer(self, reply: bytes, what: str) -> Answer:
        if not 1 <= len(reply) <= LONGEST_ANSWER:
            raise rubbish(f"its {what} has an impossible size")
        if reply[0] != 0:
            raise CtapRefusal(reply[0])
        if len(reply) == 1:
            return Answer({}, what)
        return Answer.of(checked(reply[1:], what, self.notes), what)


def _trace_logger() -> Logger | None:
    """Who wants the trace; None, at no cost, where nobody has set up logging for it."""
    logging = sys.modules.get("logging")
    if logging is None:
        return None
    logger: Logger = logging.getLogger("fidokit.trace")
    return logger if logger.isEnabledFor(logging.DEBUG) else None


def _readable(reply: bytes) -> tuple[int | None, object]:
    """The status of a reply and its value, None if it has none or one that is not canonical."""
    try:
        value = checked(reply[1:], "answer") if 1 < len(reply) <= LONGEST_ANSWER else None
    except TokenMisbehaved:
        value = None  # told as an error when the answer is read
    return (reply[0] if reply else None), value


def checked(data: bytes, what: str, notes: Notes | None = None) -> object:
    """The value of CBOR that a token sent.

    Args:
        data: one value, and nothing behind it.
        what: its name for error messages.
        notes: hears where the form is not canonical, see `tolerance`.

    Raises:
        TokenMisbehaved: it cannot be read, or holds more than one value or one key twice.
    """
    value, rest = checked_prefix(data, what, notes)
    if rest:
        raise _unreadable(what, f"CBOR: {len(rest)} bytes follow the value")
    return value


def checked_prefix(data: bytes, what: str, notes: Notes | None = None) -> tuple[object, bytes]:
    """The value at the front of `data`, and the bytes behind it.

    Raises:
        TokenMisbehaved: no value that can be read begins there.
    """
    try:
        _, end = cbor.decode_prefix(data)
        return fido2_device.decode(data[:end]), data[end:]
    except MalformedCbor:
        return _untidy_prefix(data, what, notes or Notes())


def _untidy_prefix(data: bytes, what: str, notes: Notes) -> tuple[object, bytes]:
    from fidokit.client.links.lenient_cbor import read_prefix

    try:
        value, end = read_prefix(data, notes)
        return fido2_device.decode(cbor.encode(value)), data[end:]
    except MalformedCbor as error:
        raise _unreadable(what, error.message) from None


def _unreadable(what: str, why: str) -> TokenMisbehaved:
    return rubbish(f"its {what} is not valid CBOR for CTAP ({why})")
