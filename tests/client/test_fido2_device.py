from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from fido2.hid import CtapHidConnection
from tests.client.conftest import PATIENT, PIN
from tests.support.fake_link import FakeLink, Person, SteeredClock, info, ok, session_on
from tests.support.hid_token import HidToken

from fidokit.client import fido2_device, pin_protocol
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.fido2_device import DeviceLink, OwnChannel
from fidokit.client.links.watchdog import guarded
from fidokit.client.owner import pin
from fidokit.client.pin_protocol import Secret
from fidokit.client.ports import CBOR, WINK, PinCode
from fidokit.errors import TokenBusy, TokenGone, TokenMisbehaved, TokenSilent, Unsupported
from fidokit.types import Application, KeyType
from fidokit.virtual.token import VirtualToken

SIZES = (64, 64)
Plug = Callable[[HidToken], DeviceLink]


def nobody() -> str | None:
    return None


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Put a token behind the device node that python-fido2 opens."""

    def plug_in(token: HidToken) -> DeviceLink:
        import fido2.hid

        monkeypatch.setattr(fido2.hid, "open_connection", lambda _descriptor: token)
        return fido2_device.open_hid("/dev/hidraw9", SIZES, lambda: "the browser")

    return plug_in


def test_the_whole_layer_over_hid_reports(plug: Plug) -> None:
    with VirtualToken(presence="auto") as virtual:
        link = plug(HidToken(virtual.link()))
        session = session_on(link, Person(PIN), PATIENT)
        pin.set_pin(session, PinCode.parse(PIN))
        made = enroll(session, Enrollment(KeyType.ED25519_SK, Application("ssh:"), resident=True))
        (found,) = resident.list_credentials(session)
        assert found.public == made.public


def test_capabilities_wink_and_close(plug: Plug) -> None:
    beneath = FakeLink()
    token = HidToken(beneath, capabilities=WINK | CBOR)
    link = plug(token)
    assert link.capabilities == WINK | CBOR
    link.wink()
    assert beneath.winks == 1
    link.close()
    link.close()
    assert token.closed


def test_u2f_messages(plug: Plug) -> None:
    link = plug(HidToken(FakeLink(apdus=(b"U2F_V2\x90\x00",)), capabilities=WINK))
    assert link.msg(b"\0\3\0\0\0\0\0") == b"U2F_V2\x90\x00"


def test_other_programs_reports_are_ignored(plug: Plug) -> None:
    noise = (b"\x55\x66\x77\x88\x90\x00\x01\x00", b"\xff\xff\xff\xff\x86\x00\x11somebody")
    link = plug(HidToken(FakeLink(info()), noise=noise))
    assert session_on(link).info.versions


def test_keepalives_are_told(plug: Plug) -> None:
    person = Person(PIN)
    with VirtualToken(presence="delay 1") as virtual:
        session = session_on(plug(HidToken(virtual.link())), person, PATIENT)
        enroll(session, Enrollment(KeyType.ECDSA_SK, Application("ssh:")))
    assert person.touches == ["making the key"]


def test_a_busy_channel_is_tried_again(plug: Plug) -> None:
    link = plug(HidToken(FakeLink(info()), busy=1))
    assert session_on(link, patience=PATIENT).info.versions


def test_a_channel_that_stays_busy_names_its_holder(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fido2_device, "BUSY_TRIES", 1)
    link = plug(HidToken(FakeLink(info()), busy=10_000))
    with pytest.raises(TokenBusy, match="the browser is using") as caught:
        _ = session_on(link, patience=PATIENT).info
    assert "scdaemon" in caught.value.hint


def test_a_mute_token_is_given_up(plug: Plug) -> None:
    clock = SteeredClock()
    token = HidToken(FakeLink(), mute=clock.rush)
    with pytest.raises(TokenSilent, match="does not answer"):
        guarded(lambda _pulse: plug(token), clock.patience())


def test_an_unplugging_is_told(plug: Plug) -> None:
    class Gone(HidToken):
        def read_packet(self) -> bytes:
            raise OSError(19, "No such device")

    with pytest.raises(TokenGone, match="No such device"):
        plug(Gone(FakeLink()))


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(b"\xff\xff\xff\xff\x86\x00\x02hi", id="short INIT"),
        pytest.param(b"\xff\xff\xff\xff\xbf\x00\x01\x0b", id="error"),
        pytest.param(b"\xff\xff\xff\xff\xbb\x00\x01\x09", id="unknown keep-alive"),
        pytest.param(b"\xff\xff\xff\xff\x91\x00\x00", id="another command"),
    ],
)
def test_a_token_that_speaks_no_ctaphid(plug: Plug, report: bytes) -> None:
    class Odd(HidToken):
        def write_packet(self, data: bytes) -> None:
            self.nonce = data[7:15]  # so that it is taken for ours

        def read_packet(self) -> bytes:
            return (report[:7] + self.nonce + report[7:]).ljust(64, b"\0")

    token = Odd(FakeLink())
    with pytest.raises(TokenMisbehaved):
        guarded(lambda _pulse: plug(token), SteeredClock().patience())


# --- PIN protocols ---------------------------------------------------------------------------


GX = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
GY = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")


@pytest.mark.parametrize(("version", "mac"), [(1, 16), (2, 32)])
def test_secrets(version: int, mac: int) -> None:
    secret = Secret(version, {-2: GX, -3: GY})
    assert set(secret.key_agreement) == {1, 3, -1, -2, -3}
    assert len(secret.encrypt(bytes(64))) == (64 if version == 1 else 80)
    assert len(secret.authenticate(b"m")) == mac
    assert secret.open_token(secret.encrypt(bytes(32))) == bytes(32)
    assert len(pin_protocol.authenticate(version, bytes(32), b"m")) == mac


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sealed", [b"", b"x", bytes(15), bytes(17), bytes(48)])
def test_tokens_of_impossible_sizes(version: int, sealed: bytes) -> None:
    secret = Secret(version, {-2: GX, -3: GY})
    if version == 2 and len(sealed) == 48:
        assert secret.open_token(sealed)  # an iv and 32 bytes
    else:
        with pytest.raises(TokenMisbehaved):
            secret.open_token(sealed)


@pytest.mark.parametrize(
    "peer", [{}, {-2: GX}, {-2: GX, -3: GX}, {-2: bytes(32), -3: bytes(32)}, {-2: "x", -3: 1}]
)
def test_peers_that_are_no_points(peer: dict[object, object]) -> None:
    with pytest.raises(TokenMisbehaved):
        Secret(2, peer)


# --- CBOR ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\xa1", b"\x1c", b"\xdf", b"\x62\xff\xff", b"\xa1\xa0\x01"])
def test_lenient_errors_become_ours(data: bytes) -> None:
    with pytest.raises(TokenMisbehaved):
        fido2_device.decode(data)


def test_deep_nesting_becomes_ours() -> None:
    with pytest.raises(TokenMisbehaved):
        fido2_device.decode(b"\x81" * 100_000)


# --- what costs time to import -----------------------------------------------------------------


def imported_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={
            "PYTHONPATH": ":".join(p for p in sys.path if p)}
    )  # fmt: skip
    return set(ran.stdout.split())


def test_a_virtual_token_needs_no_hid_and_reading_no_pin_protocol() -> None:
    loaded = imported_by(
        "from fidokit.client import discovery\n"
        "from fidokit.client.credentials import enrollment, resident, signature\n"
        "from fidokit.client.owner import config, pin\n"
        "from tests.support.fake_link import FakeLink, info, session_on\n"
        "assert session_on(FakeLink(info())).info.versions"
    )
    assert "fido2.cbor" in loaded
    assert not {"fido2.hid", "fido2.ctap2", "cryptography", "smartcard", "rich"} & loaded


def test_hid_needs_no_pin_protocol() -> None:
    loaded = imported_by(
        "from fidokit.client.links.backends import HidBackend\nHidBackend().candidates()"
    )
    assert not {"fido2.ctap2", "smartcard", "cryptography.x509"} & loaded


def test_unsupported_is_ours_too() -> None:
    with pytest.raises(Unsupported):
        session_on(FakeLink(ok({1: ["FIDO_2_0"], 3: bytes(16)})), Person(PIN)).wink()


MINE, THEIRS, ALL = b"\0\0\0\1", b"\0\0\0\2", b"\xff\xff\xff\xff"


class Reports(CtapHidConnection):
    """HID reports, in turn."""

    def __init__(self, *reports: bytes) -> None:
        self.reports = [report.ljust(64, b"\0") if report else report for report in reports]
        self.written: list[bytes] = []
        self.closed = False

    def write_packet(self, data: bytes) -> None:
        self.written.append(data)

    def read_packet(self) -> bytes:
        return self.reports.pop(0)

    def close(self) -> None:
        self.closed = True


def test_reports_of_other_channels_are_dropped() -> None:
    wanted = MINE + b"\x90\0\x01\0"
    beneath = Reports(THEIRS + b"\x90\0\x01\0", THEIRS + b"\0more", wanted)
    own = OwnChannel(beneath, nobody)
    own.write_packet(MINE + b"\x90\0\x01\x04")
    assert own.read_packet().startswith(wanted)
    assert beneath.written == [MINE + b"\x90\0\x01\x04"]


def test_continuations_do_not_change_the_channel() -> None:
    own = OwnChannel(Reports(THEIRS + b"\0", MINE + b"\x90"), nobody)
    own.write_packet(MINE + b"\x90\0\x60" + bytes(57))
    own.write_packet(MINE + b"\0" + bytes(59))
    assert own.read_packet().startswith(MINE)


def test_somebody_elses_init_is_not_ours() -> None:
    ours, other = b"12345678", b"abcdefgh"
    init = ALL + b"\x86\0\x11"
    own = OwnChannel(Reports(init + other, THEIRS + b"\x90", init + ours + MINE), nobody)
    own.write_packet(ALL + b"\x86\0\x08" + ours)
    assert own.read_packet()[7:15] == ours


def test_a_token_at_work_for_another_program_is_busy() -> None:
    """CanoKey and OpenSK answer no INIT meanwhile, and Linux shows us their keep-alives."""
    keepalives = [THEIRS + b"\xbb\0\1\2"] * fido2_device.MOST_AT_WORK
    own = OwnChannel(Reports(*keepalives), lambda: "the browser")
    own.write_packet(ALL + b"\x86\0\x08" + b"12345678")
    with pytest.raises(TokenBusy, match="the browser is using the token"):
        own.read_packet()
    answer = ALL + b"\x86\0\x11" + b"12345678" + MINE
    own = OwnChannel(Reports(*keepalives[1:], answer), nobody)
    own.write_packet(ALL + b"\x86\0\x08" + b"12345678")
    assert own.read_packet().startswith(answer)
    own = OwnChannel(Reports(*keepalives, MINE + b"\x90"), nobody)
    own.write_packet(MINE + b"\x90\0\x01\x04")
    assert own.read_packet().startswith(MINE), "a channel of our own is waited for"


@pytest.mark.parametrize("report", [b"", b"\0\0\0\1\x90\0"])
def test_no_report_is_a_broken_connection(report: bytes) -> None:
    beneath = Reports()
    beneath.reports = [report]
    own = OwnChannel(beneath, nobody)
    own.write_packet(MINE + b"\x90\0\x01\x04")
    with pytest.raises(OSError, match="Input/output"):
        own.read_packet()


def test_closing() -> None:
    beneath = Reports()
    OwnChannel(beneath, nobody).close()
    assert beneath.closed
