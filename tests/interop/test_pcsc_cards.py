"""Cards that come and go, and wait, on a real pcscd's reader, with python-fido2's own client."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from fido2.ctap1 import ApduError, Ctap1
from fido2.ctap2 import Ctap2
from fido2.hid import CAPABILITY, CTAPHID
from tests.support.pcscd import Pcscd, list_pcsc_devices

from fidokit.virtual.token import VirtualToken

if TYPE_CHECKING:
    from fido2.pcsc import CtapPcscDevice

pytestmark = pytest.mark.interop

CHALLENGE = hashlib.sha256(b"a challenge").digest()
SELECTION, GET_INFO = b"\x0b", b"\x04"
PROFILES = ["u2f", "ctap2.0", "ctap2.1", "ctap2.3"]


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="auto") as token:
        yield token


@pytest.fixture
def patient() -> Iterator[VirtualToken]:
    """A token that waits for what the test does, once its tap is used up."""
    with VirtualToken(presence="script") as token:
        yield token


@contextmanager
def opened(pcscd: Pcscd, token: VirtualToken) -> Iterator[CtapPcscDevice]:
    """The only FIDO token that python-fido2 finds."""
    with pcscd.card(token):
        (device,) = list_pcsc_devices()
        try:
            yield device
        finally:
            device.close(release=True)


def test_an_empty_reader_has_no_token(pcscd: Pcscd) -> None:
    assert list(list_pcsc_devices()) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_generations(pcscd: Pcscd, profile: str) -> None:
    with VirtualToken(profile=profile) as token, opened(pcscd, token) as device:
        assert bool(device.capabilities & CAPABILITY.CBOR) == (profile != "u2f")
        assert Ctap1(device).get_version() == "U2F_V2"


@pytest.mark.parametrize("profile", PROFILES)
def test_u2f(pcscd: Pcscd, profile: str) -> None:
    app = hashlib.sha256(b"https://example.org").digest()
    with VirtualToken(profile=profile) as token, opened(pcscd, token) as device:
        ctap = Ctap1(device)
        registered = ctap.register(CHALLENGE, app)
        registered.verify(app, CHALLENGE)
        signed = ctap.authenticate(CHALLENGE, app, registered.key_handle)
        signed.verify(app, CHALLENGE, registered.public_key)
        with pytest.raises(ApduError) as known:
            ctap.authenticate(CHALLENGE, app, registered.key_handle, check_only=True)
        assert known.value.code == 0x6985
        with pytest.raises(ApduError) as unknown:
            ctap.authenticate(CHALLENGE, app, bytes(64))
        assert unknown.value.code == 0x6A80


def test_each_tap_is_one_touch(pcscd: Pcscd, patient: VirtualToken) -> None:
    """It is taken up anew whenever a program connects."""
    app = bytes(32)
    with pcscd.card(patient):
        for _ in range(2):
            (device,) = list_pcsc_devices()
            ctap = Ctap1(device)
            ctap.register(CHALLENGE, app).verify(app, CHALLENGE)
            with pytest.raises(ApduError) as refused:
                ctap.register(CHALLENGE, app)
            assert refused.value.code == 0x6985
            device.close(release=True)


# --- waiting for a touch ---------------------------------------------------------------------


@pytest.mark.parametrize("extended", [False, True])
def test_keep_alives_until_the_touch(pcscd: Pcscd, patient: VirtualToken, extended: bool) -> None:
    with opened(pcscd, patient) as device:
        device.use_ext_apdu = extended
        Ctap2(device).selection()
        said: list[int] = []

        def on_keepalive(status: int) -> None:
            said.append(status)
            patient.touch()

        assert device.call(CTAPHID.CBOR, SELECTION, on_keepalive=on_keepalive) == b"\0"
        assert said == [2]


def test_canceled_while_it_waits(pcscd: Pcscd, patient: VirtualToken) -> None:
    with opened(pcscd, patient) as device:
        Ctap2(device).selection()
        cancel = threading.Event()
        answer = device.call(
            CTAPHID.CBOR, SELECTION, event=cancel, on_keepalive=lambda _: cancel.set()
        )
        assert answer == b"\x2d"
        assert device.call(CTAPHID.CBOR, GET_INFO)[:1] == b"\0"


def test_a_client_that_does_not_poll(pcscd: Pcscd, patient: VirtualToken) -> None:
    with opened(pcscd, patient) as device:
        device.use_nfcctap_getresponse = False
        assert device.call(CTAPHID.CBOR, SELECTION) == b"\0"
        touch = threading.Timer(0.3, patient.touch)
        touch.start()
        assert device.call(CTAPHID.CBOR, SELECTION) == b"\0"
        touch.join()


# --- coming and going ------------------------------------------------------------------------


def test_taken_away_and_laid_on_again(pcscd: Pcscd, token: VirtualToken) -> None:
    for _ in range(3):
        with opened(pcscd, token) as device:
            assert Ctap2(device).info.versions


def test_taken_away_in_use(pcscd: Pcscd, token: VirtualToken) -> None:
    with pcscd.card(token):
        (device,) = list_pcsc_devices()
    with pytest.raises(Exception, match=r"transmit|removed"):
        device.call(CTAPHID.CBOR, GET_INFO)
    device.close(release=True)
