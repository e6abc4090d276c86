"""python-fido2's own host code on a shared HID interface, beside programs of other kinds."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.hid import CTAPHID, CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor
from tests.support.hid_hub import Hub, Opening

from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message
from fidokit.virtual.token import VirtualToken

PATIENCE_S = 20.0
ERR = CtapError.ERR
SELECTION = b"\x0b"


class _Connection(Opening, CtapHidConnection):
    """An opening, by python-fido2's name for it."""


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as token:
        yield token


@pytest.fixture
def hub(token: VirtualToken) -> Iterator[Hub]:
    hub = Hub(token)
    yield hub
    hub.port.close()


def open_device(hub: Hub) -> CtapHidDevice:
    descriptor = HidDescriptor("virtual", 0x1209, 0x0001, 64, 64, "token", "FK01")
    return CtapHidDevice(descriptor, _Connection(hub))


def refused_once(device: CtapHidDevice) -> CtapError.ERR:
    """What a PING is refused with; it would come again, were it not canceled already."""
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CtapError) as refused:
        device.call(CTAPHID.PING, b"x", event=canceled)
    assert isinstance(refused.value.code, ERR)
    return refused.value.code


class Raw:
    """A program that says exactly what the test wants."""

    def __init__(self, hub: Hub) -> None:
        self._opening = hub.open()
        (init,) = Message(BROADCAST, HidCommand.INIT, bytes(8)).reports()
        self._opening.write_packet(init)
        self.channel = int.from_bytes(self.read()[15:19])

    def write(self, report: bytes) -> None:
        """A report of any kind."""
        self._opening.write_packet(report)

    def read(self) -> bytes:
        """The next report."""
        return self._opening.read_packet()


def test_several_devices_are_open(hub: Hub, token: VirtualToken) -> None:
    first, second = open_device(hub), open_device(hub)
    assert first.ping(b"a" * 7609) == b"a" * 7609
    assert second.ping(b"b" * 100) == b"b" * 100
    assert Ctap2(first).info.versions == Ctap2(second).info.versions
    second.wink()
    assert token.winks == 1


@pytest.mark.check("HID-23", "HID-24")
def test_lock(hub: Hub) -> None:
    first, second = open_device(hub), open_device(hub)
    first.lock(10)
    assert refused_once(second) is ERR.CHANNEL_BUSY
    first.lock(0)
    assert second.ping(b"x") == b"x"
    with pytest.raises(CtapError) as too_long:
        first.lock(11)
    assert too_long.value.code is ERR.INVALID_PARAMETER


@pytest.mark.check("HID-14", "HID-15")
def test_it_comes_again_while_the_token_is_busy(hub: Hub, token: VirtualToken) -> None:
    first, second, alive = open_device(hub), open_device(hub), threading.Event()
    done: list[bytes] = []

    def select() -> None:
        done.append(first.call(CTAPHID.CBOR, SELECTION, on_keepalive=lambda _: alive.set()))

    waiting = threading.Thread(target=select)
    waiting.start()
    assert alive.wait(PATIENCE_S)
    assert refused_once(second) is ERR.CHANNEL_BUSY
    touch = threading.Timer(0.15, token.touch)  # it has been refused at least once by then
    touch.start()
    assert second.ping(b"came again") == b"came again"
    assert open_device(hub).ping(b"x") == b"x"
    waiting.join(PATIENCE_S)
    assert done == [b"\0"]


@pytest.mark.check("HID-19", "HID-20")
def test_cancel(hub: Hub) -> None:
    device, cancel = open_device(hub), threading.Event()
    said: list[int] = []

    def on_keepalive(status: int) -> None:
        said.append(status)
        cancel.set()

    assert device.call(CTAPHID.CBOR, SELECTION, event=cancel, on_keepalive=on_keepalive) == b"\x2d"
    assert said == [2]
    assert device.ping(b"x") == b"x"


@pytest.mark.check("HID-12")
def test_a_program_that_died_in_the_middle_is_waited_out(hub: Hub) -> None:
    device, raw = open_device(hub), Raw(hub)
    raw.write(next(Message(raw.channel, HidCommand.PING, bytes(99)).reports()))
    assert device.ping(b"x") == b"x"  # after some tries: it comes again every 100 ms
    assert raw.read()[4:8] == bytes([0xBF, 0, 1, 5])


@pytest.mark.check("GN-04")
def test_a_list_is_its_programs_own(hub: Hub, token: VirtualToken) -> None:
    first, second = Ctap2(open_device(hub)), Ctap2(open_device(hub))
    for user in (b"1", b"2"):
        token.touch()
        first.make_credential(
            bytes(32),
            {"id": "example.org", "name": "Example"},
            {"id": user, "name": "user"},
            [{"type": "public-key", "alg": -7}],
            options={"rk": True},
        )
    for begins, intrudes in ((first, second), (second, first)):
        token.touch()
        assert begins.get_assertion("example.org", bytes(32)).number_of_credentials == 2
        assert begins.get_next_assertion().credential["id"]
        token.touch()
        begins.get_assertion("example.org", bytes(32))
        with pytest.raises(CtapError) as refused:
            intrudes.get_next_assertion()
        assert refused.value.code is ERR.NOT_ALLOWED
