from __future__ import annotations

import errno
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_link import FakeLink, Person, SteeredClock, info, session_on
from tests.support.pyscard import NO_SERVICE

from fidokit.client import fido2_device
from fidokit.client.credentials import resident
from fidokit.client.links.backends import CardWatch, HidBackend, PcscBackend, tame
from fidokit.client.links.watchdog import Patience
from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.errors import FidokitError, NoFidoCard, NoPermission, PinWrong, TokenBusy, TokenGone
from fidokit.types import Transport
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.card import CardSession

FIDO = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
KEYBOARD = bytes.fromhex("05010906a101050719e029e71500250175019508810295017508810395057501")

NO_WAIT = SteeredClock().patience()


def device(sysfs: Path, node: str, report: bytes = FIDO, **names: str) -> None:
    place = sysfs / node / "device"
    place.mkdir(parents=True)
    (place / "report_descriptor").write_bytes(report)
    lines = [f"HID_{name.upper()}={value}\n" for name, value in names.items()]
    (place / "uevent").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def backend(tmp_path: Path) -> HidBackend:
    (tmp_path / "hidraw").mkdir()
    return HidBackend(patience=NO_WAIT, sysfs=tmp_path / "hidraw")


def test_only_fido_devices_are_seen(backend: HidBackend) -> None:
    device(backend.sysfs, "hidraw0", KEYBOARD, name="Keyboard")
    device(backend.sysfs, "hidraw1", name="Yubico YubiKey", uniq="12345")
    device(backend.sysfs, "hidraw2", b"")
    (found,) = backend.candidates()
    assert (found.path, found.product, found.serial) == (
        "/dev/hidraw1", "Yubico YubiKey", "12345",
    )  # fmt: skip
    assert (found.selector, found.durable, found.transport) == ("usb:12345", True, Transport.USB)


def test_without_a_serial_the_path_names_it_for_now(backend: HidBackend) -> None:
    device(backend.sysfs, "hidraw1", name="key", uniq="")
    device(backend.sysfs, "hidraw2")
    first, second = backend.candidates()
    assert (first.selector, first.durable) == ("usb:/dev/hidraw1", False)
    assert second.product == "security key"


def test_twins_are_named_by_path(backend: HidBackend) -> None:
    for node in ("hidraw1", "hidraw2"):
        device(backend.sysfs, node, uniq="1")
    assert [c.selector for c in backend.candidates()] == ["usb:/dev/hidraw1", "usb:/dev/hidraw2"]
    assert not any(c.durable for c in backend.candidates())


@pytest.mark.parametrize(
    "serial", ["", None, "a b", "../x", "\x1b[31m", "a:b", "x" * 65, "\u00e9", "a,b", "a'b"]
)
def test_wild_serials_are_none(serial: str | None) -> None:
    assert tame(serial) is None


@given(st.text())
def test_tame_serials_are_harmless(serial: str) -> None:
    kept = tame(serial)
    assert kept is None or (kept == serial and kept.isascii() and "/" not in kept)


def test_hostile_names_do_not_hide_a_token(backend: HidBackend) -> None:
    device(backend.sysfs, "hidraw1")
    wild = b"HID_NAME=\xff\xfe" + b"x" * 500 + b"\nHID_UNIQ=\x1b[2J\n"
    (backend.sysfs / "hidraw1/device/uevent").write_bytes(wild)
    (found,) = backend.candidates()
    assert len(found.product) <= 128
    assert found.serial is None


def test_a_device_that_vanishes_is_skipped(backend: HidBackend) -> None:
    (backend.sysfs / "hidraw7").mkdir()
    assert backend.candidates() == []
    assert backend.problem() is None


def test_elsewhere_python_fido2_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = [("ioreg-path", (64, 64), "key", "77")]
    monkeypatch.setattr(fido2_device, "list_hid", lambda: seen)
    (found,) = HidBackend(sysfs=tmp_path / "missing").candidates()
    assert found.selector == "usb:77"


@pytest.mark.parametrize(
    ("number", "error", "hint"),
    [
        (errno.EACCES, NoPermission, "udev"),
        (errno.EPERM, NoPermission, "udev"),
        (errno.EBUSY, TokenBusy, "scdaemon"),
        (errno.ENOENT, TokenGone, "plug"),
    ],
)
def test_what_the_system_says(
    backend: HidBackend,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[FidokitError],
    hint: str,
) -> None:
    device(backend.sysfs, "hidraw1")

    def refuse(*_: object) -> object:
        raise OSError(number, "told by the system")

    monkeypatch.setattr(fido2_device, "open_hid", refuse)
    (found,) = backend.candidates()
    with pytest.raises(error) as caught:
        found.open()
    assert hint in caught.value.hint


def test_a_busy_token_is_tried_again_and_its_holder_named(
    backend: HidBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    device(backend.sysfs, "hidraw1")
    tries: list[str] = []
    waits: list[float] = []

    def refuse(path: str, *_: object) -> object:
        tries.append(path)
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(fido2_device, "open_hid", refuse)
    held = HidBackend(
        who_holds=lambda path: f"firefox (on {path})",
        patience=SteeredClock().patience(sleep=waits.append),
        sysfs=backend.sysfs,
    )
    with pytest.raises(TokenBusy, match=r"firefox \(on /dev/hidraw1\)"):
        held.candidates()[0].open()
    assert len(tries) == 5
    assert sum(waits) == pytest.approx(1.5)


def test_a_token_that_comes_free_is_opened(
    backend: HidBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    device(backend.sysfs, "hidraw1")
    link = FakeLink(info())
    replies: list[object] = [OSError(errno.EBUSY, "busy"), link]

    def attempt(*_: object) -> object:
        reply = replies.pop(0)
        if isinstance(reply, OSError):
            raise reply
        return reply

    monkeypatch.setattr(fido2_device, "open_hid", attempt)
    assert backend.candidates()[0].open() is link


@pytest.mark.parametrize("report", [b"", b"\x06", FIDO[:10], KEYBOARD, b"\xff" * 100])
def test_report_descriptors_of_others(report: bytes) -> None:
    assert fido2_device.hid_sizes(report) is None


def test_report_descriptor_of_a_token() -> None:
    assert fido2_device.hid_sizes(FIDO) == (64, 64)


@given(st.binary(max_size=80))
def test_any_report_descriptor(report: bytes) -> None:
    sizes = fido2_device.hid_sizes(report)
    assert sizes is None or all(8 <= size <= 1024 for size in sizes)


# --- PC/SC, over a stand-in for pyscard --------------------------------------------------------


class SmartcardError(Exception):
    """pyscard's root."""

    hresult = 0


class LowerSmartcardError(Exception):
    """As pyscard's BaseSCardException: not of the tree above."""


class NoCardError(SmartcardError):
    """Nothing lies on the reader."""


class SharingError(SmartcardError):
    """Another program holds the card."""

    hresult = 0x8010000B - (1 << 32)


class Reader:
    """A reader with a FIDO2 card on it, or with an error."""

    def __init__(self, name: str, trouble: Exception | None = None, applet: bool = True) -> None:
        self.name = name
        self.trouble = trouble
        self.applet = applet
        self.apdus: list[bytes] = []
        self.held = False

    def __str__(self) -> str:
        return self.name

    def createConnection(self) -> Reader:
        return self

    def connect(self, *, disposition: int) -> None:
        assert disposition == 0, "the card is another program's, too"
        if self.trouble:
            raise self.trouble
        self.held = True

    def disconnect(self) -> None:
        if isinstance(self.trouble, SmartcardError):
            raise self.trouble

    def release(self) -> None:
        self.held = False

    def transmit(self, apdu: list[int], _protocol: object) -> tuple[list[int], int, int]:
        self.apdus.append(bytes(apdu))
        if not self.applet:
            return [], 0x6A, 0x82
        if apdu[1] == 0xA4:
            return list(b"FIDO_2_0"), 0x90, 0
        return list(info()), 0x90, 0


@pytest.fixture
def pyscard(monkeypatch: pytest.MonkeyPatch) -> list[Reader | Exception]:
    """Readers that pyscard would see; put an exception first to have the service fail."""
    readers: list[Reader | Exception] = []

    def listed() -> list[Reader]:
        if readers and isinstance(readers[0], Exception):
            raise readers[0]
        return [reader for reader in readers if isinstance(reader, Reader)]

    parts: dict[str, dict[str, object]] = {
        "smartcard": {},
        "smartcard.System": {"readers": listed},
        "smartcard.Exceptions": {
            "SmartcardException": SmartcardError, "NoCardException": NoCardError,
        },
        "smartcard.scard": {
            "SCARD_S_SUCCESS": 0,
            "SCARD_SCOPE_SYSTEM": 2,
            "SCardEstablishContext": lambda _scope: (NO_SERVICE, 0),
        },
        "smartcard.CardConnection": {"CardConnection": object},
        "smartcard.CardConnectionDecorator": {"CardConnectionDecorator": object},
        "smartcard.pcsc": {},
        "smartcard.pcsc.PCSCExceptions": {
            "BaseSCardException": LowerSmartcardError,
            "ListReadersException": type("L", (LowerSmartcardError,), {}),
        },
    }  # fmt: skip
    for name, members in parts.items():
        module = ModuleType(name)
        for member, value in members.items():
            setattr(module, member, value)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    monkeypatch.delitem(sys.modules, "fido2.pcsc", raising=False)
    return readers


def test_without_pyscard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    assert PcscBackend().candidates() == []
    assert "pip install" in (PcscBackend().problem() or "")


@pytest.mark.parametrize("error", [SmartcardError, LowerSmartcardError])
def test_without_the_service(
    pyscard: list[Reader | Exception], error: type[SmartcardError | LowerSmartcardError]
) -> None:
    pyscard.append(error("Service not available."))
    assert PcscBackend().candidates() == []
    assert "pcscd" in (PcscBackend().problem() or "")


def test_readers_with_tokens_are_seen(pyscard: list[Reader | Exception]) -> None:
    pyscard += [
        Reader("ACS ACR122U 00 00"),
        Reader("Empty", NoCardError("no card")),
        Reader("Passport", applet=False),
    ]
    (found,) = PcscBackend(patience=NO_WAIT).candidates()
    assert found.selector == "pcsc:ACS ACR122U 00 00"
    assert (found.durable, found.transport) == (False, Transport.PCSC)
    assert PcscBackend().problem() is None


def test_readers_of_tokens_that_are_seen_on_usb_are_left_alone(
    pyscard: list[Reader | Exception],
) -> None:
    usb = Reader("Yubico YubiKey OTP+FIDO+CCID 00 00")
    pyscard += [usb, Reader("ACS ACR122U 01 00")]
    backend = PcscBackend(
        patience=NO_WAIT, elsewhere=lambda: ["yubico yubikey OTP+FIDO+CCID", "", "Other"]
    )
    assert [found.path for found in backend.candidates()] == ["ACS ACR122U 01 00"]
    assert usb.apdus == []
    assert PcscBackend(patience=NO_WAIT).candidates()[0].path == usb.name  # nothing is on USB


def test_getinfo_is_asked_for_once_on_a_card_too(pyscard: list[Reader | Exception]) -> None:
    reader = Reader("r")
    pyscard.append(reader)
    link = fido2_device.open_card("r", lambda: None)
    with session_on(link, patience=NO_WAIT) as session:
        assert session.info.versions
    assert sum(apdu[1] == 0x10 for apdu in reader.apdus) == 1
    with session_on(link, patience=NO_WAIT) as session:
        assert session.info.versions
    assert sum(apdu[1] == 0x10 for apdu in reader.apdus) == 2


@pytest.mark.parametrize("quirks", [(), ("statuses-in-status-words",)])
def test_a_status_in_a_status_word_is_read(
    pyscard: list[Reader | Exception], quirks: tuple[str, ...]
) -> None:
    """Pico FIDO on a reader: without it every refusal is "failed without saying why"."""
    with VirtualToken(presence="auto", quirks=quirks) as token:
        card = CardSession(token)
        reader = Reader("r")
        reader.transmit = lambda apdu, _protocol: _answered(card, apdu)  # type: ignore[method-assign]
        pyscard.append(reader)
        link = fido2_device.open_card("r", lambda: None)
        assert link is not None
        pin.set_pin(session_on(link, patience=NO_WAIT), PinCode.parse("246810"))
        with pytest.raises(PinWrong):
            pin.verify_pin(session_on(link, Person("wrong"), NO_WAIT))
        session = session_on(link, Person("246810"), NO_WAIT)
        assert resident.list_credentials(session) == []
        assert link.msg(bytes.fromhex("00030000000000"))[-2:] == b"\x90\0"
        card.close()


def _answered(card: CardSession, apdu: list[int]) -> tuple[list[int], int, int]:
    data, word = card.transmit(bytes(apdu))
    return [*data], word >> 8, word & 0xFF


def test_a_held_card_is_listed_and_its_holder_named(pyscard: list[Reader | Exception]) -> None:
    pyscard.append(Reader("r", SharingError("sharing violation")))
    backend = PcscBackend(who_holds=lambda _reader: "scdaemon", patience=NO_WAIT)
    (found,) = backend.candidates()
    with pytest.raises(TokenBusy, match="scdaemon"):
        found.open()


def test_a_card_that_was_taken_away(pyscard: list[Reader | Exception]) -> None:
    reader = Reader("r")
    pyscard.append(reader)
    (found,) = PcscBackend(patience=NO_WAIT).candidates()
    reader.trouble = NoCardError("gone")
    with pytest.raises(TokenGone, match="no FIDO token lies"):
        found.open()
    reader.trouble = SmartcardError("reader unplugged")
    with pytest.raises(TokenGone, match="reader unplugged"):
        found.open()
    pyscard.clear()
    with pytest.raises(TokenGone):
        found.open()


@pytest.mark.parametrize("applet", [False, True])
def test_a_card_is_let_go_of(pyscard: list[Reader | Exception], applet: bool) -> None:
    """Also one without FIDO, at once: what the collector closes later resets the next user's."""
    reader = Reader("r", applet=applet)
    pyscard.append(reader)
    if applet:
        link = fido2_device.open_card("r", lambda: None)
        assert link is not None
        assert reader.held
        link.close()
    else:
        with pytest.raises(NoFidoCard):
            fido2_device.open_card("r", lambda: None)
    assert not reader.held


def test_a_watch_believes_a_card_that_is_no_token(
    pyscard: list[Reader | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader("r", applet=False)
    pyscard.append(reader)
    monkeypatch.setattr("fidokit.client.links.backends.laid", lambda: {"r": 1})
    watch = CardWatch(PcscBackend(patience=Patience(busy=())))
    for _ in range(5):
        assert list(watch.candidates()) == []
    assert len(reader.apdus) == 1


@pytest.mark.parametrize(
    ("hid", "reader", "left"),
    [
        ("Yubico YubiKey OTP+FIDO+CCID", "Yubico YubiKey OTP+FIDO+CCID 00 00", False),
        ("Nitrokey Nitrokey 3", "Nitrokey Nitrokey 3 [CCID/ICCD Interface] 01 00", False),
        ("Yubico YubiKey OTP+FIDO+CCID", "ACS ACR122U PICC Interface 00 00", True),
        ("", "ACS ACR122U PICC Interface 00 00", True),
    ],
)
def test_readers_of_tokens_on_usb_are_left_alone(hid: str, reader: str, left: bool) -> None:
    backend = PcscBackend(elsewhere=lambda: [hid])
    assert backend.left([reader]) == [reader] * left


def test_a_card_whose_service_went_is_closed_quietly(pyscard: list[Reader | Exception]) -> None:
    reader = Reader("r")
    pyscard.append(reader)
    link = fido2_device.open_card("r", lambda: None)
    assert link is not None
    reader.trouble = SmartcardError("service gone")
    link.close()
