"""The server over TCP: a host that enumerates, talks CTAPHID, hangs up, or behaves badly."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.ctaphid_host import Answer, Refused, Waiting
from tests.support.usbip_host import PATIENCE_S, UsbIpHost

from fidokit.errors import NoPermission, TokenBusy, Unsupported, UsageError
from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import HidCommand
from fidokit.virtual.framing.usb_descriptors import REPORT_DESCRIPTOR
from fidokit.virtual.framing.usbip import OpStatus, UsbIpSession
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports import usbip
from fidokit.virtual.transports.usbip import MOST_CLIENTS, UsbIpServer

GET_INFO, SELECTION = b"\x04", b"\x0b"


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as token:
        yield token


@pytest.fixture
def server(token: VirtualToken) -> Iterator[UsbIpServer]:
    server = UsbIpServer(token, port=0, product="a token", serial="FK01")
    yield server
    server.close()


_dialed: list[UsbIpHost] = []


def dial(server: UsbIpServer) -> UsbIpHost:
    """A client, which is closed with the test."""
    _dialed.append(UsbIpHost(server.port))
    return _dialed[-1]


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while _dialed:
        _dialed.pop().close()


@pytest.fixture
def host(server: UsbIpServer) -> UsbIpHost:
    host = dial(server)
    assert host.attach() == OpStatus.OK
    return host


def ended(host: UsbIpHost) -> bool:
    """Whether the server hangs up, all that it said before being read."""
    try:
        while host.channel.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def test_listing(server: UsbIpServer) -> None:
    for _ in range(2):
        (device,) = dial(server).list_devices()
        assert struct.unpack(">HH", device[300:304]) == (0x1209, 0x0001)


def test_a_host_enumerates_and_talks(host: UsbIpHost, token: VirtualToken) -> None:
    assert host.enumerate() == REPORT_DESCRIPTOR
    assert host.descriptor(3, 2)[2:].decode("utf-16-le") == "a token"
    assert host.descriptor(3, 3)[2:].decode("utf-16-le") == "FK01"
    host.open()
    info = host.ask(HidCommand.CBOR, GET_INFO)
    assert isinstance(info, Answer)
    assert info.payload[0] == CtapStatus.OK
    assert host.ask(HidCommand.PING, bytes(7609)) == Answer(bytes(7609))
    version = host.ask(HidCommand.MSG, bytes.fromhex("00030000000000"))
    assert version == Answer(b"U2F_V2\x90\x00")
    assert host.ask(HidCommand.WINK) == Answer(b"")
    assert token.winks == 1
    assert host.ask(HidCommand.WINK, b"x") == Refused(CtapStatus.INVALID_LENGTH)


def test_the_numbers_can_be_chosen(token: VirtualToken) -> None:
    server = UsbIpServer(
        token, port=0, vendor_id=0x1050, product_id=0x0402, product="x" * 300, serial=""
    )
    (device,) = dial(server).list_devices()
    assert struct.unpack(">HH", device[300:304]) == (0x1050, 0x0402)
    server.close()


def test_waiting_for_a_touch(host: UsbIpHost, token: VirtualToken) -> None:
    host.open()
    host.begin(HidCommand.CBOR, SELECTION)
    for _ in range(3):
        assert host.wait() == Waiting(2)
    token.touch()
    while (event := host.wait()) == Waiting(2):
        pass
    assert event == Answer(b"\0")


def test_canceling(host: UsbIpHost) -> None:
    host.open()
    host.begin(HidCommand.CBOR, SELECTION)
    assert host.wait() == Waiting(2)
    host.write(host.hid.cancel())
    while (event := host.wait()) == Waiting(2):
        pass
    assert event == Answer(bytes([CtapStatus.KEEPALIVE_CANCEL]))


def test_a_transfer_in_waits_and_can_be_taken_back(host: UsbIpHost) -> None:
    waiting = host.submit(0x81, length=64)
    unlinked = host.unlink(waiting)
    assert (unlinked.command, unlinked.status) == (4, -104)
    assert host.open()
    assert host.unlink(waiting).status == 0


# --- several clients ---------------------------------------------------------------------------


def test_one_client_at_a_time(host: UsbIpHost, server: UsbIpServer) -> None:
    assert server.imported
    other = dial(server)
    assert other.attach() == OpStatus.BUSY
    assert ended(other)
    assert len(dial(server).list_devices()) == 1
    assert host.open()


def test_who_hangs_up_frees_the_device(host: UsbIpHost, server: UsbIpServer) -> None:
    first = host.open()
    host.begin(HidCommand.CBOR, SELECTION)
    assert host.wait() == Waiting(2)
    host.close()
    assert server.wait_until_free(PATIENCE_S)
    assert not server.imported
    again = dial(server)
    assert again.attach() == OpStatus.OK
    assert again.open() != first  # channels of the one before stay its own
    answer = again.ask(HidCommand.CBOR, GET_INFO)
    assert isinstance(answer, Answer)
    assert answer.payload[0] == CtapStatus.OK


def test_there_is_no_other_device(server: UsbIpServer) -> None:
    host = dial(server)
    assert host.attach(b"2-1") == OpStatus.NO_DEVICE
    assert ended(host)
    assert not server.imported


@pytest.mark.parametrize(
    "rubbish",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(48), b"\xff" * 5000, bytes.fromhex("0111800700000000")],
)
def test_rubbish_ends_who_sends_it(host: UsbIpHost, server: UsbIpServer, rubbish: bytes) -> None:
    other = dial(server)
    other.channel.sendall(rubbish)
    assert ended(other)
    assert host.open()


def test_rubbish_from_who_has_the_device_frees_it(host: UsbIpHost, server: UsbIpServer) -> None:
    host.channel.sendall(b"\xff" * 48)
    assert ended(host)
    assert server.wait_until_free(PATIENCE_S)
    assert dial(server).attach() == OpStatus.OK


def test_clients_are_bounded(host: UsbIpHost, server: UsbIpServer) -> None:
    for _ in range(MOST_CLIENTS - 1):
        dial(server)
    assert ended(dial(server))
    assert host.open()


def test_who_says_nothing_is_hung_up_on(
    token: VirtualToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usbip, "REQUEST_WAIT_S", 0.05)
    server = UsbIpServer(token, port=0, product="", serial="")
    host = dial(server)
    assert host.attach() == OpStatus.OK
    assert ended(dial(server))
    assert host.open()  # who has the device may be silent for as long as it likes
    server.close()


# --- the end -----------------------------------------------------------------------------------


def test_unplugged_while_a_host_waits(
    host: UsbIpHost, server: UsbIpServer, token: VirtualToken
) -> None:
    host.open()
    host.begin(HidCommand.CBOR, SELECTION)
    assert host.wait() == Waiting(2)
    token.unplug()
    assert ended(host)
    assert server.wait_until_free(PATIENCE_S)
    assert dial(server).list_devices() == []
    assert dial(server).attach() == OpStatus.NO_DEVICE


def test_closing_hangs_up_and_frees_the_port(server: UsbIpServer, host: UsbIpHost) -> None:
    other = dial(server)
    server.close()
    server.close()
    assert ended(host)
    assert ended(other)
    with pytest.raises(OSError, match="refused"):
        dial(server)


def test_closing_ends_what_runs(server: UsbIpServer, host: UsbIpHost, token: VirtualToken) -> None:
    host.open()
    host.begin(HidCommand.CBOR, SELECTION)
    assert host.wait() == Waiting(2)
    server.close()
    link, done = token.link(), threading.Event()
    while link.cbor(SELECTION, lambda _: done.set(), done.is_set) == bytes([6]):
        pass  # busy until the wait has noticed
    assert done.is_set()


# --- listening ---------------------------------------------------------------------------------


def test_only_this_machine_is_let_in_unless_told(server: UsbIpServer) -> None:
    assert server._server.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken(server: UsbIpServer, token: VirtualToken) -> None:
    with pytest.raises(TokenBusy, match=f"port {server.port}") as caught:
        UsbIpServer(token, port=server.port, product="", serial="")
    assert "another port" in caught.value.hint


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host.invalid"])
def test_an_address_of_another_machine(token: VirtualToken, host: str) -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        UsbIpServer(token, host, 0, product="", serial="")


def test_a_port_that_is_not_allowed(token: VirtualToken, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(NoPermission, match="Permission denied"):
        UsbIpServer(token, port=80, product="", serial="")


@pytest.mark.parametrize(
    "numbers", [{"port": 65536}, {"port": -1}, {"vendor_id": 0x10000}, {"product_id": -1}]
)
def test_numbers_that_make_no_sense(token: VirtualToken, numbers: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="16 bits"):
        UsbIpServer(token, **({"port": 0} | numbers), product="", serial="")


# --- who may attach ------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", [12345, None], ids=["another user", "nobody known"])
def test_others_are_refused(
    token: VirtualToken,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: int | None,
) -> None:
    monkeypatch.setattr("fidokit.virtual.transports.usbip.tcp_peer_uid", lambda _: owner)
    for anyone, admitted in ((False, False), (True, True)):
        server = UsbIpServer(token, port=0, product="x", serial="x", anyone=anyone)
        with socket.create_connection(("127.0.0.1", server.port), 10) as channel:
            channel.settimeout(10)
            channel.sendall(bytes.fromhex("0111800500000000"))
            assert bool(_said(channel)) is admitted
        server.close()
    assert "of another user" in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_addresses_beyond_loopback_want_a_word(token: VirtualToken, host: str) -> None:
    with pytest.raises(UsageError, match="whoever reaches it") as refused:
        UsbIpServer(token, host, 0, product="", serial="")
    assert "--anyone" in refused.value.hint
    UsbIpServer(token, host, 0, product="", serial="", anyone=True).close()


def test_a_system_that_does_not_say_who_connects(
    token: VirtualToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fidokit.unix_socket._TCP_TABLES", (Path("/nonexistent"),))
    with pytest.raises(Unsupported, match="does not say which user"):
        UsbIpServer(token, port=0, product="", serial="")


def test_a_client_that_breaks_us_ends_alone(
    server: UsbIpServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = UsbIpSession.receive
    answers = [RuntimeError("a defect of ours")]

    def receive(self: UsbIpSession, data: bytes) -> object:
        if answers:
            raise answers.pop()
        return real(self, data)

    monkeypatch.setattr(UsbIpSession, "receive", receive)
    with socket.create_connection(("127.0.0.1", server.port), 10) as channel:
        channel.settimeout(10)
        channel.sendall(b"x")
        assert channel.recv(1) == b""
    assert "RuntimeError: a defect of ours" in caplog.text
    assert dial(server).attach() == OpStatus.OK


def _said(channel: socket.socket) -> bytes:
    """What comes first; nothing where the other end hung up, with or without reading."""
    try:
        return channel.recv(8)
    except ConnectionResetError:
        return b""
