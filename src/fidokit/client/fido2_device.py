"""The one module that talks to python-fido2: devices as links, and its CBOR.

Its errors are many and lenient (ValueError, IndexError, struct.error and more for whatever a
token sends); they become ours here and nowhere else. What costs time to import is imported
where it is used: a virtual token needs neither HID nor PC/SC.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from fido2 import cbor as fido_cbor

from fidokit.client.answer import MISBEHAVIOR_HINT
from fidokit.client.links.card_power import power_off_if_unused
from fidokit.errors import (
    FidokitError,
    NoFidoCard,
    TokenBusy,
    TokenGone,
    TokenMisbehaved,
    Unsupported,
)

if TYPE_CHECKING:
    from fido2.ctap import STATUS, CtapDevice, CtapError
    from fido2.hid.base import CtapHidConnection
    from fido2.pcsc import CtapPcscDevice
    from smartcard.CardConnection import CardConnection


_LENIENT: Final = (ValueError, IndexError, OverflowError, RecursionError, struct.error)
"""What python-fido2 raises for answers that are not valid; the rest are defects of a program."""
_OF_DATA: Final = (*_LENIENT, TypeError, KeyError, AttributeError)
"""What python-fido2 raises where nothing but a token's own value goes into a call."""

GET_INFO: Final = b"\x04"
_BROADCAST: Final = b"\xff\xff\xff\xff"
LEAVE_CARD: Final = 0
"""PC/SC: let go of a card without resetting it or taking its power."""
SHARING_VIOLATION: Final = 0x8010000B
"""PC/SC: another program holds the card exclusively."""
BUSY_TRIES: Final = 30
"""Polls of 100 ms that a channel may stay busy: a browser's own operation fits in."""
OPEN_TRIES: Final = 10
"""Polls of 100 ms that a token may be too busy to give a channel out; others try again."""
_ERROR_REPORT, _KEEPALIVE_REPORT = 0xBF, 0xBB
MOST_AT_WORK: Final = 15  # keep-alives for others while we ask for a channel
_CHANNEL_BUSY: Final = 0x06
_NO_APPLET: Final = frozenset({(0x6A, 0x81), (0x6A, 0x82), (0x6D, 0x00), (0x6E, 0x00)})
"""Status words by which a card says that it has no FIDO application, or no applications at all."""


# --- CBOR ------------------------------------------------------------------------------------


def encode(value: Mapping[int, object] | Mapping[object, object]) -> bytes:
    """Canonical CBOR of a request's map."""
    return fido_cbor.encode(value)


def decode(data: bytes) -> object:
    """The value of `data`, which `fidokit.cbor` has found canonical.

    Raises:
        TokenMisbehaved: python-fido2 cannot read it nevertheless.
    """
    with _misbehavior():
        return cast("object", fido_cbor.decode(data))


@contextmanager
def _misbehavior() -> Iterator[None]:
    try:
        yield
    except _OF_DATA as error:
        raise _misbehaved(f"{type(error).__name__}: {error}") from error


def _misbehaved(why: str) -> TokenMisbehaved:
    return TokenMisbehaved(
        f"the token answered something that cannot be read ({why[:200]})", hint=MISBEHAVIOR_HINT
    )


# --- devices as links ------------------------------------------------------------------------


class _Polled(threading.Event):
    """The event that python-fido2 polls, answered by whoever may cancel.

    Args:
        canceled: whether to cancel.
        limit: how often to wait; python-fido2 tries forever while a channel is busy, we do not.
    """

    def __init__(self, canceled: Callable[[], bool], limit: int = sys.maxsize) -> None:
        super().__init__()
        self._canceled = canceled
        self._left = limit

    def is_set(self) -> bool:
        """Whether to cancel; python-fido2 asks once a packet."""
        return self._canceled()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait between two tries; true ends them: on a cancel, and at the limit."""
        self._left -= 1
        return self._canceled() or super().wait(timeout) or self._left <= 0


class DeviceLink:
    """A python-fido2 device with the shape of a `Link`.

    Args:
        device: the open device.
        holder: names the program that uses the token too, for the error when it is busy.
    """

    def __init__(self, device: CtapDevice, holder: Callable[[], str | None]) -> None:
        self._device = device
        self._holder = holder
        self._closed = False
        self.capabilities = int(device.capabilities)

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """Send a command byte and its CBOR, see `ports.Link.cbor`."""
        from fido2.hid import CTAPHID

        # contactless cards are polled by wait(), so its limit must not end their long operations
        hid = hasattr(self._device, "wink")
        event = _Polled(canceled, BUSY_TRIES) if hid else _Polled(canceled)
        return self._call(CTAPHID.CBOR, request, event, on_keepalive)

    def msg(self, apdu: bytes) -> bytes:
        """Send one U2F command, see `ports.Link.msg`."""
        from fido2.hid import CTAPHID

        return self._call(CTAPHID.MSG, apdu, _Polled(lambda: False, BUSY_TRIES), None)

    def wink(self) -> None:
        """Make the token blink, see `ports.Link.wink`."""
        from fido2.hid import CTAPHID

        self._call(CTAPHID.WINK, b"", _Polled(lambda: False, BUSY_TRIES), None)

    def close(self) -> None:
        """Let go of the token, see `ports.Link.close`."""
        if not self._closed:
            self._closed = True
            self._device.close()

    def _call(
        self,
        command: int,
        data: bytes,
        event: threading.Event,
        on_keepalive: Callable[[int], None] | None,
    ) -> bytes:
        from fido2.ctap import CtapError

        try:
            with device_errors():
                return bytes(self._device.call(command, data, event, on_keepalive))
        except CtapError as error:
            # below CTAP (CTAPHID_ERROR) its numbers mean what CTAP's do
            return bytes([refusal(error, self._holder)])


def refusal(error: CtapError, holder: Callable[[], str | None]) -> int:
    """The status byte of a refusal below CTAP.

    Raises:
        TokenBusy: another program holds the channel.
    """
    if error.code == error.ERR.CHANNEL_BUSY:
        raise busy(holder()) from None
    return int(error.code) & 0xFF or 0x7F


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn python-fido2's and pyscard's errors into ours, its CtapError apart."""
    from fido2.ctap import CtapError
    from fido2.hid import ConnectionFailure

    try:
        yield
    except (CtapError, FidokitError):
        raise
    except ConnectionFailure as error:
        raise _misbehaved(str(error)) from None
    except OSError as error:
        raise _gone(error.strerror or str(error)) from None
    except _LENIENT as error:
        raise _misbehaved(f"{type(error).__name__}: {error}") from None
    except _card_errors() as error:
        raise _gone(str(error)) from None


def busy(holder: str | None) -> TokenBusy:
    """The error for a token that another program uses; `holder` names it where known."""
    return TokenBusy(
        f"{holder or 'another program'} is using the token",
        hint="finish or close it (a browser, an agent; scdaemon ends with "
        "`gpgconf --kill scdaemon`) and repeat",
    )


def _gone(why: str) -> FidokitError:
    return TokenGone(
        f"the token disappeared: {why}",
        hint="plug it in again, or lay it on the reader again, and repeat",
    )


def _card_errors() -> tuple[type[Exception], ...]:
    """The errors of pyscard, where it is installed and in use."""
    if "smartcard.System" not in sys.modules:
        return ()
    from smartcard.Exceptions import SmartcardException
    from smartcard.pcsc.PCSCExceptions import BaseSCardException  # of a tree of its own

    return (SmartcardException, BaseSCardException)


# --- USB HID ---------------------------------------------------------------------------------


SeenHid = tuple[str, tuple[int, int], str | None, str | None]
"""Path, input and output report sizes in bytes, product, serial."""


def list_hid() -> list[SeenHid]:
    """The FIDO devices on USB that this user may read."""
    from fido2.hid import list_descriptors

    found = list_descriptors()  # type: ignore[no-untyped-call]  # untyped in python-fido2
    return [
        (
            os.fsdecode(d.path),
            (d.report_size_in, d.report_size_out),
            d.product_name,
            d.serial_number,
        )
        for d in found
    ]


def hid_sizes(report_descriptor: bytes) -> tuple[int, int] | None:
    """Input and output report sizes in bytes of a FIDO device, None for any other device."""
    from fido2.hid.base import parse_report_descriptor

    try:
        sizes = parse_report_descriptor(report_descriptor)
    except _OF_DATA:
        return None
    return sizes if all(8 <= size <= 1024 for size in sizes) else None


def open_hid(path: str, sizes: tuple[int, int], holder: Callable[[], str | None]) -> DeviceLink:
    """Open a HID token.

    Args:
        path: its device node.
        sizes: input and output report sizes in bytes.
        holder: names the program that uses the token too.

    Raises:
        OSError: the node cannot be opened.
        TokenMisbehaved, TokenBusy, TokenGone: it does not speak CTAPHID as it should.
    """
    from fido2.ctap import CtapError
    from fido2.hid import CtapHidDevice, open_connection
    from fido2.hid.base import HidDescriptor

    _keep_quiet()

    class Impatient(CtapHidDevice):
        """Does not wait forever for its channel while another program keeps the token busy."""

        def call(
            self,
            cmd: int,
            data: bytes = b"",
            event: threading.Event | None = None,
            on_keepalive: Callable[[STATUS], None] | None = None,
        ) -> bytes:
            event = event or _Polled(lambda: False, OPEN_TRIES)
            return super().call(cmd, data, event, on_keepalive)

    descriptor = HidDescriptor(path, 0, 0, sizes[0], sizes[1], None, None)
    connection = OwnChannel(open_connection(descriptor), holder)  # type: ignore[no-untyped-call]
    with ExitStack() as undo:
        undo.callback(connection.close)
        try:
            with device_errors():
                device = Impatient(descriptor, connection)  # type: ignore[arg-type]
        except CtapError as error:
            raise _misbehaved(f"CTAPHID error {refusal(error, holder)}") from None
        undo.pop_all()
    return DeviceLink(device, holder)


class OwnChannel:
    """A HID connection that drops reports for other channels.

    Linux hands every input report to every program that has the node open, and python-fido2
    takes a report for somebody else's channel as a broken connection. Channels are in a report's
    first four bytes (CTAP 2.1 section 11.2.4).
    """

    def __init__(self, connection: CtapHidConnection, holder: Callable[[], str | None]) -> None:
        self._connection = connection
        self._holder = holder
        self._expected, self._seen_at_work = b"", 0
        self.close = connection.close

    def write_packet(self, data: bytes) -> None:
        """Write one report and remember its channel (for INIT: its nonce too)."""
        if data[4] & 0x80:
            self._seen_at_work = 0
            self._expected = data[:4] + (data[7:15] if data[:4] == _BROADCAST else b"")
        self._connection.write_packet(data)

    def read_packet(self) -> bytes:
        """The next report that is meant for us.

        Raises:
            OSError: the report is too short to be one, as after an unplugging.
            TokenBusy: it gives out no channel, and is seen at work for another program.
        """
        while True:
            report = self._connection.read_packet()
            if len(report) < 7:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if (report[:4] + report[7:15]).startswith(self._expected) or self._too_busy(report):
                return report
            self._seen_at_work += report[4] == _KEEPALIVE_REPORT
            if self._seen_at_work >= MOST_AT_WORK and self._expected[:4] == _BROADCAST:
                raise busy(self._holder())

    def _too_busy(self, report: bytes) -> bool:
        """Whether the token has no channel to give out now, to us or to somebody who asked too."""
        asked = self._expected[:4] == _BROADCAST == report[:4]
        return asked and report[4] == _ERROR_REPORT and report[7] == _CHANNEL_BUSY


# --- PC/SC -----------------------------------------------------------------------------------


def require_pcsc() -> None:
    """Check that pyscard is there.

    Raises:
        Unsupported: it is not installed.
    """
    from fidokit.system.host import has_pyscard

    if not has_pyscard():
        raise Unsupported(
            "PC/SC support is not installed", hint="install it: pip install 'fidokit[pcsc]'"
        )


def list_readers() -> list[str]:
    """The names of the PC/SC readers.

    Raises:
        Unsupported: pyscard is not installed.
        TokenGone: the PC/SC service does not answer.
    """
    require_pcsc()
    from smartcard import System

    with device_errors():
        return [str(reader) for reader in System.readers()]


def open_card(reader_name: str, holder: Callable[[], str | None]) -> DeviceLink | None:
    """The token that lies on a reader, None if none lies there, or nothing sensible answers.

    Raises:
        NoFidoCard: a card lies there, and says that it has no FIDO application.
        Unsupported: pyscard is not installed.
        TokenBusy: another program holds the card exclusively.
        TokenGone: the reader broke.
    """
    require_pcsc()
    from fido2.ctap import CtapError
    from smartcard import System
    from smartcard.Exceptions import NoCardException

    _keep_quiet()
    try:
        reader = next((r for r in System.readers() if str(r) == reader_name), None)
        if reader is None:
            return None
        return DeviceLink(_opened(reader.createConnection(), reader_name), holder)
    except (NoCardException, CtapError, *_LENIENT):
        return None  # nothing there, or a card without FIDO
    except _card_errors() as error:
        if getattr(error, "hresult", 0) & 0xFFFFFFFF == SHARING_VIOLATION:
            raise busy(holder()) from None
        raise _gone(str(error)) from None


def _opened(connection: CardConnection, reader_name: str) -> CtapPcscDevice:
    """The token that a connection leads to.

    A connection that leads to none is let go of at once: the garbage collector would do so at any
    later time, and take the power from whatever program uses the card by then.
    """
    connection.connect = partial(connection.connect, disposition=LEAVE_CARD)
    said: list[tuple[int, int]] = []
    with ExitStack() as undo:
        undo.callback(_let_go, connection)
        try:
            device = _card_class(said)(connection, reader_name)
        except ValueError:
            if said and said[-1] in _NO_APPLET:
                raise NoFidoCard(
                    f"the card on {reader_name} is not a FIDO token",
                    hint="lay the token on the reader and repeat",
                ) from None
            raise
        undo.pop_all()
    return device


def _let_go(connection: CardConnection) -> None:
    """Disconnect, and give the service's context back; a service that is gone has both."""
    with suppress(*_card_errors()):
        connection.disconnect()
    if hasattr(connection, "release"):  # not in older versions
        with suppress(*_card_errors()):
            connection.release()


def _keep_quiet() -> None:
    """Without a handler, warnings of python-fido2 would be printed as they are."""
    import logging

    logger = logging.getLogger("fido2")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _card_class(said: list[tuple[int, int]]) -> type[CtapPcscDevice]:
    from fido2.hid import CTAPHID
    from fido2.pcsc import CtapPcscDevice

    class Card(CtapPcscDevice):
        """Keeps the getInfo that the constructor asks for, so that it is asked for once."""

        _first_info: bytes | None = None
        _asked = False

        def apdu_exchange(self, apdu: bytes, protocol: int | None = None) -> tuple[bytes, int, int]:
            answer, *word = super().apdu_exchange(apdu, protocol)
            said[:] = [(word[0], word[1])]
            if apdu[0] == 0x80 and word[0] == 0x64 and word[1] and not answer:
                return bytes([word[1]]), 0x90, 0x00  # some send CTAP's status as an ISO 7816 error
            return answer, word[0], word[1]

        def close(self, release: bool = True) -> None:  # noqa: ARG002  python-fido2's name
            _let_go(self._conn)
            power_off_if_unused(self._name)

        def call(
            self,
            cmd: int,
            data: bytes = b"",
            event: threading.Event | None = None,
            on_keepalive: Callable[[STATUS], None] | None = None,
        ) -> bytes:
            if cmd != CTAPHID.CBOR or data != GET_INFO:
                return super().call(cmd, data, event, on_keepalive)
            if self._first_info is None:
                answer = super().call(cmd, data, event, on_keepalive)
                self._first_info = None if self._asked else answer
                self._asked = True
                return answer
            answer, self._first_info = self._first_info, None
            return answer

    return Card
