"""python-fido2, a client that nobody here wrote, works with the authenticator."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from threading import Event

import pytest
from fido2.attestation import PackedAttestation
from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.ctap2 import ClientPin, Config, CredentialManagement, Ctap2
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from fido2.hid import CAPABILITY, CTAPHID
from fido2.webauthn import AttestedCredentialData, CoseKey
from tests.virtual.core.client import Bench

PIN_CODE = "12345678"
CDH = hashlib.sha256(b"client data").digest()
RP = {"id": "example.org", "name": "Example"}
USER = {"id": b"user", "name": "ada", "displayName": "Ada"}
RESIDENT = {"rk": True}


class BenchDevice(CtapDevice):
    """A CtapDevice whose wire is a function call."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        assert cmd == CTAPHID.CBOR
        return self.bench.authenticator.handle(data)

    def close(self) -> None:
        """Nothing to close."""

    @classmethod
    def list_devices(cls) -> list[CtapDevice]:  # type: ignore[override]
        return []


@pytest.fixture(params=[PinProtocolV1, PinProtocolV2])
def client(request: pytest.FixtureRequest) -> tuple[Ctap2, ClientPin]:
    ctap = Ctap2(BenchDevice(Bench()))
    pin = ClientPin(ctap, request.param())
    pin.set_pin(PIN_CODE)
    return ctap, pin


def token_for(pin: ClientPin, permission: ClientPin.PERMISSION) -> tuple[bytes, int]:
    token = pin.get_pin_token(PIN_CODE, permission, RP["id"])
    return pin.protocol.authenticate(token, CDH), pin.protocol.VERSION


@pytest.mark.check("PIN-09", "PIN-16", "PIN-21")
def test_pin_life(client: tuple[Ctap2, ClientPin]) -> None:
    ctap, pin = client
    assert ctap.get_info().options["clientPin"] is True
    pin.change_pin(PIN_CODE, "another one")
    with pytest.raises(CtapError) as wrong:
        pin.get_pin_token(PIN_CODE, ClientPin.PERMISSION.GET_ASSERTION)
    assert wrong.value.code is CtapError.ERR.PIN_INVALID
    assert pin.get_pin_retries() == (7, None)
    assert len(pin.get_pin_token("another one", ClientPin.PERMISSION.GET_ASSERTION)) == 32


@pytest.mark.check("MC-01", "MC-23", "GA-01", "GA-18", "GN-01", "ATT-02")
@pytest.mark.parametrize("alg", [-7, -8])
def test_register_and_log_in(client: tuple[Ctap2, ClientPin], alg: int) -> None:
    ctap, pin = client
    keys: list[CoseKey] = []
    for number in range(3):
        param, version = token_for(pin, ClientPin.PERMISSION.MAKE_CREDENTIAL)
        made = ctap.make_credential(
            CDH,
            RP,
            {**USER, "id": bytes([number])},
            [{"type": "public-key", "alg": alg}],
            options=RESIDENT,
            pin_uv_param=param,
            pin_uv_protocol=version,
        )
        PackedAttestation().verify(made.att_stmt, made.auth_data, CDH)
        assert isinstance(made.auth_data.credential_data, AttestedCredentialData)
        keys.append(made.auth_data.credential_data.public_key)
    param, version = token_for(pin, ClientPin.PERMISSION.GET_ASSERTION)
    found = ctap.get_assertions(RP["id"], CDH, pin_uv_param=param, pin_uv_protocol=version)
    assert [dict(assertion.user or {})["id"] for assertion in found] == [b"\2", b"\1", b"\0"]
    for assertion, key in zip(found, reversed(keys), strict=True):
        assertion.verify(CDH, key)
        assert assertion.auth_data.is_user_verified()


@pytest.mark.check("HMS-02", "HMS-03")
def test_hmac_secret(client: tuple[Ctap2, ClientPin]) -> None:
    ctap, pin = client
    param, version = token_for(pin, ClientPin.PERMISSION.MAKE_CREDENTIAL)
    ctap.make_credential(
        CDH,
        RP,
        USER,
        [{"type": "public-key", "alg": -7}],
        extensions={"hmac-secret": True},
        options=RESIDENT,
        pin_uv_param=param,
        pin_uv_protocol=version,
    )

    def secrets(*salts: bytes) -> bytes:
        key_agreement, secret = pin._get_shared_secret()
        sealed = pin.protocol.encrypt(secret, b"".join(salts))
        asked = {1: key_agreement, 2: sealed, 3: pin.protocol.authenticate(secret, sealed)}
        asked[4] = pin.protocol.VERSION
        found = ctap.get_assertion(RP["id"], CDH, extensions={"hmac-secret": asked})
        assert found.auth_data.extensions is not None
        return pin.protocol.decrypt(secret, found.auth_data.extensions["hmac-secret"])

    one, two = os.urandom(32), os.urandom(32)
    assert secrets(one, two) == secrets(one) + secrets(two)


@pytest.mark.check("RST-01", "SEL-01")
def test_selection_and_reset(client: tuple[Ctap2, ClientPin]) -> None:
    ctap, _ = client
    ctap.selection()
    ctap.reset()
    assert ctap.get_info().options["clientPin"] is False


def make_resident(ctap: Ctap2, pin: ClientPin, user: bytes, alg: int = -7) -> bytes:
    param, version = token_for(pin, ClientPin.PERMISSION.MAKE_CREDENTIAL)
    made = ctap.make_credential(
        CDH,
        RP,
        {**USER, "id": user},
        [{"type": "public-key", "alg": alg}],
        extensions={"credProtect": 2},
        options=RESIDENT,
        pin_uv_param=param,
        pin_uv_protocol=version,
    )
    assert made.auth_data.credential_data is not None
    return made.auth_data.credential_data.credential_id


@pytest.mark.check("CM-03", "CM-04", "CM-06", "CM-10", "CM-11")
def test_credential_management(client: tuple[Ctap2, ClientPin]) -> None:
    ctap, pin = client
    ids = [make_resident(ctap, pin, bytes([n]), alg) for n, alg in enumerate((-7, -8))]
    token = pin.get_pin_token(PIN_CODE, ClientPin.PERMISSION.CREDENTIAL_MGMT)
    manager = CredentialManagement(ctap, pin.protocol, token)
    result = CredentialManagement.RESULT
    (found,) = manager.enumerate_rps()
    assert found[result.RP]["id"] == RP["id"]
    listed = manager.enumerate_creds(found[result.RP_ID_HASH])
    assert {entry[result.CREDENTIAL_ID]["id"] for entry in listed} == set(ids)
    assert {entry[result.CRED_PROTECT] for entry in listed} == {2}
    descriptor = listed[0][result.CREDENTIAL_ID]
    manager.update_user_info(descriptor, {**listed[0][result.USER], "name": "grace"})  # type: ignore[arg-type]
    (renamed, _) = manager.enumerate_creds(found[result.RP_ID_HASH])
    assert renamed[result.USER]["name"] == "grace"
    manager.delete_cred(descriptor)
    assert manager.get_metadata()[result.EXISTING_CRED_COUNT] == 1


@pytest.mark.check("CFG-05", "CFG-06", "CFG-08")
def test_config(client: tuple[Ctap2, ClientPin]) -> None:
    ctap, pin = client

    def config() -> Config:
        token = pin.get_pin_token(PIN_CODE, ClientPin.PERMISSION.AUTHENTICATOR_CFG)
        return Config(ctap, pin.protocol, token)

    config().toggle_always_uv()
    assert ctap.get_info().options["alwaysUv"] is True
    config().toggle_always_uv()
    assert ctap.get_info().options["alwaysUv"] is False
    config().set_min_pin_length(min_pin_length=10)
    info = ctap.get_info()
    assert (info.min_pin_length, info.force_pin_change) == (10, True)
    pin.change_pin(PIN_CODE, "long enough now")
    assert ctap.get_info().force_pin_change is False
