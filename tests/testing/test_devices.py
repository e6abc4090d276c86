"""python-fido2's own listing, opening and host code, over virtual tokens."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fido2.hid
import pytest
from fido2.ctap import STATUS, CtapError
from fido2.ctap1 import Ctap1
from fido2.ctap2.base import Ctap2
from fido2.hid import CAPABILITY, CtapHidDevice
from tests.support import pyscard

from fidokit.client import fido2_device
from fidokit.errors import Unsupported
from fidokit.testing import Credential, FidoDevices, Stalled, TokenFactory, open_device
from fidokit.testing.devices import descriptor_of
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.faults import (
    Fault,
    NonCanonical,
    Oversize,
    PowerCycle,
    Refuse,
    StallInSilence,
    Truncate,
    Unplug,
)
from fidokit.virtual.wrong_answers import NonCanonicalForm


@pytest.fixture
def factory() -> Iterator[TokenFactory]:
    made = TokenFactory()
    yield made
    made.close()


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> FidoDevices:
    return FidoDevices(monkeypatch)


# --- USB ----------------------------------------------------------------------------------------


def test_a_device_says_what_it_is(factory: TokenFactory) -> None:
    token = factory()
    with open_device(token) as device:
        assert device.version == 2
        assert device.capabilities == CAPABILITY.WINK | CAPABILITY.CBOR
        assert device.product_name == "fidokit virtual token"
        assert device.serial_number == token.identity.serial
        assert device.ping(b"hello" * 1000) == b"hello" * 1000
        device.wink()
        assert token.winks == 1
        assert Ctap1(device).get_version() == "U2F_V2"
        device.lock(1)
        with pytest.raises(CtapError) as too_long:
            device.lock(11)
        assert too_long.value.code is CtapError.ERR.INVALID_PARAMETER


def test_a_u2f_device_has_no_ctap2(factory: TokenFactory) -> None:
    with open_device(factory(profile="u2f")) as device:
        assert not device.capabilities & CAPABILITY.CBOR
        with pytest.raises(ValueError, match="CTAP2"):
            Ctap2(device)


def test_keepalives_and_touch(factory: TokenFactory) -> None:
    token = factory(presence="script")
    seen: list[STATUS] = []

    def on_keepalive(status: int) -> None:
        seen.append(STATUS(status))
        token.touch()

    with open_device(token) as device:
        Ctap2(device).selection(on_keepalive=on_keepalive)
    assert seen == [STATUS.UPNEEDED]


def test_an_event_cancels(factory: TokenFactory) -> None:
    event = threading.Event()
    with open_device(factory(presence="script")) as device:
        with pytest.raises(CtapError) as canceled:
            Ctap2(device).selection(event=event, on_keepalive=lambda _: event.set())
        assert canceled.value.code is CtapError.ERR.KEEPALIVE_CANCEL
        assert device.ping(b"free again") == b"free again"


def test_a_second_program_waits_for_the_first(
    factory: TokenFactory, caplog: pytest.LogCaptureFixture
) -> None:
    token = factory(presence="script")
    asked, done = threading.Event(), threading.Event()

    def first() -> None:
        with open_device(token) as device:
            Ctap2(device).selection(on_keepalive=lambda _: asked.set())
            done.set()

    thread = threading.Thread(target=first)
    with open_device(token) as device:
        thread.start()
        assert asked.wait(10)
        caplog.set_level(logging.WARNING)
        threading.Timer(0.05, token.touch).start()
        assert Ctap2(device).info.versions
        assert done.is_set()
    thread.join()
    assert "CTAP channel busy, trying again" in caplog.text


def test_unplugged_while_open(factory: TokenFactory) -> None:
    token = factory()
    with open_device(token) as device:
        token.unplug()
        with pytest.raises(OSError, match="Input/output"):
            Ctap2(device)
    with pytest.raises(OSError, match="Input/output"):
        open_device(token)


UNREADABLE = (ValueError, IndexError)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Unplug(), OSError),
        (Unplug(acted=True), OSError),
        (PowerCycle(), OSError),
        (Refuse(0x7F), CtapError),
        (Truncate(), UNREADABLE),
        (NonCanonical(NonCanonicalForm.TRAILING), UNREADABLE),
        (Oversize(7610), UNREADABLE),
        (Oversize(100_000), UNREADABLE),
    ],
    ids=repr,
)
def test_faults_as_python_fido2_sees_them(
    factory: TokenFactory, fault: Fault, seen: type[Exception] | tuple[type[Exception], ...]
) -> None:
    token = factory()
    with open_device(token) as device:
        ctap = Ctap2(device)
        token.faults.add(fault, command=0x04)
        with pytest.raises(seen):
            ctap.get_info()
        assert token.faults.struck == [fault]


def test_a_stalled_token_on_usb_fails_the_test(factory: TokenFactory) -> None:
    token = factory(patience_s=0.05)
    with open_device(token) as device:
        token.faults.add(StallInSilence(), command=0x04)
        with pytest.raises(Stalled):
            Ctap2(device)


def test_listing_finds_ours_and_no_others(
    factory: TokenFactory, devices: FidoDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fido2.hid.backend, "list_descriptors", lambda: pytest.fail("looked"))
    assert list(CtapHidDevice.list_devices()) == []
    first, second = factory(), factory()
    devices.plug_in(first)
    devices.plug_in(second)
    devices.plug_in(second)
    serials = [token.identity.serial for token in (first, second)]
    assert [device.serial_number for device in CtapHidDevice.list_devices()] == serials
    assert [device.serial_number for device in fido2.hid.list_devices()] == serials
    devices.take_away(first)
    devices.take_away(first)
    assert [device.serial_number for device in CtapHidDevice.list_devices()] == serials[1:]
    second.unplug()
    assert list(CtapHidDevice.list_devices()) == []


def test_only_these(factory: TokenFactory, devices: FidoDevices) -> None:
    first, second = factory(), factory()
    devices.plug_in(first)
    devices.only(second)
    (device,) = CtapHidDevice.list_devices()
    assert device.serial_number == second.identity.serial
    devices.only()
    assert list(CtapHidDevice.list_devices()) == []


def test_opening_by_path(factory: TokenFactory, devices: FidoDevices) -> None:
    token = factory()
    path = descriptor_of(token).path
    with pytest.raises(FileNotFoundError, match=token.identity.serial):
        fido2.hid.open_device(path)
    devices.plug_in(token)
    for spelled in (path, str(path).encode()):
        with fido2.hid.open_device(spelled) as device:
            assert Ctap2(device).info.aaguid == CTAP_2_3.aaguid
    token.unplug()
    with pytest.raises(FileNotFoundError):
        fido2.hid.open_device(path)


def test_fidokits_own_client_finds_it_in_the_same_way(
    factory: TokenFactory, devices: FidoDevices
) -> None:
    token = factory()
    devices.plug_in(token)
    ((path, sizes, product, serial),) = fido2_device.list_hid()
    assert (product, serial) == ("fidokit virtual token", token.identity.serial)
    link = fido2_device.open_hid(path, sizes, lambda: None)
    assert link.cbor(b"\x04", lambda _: None, lambda: False)[0] == 0
    link.close()


def test_all_is_as_before_afterwards(factory: TokenFactory) -> None:
    names = ("list_descriptors", "get_descriptor", "open_connection")
    before = [getattr(fido2.hid, name) for name in names]
    with pytest.MonkeyPatch.context() as patch:
        FidoDevices(patch).plug_in(factory())
        assert [getattr(fido2.hid, name) for name in names] != before
    assert [getattr(fido2.hid, name) for name in names] == before


# --- contactless readers -------------------------------------------------------------------------


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> FidoDevices:
    """Readers too, over a stand-in for pyscard's binding to the system."""
    pyscard.install(monkeypatch)
    return FidoDevices(monkeypatch)


def test_without_pyscard_there_are_no_readers(
    factory: TokenFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(Unsupported, match="PC/SC") as caught:
        FidoDevices(monkeypatch).lay_on_reader(factory())
    assert "pip install" in caught.value.hint


def test_a_token_on_a_reader(factory: TokenFactory, readers: FidoDevices) -> None:
    from fido2.pcsc import CtapPcscDevice

    token = factory(pin="123456", credentials=[Credential("example.org", "x" * 60)])
    assert list(CtapPcscDevice.list_devices()) == []
    readers.plug_in(token)
    readers.lay_on_reader(token)
    assert list(CtapHidDevice.list_devices()) == []
    (device,) = CtapPcscDevice.list_devices()
    assert list(CtapPcscDevice.list_devices("another")) == []
    assert device.get_atr() == bytes.fromhex("3b80800101")
    ctap = Ctap2(device)
    assert ctap.info.options["clientPin"] is True
    found = ctap.get_assertion("example.org", bytes(32))
    found.verify(bytes(32), token.credentials[0].public_key)
    assert Ctap1(device).get_version() == "U2F_V2"
    device.close()


@pytest.mark.parametrize("extended", [True, False])
def test_long_messages_on_a_reader(
    factory: TokenFactory, readers: FidoDevices, extended: bool
) -> None:
    from fido2.pcsc import CtapPcscDevice

    readers.lay_on_reader(factory())
    (device,) = CtapPcscDevice.list_devices()
    device.use_ext_apdu = extended
    made = Ctap2(device).make_credential(
        bytes(32),
        {"id": "example.org", "name": "Example"},
        {"id": bytes(64), "name": "x" * 64, "displayName": "y" * 64},
        [{"type": "public-key", "alg": -7}],
        exclude_list=[{"type": "public-key", "id": bytes(64)}] * 10,
    )
    assert made.auth_data.credential_data is not None


def test_waiting_and_canceling_on_a_reader(factory: TokenFactory, readers: FidoDevices) -> None:
    from fido2.pcsc import CtapPcscDevice

    token = factory(presence="script")
    readers.lay_on_reader(token)
    (device,) = CtapPcscDevice.list_devices()
    ctap, event = Ctap2(device), threading.Event()
    ctap.selection()  # by the tap
    with pytest.raises(CtapError) as canceled:
        ctap.selection(event=event, on_keepalive=lambda _: event.set())
    assert canceled.value.code is CtapError.ERR.KEEPALIVE_CANCEL
    ctap.selection(on_keepalive=lambda _: token.touch())


def test_the_token_knows_that_it_lies_on_a_reader(
    factory: TokenFactory, readers: FidoDevices
) -> None:
    from fido2.pcsc import CtapPcscDevice

    token = factory(profile="ctap2.3")
    readers.lay_on_reader(token)
    (device,) = CtapPcscDevice.list_devices()
    with pytest.raises(CtapError) as refused:
        Ctap2(device).reset()
    assert refused.value.code is CtapError.ERR.OPERATION_DENIED  # RST-06: over USB alone
    with open_device(token) as usb:
        Ctap2(usb).reset()


def test_a_u2f_token_on_a_reader(factory: TokenFactory, readers: FidoDevices) -> None:
    from fido2.pcsc import CtapPcscDevice

    readers.lay_on_reader(factory(profile="u2f"))
    (device,) = CtapPcscDevice.list_devices()
    registered = Ctap1(device).register(bytes(32), bytes(32))
    registered.verify(bytes(32), bytes(32))


def test_taken_from_the_reader(factory: TokenFactory, readers: FidoDevices) -> None:
    from fido2.pcsc import CtapPcscDevice

    token = factory()
    readers.lay_on_reader(token)
    (device,) = CtapPcscDevice.list_devices()
    token.unplug()
    with pytest.raises(pyscard.CardConnectionException):
        Ctap2(device)
    with pytest.raises(pyscard.NoCardException):
        device.connect()
    with pytest.raises(pyscard.CardConnectionException, match="not connected"):
        device.apdu_exchange(b"\0\0\0\0")
    assert list(CtapPcscDevice.list_devices()) == []


def test_fidokits_own_client_finds_it_on_a_reader(
    factory: TokenFactory, readers: FidoDevices
) -> None:
    readers.lay_on_reader(factory())
    (name,) = fido2_device.list_readers()
    link = fido2_device.open_card(name, lambda: None)
    assert link is not None
    assert link.cbor(b"\x04", lambda _: None, lambda: False)[0] == 0
    link.close()


def test_nothing_is_opened_that_nobody_asked_for(readers: FidoDevices, tmp_path: Path) -> None:
    from smartcard import System

    assert System.readers() == []
    with pytest.raises(FileNotFoundError):
        fido2.hid.get_descriptor(str(tmp_path))
