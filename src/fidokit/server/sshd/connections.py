"""Connected TCP sockets for a throw-away sshd, from any address to any address.

Loopback serves everybody. Other addresses exist in a network namespace that one thread of ours
enters (root alone): there every address is local. Only the sockets live there; sshd and ssh, which
inherit them, run where they always do.

Source: network_namespaces(7), rtnetlink(7), netdevice(7), ip(7) on IP_FREEBIND.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Final

from fidokit.errors import FidokitError
from fidokit.server.sshd.query import LOOPBACK, LoginOrigin

SocketPair = tuple[socket.socket, socket.socket]
"""The client's end and the server's."""

_CLONE_NEWNET: Final = 0x40000000
_IP_FREEBIND: Final = 15
_IPV6_FREEBIND: Final = 78
_PATIENCE_S: Final = 10.0
_OUR_IPV6: Final = "2001:db8::2"
"""The server's own address (RFC 3849) for clients of IPv6, if the origin has none of that kind."""


class Connections:
    """Makes pairs of connected sockets; a context manager, for what they need."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> Connections:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread:
            self._thread.shutdown()

    def pair(self, origin: LoginOrigin = LOOPBACK) -> SocketPair:
        """A connection as sshd would see it from an origin.

        Raises:
            FidokitError: this process cannot make one from there.
        """
        if origin.rdomain:
            raise FidokitError("a trial cannot come from another routing domain")
        try:
            client = ipaddress.ip_address(origin.addr)
            if client.is_loopback and origin == LOOPBACK:
                return _pair(origin.addr, origin.addr, 0)
            return (
                self._elsewhere()
                .submit(_pair, origin.addr, origin.laddr, int(origin.lport))
                .result()
            )
        except (OSError, ValueError) as error:
            raise FidokitError(
                f"a trial cannot come from {origin.addr}: {error}",
                hint="root can try every address; see `unshare --net`",
            ) from None

    def _elsewhere(self) -> ThreadPoolExecutor:
        if self._thread is None:
            thread = ThreadPoolExecutor(1)
            try:
                thread.submit(_enter_own_network).result()
            except BaseException:
                thread.shutdown()
                raise
            self._thread = thread
        return self._thread


def _pair(addr: str, laddr: str, lport: int) -> SocketPair:
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    if (":" in laddr) != (":" in addr):
        laddr = _OUR_IPV6 if ":" in addr else LoginOrigin().laddr
    with socket.socket(family) as listener:
        _free(listener, family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((laddr, lport))
        listener.listen(1)
        listener.settimeout(_PATIENCE_S)
        client = socket.socket(family)
        try:
            _free(client, family)
            client.settimeout(_PATIENCE_S)
            client.bind((addr, 0))
            client.connect(listener.getsockname())
            served, _ = listener.accept()
        except BaseException:
            client.close()
            raise
    for end in (client, served):
        end.settimeout(None)
        with suppress(OSError):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, served


def _free(end: socket.socket, family: int) -> None:
    """Let a socket take an address that no interface has."""
    level, option = (
        (socket.IPPROTO_IPV6, _IPV6_FREEBIND)
        if family == socket.AF_INET6
        else (socket.IPPROTO_IP, _IP_FREEBIND)
    )
    with suppress(OSError):
        end.setsockopt(level, option, 1)


# --- a network of our own --------------------------------------------------------------------

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_RTM_NEWROUTE: Final = 24
_NLM_F: Final = 0x1 | 0x4 | 0x400  # request, acknowledge, create
_TABLE_LOCAL: Final = 255
_PROTO_BOOT: Final = 3
_SCOPE_HOST: Final = 254
_TYPE_LOCAL: Final = 2
_RTA_OIF: Final = 4


def _enter_own_network() -> None:
    """Leave this thread's network for an empty one, in which every address is this machine's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _raise_loopback()
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # a kernel without IPv6 serves the rest
            _route_all_here(family)


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _route_all_here(family: int) -> None:
    """`ip route add local default dev lo`."""
    route = struct.pack(
        "=BBBBBBBBI", family, 0, 0, 0, _TABLE_LOCAL, _PROTO_BOOT, _SCOPE_HOST, _TYPE_LOCAL, 0
    )
    interface = struct.pack("=HHI", 8, _RTA_OIF, socket.if_nametoindex("lo"))
    body = route + interface
    head = struct.pack("=IHHII", 16 + len(body), _RTM_NEWROUTE, _NLM_F, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(head + body)
        answer = kernel.recv(4096)
    (error,) = struct.unpack_from("=i", answer, 16)
    if error:
        raise OSError(-error, os.strerror(-error))
