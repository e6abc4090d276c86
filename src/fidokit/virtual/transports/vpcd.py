"""A virtual token as a card in vsmartcard's reader vpcd, for every program that speaks PC/SC.

Card and reader talk over TCP. Every message is a length of two bytes, high byte first, and so many
bytes. A message of one byte from the reader is a control; a longer one is a command APDU. The card
answers APDUs, and the control that asks for its answer to reset; nothing else.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final, Protocol, TypeAlias

from fidokit.errors import FidokitError, ReaderGone, TokenGone, Unsupported, UsageError
from fidokit.virtual.transports.card import ANSWER_TO_RESET, CardSession, CardToken
from fidokit.virtual.transports.memory import alone

LENGTH_SIZE: Final = 2
LONGEST: Final = 0xFFFF


class Control(IntEnum):
    """What the reader does to the card."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    GET_ATR = 4


Said: TypeAlias = Control | bytes
"""A control or a command APDU."""


def framed(data: bytes) -> bytes:
    """A message for the reader.

    Args:
        data: answer to reset, or response APDU, of at most `LONGEST` bytes.

    Raises:
        ValueError: it is longer.
    """
    if len(data) > LONGEST:
        raise ValueError(f"{len(data)} bytes are too long for the reader")
    return len(data).to_bytes(LENGTH_SIZE) + data


def whole(data: bytes, status: int) -> bytes:
    """A response APDU as a message; one that the reader cannot carry is an error 6F00 instead.

    Args:
        data: the answer's body.
        status: its status word.
    """
    answer = data + status.to_bytes(2)
    return framed(answer if len(answer) <= LONGEST else b"\x6f\x00")


class VpcdReader:
    """Takes the reader's bytes apart, however they are cut. Keeps less than one message."""

    def __init__(self) -> None:
        self._held = bytearray()

    def receive(self, data: bytes) -> list[Said]:
        """The messages that these bytes complete, in order.

        Controls that are not known and empty messages are passed over, as vsmartcard's own card
        does.

        Args:
            data: as they came.
        """
        self._held += data
        found: list[Said] = []
        while (message := self._next()) is not None:
            if len(message) > 1:
                found.append(message)
            elif message and message[0] in set(Control):
                found.append(Control(message[0]))
        return found

    def _next(self) -> bytes | None:
        end = LENGTH_SIZE + int.from_bytes(self._held[:LENGTH_SIZE])
        if len(self._held) < max(end, LENGTH_SIZE):
            return None
        message = bytes(self._held[LENGTH_SIZE:end])
        del self._held[:end]
        return message


HOST: Final = "127.0.0.1"
PORT: Final = 35963
"""Where vpcd listens unless its configuration says otherwise (vsmartcard, 0x8C7B)."""

CONNECT_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
"""Between tries to reach a reader that hung up: doubled from the first to the longest."""

GONE_S: Final = 600.0
"""After how long a reader that went away is not waited for any longer. pcscd under systemd ends
after a minute in which no program asked, and is back with the next that does."""

SEEN_S: Final = 3.0
"""How long to wait for the reader's look: vpcd's comes every 400 ms, the first one is lost."""

_CHUNK: Final = 1 << 16
_UNABLE: Final = 0x6F00
_HINT: Final = "install the Debian packages pcscd and vsmartcard-vpcd, and start pcscd"


class VpcdToken(CardToken, Protocol):
    """The token inside the card, which may lose power."""

    @property
    def plugged_in(self) -> bool:
        """Whether it has power."""
        ...


class VpcdCard:
    """A token laid on vpcd's reader, from its making to `close`.

    Each time the reader gives power, or resets, the card begins a new session: the tap counts as a
    touch again. When pcscd goes away the card waits, and lays itself on the reader of the next
    one; where none comes for ten minutes (`GONE_S`) it ends. A token that is unplugged takes the
    card along.

    pcscd looks every 400 ms whether a card is there. One that takes another's place in between is
    no new card to it, and when a program has met the old one's end meanwhile, the reader counts as
    empty for ever. So the card leaves once, at the first look, and comes to stay.

    Args:
        token: what answers.
        host: where vpcd listens.
        port: its TCP port.
        ended: called when the card went without `close`, with the reason.
        clock: seconds that never run backwards.
        rest: waits for the event or so many seconds of `clock`; whether the event is set.

    Raises:
        UsageError: a port that is none.
        Unsupported: nobody listens there.
    """

    def __init__(
        self,
        token: VpcdToken,
        host: str = HOST,
        port: int = PORT,
        *,
        ended: Callable[[FidokitError], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        if not 0 < port <= 0xFFFF:
            raise UsageError(f"{port} is not a TCP port that a reader can have")
        self._token = token
        self._where = (host, port)
        self._ended = ended
        self._clock = clock
        self._rest = rest
        self._session: CardSession | None = None  # the thread's own
        self._seen_to_leave = False
        self._seen = threading.Event()
        self._stop = threading.Event()
        self._changing = threading.Lock()
        self._channel = _reached(self._where)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def wait_until_seen(self, seconds: float = SEEN_S) -> bool:
        """Whether the reader has asked the card for its answer to reset by then.

        It does not while another card lies there. Programs find the card from then on.
        """
        return self._seen.wait(seconds)

    def close(self) -> None:
        """Take the card off the reader; harmless when repeated. A command that waits is cut off."""
        with self._changing:
            self._stop.set()
            _hang_up(self._channel)
        if self._thread is not threading.current_thread():
            self._thread.join()

    # --- the loop --------------------------------------------------------------------------------

    def _serve(self) -> None:
        why: FidokitError | None = None
        try:
            while not self._stop.is_set():
                with alone("a reader", FidokitError), suppress(OSError):
                    self._one_reader()
                _hang_up(self._channel)
                self._drop()
                self._find_again()
        except FidokitError as error:
            why = error
        finally:
            self._drop()
            self._channel.close()
        if why is not None and not self._stop.is_set() and self._ended is not None:
            self._ended(why)

    def _one_reader(self) -> None:
        """Answer one reader until it hangs up, or leave at its first word."""
        reader = VpcdReader()
        staying, self._seen_to_leave = self._seen_to_leave, False
        while data := _received(self._channel):
            for said in reader.receive(data):
                if not staying:
                    self._require_power()
                    self._seen_to_leave = True
                    return
                self._answer(said)

    def _answer(self, said: Said) -> None:
        match said:
            case Control.GET_ATR:
                self._channel.sendall(framed(self._atr()))
                self._seen.set()
            case Control.POWER_OFF:
                self._drop()
            case Control.POWER_ON | Control.RESET:
                self._drop()
                self._begin()
            case bytes():
                self._channel.sendall(self._transmitted(said))

    def _atr(self) -> bytes:
        self._require_power()
        return ANSWER_TO_RESET

    def _transmitted(self, apdu: bytes) -> bytes:
        session = self._session or self._begin()
        try:
            return whole(*session.transmit(apdu))
        except TokenGone:
            self._require_power()
            return whole(b"", _UNABLE)
        except FidokitError:
            return whole(b"", _UNABLE)

    def _begin(self) -> CardSession:
        self._session = CardSession(self._token, left=self._left)
        return self._session

    def _left(self) -> bool:
        """Whether nobody waits for an answer: the reader says nothing while it does."""
        return self._stop.is_set() or _hung_up(self._channel)

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _find_again(self) -> None:
        pause, deadline = FIRST_PAUSE_S, self._clock() + GONE_S
        while not self._rest(self._stop, pause):
            self._require_power()
            with suppress(Unsupported):
                self._take(_reached(self._where))
                return
            if self._clock() >= deadline:
                raise self._gone()
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _gone(self) -> ReaderGone:
        host, port = self._where
        return ReaderGone(
            f"the reader at {host} port {port} is gone and did not come back within"
            f" {GONE_S / 60:g} minutes",
            hint="start pcscd, and then `fidokit virtual serve` again",
        )

    def _take(self, channel: socket.socket) -> None:
        with self._changing:
            self._channel.close()
            self._channel = channel
            if self._stop.is_set():
                _hang_up(channel)

    def _require_power(self) -> None:
        if not self._token.plugged_in:
            raise TokenGone("the virtual token was unplugged")


def _received(channel: socket.socket) -> bytes:
    """The next bytes, acknowledged at once.

    vpcd sends a message's length and body apart, and the kernel holds the second back until the
    first is acknowledged: 40 ms for each APDU where that is left for later. The kernel forgets the
    option, so it is set before and after.
    """
    _acknowledge(channel)
    data = channel.recv(_CHUNK)
    _acknowledge(channel)
    return data


def _acknowledge(channel: socket.socket) -> None:
    if hasattr(socket, "TCP_QUICKACK"):  # Linux
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _reached(where: tuple[str, int]) -> socket.socket:
    """A connection to the reader.

    Raises:
        Unsupported: there is none.
    """
    try:
        channel = socket.create_connection(where, CONNECT_S)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        host, port = where
        raise Unsupported(f"no vpcd listens at {host} port {port}: {why}", hint=_HINT) from error
    channel.settimeout(None)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return channel


def _hung_up(channel: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([channel], [], [], 0)
        return bool(readable) and not channel.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):  # ValueError: closed
        return True


def _hang_up(channel: socket.socket) -> None:
    with suppress(OSError):
        channel.shutdown(socket.SHUT_RDWR)
