"""Virtual tokens where programs built on python-fido2 look for hardware: on USB and on readers.

python-fido2's own code runs down to the reports and APDUs; only the operating system beneath it
is replaced.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor

from fidokit.errors import TokenGone, Unsupported
from fidokit.system.host import has_pyscard
from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.framing.usb_descriptors import PRODUCT_ID, VENDOR_ID
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.card import ANSWER_TO_RESET, CardSession
from fidokit.virtual.transports.reports import HidConnection

PRODUCT: Final = "fidokit virtual token"


class _Connection(HidConnection, CtapHidConnection):
    """A virtual token's reports, by python-fido2's name for them."""


def descriptor_of(token: VirtualToken) -> HidDescriptor:
    """How python-fido2 describes a token on USB; its path is `virtual:` and the serial."""
    serial = token.identity.serial
    return HidDescriptor(
        f"virtual:{serial}", VENDOR_ID, PRODUCT_ID, REPORT_SIZE, REPORT_SIZE, PRODUCT, serial
    )


def open_device(token: VirtualToken) -> CtapHidDevice:
    """Open a token as python-fido2 opens one on USB; several may be open at a time.

    Raises:
        OSError: EIO, it was unplugged.
    """
    return CtapHidDevice(descriptor_of(token), _Connection(token))


class Patcher(Protocol):
    """What is asked of pytest's monkeypatch."""

    def setattr(self, target: str, name: object) -> None:
        """Replace the attribute at a dotted path until the test is over."""


class FidoDevices:
    """What python-fido2 finds while a test runs: the virtual tokens put here, no real ones.

    Covers `CtapHidDevice.list_devices()`, `fido2.hid.list_descriptors` with `get_descriptor` and
    `open_connection`, and, where pyscard is installed, its `System.readers()` and with it
    `CtapPcscDevice.list_devices()`.

    Args:
        patcher: pytest's `monkeypatch`, which puts everything back.
    """

    def __init__(self, patcher: Patcher) -> None:
        self._usb: list[VirtualToken] = []
        self._nfc: list[VirtualToken] = []
        replacements: dict[str, Callable[..., object]] = {
            "fido2.hid.list_descriptors": self._descriptors,
            "fido2.hid.get_descriptor": self._descriptor,
            "fido2.hid.open_connection": self._connection,
        }
        if has_pyscard():
            replacements["smartcard.System.readers"] = self._readers
        for path, replacement in replacements.items():
            patcher.setattr(path, replacement)

    def plug_in(self, token: VirtualToken) -> None:
        """Let a token be found on USB, behind those that are there."""
        self.take_away(token)
        self._usb.append(token)

    def only(self, *tokens: VirtualToken) -> None:
        """Let these be found on USB, and no others anywhere."""
        self._nfc.clear()
        self._usb[:] = tokens

    def lay_on_reader(self, token: VirtualToken) -> None:
        """Let a token be found on a contactless reader of its own, and not on USB.

        Raises:
            Unsupported: pyscard, which python-fido2 needs for readers, is not installed.
        """
        if not has_pyscard():
            raise Unsupported(
                "PC/SC support is not installed", hint="install it: pip install 'fidokit[pcsc]'"
            )
        self.take_away(token)
        self._nfc.append(token)

    def take_away(self, token: VirtualToken) -> None:
        """Let a token no longer be found; what is open stays open, unlike with `unplug()`."""
        for place in (self._usb, self._nfc):
            if token in place:
                place.remove(token)

    def _descriptors(self) -> list[HidDescriptor]:
        return [descriptor_of(token) for token in self._usb if token.plugged_in]

    def _descriptor(self, path: str | bytes) -> HidDescriptor:
        return descriptor_of(self._at(path))

    def _connection(self, descriptor: HidDescriptor) -> _Connection:
        return _Connection(self._at(descriptor.path))

    def _at(self, path: str | bytes) -> VirtualToken:
        for token in self._usb:
            if token.plugged_in and descriptor_of(token).path == os.fsdecode(path):
                return token
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))

    def _readers(self, groups: Sequence[str] = ()) -> list[CardReader]:  # noqa: ARG002  pyscard's name
        return [
            CardReader(f"{PRODUCT} {number:02}", token)
            for number, token in enumerate(self._nfc)
            if token.plugged_in
        ]


@dataclass(frozen=True, slots=True)
class CardReader:
    """A contactless reader with a token on it, as pyscard's `System.readers()` lists them.

    Args:
        name: what PC/SC calls it.
        token: the card.
    """

    name: str
    token: VirtualToken

    def __str__(self) -> str:
        return self.name

    def createConnection(self) -> CardConnection:  # noqa: N802  pyscard's name
        """A connection that is not yet open."""
        return CardConnection(self.token)


class CardConnection:
    """The part of pyscard's connection to a card that FIDO clients use.

    Args:
        token: the card.
    """

    def __init__(self, token: VirtualToken) -> None:
        self._token = token
        self._session: CardSession | None = None

    def connect(self, *_: object, **__: object) -> None:
        """Activate the card anew; protocol and mode make no difference.

        Raises:
            smartcard.Exceptions.NoCardException: it was taken away.
        """
        self.disconnect()
        try:
            self._session = CardSession(self._token)
        except TokenGone as gone:
            from smartcard.Exceptions import NoCardException

            raise NoCardException(gone.message, 0) from None

    def disconnect(self) -> None:
        """Let go of the card; harmless when repeated."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def getATR(self) -> list[int]:  # noqa: N802  pyscard's name
        """What a contactless card without history says of itself."""
        return list(ANSWER_TO_RESET)

    def transmit(self, apdu: Sequence[int], *_: object) -> tuple[list[int], int, int]:
        """Send a command APDU; returns the data and the two bytes of its status word.

        Raises:
            smartcard.Exceptions.CardConnectionException: not connected, or taken away.
            FidokitError: what the token could not go on with.
        """
        from smartcard.Exceptions import CardConnectionException

        if self._session is None:
            raise CardConnectionException("the card is not connected")
        try:
            data, status = self._session.transmit(bytes(apdu))
        except TokenGone as gone:
            raise CardConnectionException(gone.message) from None
        return list(data), status >> 8, status & 0xFF
