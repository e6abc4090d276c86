"""Virtual tokens as hidraw nodes of the programs that a library is preloaded into.

The library, lab/hidraw_nodes.c, finds the nodes in a folder: for each token a description and a
socket, on which a report is one record (unix(7), SOCK_SEQPACKET). Each connection is one opening of
the device, with channels of its own.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, Unsupported
from fidokit.unix_socket import require_own_user
from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.framing.usb_descriptors import REPORT_DESCRIPTOR, UsbIdentity
from fidokit.virtual.transports.memory import accept_all, alone
from fidokit.virtual.transports.reports import HidPort, HidToken

FIRST_NUMBER: Final = 90
"""/dev/hidraw90 and on: the kernel has no numbers over 63."""

MOST_OPENINGS: Final = 64
"""Of one node at a time; each has a thread."""

_USB_BUS: Final = 3
_LONGEST_PATH: Final = 107
"""Bytes that sockaddr_un has; the library has no other way in."""


class HidrawNodes:
    """The nodes of some tokens, from their making to `close`.

    Args:
        folder: of this user alone, empty; its path is short, see `socket(7)`.
        tokens: what answers, and what each says of itself.
        first: the number of the first node.

    Raises:
        Unsupported: the folder's path is too long, or this system has no such sockets.
    """

    def __init__(
        self,
        folder: Path,
        tokens: Sequence[tuple[HidToken, UsbIdentity]],
        first: int = FIRST_NUMBER,
    ) -> None:
        self._nodes: list[_Node] = []
        try:
            for number, (token, identity) in enumerate(tokens, first):
                self._nodes.append(_Node(folder, number, token, identity))
        except BaseException:
            self.close()
            raise

    @property
    def paths(self) -> list[str]:
        """What the programs see, in the tokens' order."""
        return [node.path for node in self._nodes]

    def close(self) -> None:
        """Take the nodes away; harmless when repeated. Programs that have one open see it go."""
        for node in self._nodes:
            node.close()


class _Node:
    """One token's node: a listener, and a thread for each opening."""

    def __init__(self, folder: Path, number: int, token: HidToken, identity: UsbIdentity) -> None:
        self.path = f"/dev/hidraw{number}"
        self._token = token
        self._files = [folder / f"hidraw{number}", folder / f"hidraw{number}.sock"]
        if len(os.fsencode(self._files[1])) > _LONGEST_PATH:
            raise Unsupported(
                f"the path {folder} is too long for a socket", hint="set TMPDIR to a shorter one"
            )
        try:
            self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except (AttributeError, OSError):
            raise Unsupported("this system has no sockets that keep records apart") from None
        self._openings: set[_Opening] = set()
        self._turn = threading.Lock()
        self._closed = False
        self._server.bind(str(self._files[1]))
        self._server.listen(MOST_OPENINGS)
        self._files[0].write_text(_description(identity), "utf-8")  # now it is seen
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        accept_all(self._server, self._admit, lambda: self._closed)

    def _admit(self, channel: socket.socket) -> None:
        with suppress(NoPermission):
            require_own_user(channel)
            with self._turn:
                if not self._closed and len(self._openings) < MOST_OPENINGS:
                    self._openings.add(_Opening(self._token, channel, self._forget))
                    return
        channel.close()

    def _forget(self, opening: _Opening) -> None:
        with self._turn:
            self._openings.discard(opening)

    def close(self) -> None:
        for file in self._files:
            file.unlink(missing_ok=True)
        with self._turn:
            self._closed, openings = True, [*self._openings]
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        for opening in openings:
            opening.close()


class _Opening:
    """One program's descriptor of the node."""

    def __init__(
        self, token: HidToken, channel: socket.socket, forget: Callable[[_Opening], None]
    ) -> None:
        self._channel = channel
        self._forget = forget
        self._port = HidPort(token, self._send, ended=self._hang_up)
        threading.Thread(target=self._serve, daemon=True).start()

    def _send(self, report: bytes) -> None:
        """As the kernel does, drop what nobody reads."""
        with suppress(OSError):
            self._channel.send(report, socket.MSG_DONTWAIT)

    def _hang_up(self) -> None:
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with alone("an opening of the virtual token's node"), suppress(OSError):
            while record := self._channel.recv(REPORT_SIZE + 2):
                self._port.receive(_report(record))
        self._port.close()
        self._channel.close()
        self._forget(self)

    def close(self) -> None:
        self._hang_up()


def _report(record: bytes) -> bytes:
    """Without the number 0 of unnumbered reports, which is written before it (hidraw.rst)."""
    return record[1:] if len(record) == REPORT_SIZE + 1 and record[:1] == b"\0" else record


def _description(identity: UsbIdentity) -> str:
    """What the device says of itself, as hidraw_nodes.c reads it."""
    lines = {
        "BUS": f"{_USB_BUS:x}",
        "VENDOR": f"{identity.vendor_id:x}",
        "PRODUCT_ID": f"{identity.product_id:x}",
        "NAME": f"{identity.manufacturer} {identity.product}",
        "MANUFACTURER": identity.manufacturer,
        "PRODUCT": identity.product,
        "SERIAL": identity.serial,
        "DESCRIPTOR": REPORT_DESCRIPTOR.hex(),
    }
    return "".join(f"{name}={_one_line(value)}\n" for name, value in lines.items())


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
