"""A virtual token as a contactless card on a reader, for host code that deals in APDUs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeAlias

from fidokit.errors import FidokitError, TokenGone
from fidokit.virtual.core.profile import HidManners
from fidokit.virtual.framing.apdu import Apdu, ApduRejection, Chain, Remainder, StatusWord, parse
from fidokit.virtual.transports.memory import MemoryLink, alone

AID: Final = bytes.fromhex("A0000006472F0001")
ANSWER_TO_RESET: Final = bytes.fromhex("3B80800101")
"""A contactless card without historical bytes (PC/SC part 3 section 3.1.3.2.3)."""

MAX_REQUEST: Final = 7609
POLL_S: Final = 0.1
"""How long a command may take before the card says 9100, and between polls."""

ABANDON_S: Final = 1.0
"""How long a command that nobody waits for any longer may take to end."""

_TRANSPORT: Final = "nfc"
_CBOR: Final = 0x04
_NO_MSG: Final = 0x08
_CAN_POLL: Final = 0x80
_CANCEL: Final = 0x11
_PROCESSING: Final = 1
_EXECUTION_ERROR: Final = 0x6400

_SELECT: Final = (0x00, 0xA4)

_Answer: TypeAlias = tuple[bytes, int]
"""Data and status word."""


class CardToken(Protocol):
    """The token inside the card."""

    @property
    def capabilities(self) -> int:
        """CTAPHID's bits: WINK 01, CBOR 04, NMSG 08."""
        ...

    @property
    def manners(self) -> HidManners:
        """How it departs from the text on a reader."""
        ...

    def link(self, transport: str) -> MemoryLink:
        """A new channel that comes over a transport, as getInfo names it."""
        ...


@dataclass(slots=True)
class _Running:
    """A command under way; `box` gets its outcome."""

    request: bytes
    box: SimpleQueue[bytes | FidokitError] = field(default_factory=SimpleQueue)
    status: int = _PROCESSING
    canceled: bool = False

    def keepalive(self, status: int) -> None:
        """Remember what the next poll is told."""
        self.status = status

    def run(self, link: MemoryLink) -> None:
        """To its end, on the thread that this is called from."""
        outcome: bytes | FidokitError = TokenGone("the virtual card broke off")
        try:
            outcome = link.cbor(self.request, self.keepalive, lambda: self.canceled)
        except FidokitError as failed:
            outcome = failed
        finally:
            self.box.put(outcome)


class _Worker:
    """A thread that runs one command after another: to start one for each costs more than most."""

    def __init__(self, link: MemoryLink) -> None:
        self._link = link
        self._commands: SimpleQueue[_Running | None] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def give(self, running: _Running) -> None:
        """Have a command run."""
        self._commands.put(running)

    def dismiss(self) -> None:
        """End after the command that runs."""
        self._commands.put(None)

    def _work(self) -> None:
        while (running := self._commands.get()) is not None:
            with alone("a command to the virtual card"):
                running.run(self._link)


class CardSession:
    """A card in a reader's field, from its activation on: APDUs in, answers out.

    Args:
        token: what answers inside.
        poll_s: seconds that a client which can poll waits before it is told 9100.
        left: asked while a client that cannot poll waits; true ends the wait, nobody being there.
    """

    def __init__(
        self,
        token: CardToken,
        poll_s: float = POLL_S,
        left: Callable[[], bool] = lambda: False,
    ) -> None:
        self._token = token
        self._left = left
        self._worker: _Worker | None = None
        self._link = token.link(_TRANSPORT)
        self._poll_s = poll_s
        self._chain = Chain(MAX_REQUEST)
        self._rest = Remainder()
        self._rest.drop()
        self._selected = False
        self._running: _Running | None = None

    def transmit(self, raw: bytes) -> _Answer:
        """Answer one command APDU.

        Args:
            raw: a short or extended APDU.

        Returns:
            Data and status word.

        Raises:
            TokenGone: the card was taken away.
            FidokitError: what the token could not go on with.
        """
        try:
            return self._answer(parse(raw), raw)
        except ApduRejection as rejection:
            self._chain.break_off(raw)
            self._rest.drop()
            return b"", rejection.status

    def close(self) -> None:
        """Take the card away: what waits is canceled; harmless when repeated."""
        self._abandon()
        self._dismiss()
        self._link.close()

    def _answer(self, apdu: Apdu, raw: bytes) -> _Answer:
        if (apdu.plain_cla, apdu.ins) != _SELECT:
            self._chain.admit(apdu)
        serve = _INSTRUCTIONS.get((apdu.plain_cla, apdu.ins))
        if serve is None:
            known = any(cla == apdu.plain_cla for cla, _ in _INSTRUCTIONS)
            raise ApduRejection(StatusWord.WRONG_INSTRUCTION if known else StatusWord.WRONG_CLASS)
        if apdu.chained and serve not in _CHAINED:
            raise ApduRejection(StatusWord.CHAINING_UNSUPPORTED)
        return serve(self, apdu, raw)

    def _select(self, apdu: Apdu, _raw: bytes) -> _Answer:
        self._abandon()
        self._selected = apdu.data == AID
        if not self._selected:
            raise ApduRejection(StatusWord.NOT_FOUND)
        return self._cut(apdu, b"FIDO_2_0" if self._token.capabilities & _NO_MSG else b"U2F_V2")

    def _get_response(self, apdu: Apdu, _raw: bytes) -> _Answer:
        return self._rest.go_on(apdu.limit)

    def _u2f(self, apdu: Apdu, raw: bytes) -> _Answer:
        self._require_selected()
        if self._token.capabilities & _NO_MSG:
            raise ApduRejection(StatusWord.WRONG_INSTRUCTION)
        whole = self._chain.add(apdu)
        if whole is None:
            return b"", StatusWord.OK
        reply = self._link.msg(raw if whole.data == apdu.data else _extended(whole))
        return self._cut(apdu, reply[:-2], int.from_bytes(reply[-2:]))

    def _ctap(self, apdu: Apdu, _raw: bytes) -> _Answer:
        self._require_selected()
        if not self._token.capabilities & _CBOR:
            raise ApduRejection(StatusWord.WRONG_INSTRUCTION)
        whole = self._chain.add(apdu)
        if whole is None:
            return b"", StatusWord.OK
        self._abandon()
        if not apdu.p1 & _CAN_POLL:
            return self._reply(apdu, self._link.cbor(whole.data, _ignore, self._left))
        running = self._running = _Running(whole.data)
        self._worker = self._worker or _Worker(self._link)
        self._worker.give(running)
        return self._wait(running, apdu)

    def _poll(self, apdu: Apdu, _raw: bytes) -> _Answer:
        running = self._running
        if running is None:
            raise ApduRejection(StatusWord.NOT_ALLOWED)
        if apdu.p1 not in {0, _CANCEL}:
            raise ApduRejection(StatusWord.WRONG_PARAMETERS)
        running.canceled = running.canceled or apdu.p1 == _CANCEL
        return self._wait(running, apdu)

    def _end(self, _apdu: Apdu, _raw: bytes) -> _Answer:
        self._abandon()
        self._selected = False
        return b"", StatusWord.OK

    def _wait(self, running: _Running, apdu: Apdu) -> _Answer:
        try:
            outcome = running.box.get(timeout=self._poll_s)
        except Empty:
            return bytes([running.status]), StatusWord.UPDATE
        self._running = None
        if isinstance(outcome, FidokitError):
            raise outcome
        return self._reply(apdu, outcome)

    def _reply(self, apdu: Apdu, answer: bytes) -> _Answer:
        """The answer to a CTAP2 command."""
        if self._token.manners.status_words_carry_statuses and answer[:1] != b"\0":
            return self._cut(apdu, b"", _EXECUTION_ERROR | answer[0])
        return self._cut(apdu, answer)

    def _cut(self, apdu: Apdu, data: bytes, status: int = StatusWord.OK) -> _Answer:
        return self._rest.begin(data, status, apdu.limit)

    def _abandon(self) -> None:
        self._chain.drop()
        self._rest.drop()
        running, self._running = self._running, None
        if running is None:
            return
        running.canceled = True
        try:  # the token is busy until it notices, and would refuse the next command
            running.box.get(timeout=ABANDON_S)
        except Empty:
            self._dismiss()

    def _dismiss(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.dismiss()

    def _require_selected(self) -> None:
        self._rest.drop()
        if not self._selected:
            raise ApduRejection(StatusWord.NOT_ALLOWED)


def _ignore(_status: int) -> None:
    """Who cannot poll is not told how it goes."""


def _extended(apdu: Apdu) -> bytes:
    head = bytes([apdu.plain_cla, apdu.ins, apdu.p1, apdu.p2])
    return head + b"\0" + len(apdu.data).to_bytes(2) + apdu.data + b"\0\0"


_INSTRUCTIONS: Final[Mapping[tuple[int, int], Callable[[CardSession, Apdu, bytes], _Answer]]] = {
    (0x00, 0xA4): CardSession._select,
    (0x00, 0xC0): CardSession._get_response,
    (0x80, 0xC0): CardSession._get_response,
    (0x00, 0x01): CardSession._u2f,
    (0x00, 0x02): CardSession._u2f,
    (0x00, 0x03): CardSession._u2f,
    (0x80, 0x10): CardSession._ctap,
    (0x80, 0x11): CardSession._poll,
    (0x80, 0x12): CardSession._end,
}

_CHAINED: Final = frozenset({CardSession._u2f, CardSession._ctap})
"""What may come in several links."""
