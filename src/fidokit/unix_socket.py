"""Where a token's socket lies, and who is at its other end."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, Unsupported

_SUFFIX: Final = ".sock"

_LONGEST: Final = 103
"""Bytes of a path in sockaddr_un beside its NUL: 103 on BSD and macOS, 107 on Linux."""

_PROC: Final = Path("/proc/self/fd")

_LINUX: Final[bool] = sys.platform == "linux"

_TCP_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED: Final = "01"

_UCRED: Final = struct.Struct("3i")
"""Linux's struct ucred: pid, uid, gid."""

_XUCRED: Final = struct.Struct("=II")
"""The front of struct xucred on BSD and macOS: version 0, uid."""
_LOCAL_PEERCRED: Final = (0, 1, 76)
"""Level, option and size to ask for on BSD and macOS; Python has no names for them."""


def socket_path(state: Path) -> Path:
    """The socket of the token that lives in `state`."""
    return state.with_name(state.name + _SUFFIX)


@contextmanager
def address(path: Path) -> Iterator[str]:
    """What to bind or connect to for `path`, however deep it lies.

    A path that does not fit into sockaddr_un is reached through a descriptor of its folder.

    Raises:
        Unsupported: it is too long, and the system (without /proc) knows no other way.
        OSError: the folder cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    if not _PROC.is_dir():
        raise Unsupported(
            f"the path {path} is too long for a socket",
            hint="choose a folder with a shorter name by XDG_STATE_HOME",
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield str(_PROC / str(folder) / path.name)
    finally:
        os.close(folder)


def peer_uid(channel: socket.socket) -> int | None:
    """The user at the other end, as the kernel knows it; None if the system does not say."""
    if _LINUX:
        credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(credentials)[1])
    try:
        credentials = channel.getsockopt(*_LOCAL_PEERCRED)
        return int(_XUCRED.unpack_from(credentials)[1])
    except (OSError, struct.error):
        return None


def peer_process(channel: socket.socket) -> str:
    """The program at the other end, as "ssh (pid 123)"; empty if the system does not say.

    Its name is its own choice: hostile text, and no proof of anything.
    """
    if not _LINUX:
        return ""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid = int(_UCRED.unpack(credentials)[0])
    return process_name(pid) if pid else ""  # 0: in a namespace that we cannot see into


def process_name(pid: int) -> str:
    """A running program as "ssh (pid 123)"; its name is its own choice: hostile text."""
    try:
        name = Path(f"/proc/{pid}/comm").read_bytes().decode("utf-8", "replace").strip()
    except OSError:
        name = ""
    return f"{name or 'a program'} (pid {pid})"


def tells_tcp_peers() -> bool:
    """Whether `tcp_peer_uid` can know anything here."""
    return any(table.exists() for table in _TCP_TABLES)


def tcp_peer_uid(channel: socket.socket) -> int | None:
    """The user at the other end of a TCP connection on this machine, from the kernel's tables.

    Returns:
        None if the tables do not have it: another machine, another network namespace, another
        system than Linux, or an end that was closed already, whose owner the kernel forgot.
    """
    try:
        ends = channel.getpeername()[:2], channel.getsockname()[:2]
        wanted = [{_in_table(*end, mapped=mapped) for mapped in (False, True)} for end in ends]
        rows = [row for table in _TCP_TABLES if table.exists() for row in _rows(table)]
    except OSError:
        return None
    for row in rows:
        # Ends that were closed show user 0 and no inode: only a living socket has an owner.
        alive = row[3] == _ESTABLISHED and row[9] != "0"
        if alive and row[1] in wanted[0] and row[2] in wanted[1]:
            return int(row[7])
    return None


def _rows(table: Path) -> list[list[str]]:
    """sl, local and remote address, state, queues, timer, retransmits, uid, time-out, inode, ..."""
    lines = table.read_text("ascii", "replace").splitlines()[1:]
    return [fields for line in lines if len(fields := line.split()) > 9]


def _in_table(host: str, port: int, *, mapped: bool) -> str:
    """An address as /proc/net/tcp writes it: 32-bit words in the order of the machine.

    Args:
        host: an address of IPv4 or IPv6.
        port: of TCP.
        mapped: IPv4 as a socket of IPv6 has it.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    packed = address.packed
    if mapped and len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{port:04X}"


def require_own_user(channel: socket.socket) -> None:
    """Let nobody but this user, or root, be at the other end.

    Where the system does not say who is, the folder's mode 0700 is what keeps others out.

    Raises:
        NoPermission: it is somebody else.
    """
    uid = peer_uid(channel)
    if uid not in {None, 0, os.geteuid()}:
        raise NoPermission(
            f"the virtual token's socket is used by another user (id {uid})",
            hint=f"a token is served to its own user: be that one (in a container: --user {uid}), "
            "or have the token served by yours",
        )
