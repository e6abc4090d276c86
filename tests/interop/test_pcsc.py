"""python-fido2's own client for PC/SC, unmodified, over a real pcscd and vpcd's reader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from fido2.ctap import CtapError
from fido2.ctap2 import AssertionResponse, AttestationResponse, Ctap2
from fido2.ctap2.blob import LargeBlobs
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.pin import ClientPin
from fido2.hid import CAPABILITY, CTAPHID
from tests.support.pcscd import READER, Pcscd, list_pcsc_devices

from fidokit.testing.devices import open_device
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.card import ANSWER_TO_RESET

if TYPE_CHECKING:
    from fido2.pcsc import CtapPcscDevice

pytestmark = pytest.mark.interop

PATIENCE_S = 20
PIN = "314159"
CHALLENGE = hashlib.sha256(b"a challenge").digest()
RP = {"id": "example.org", "name": "Example"}
USER = {"id": b"ada", "name": "ada@example.org", "displayName": "Ada"}
ES256: list[Mapping[str, Any]] = [{"type": "public-key", "alg": -7}]
SELECTION, GET_INFO = b"\x0b", b"\x04"
PROFILES = ["u2f", "ctap2.0", "ctap2.1", "ctap2.3"]


@pytest.fixture(scope="module")
def laid(pcscd: Pcscd) -> Iterator[VirtualToken]:
    """Lies there for many tests: pcscd takes most of a second to see one come or go."""
    with VirtualToken(presence="auto") as token, pcscd.card(token):
        yield token


@pytest.fixture(params=[False, True], ids=["short", "extended"])
def device(laid: VirtualToken, request: pytest.FixtureRequest) -> Iterator[CtapPcscDevice]:
    """A token as new, opened, with APDUs of one length or the other."""
    laid.power_cycle()
    assert laid.link().cbor(b"\x07", lambda _: None, lambda: False) == b"\0"
    (device,) = list_pcsc_devices()
    device.use_ext_apdu = request.param
    yield device
    device.close(release=True)


def made(ctap: Ctap2, **more: object) -> AttestationResponse:
    return ctap.make_credential(CHALLENGE, RP, USER, ES256, **more)  # type: ignore[arg-type]


def check(credential: AttestationResponse, assertion: AssertionResponse) -> None:
    """The assertion is signed by the credential."""
    data = credential.auth_data.credential_data
    assert data is not None
    assertion.verify(CHALLENGE, data.public_key)


def pin_token(ctap: Ctap2, permissions: ClientPin.PERMISSION, rp_id: str | None = None) -> bytes:
    return ClientPin(ctap).get_pin_token(PIN, permissions, rp_id)


def test_it_is_listed_by_its_reader(device: CtapPcscDevice) -> None:
    assert repr(device) == f"CtapPcscDevice({READER})"
    assert device.get_atr() == ANSWER_TO_RESET
    assert device.capabilities & CAPABILITY.CBOR
    assert Ctap2(device).info.versions[0] == "FIDO_2_3"


def test_a_credential_and_its_assertions(device: CtapPcscDevice) -> None:
    ctap = Ctap2(device)
    credential = made(ctap)
    data = credential.auth_data.credential_data
    assert data is not None
    allowed: list[Any] = [{"type": "public-key", "id": data.credential_id}]
    for _ in range(2):
        check(credential, ctap.get_assertion(RP["id"], CHALLENGE, allowed))


def test_lists_that_take_many_apdus(device: CtapPcscDevice) -> None:
    """Some thousands of bytes there, by chaining, and back, by GET RESPONSE."""
    ctap = Ctap2(device)
    size = ctap.info.max_msg_size
    others = [{"type": "public-key", "id": bytes([n]) * 60} for n in range(8)]
    credential = made(ctap, exclude_list=others)
    data = credential.auth_data.credential_data
    assert data is not None
    allowed: list[Any] = [*others[1:], {"type": "public-key", "id": data.credential_id}]
    check(credential, ctap.get_assertion(RP["id"], CHALLENGE, allowed))
    assert size > 1024
    assert device.call(CTAPHID.CBOR, b"\x01" + bytes(size - 1))[:1] == b"\x12"


def test_a_request_that_is_longer_than_the_card_takes(device: CtapPcscDevice) -> None:
    with pytest.raises(CtapError):
        device.call(CTAPHID.CBOR, b"\x01" + bytes(8000))
    device.connect()  # selects the applet again
    assert Ctap2(device).get_info()


def test_a_pin(device: CtapPcscDevice) -> None:
    ctap = Ctap2(device)
    pin = ClientPin(ctap)
    pin.set_pin(PIN)
    assert ctap.get_info().options["clientPin"]
    with pytest.raises(CtapError) as wrong:
        pin.get_pin_token("271828")
    assert wrong.value.code == CtapError.ERR.PIN_INVALID
    assert pin.get_pin_retries()[0] == 7
    pin.change_pin(PIN, "271828")
    pin.change_pin("271828", PIN)
    authority = pin_token(ctap, ClientPin.PERMISSION.MAKE_CREDENTIAL, RP["id"])
    param = pin.protocol.authenticate(authority, CHALLENGE)
    credential = made(ctap, pin_uv_param=param, pin_uv_protocol=pin.protocol.VERSION)
    assert credential.auth_data.is_user_verified()
    assert pin.get_pin_retries()[0] == 8


def test_credential_management(device: CtapPcscDevice) -> None:
    ctap = Ctap2(device)
    pin = ClientPin(ctap)
    made_ids = []
    for name in (b"ada", b"bob", b"eve"):
        user = {**USER, "id": name, "name": name.decode()}
        credential = ctap.make_credential(CHALLENGE, RP, user, ES256, options={"rk": True})
        assert credential.auth_data.credential_data is not None
        made_ids.append(credential.auth_data.credential_data.credential_id)
    pin.set_pin(PIN)
    manager = CredentialManagement(
        ctap, pin.protocol, pin_token(ctap, ClientPin.PERMISSION.CREDENTIAL_MGMT)
    )
    assert manager.get_metadata()[CredentialManagement.RESULT.EXISTING_CRED_COUNT] == 3
    (relying,) = manager.enumerate_rps()
    found = manager.enumerate_creds(relying[CredentialManagement.RESULT.RP_ID_HASH])
    names = {entry[CredentialManagement.RESULT.USER]["name"] for entry in found}
    assert names == {"ada", "bob", "eve"}
    manager.update_user_info(
        {"type": "public-key", "id": made_ids[1]},  # type: ignore[arg-type]
        {"id": b"bob", "name": "robert"},  # type: ignore[arg-type]
    )
    manager.delete_cred({"type": "public-key", "id": made_ids[0]})  # type: ignore[arg-type]
    found = manager.enumerate_creds(relying[CredentialManagement.RESULT.RP_ID_HASH])
    names = {entry[CredentialManagement.RESULT.USER]["name"] for entry in found}
    assert names == {"robert", "eve"}


def test_large_blobs(device: CtapPcscDevice) -> None:
    ctap = Ctap2(device)
    pin = ClientPin(ctap)
    pin.set_pin(PIN)
    granted = pin_token(ctap, ClientPin.PERMISSION.MAKE_CREDENTIAL, RP["id"])
    credential = made(
        ctap,
        options={"rk": True},
        extensions={"largeBlobKey": True},
        pin_uv_param=pin.protocol.authenticate(granted, CHALLENGE),
        pin_uv_protocol=pin.protocol.VERSION,
    )
    key = credential.large_blob_key
    assert key is not None
    blobs = LargeBlobs(ctap, pin.protocol, pin_token(ctap, ClientPin.PERMISSION.LARGE_BLOB_WRITE))
    blob = bytes(range(256)) * 6  # compresses badly enough to take more than one fragment
    blobs.put_blob(key, blob)
    assert LargeBlobs(ctap).get_blob(key) == blob
    blobs.delete_blob(key)
    assert LargeBlobs(ctap).get_blob(key) is None


def test_one_token_by_usb_and_nfc(laid: VirtualToken, device: CtapPcscDevice) -> None:
    """What is made by one way is used by the other, as with a key that has both."""
    usb = Ctap2(open_device(laid))
    credential = made(usb, options={"rk": True})
    check(credential, Ctap2(device).get_assertion(RP["id"], CHALLENGE))
