"""A token as a USB device for other machines: a USB/IP server that exports it, alone."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
import struct
import threading
from contextlib import suppress
from typing import Final

from fidokit.errors import (
    FidokitError,
    Malformed,
    NoPermission,
    TokenBusy,
    Unsupported,
    UsageError,
)
from fidokit.unix_socket import tcp_peer_uid, tells_tcp_peers
from fidokit.virtual.framing.usb_descriptors import PRODUCT_ID, VENDOR_ID, UsbIdentity
from fidokit.virtual.framing.usb_device import UsbDevice
from fidokit.virtual.framing.usbip import OpStatus, SessionOutcome, UsbIpSession
from fidokit.virtual.transports.memory import accept_all, alone
from fidokit.virtual.transports.reports import HidPort, HidToken

PORT: Final = 3240
"""Where USB/IP servers listen unless told otherwise."""
MOST_CLIENTS: Final = 16
REQUEST_WAIT_S: Final = 10.0
"""How long a client may take to say what it wants; one that has the device may be silent."""

_LOG: Final = logging.getLogger(__name__)
_CHUNK: Final = 65_536
_SEND_WAIT: Final = struct.pack("ll", 5, 0)
"""A timeval: a client that reads nothing for five seconds has hung up."""
_ALIVE_S: Final = 10
_ALIVE_TRIES: Final = 3


class UsbIpServer:
    """Listens from its making until `close`; one client at a time has the device.

    What is wrong with a client ends that client alone. One that hangs up frees the device; when
    the token is unplugged, who has it loses it, and nothing is listed any longer.

    Args:
        token: what is exported.
        host: the address to listen at. USB/IP knows neither passwords nor encryption: whoever is
            let in can use the token, and reset it.
        port: TCP port; 0 for any that is free.
        vendor_id: USB's number of the maker, 0 to FFFF.
        product_id: the maker's number of the product, 0 to FFFF.
        product: its name, as hosts show it.
        serial: its serial number, as hosts show it.
        anyone: lets in whoever reaches the port; otherwise only this user and root on this machine,
            as the kernel knows the owner of a connection.

    Raises:
        UsageError: numbers that are not valid, an address that is none of this machine, or one
            beyond loopback without `anyone`.
        Unsupported: the system does not say who connects, and `anyone` is not set.
        TokenBusy: something listens there already.
        NoPermission: this user may not listen there.
    """

    def __init__(
        self,
        token: HidToken,
        host: str = "127.0.0.1",
        port: int = PORT,
        *,
        vendor_id: int = VENDOR_ID,
        product_id: int = PRODUCT_ID,
        product: str,
        serial: str,
        anyone: bool = False,
    ) -> None:
        _require_numbers(port, vendor_id, product_id)
        self._anyone = anyone
        self.device = UsbDevice(UsbIdentity(vendor_id, product_id, product, serial))
        self._token = token
        self._changed = threading.Condition()
        self._clients: set[_Client] = set()
        self._importer: _Client | None = None
        self._closed = False
        self._server = _listen(host, port)
        if not anyone:
            _require_known_peers(self._server)
        self._port: int = self._server.getsockname()[1]
        self.hid = HidPort(token, self._send, ended=self._unplugged)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """The TCP port that it listens at."""
        return self._port

    @property
    def imported(self) -> bool:
        """Whether a client has the device."""
        return self._importer is not None

    def wait_until_free(self, seconds: float) -> bool:
        """Whether no client had the device any longer within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._importer is None, seconds)

    def close(self) -> None:
        """Stop listening and disconnect all clients; harmless when repeated."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            clients = list(self._clients)
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()
        for client in clients:
            client.hang_up()
        self.hid.close()

    # --- what clients ask for --------------------------------------------------------------------

    def present(self) -> bool:
        """Whether there is a device to be listed."""
        return self._token.plugged_in and not self._closed

    def claim(self, client: _Client) -> OpStatus:
        """Give the device to a client that asks for it, or say why not."""
        with self._changed:
            if not self.present():
                return OpStatus.NO_DEVICE
            if self._importer is not None:
                return OpStatus.BUSY
            self._importer = client
            return OpStatus.OK

    def release(self, client: _Client) -> None:
        """Forget a client that hung up; if it had the device, that is free now."""
        with self._changed:
            self._clients.discard(client)
            had_it = self._importer is client
        if had_it:
            self.hid.reset()  # before the next one may come: it must not hear of this one's work
            with self._changed:
                self._importer = None
                self._changed.notify_all()

    def _send(self, report: bytes) -> None:
        importer = self._importer
        if importer is not None:
            importer.deliver(report)

    def _unplugged(self) -> None:
        importer = self._importer
        if importer is not None:
            importer.hang_up()

    # --- connections -----------------------------------------------------------------------------

    def _accept(self) -> None:
        accept_all(self._server, self._admit, lambda: self._closed)

    def _admit(self, channel: socket.socket) -> None:
        if not (self._anyone or _is_ours(channel)):
            _LOG.warning("a connection to USB/IP was refused: it is of another user")
            channel.close()
            return
        client = _Client(self, channel)
        with self._changed:
            admitted = not self._closed and len(self._clients) < MOST_CLIENTS
            if admitted:
                self._clients.add(client)
        if admitted:
            threading.Thread(target=client.serve, daemon=True).start()
        else:
            channel.close()


class _Client:
    """One connection: a thread reads what it wants, any thread writes."""

    def __init__(self, server: UsbIpServer, channel: socket.socket) -> None:
        self._server = server
        self._channel = channel
        self._turn = threading.Lock()
        self._session = UsbIpSession(server.device, lambda: server.claim(self), server.present)

    def serve(self) -> None:
        """Answer requests until the client hangs up or sends what is not valid."""
        with alone("a client of USB/IP"), suppress(OSError, Malformed):
            _tune(self._channel)
            while data := self._channel.recv(_CHUNK):
                if self._take(data):
                    break
        self.hang_up()
        self._server.release(self)
        self._channel.close()

    def deliver(self, report: bytes) -> None:
        """Bring a report from the token, from any thread."""
        with self._turn:
            self._write(self._session.deliver(report))

    def hang_up(self) -> None:
        """End the connection, from any thread."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def _take(self, data: bytes) -> bool:
        """Whether the connection is over."""
        with self._turn:
            outcome = self._session.receive(data)
            self._write(bytes(outcome.replies))
            if self._session.imported:
                self._channel.settimeout(None)
        self._hand_on(outcome)
        return outcome.over

    def _hand_on(self, outcome: SessionOutcome) -> None:
        # Not in this connection's turn: the token may answer at once, in this very thread.
        if outcome.reset:
            self._server.hid.reset()
        for report in outcome.reports:
            self._server.hid.receive(report)

    def _write(self, replies: bytes) -> None:
        try:
            self._channel.sendall(replies)
        except OSError:
            self.hang_up()  # the thread that reads sees the end


def _is_ours(channel: socket.socket) -> bool:
    """Whether this user, or root, who attaches devices, is at the other end."""
    return tcp_peer_uid(channel) in {0, os.getuid()}


def _require_known_peers(server: socket.socket) -> None:
    host = server.getsockname()[0]
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        server.close()
        raise UsageError(
            f"USB/IP at {host} would let in whoever reaches it, and they could reset the token",
            hint="listen at 127.0.0.1 and forward the port by ssh, or say --anyone",
        )
    if not tells_tcp_peers():
        server.close()
        raise Unsupported(
            "this system does not say which user connects to USB/IP",
            hint="say --anyone to let in every user of this machine",
        )


def _tune(channel: socket.socket) -> None:
    channel.settimeout(REQUEST_WAIT_S)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_WAIT)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A host that lost its power says nothing; without this its claim would last for ever.
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            channel.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), _ALIVE_S)
    if hasattr(socket, "TCP_KEEPCNT"):
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _ALIVE_TRIES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # the same while something was said to it
        gone_ms = 1000 * _ALIVE_S * (1 + _ALIVE_TRIES)
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, gone_ms)


def _require_numbers(port: int, vendor_id: int, product_id: int) -> None:
    for number, name in ((port, "port"), (vendor_id, "vendor id"), (product_id, "product id")):
        if not 0 <= number <= 0xFFFF:
            raise UsageError(f"{number} is not a {name}: it has 16 bits")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        server = socket.socket(family, kind)
    except OSError as error:
        raise _unusable(host, port, error) from error
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(where)
        server.listen(MOST_CLIENTS)
    except OSError as error:
        server.close()
        raise _unusable(host, port, error) from error
    return server


def _unusable(host: str, port: int, error: OSError) -> FidokitError:
    what = f"USB/IP cannot listen at {host} port {port}: {error.strerror}"
    if isinstance(error, PermissionError):
        return NoPermission(what, hint="choose a port from 1024 up")
    if isinstance(error, socket.gaierror) or error.errno != errno.EADDRINUSE:
        return UsageError(what, hint="choose an address of this machine, as 127.0.0.1")
    return TokenBusy(what, hint="choose another port, or end the server that listens there")
