"""Where hardware tokens are found: USB HID and PC/SC, as candidates that are not opened yet."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from fidokit.client import fido2_device
from fidokit.client.links.watchdog import Patience, guarded
from fidokit.client.ports import Candidate, Link
from fidokit.errors import (
    FidokitError,
    Interrupted,
    NoFidoCard,
    NoPermission,
    TokenBusy,
    TokenGone,
    TokenSilent,
    Unsupported,
)
from fidokit.types import Transport

SYSFS: Final = Path("/sys/class/hidraw")
LONGEST_NAME: Final = 128
CHANNEL_S: Final = 3.0
"""Seconds within which a token on USB gives a channel out; CTAP 2.3 wants 0.1 (11.2.5.2)."""

WhoHolds = Callable[[str], str | None]


def _nobody_known(_path: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class HidBackend:
    """Tokens on USB.

    Args:
        who_holds: names the program that has a device node open, where that can be known.
        patience: limits for opening.
        sysfs: where Linux describes hidraw devices; readable without permission on the device.
        dev: where their nodes are.
    """

    who_holds: WhoHolds = _nobody_known
    patience: Patience = field(default_factory=Patience)
    sysfs: Path = SYSFS
    dev: Path = Path("/dev")
    transport: Transport = Transport.USB

    def candidates(self) -> Sequence[Candidate]:
        """The FIDO devices seen now, those without permission included; none is opened."""
        found = list(self._from_sysfs() if self.sysfs.is_dir() else fido2_device.list_hid())
        serials = [tame(serial) for _path, _sizes, _product, serial in found]
        return [
            self._candidate(seen, serial if serial and serials.count(serial) == 1 else None)
            for seen, serial in zip(found, serials, strict=True)
        ]

    def problem(self) -> str | None:
        """Nothing closes USB as a whole."""
        return None

    def _from_sysfs(self) -> Iterator[fido2_device.SeenHid]:
        for entry in sorted(self.sysfs.iterdir()):
            try:
                sizes = fido2_device.hid_sizes((entry / "device/report_descriptor").read_bytes())
                uevent = (entry / "device/uevent").read_text("utf-8", "replace")
            except OSError:
                continue  # unplugged while we looked
            if sizes:
                names = dict(line.partition("=")[::2] for line in uevent.splitlines())
                path = str(self.dev / entry.name)
                yield path, sizes, names.get("HID_NAME"), names.get("HID_UNIQ")

    def _candidate(self, seen: fido2_device.SeenHid, serial: str | None) -> Candidate:
        path, sizes, product, _ = seen
        return Candidate(
            transport=Transport.USB,
            path=path,
            product=(product or "security key")[:LONGEST_NAME],
            serial=serial,
            selector=f"usb:{serial or path}",
            durable=serial is not None,
            open=partial(self._open, path, sizes),
        )

    def _open(self, path: str, sizes: tuple[int, int]) -> Link:
        holder = partial(self.who_holds, path)

        def attempt() -> Link:
            try:
                return fido2_device.open_hid(path, sizes, holder)
            except OSError as error:
                raise _node_error(path, error, holder) from None

        patience = self.patience._replace(silence=min(self.patience.silence, CHANNEL_S))
        return _patiently(attempt, patience, holder)


@dataclass(frozen=True, slots=True)
class PcscBackend:
    """Tokens on contactless or smart card readers, where the extra `[pcsc]` is installed.

    Args:
        who_holds: names the program that uses a reader, where that can be known.
        patience: limits for opening.
        elsewhere: names of tokens that are seen another way; their readers are left alone.
    """

    who_holds: WhoHolds = _nobody_known
    patience: Patience = field(default_factory=Patience)
    elsewhere: Callable[[], Sequence[str]] = tuple
    transport: Transport = Transport.PCSC

    def candidates(self) -> Sequence[Candidate]:
        """The readers on which a FIDO token lies, or one that another program holds."""
        try:
            return [c for c in map(self.at, self.left(self._readers())) if self._is_token(c)]
        except Interrupted:
            raise
        except FidokitError:
            return []

    def problem(self) -> str | None:
        """Why no reader can be seen: pyscard or the PC/SC service is missing."""
        try:
            self._readers()
        except Unsupported as error:
            return f"{error.message}; {error.hint}"
        except Interrupted:
            raise
        except FidokitError as error:
            return f"the PC/SC service (pcscd) does not answer: {error.message}"
        return None

    def left(self, readers: Iterable[str]) -> list[str]:
        """The readers that are not an interface of a token that is seen another way."""
        names = [name.casefold() for name in self.elsewhere() if name]
        return [r for r in readers if not any(r.casefold().startswith(name) for name in names)]

    def _readers(self) -> list[str]:
        return guarded(lambda _pulse: fido2_device.list_readers(), self.patience)

    def _is_token(self, candidate: Candidate) -> bool:
        try:
            candidate.open().close()
        except TokenBusy:
            return True
        except Interrupted:
            raise
        except FidokitError:
            return False
        return True

    def at(self, reader: str) -> Candidate:
        """Whatever lies on a reader; nothing is asked."""
        return Candidate(
            transport=Transport.PCSC,
            path=reader,
            product=reader[:LONGEST_NAME],
            serial=None,
            selector=f"pcsc:{reader}",
            durable=False,
            open=partial(self._open, reader),
        )

    def _open(self, reader: str) -> Link:
        holder = partial(self.who_holds, reader)

        def attempt() -> Link:
            link = fido2_device.open_card(reader, holder)
            if link is None:
                raise TokenGone(
                    f"no FIDO token lies on {reader}", hint="lay the token on the reader and repeat"
                )
            return link

        return _patiently(attempt, self.patience, holder)


def on_hid() -> Sequence[str]:
    """What the tokens on USB call themselves; their card readers' names begin so."""
    return [seen.product for seen in HidBackend().candidates()] if SYSFS.is_dir() else []


def tame(serial: str | None) -> str | None:
    """A serial number that can stand in a selector, else None: it is the device's own text."""
    if serial and len(serial) <= 64 and serial.isascii() and serial.isprintable():
        return None if set(serial) & set(" /:,'\"\\") else serial
    return None


def _patiently(
    attempt: Callable[[], Link], patience: Patience, holder: Callable[[], str | None]
) -> Link:
    def opened() -> Link:
        try:
            return guarded(lambda _pulse: attempt(), patience)
        except TokenSilent:
            # while it works for another program, a token may leave everybody else unanswered
            if name := holder():
                raise fido2_device.busy(name) from None
            raise

    for wait in patience.busy:
        try:
            return opened()
        except TokenBusy:
            patience.sleep(wait)
    return opened()


def _node_error(path: str, error: OSError, holder: Callable[[], str | None]) -> FidokitError:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NoPermission(
            f"this user may not open {path}",
            hint="`fidokit doctor` names the udev rule that opens it; then plug the token in again",
        )
    if error.errno == errno.EBUSY:
        return fido2_device.busy(holder())
    return TokenGone(
        f"{path} cannot be opened: {os.strerror(error.errno or errno.EIO)}",
        hint="plug the token in again and repeat",
    )


# --- the card readers, looked at again and again ---------------------------------------------


TRIES: Final = 3
"""How often a card that says nothing sensible is asked: it may not lie still yet."""


@dataclass(slots=True)
class _Card:
    count: int
    tries: int = 0
    is_token: bool = False
    is_busy: bool = False


@dataclass(slots=True)
class CardWatch:
    """The tokens on readers, each asked once while it lies there, without disturbing anybody.

    The PC/SC service counts how often a card came or went on each reader, and tells so without
    touching the card. So a card is asked once, when it is laid down, whether it is a token.

    Args:
        backend: asks a card; without waiting for another program that uses it.
    """

    backend: PcscBackend = field(
        default_factory=lambda: PcscBackend(patience=Patience(busy=()), elsewhere=on_hid)
    )
    transport: Transport = Transport.PCSC
    _cards: dict[str, _Card] = field(default_factory=dict)
    _readers: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_readers(self) -> bool:
        """Whether the last look saw a reader: only then is the next worth its while soon."""
        return self._readers > 0

    @property
    def counts(self) -> bool:
        """Whether the system counts cards; elsewhere each look asks each card anew."""
        return sys.platform != "darwin"

    def problem(self) -> str | None:
        """Why no reader can be seen, as its backend tells it."""
        return self.backend.problem()

    def candidates(self) -> Sequence[Candidate]:
        """Those that answered; a card that another program uses may be none."""
        return self._look(busy=False)

    def busy(self) -> Sequence[Candidate]:
        """Cards that another program uses."""
        return self._look(busy=True)

    def count(self, reader: str) -> int:
        """Another number for another card on this reader; 0 if the system does not count."""
        card = self._cards.get(reader)
        return card.count if card else 0

    def _look(self, *, busy: bool) -> Sequence[Candidate]:
        with self._turn:
            seen = guarded(lambda _pulse: laid(), self.backend.patience)
            self._readers = len(seen)
            mine = self.backend.left(seen)
            there = {r: n * self.counts for r in mine if (n := seen[r]) is not None}
            known = {r: c for r, c in self._cards.items() if c.count and there.get(r) == c.count}
            self._cards = {r: known.get(r) or _Card(count) for r, count in there.items()}
            for reader, card in self._cards.items():
                if not card.is_token and card.tries < TRIES:
                    self._ask(reader, card)
            wanted = "is_busy" if busy else "is_token"
            return [self.backend.at(r) for r, c in self._cards.items() if getattr(c, wanted)]

    def _ask(self, reader: str, card: _Card) -> None:
        card.is_busy = False
        try:
            self.backend.at(reader).open().close()
            card.is_token = True
        except TokenBusy:
            card.is_busy = True
        except Interrupted:
            raise
        except NoFidoCard:  # that is an answer
            card.tries = TRIES
        except FidokitError:
            card.tries += 1


def laid() -> Mapping[str, int | None]:
    """What lies on each reader: None for nothing, else a number that no earlier card had.

    No reader is seen where PC/SC is missing.
    """
    try:
        fido2_device.require_pcsc()
    except Unsupported:
        return {}
    from smartcard import scard

    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code != scard.SCARD_S_SUCCESS:
        return {}
    try:
        _, readers = scard.SCardListReaders(context, [])
        asked = [(reader, scard.SCARD_STATE_UNAWARE) for reader in readers]
        # UNAWARE is answered at once; without readers there is nobody to ask
        code, states = scard.SCardGetStatusChange(context, 0, asked) if asked else (0, [])
        if code != scard.SCARD_S_SUCCESS:
            return {}
        return {
            reader: _number(state) if state & scard.SCARD_STATE_PRESENT else None
            for reader, state, _ in states
        }
    finally:
        scard.SCardReleaseContext(context)


def _number(state: int) -> int:
    """Of comings and goings; a card that lay there when the service began has none behind it."""
    return (state >> 16) + 1
