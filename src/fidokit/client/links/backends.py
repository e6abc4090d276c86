"""Where hardware tokens are found: USB HID and PC/SC, as candidates that are not opened yet."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
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
    NoPermission,
    TokenBusy,
    TokenGone,
    Unsupported,
)
from fidokit.types import Transport

SYSFS: Final = Path("/sys/class/hidraw")
LONGEST_NAME: Final = 128

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
        def attempt() -> Link:
            holder = partial(self.who_holds, path)
            try:
                return fido2_device.open_hid(path, sizes, holder)
            except OSError as error:
                raise _node_error(path, error, holder) from None

        return _patiently(attempt, self.patience)


@dataclass(frozen=True, slots=True)
class PcscBackend:
    """Tokens on contactless or smart card readers, where the extra `[pcsc]` is installed.

    Args:
        who_holds: names the program that uses a reader, where that can be known.
        patience: limits for opening.
    """

    who_holds: WhoHolds = _nobody_known
    patience: Patience = field(default_factory=Patience)
    transport: Transport = Transport.PCSC

    def candidates(self) -> Sequence[Candidate]:
        """The readers on which a FIDO token lies, or one that another program holds."""
        try:
            return [c for c in map(self.at, self._readers()) if self._is_token(c)]
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
        def attempt() -> Link:
            link = fido2_device.open_card(reader, partial(self.who_holds, reader))
            if link is None:
                raise TokenGone(
                    f"no FIDO token lies on {reader}", hint="lay the token on the reader and repeat"
                )
            return link

        return _patiently(attempt, self.patience)


def tame(serial: str | None) -> str | None:
    """A serial number that can stand in a selector, else None: it is the device's own text."""
    if serial and len(serial) <= 64 and serial.isascii() and serial.isprintable():
        return None if set(serial) & set(" /:,'\"\\") else serial
    return None


def _patiently(attempt: Callable[[], Link], patience: Patience) -> Link:
    for wait in patience.busy:
        try:
            return guarded(lambda _pulse: attempt(), patience)
        except TokenBusy:
            patience.sleep(wait)
    return guarded(lambda _pulse: attempt(), patience)


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
