"""A virtual token as a USB HID device of this machine's Linux kernel, by /dev/uhid."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, Malformed, NoPermission, TokenGone, Unsupported
from fidokit.virtual.framing import uhid
from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.framing.usb_descriptors import REPORT_DESCRIPTOR, USUAL_IDENTITY, UsbIdentity
from fidokit.virtual.transports.memory import alone
from fidokit.virtual.transports.reports import HidPort, HidToken

NODE: Final = Path("/dev/uhid")
SYSFS: Final = Path("/sys/class/hidraw")

STARTED_S: Final = 5.0
"""How long the kernel may take to make the device; it takes milliseconds."""

_POLL_S: Final = 0.01


class UhidDevice:
    """A token plugged into this machine, from its making to `close`.

    The kernel hands over what any program writes to the device, and tells when the first opens it
    and the last closes it; it lives on between them. A token that is unplugged takes the device
    along.

    Args:
        token: what answers.
        plug: what it says of itself; the name has at most 127 bytes, the serial number 63.
        ended: called when the device went without `close`, with the reason.
        sysfs: where the kernel lists devices.
        opened: gives a descriptor of the kernel's door; None opens /dev/uhid.

    Raises:
        Unsupported: this system has no uhid.
        NoPermission: this user may not make devices.
        UsageError: a name or number that no device can have.
        TokenGone: the kernel did not make the device.
    """

    def __init__(
        self,
        token: HidToken,
        plug: UsbIdentity = USUAL_IDENTITY,
        *,
        ended: Callable[[FidokitError], None] | None = None,
        sysfs: Path = SYSFS,
        opened: Callable[[], int] | None = None,
    ) -> None:
        self._path = f"fidokit/{os.getpid()}/{id(self):x}"
        self._ended = ended
        self._sysfs = sysfs
        create = uhid.Device(
            plug.product,
            plug.serial,
            self._path,
            plug.vendor_id,
            plug.product_id,
            REPORT_DESCRIPTOR,
        ).create()
        self._file = (opened or open_node)()
        self._started = threading.Event()
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._writing = threading.Lock()
        self._closed = False
        self._port = HidPort(token, self._send, ended=self._token_gone)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        try:
            os.write(self._file, create)
        except OSError as error:
            self._shut()
            raise TokenGone(
                f"the kernel made no device: {os.strerror(error.errno or errno.EIO)}",
                hint="see what `dmesg` says",
            ) from error
        self._thread.start()

    @property
    def node(self) -> Path | None:
        """The device's node, such as /dev/hidraw3, once the kernel made it; None if it did not.

        Its permissions come a moment later, from udev.
        """
        if not self._started.wait(STARTED_S):
            return None
        deadline = time.monotonic() + STARTED_S
        while not self._closed and time.monotonic() < deadline:
            if (found := self._find()) is not None:
                return found
            time.sleep(_POLL_S)
        return None

    def _find(self) -> Path | None:
        """The hidraw device that has our path."""
        with suppress(OSError):
            for entry in sorted(self._sysfs.iterdir()):
                with suppress(OSError):
                    uevent = (entry / "device/uevent").read_text("utf-8", "replace")
                    if f"HID_PHYS={self._path}\n" in uevent:
                        return Path("/dev") / entry.name
        return None

    def close(self) -> None:
        """Take the device away; harmless when repeated. Programs that have it open see it go."""
        with self._writing:  # after which descriptors stay what they are, or are all closed
            if not self._closed:
                self._closed = True
                os.write(self._woken, b"x")
        if self._thread is not threading.current_thread():
            self._thread.join()

    # --- the loop ------------------------------------------------------------------------------

    def _serve(self) -> None:
        why: FidokitError | None = None
        try:
            while not self._closed:
                ready, _, _ = select.select([self._file, self._wake], [], [])
                if self._file in ready and not self._closed:
                    self._heed(os.read(self._file, uhid.EVENT_SIZE))
        except OSError as error:
            why = TokenGone(f"the kernel gave the device up: {error.strerror}")
        except Malformed as error:
            why = error
        finally:
            with self._writing:
                unasked, self._closed = not self._closed, True
            self._port.close()
            self._shut()
        if unasked and self._ended is not None:
            self._ended(why or TokenGone("the kernel gave the device up"))

    def _heed(self, event: bytes) -> None:
        """Take an event; a defect of ours ends this one alone."""
        with alone("an event of the kernel", Malformed):
            self._take(event)

    def _take(self, event: bytes) -> None:
        told = uhid.parse(event, REPORT_SIZE)
        match told:
            case uhid.Output(report):
                self._port.receive(report)
            case uhid.Question(refusal):
                self._write(refusal)
            case uhid.Notice(uhid.UhidEvent.START):
                self._started.set()
            case uhid.Notice(uhid.UhidEvent.CLOSE | uhid.UhidEvent.STOP):
                self._port.reset()  # what the last program began, nobody waits for
            case _:
                pass

    def _send(self, report: bytes) -> None:
        self._write(uhid.input2(report))

    def _write(self, event: bytes) -> None:
        # A device that is gone says so to the loop's next read.
        with self._writing, suppress(OSError):
            os.write(self._file, event)

    def _token_gone(self) -> None:
        if self._ended is not None and not self._closed:
            self._ended(TokenGone("the virtual token was unplugged"))
        threading.Thread(target=self.close, daemon=True).start()  # this may be the loop's own

    def _shut(self) -> None:
        with self._writing:
            with suppress(OSError):
                os.write(self._file, uhid.destroy())
            for descriptor in (self._file, self._wake, self._woken):
                with suppress(OSError):
                    os.close(descriptor)


def open_node(node: Path = NODE) -> int:
    """Open the kernel's door.

    Raises:
        Unsupported, NoPermission: see `UhidDevice`.
    """
    try:
        return os.open(node, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise Unsupported(
            f"this system has no {node}, by which programs make HID devices",
            hint="on Linux, as root: modprobe uhid; in a container, pass the device in",
        ) from None
    except PermissionError:
        raise NoPermission(
            f"this user may not open {node}",
            hint="repeat it as root, or let your user in: sudo setfacl -m u:$USER:rw /dev/uhid",
        ) from None
    except OSError as error:
        raise Unsupported(
            f"{node} cannot be opened: {os.strerror(error.errno or errno.EIO)}",
            hint="as root: modprobe uhid",
        ) from None
