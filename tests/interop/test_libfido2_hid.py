"""Stock libfido2 over reports: several programs, keep-alives, canceling, busy tokens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from ctypes import byref, c_bool, c_int, c_size_t, c_void_p

import pytest
from tests.interop.libfido2 import HidDevice
from tests.support.hid_hub import Hub, Opening

from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

ES256 = -7
ERR_RX = -2
PATIENCE_S = 20.0


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as token:
        yield token


@pytest.fixture
def hub(token: VirtualToken) -> Iterator[Hub]:
    hub = Hub(token)
    yield hub
    hub.port.close()


def credential(device: HidDevice) -> c_void_p:
    """What is to be made: enough of a request to wait for a touch."""
    made = device.new("fido_cred_new")
    lib = device.lib
    assert lib.fido_cred_set_type(made, c_int(ES256)) == 0
    assert lib.fido_cred_set_clientdata_hash(made, bytes(32), c_size_t(32)) == 0
    assert lib.fido_cred_set_rp(made, b"example.org", None) == 0
    assert lib.fido_cred_set_user(made, b"id", c_size_t(2), b"name", None, None) == 0
    return made


class Making:
    """A registration in a thread of its own; the library waits for the touch in there."""

    def __init__(self, device: HidDevice) -> None:
        self._device = device
        self._made = credential(device)
        self._status: int | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._status = self._device.status("fido_dev_make_cred", self._made, None)

    def status(self) -> int | None:
        self._thread.join(PATIENCE_S)
        return self._status


def waiting(token: VirtualToken) -> bool:
    """Whether a command has come to wait for its touch: others are turned away then."""
    link = token.link()
    for _ in range(100_000):
        if link.cbor(b"\x04", lambda _: None, lambda: False) == bytes([CtapStatus.CHANNEL_BUSY]):
            return True
    return False


@pytest.mark.check("HID-03", "HID-28")
def test_opening_and_getting_information(hub: Hub) -> None:
    with HidDevice(hub.open()) as device:
        assert device.lib.fido_dev_is_fido2(device._dev)
        assert device.lib.fido_dev_protocol(device._dev) == 2
        assert device.lib.fido_dev_flags(device._dev) == 0x05
        assert device.lib.fido_dev_major(device._dev) == 1


@pytest.mark.check("HID-04")
def test_two_devices_open_at_once(hub: Hub, token: VirtualToken) -> None:
    with HidDevice(hub.open()) as first, HidDevice(hub.open()) as second:
        retries = c_int()
        for device in (first, second, first):
            device.call("fido_dev_get_retry_count", byref(retries))
            assert retries.value == 8
        token.touch()
        assert Making(second).status() == 0
        token.touch()
        assert Making(first).status() == 0


@pytest.mark.check("HID-19")
def test_keepalives_until_the_touch(hub: Hub, token: VirtualToken) -> None:
    opening = hub.open()
    with HidDevice(opening) as device:
        alive = threading.Event()
        _watch(opening, alive)
        making = Making(device)
        assert alive.wait(PATIENCE_S)
        token.touch()
        assert making.status() == 0


def _watch(opening: Opening, alive: threading.Event, wanted: int = 3) -> None:
    """Set the event once so many keep-alives were read."""
    poll, seen = opening.poll, [0]

    def watched(milliseconds: int) -> bytes | None:
        report = poll(milliseconds)
        if report is not None and report[4:8] == bytes([0xBB, 0, 1, 2]):
            seen[0] += 1
            if seen[0] == wanted:
                alive.set()
        return report

    opening.poll = watched  # type: ignore[method-assign]


@pytest.mark.check("HID-20")
def test_canceling(hub: Hub, token: VirtualToken) -> None:
    with HidDevice(hub.open()) as device:
        making = Making(device)
        assert waiting(token)
        device.call("fido_dev_cancel")
        assert making.status() == CtapStatus.KEEPALIVE_CANCEL
        token.touch()
        assert Making(device).status() == 0


@pytest.mark.check("HID-21")
def test_one_programs_cancel_is_not_the_others(hub: Hub, token: VirtualToken) -> None:
    with HidDevice(hub.open()) as first, HidDevice(hub.open()) as second:
        making = Making(first)
        assert waiting(token)
        second.call("fido_dev_cancel")
        token.touch()
        assert making.status() == 0


@pytest.mark.check("HID-14", "HID-15")
def test_a_second_program_while_the_first_waits(hub: Hub, token: VirtualToken) -> None:
    """libfido2 does not try again: what is refused as busy is an error of its own to it."""
    with HidDevice(hub.open()) as first, HidDevice(hub.open()) as second:
        making = Making(first)
        assert waiting(token)
        assert second.status("fido_dev_get_retry_count", byref(c_int())) == ERR_RX
        third = hub.open()
        with pytest.raises(AssertionError, match="fido_dev_open"):
            HidDevice(third)
        token.touch()
        assert making.status() == 0
        second.call("fido_dev_get_retry_count", byref(c_int()))


def test_waiting_for_a_touch_by_its_own_means(hub: Hub, token: VirtualToken) -> None:
    with HidDevice(hub.open()) as device:
        touched = c_bool(True)
        device.call("fido_dev_get_touch_begin")
        device.call("fido_dev_get_touch_status", byref(touched), c_int(250))
        assert not touched.value
        token.touch()
        for _ in range(100):
            device.call("fido_dev_get_touch_status", byref(touched), c_int(250))
            if touched.value:
                break
        assert touched.value


@pytest.mark.check("HID-09")
def test_a_half_sent_message_of_another_program_is_in_the_way_once(
    hub: Hub, token: VirtualToken
) -> None:
    other = hub.open()
    (init,) = Message(BROADCAST, HidCommand.INIT, bytes(8)).reports()
    other.write_packet(init)
    channel = int.from_bytes(other.read_packet()[15:19])
    other.write_packet(next(Message(channel, HidCommand.PING, bytes(500)).reports()))
    with pytest.raises(AssertionError, match="fido_dev_open"):
        HidDevice(hub.open())
    timeout = other.read_packet()  # half a second later
    assert timeout[:8] == channel.to_bytes(4) + bytes([0xBF, 0, 1, CtapStatus.TIMEOUT])
    with HidDevice(hub.open()) as device:
        token.touch()
        assert Making(device).status() == 0
