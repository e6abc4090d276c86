"""FIDO devices on HID: their nodes, by usage page, who may open them, and who holds them.

Sources: HID 1.11 section 6.2.2 (report descriptors), CTAP 2.3 section 11.2.8.1 (usage page).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.system import udev
from fidokit.system.host import Host
from fidokit.system.probes import Finding, Status

FIDO_USAGE_PAGE: Final = 0xF1D0

_PCSC_CLIENT: Final = b"/libpcsclite.so"
_MAX_DESCRIPTOR: Final = 4096  # the kernel's own limit, HID_MAX_DESCRIPTOR_SIZE
_LONG_ITEM: Final = 0xFE
_USAGE_PAGE: Final = 0x04  # global item, tag 0; the two low bits are the size
_ITEM_SIZES: Final = (0, 1, 2, 4)


def usage_pages(descriptor: bytes) -> Iterator[int]:
    """The usage pages that a report descriptor names, in order; a cut item ends it."""
    at = 0
    while at < len(descriptor):
        prefix = descriptor[at]
        if prefix == _LONG_ITEM:
            at += 3 + (descriptor[at + 1] if at + 1 < len(descriptor) else 0)
            continue
        size = _ITEM_SIZES[prefix & 0x03]
        data = descriptor[at + 1 : at + 1 + size]
        if prefix & 0xFC == _USAGE_PAGE and len(data) == size:
            yield int.from_bytes(data, "little")
        at += 1 + size


def is_fido(descriptor: bytes) -> bool:
    """Whether a report descriptor is a FIDO authenticator's."""
    return FIDO_USAGE_PAGE in usage_pages(descriptor[:_MAX_DESCRIPTOR])


@dataclass(frozen=True, slots=True)
class HidNode:
    """A FIDO device's node, such as `/dev/hidraw3`, and the name the device gives itself."""

    node: str
    name: str


def fido_nodes(host: Host) -> list[HidNode]:
    """The FIDO devices that the kernel sees, whether or not this user may open them."""
    found = []
    for entry in sorted(host.path("/sys/class/hidraw").glob("hidraw*")):
        descriptor = _read(entry / "device" / "report_descriptor")
        if is_fido(descriptor):
            found.append(HidNode(f"/dev/{entry.name}", _name(entry)))
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_DESCRIPTOR)
    except OSError:
        return b""  # it was unplugged while we looked


def _name(entry: Path) -> str:
    text = _read(entry / "device" / "uevent").decode("utf-8", "replace")
    found = re.search(r"^HID_NAME=(.*)$", text, re.MULTILINE)
    return found.group(1) if found else "a FIDO token"


def holders(host: Host, node: str, *, but: int = 0) -> list[str]:
    """Who has a node open, as "firefox (pid 123)"; other users' programs only root sees.

    Args:
        host: the machine.
        node: the device node.
        but: the number of a process that does not count: whoever asks.
    """
    return _programs(host, but, lambda process: _has_open(process, node))


def card_programs(host: Host, *, but: int = 0) -> list[str]:
    """Who uses the PC/SC service, as "scdaemon (pid 123)"; other users' programs only root sees.

    Which of several readers a program uses, nothing shows.

    Args:
        host: the machine.
        but: the number of a process that does not count: whoever asks.
    """
    return _programs(host, but, _uses_cards)


def _programs(host: Host, but: int, fits: Callable[[Path], bool]) -> list[str]:
    found = []
    for process in host.path("/proc").glob("[0-9]*"):
        if process.name != str(but) and fits(process):
            name = _read(process / "comm").decode("utf-8", "replace").strip()
            found.append(f"{name or 'a program'} (pid {process.name})")
    return sorted(found)


def _uses_cards(process: Path) -> bool:
    """Whether the library of PC/SC's clients is loaded; pcscd itself has the real one."""
    with suppress(OSError), (process / "maps").open("rb") as maps:
        return any(_PCSC_CLIENT in line for line in maps)
    return False


def _has_open(process: Path, node: str) -> bool:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) == node:
                    return True
    return False


def probe(host: Host) -> list[Finding]:
    """Whether tokens are seen on USB, and whether this user may open them."""
    if not host.platform.startswith("linux"):
        return []
    if not host.path("/sys/class/hidraw").is_dir():
        return [
            Finding(
                "hid",
                Status.WARN,
                "the kernel offers no hidraw devices",
                "load the module with `sudo modprobe hid`; a container needs /sys and the "
                "device node passed in",
            )
        ]
    nodes = fido_nodes(host)
    if not nodes:
        return [
            Finding(
                "hid",
                Status.WARN,
                "no security token is seen on USB",
                "plug one in; `dmesg` shows whether the machine sees it",
            )
        ]
    return [finding for node in nodes for finding in _probe_node(host, node)]


def _remedy(host: Host) -> str:
    """What opens a node to this user, by whether our rules are there."""
    own = _read(host.path(udev.RULES_PATH))  # counts in place of the package's, where both are
    rules = (own or _read(host.path(udev.PACKAGED_PATH))).decode("utf-8", "replace")
    if not rules:
        return "run `sudo fidokit udev install`; `fidokit udev print` shows what that writes"
    if group := udev.active_group(rules):
        return (
            f"the rules open it to the user at the machine and to the group {group}: "
            f"`sudo gpasswd -a $USER {group}`, then log in again"
        )
    return (
        "the rules open it to the user at the machine; for others, run "
        "`sudo groupadd --system fido`, `sudo gpasswd -a $USER fido`, "
        "`sudo fidokit udev install --group fido --force`, then log in again"
    )


def _probe_node(host: Host, node: HidNode) -> Iterator[Finding]:
    path = host.path(node.node)
    if not path.exists():
        yield Finding(
            "hid-node",
            Status.FAIL,
            f"the kernel sees {node.name}, but {node.node} does not exist",
            "in a container, pass the device in (docker run --device); otherwise start udev",
        )
    elif not host.access(path):
        yield Finding(
            "hid-permission",
            Status.FAIL,
            f"this user may not open {node.node} ({node.name})",
            _remedy(host),
        )
    else:
        yield Finding("hid", Status.OK, f"{node.name} is at {node.node} and may be opened")
    users = holders(host, node.node)
    if users:
        yield Finding(
            "hid-holder",
            Status.WARN,
            f"{node.node} is held by {', '.join(users)}",
            "close that program if the token does not answer",
        )
