"""A powered virtual token made reachable for programs that know nothing of fidokit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError
from fidokit.virtual.framing.usb_descriptors import UsbIdentity

if TYPE_CHECKING:
    from fidokit.virtual.token import VirtualToken


Ended = Callable[[FidokitError], None]
"""Hears why a way ended while the others go on; called from any thread."""


Address = tuple[str, int]
"""Host and TCP port."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a token shall be reached, beside `virtual:NAME`; any of them, all at once.

    Attributes:
        uhid: as a USB HID device of this machine's kernel.
        usbip: as a USB device for other machines, by USB/IP; where to listen.
        vpcd: as a contactless card on a reader, for PC/SC; where vsmartcard's vpcd listens.
        anyone: whoever reaches the port may attach by USB/IP; otherwise this user and root alone.
        socket: at a path, for containers and the provider library.
        plug: what it says of itself as a USB device; without a serial number it has the token's.
    """

    uhid: bool = False
    usbip: Address | None = None
    anyone: bool = False
    vpcd: Address | None = None
    socket: Path | None = None
    plug: UsbIdentity | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """One way that is open.

    Attributes:
        way: "uhid", "usbip", "vpcd", "socket".
        where: the device node, the address or the path; empty if the system did not tell.
        hint: what to type to use it.
    """

    way: str
    where: str
    hint: str


def plug(
    *,
    vendor_id: int | None = None,
    product_id: int | None = None,
    product: str | None = None,
    serial: str | None = None,
) -> UsbIdentity:
    """What a USB device says of itself; what is None is as usual."""
    given = {
        "vendor_id": vendor_id,
        "product_id": product_id,
        "product": product,
        "serial": serial,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(UsbIdentity(), **chosen)  # type: ignore[arg-type]


@contextmanager
def reachable(token: VirtualToken, ways: Ways, ended: Ended) -> Iterator[list[Reached]]:
    """Open the ways, and close them with the block.

    Args:
        token: powered, see `serve_virtual`.
        ways: which ones.
        ended: hears of a way that ends before.

    Raises:
        Unsupported, NoPermission, WouldOverwrite, StateUnusable, UsageError: a way cannot be
            opened; then none is.
    """
    with ExitStack() as stack:
        reached = []
        if ways.uhid:
            reached.append(_uhid(stack, token, ways.plug, ended))
        if ways.usbip is not None:
            reached.append(_usbip(stack, token, ways.usbip, ways.plug, anyone=ways.anyone))
        if ways.vpcd is not None:
            reached.append(_vpcd(stack, token, ways.vpcd, ended))
        if ways.socket is not None:
            reached.append(_socket(stack, token, ways.socket))
        yield reached


def _named(token: VirtualToken, given: UsbIdentity | None) -> UsbIdentity:
    found = given or plug()
    return found if found.serial else replace(found, serial=token.identity.serial)


def _uhid(
    stack: ExitStack, token: VirtualToken, given: UsbIdentity | None, ended: Ended
) -> Reached:
    from fidokit.virtual.transports.uhid import UhidDevice

    named = _named(token, given)
    device = UhidDevice(token, named, ended=ended)
    stack.callback(device.close)
    return Reached("uhid", str(device.node or ""), f"fidokit --token usb:{named.serial}")


def _usbip(
    stack: ExitStack,
    token: VirtualToken,
    at: Address,
    given: UsbIdentity | None,
    *,
    anyone: bool,
) -> Reached:
    from fidokit.virtual.transports.usbip import UsbIpServer

    named = _named(token, given)
    server = UsbIpServer(
        token,
        *at,
        vendor_id=named.vendor_id,
        product_id=named.product_id,
        product=named.product,
        serial=named.serial,
        anyone=anyone,
    )
    stack.callback(server.close)
    host, port = at[0], server.port
    return Reached("usbip", f"{host}:{port}", f"usbip --tcp-port {port} attach -r {host} -b 1-1")


def _vpcd(stack: ExitStack, token: VirtualToken, at: Address, ended: Ended) -> Reached:
    from fidokit.virtual.transports.vpcd import VpcdCard

    card = VpcdCard(token, *at, ended=ended)
    stack.callback(card.close)
    hint = "fidokit token list" if card.wait_until_seen() else "not looked at: is a card there?"
    return Reached("vpcd", f"{at[0]}:{at[1]}", hint)


def _socket(stack: ExitStack, token: VirtualToken, path: Path) -> Reached:
    from fidokit.virtual.transports.socket_owner import Listener

    listener = Listener.at(token, path)
    stack.callback(listener.close)
    return Reached("socket", str(path), f"fidokit --token socket:{path}")
