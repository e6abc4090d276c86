"""python-fido2's client does all that a token's owner can: fingers, settings, reading for good."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from fido2.attestation import PackedAttestation
from fido2.ctap import CtapError
from fido2.ctap1 import ApduError, Ctap1
from fido2.ctap2 import (
    ClientPin,
    Config,
    CredentialManagement,
    Ctap2,
    FPBioEnrollment,
)
from fido2.ctap2.bio import CaptureError
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, CTAP_2_3_ENTERPRISE, FingerSensor
from fidokit.virtual.presence import SAMPLES
from fidokit.virtual.token import VirtualToken

PIN_CODE = "motörhead"
CDH = hashlib.sha256(b"client data").digest()
RP = {"id": "example.org", "name": "Example"}
KEY_PARAMS: list[Mapping[str, Any]] = [{"type": "public-key", "alg": -7}]
PERMISSION = ClientPin.PERMISSION
ERR = CtapError.ERR


class Owner:
    """A token in the hands of python-fido2."""

    def __init__(self, token: VirtualToken, protocol: type[Any] = PinProtocolV2) -> None:
        self.token = token
        self.ctap = Ctap2(LinkDevice(token.link()))
        self.pin = ClientPin(self.ctap, protocol())

    @property
    def info(self) -> Any:
        return self.ctap.get_info()

    def bio(self) -> FPBioEnrollment:
        granted = self.pin.get_pin_token(PIN_CODE, PERMISSION.BIO_ENROLL)
        return FPBioEnrollment(self.ctap, self.pin.protocol, granted)

    def config(self) -> Config:
        granted = self.pin.get_pin_token(PIN_CODE, PERMISSION.AUTHENTICATOR_CFG)
        return Config(self.ctap, self.pin.protocol, granted)

    def persistent(self) -> bytes:
        granted: bytes = self.pin.get_pin_token(PIN_CODE, PERMISSION.PERSISTENT_CREDENTIAL_MGMT)
        return granted

    def manager(self, granted: bytes) -> CredentialManagement:
        return CredentialManagement(self.ctap, self.pin.protocol, granted)

    def make(self, user: bytes = b"ada", **more: Any) -> Any:
        granted = self.pin.get_pin_token(PIN_CODE, PERMISSION.MAKE_CREDENTIAL, RP["id"])
        return self.ctap.make_credential(
            CDH,
            RP,
            {"id": user, "name": "n"},
            KEY_PARAMS,
            options={"rk": True},
            pin_uv_param=self.pin.protocol.authenticate(granted, CDH),
            pin_uv_protocol=self.pin.protocol.VERSION,
            **more,
        )


def enroll(bio: FPBioEnrollment) -> bytes:
    """As clients do: go on after each bad sample."""
    enrollment = bio.enroll()
    template = None
    while template is None:
        try:
            template = enrollment.capture()
        except CaptureError:
            continue
    return template


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken() as token:
        yield token


@pytest.fixture(params=[PinProtocolV1, PinProtocolV2])
def owner(request: pytest.FixtureRequest, token: VirtualToken) -> Owner:
    owner = Owner(token, request.param)
    owner.pin.set_pin(PIN_CODE)
    return owner


# --- fingers -------------------------------------------------------------------------------------


@pytest.mark.check("BIO-01", "BIO-02", "BIO-03", "BIO-04", "BIO-05", "BIO-06", "GI-12")
def test_the_life_of_a_finger(owner: Owner) -> None:
    assert owner.info.options["bioEnroll"] is False
    bio = owner.bio()
    sensor = bio.get_fingerprint_sensor_info()
    assert sensor == {2: 1, 3: 5, 8: 64}
    assert bio.enumerate_enrollments() == {}
    template = enroll(bio)
    assert bio.enumerate_enrollments() == {template: ""}
    bio.set_name(template, "thumb")
    assert bio.enumerate_enrollments() == {template: "thumb"}
    options = owner.info.options
    assert (options["uv"], options["bioEnroll"]) == (True, True)
    bio.remove_enrollment(template)
    assert bio.enumerate_enrollments() == {}
    options = owner.info.options
    assert (options["uv"], options["bioEnroll"]) == (False, False)


@pytest.mark.check("BIO-07")
def test_every_bad_sample_reaches_the_client_by_its_name(owner: Owner) -> None:
    bad = [name for name in SAMPLES if name not in ("good", "refused")]
    owner.token.sensor.script("good", *bad)
    enrollment = owner.bio().enroll()
    assert enrollment.capture() is None
    assert enrollment.remaining == 4
    feedback = []
    for _ in bad:
        with pytest.raises(CaptureError) as caught:
            enrollment.capture()
        feedback.append(int(caught.value.code))
        assert enrollment.remaining == 4
    database_full = 0x0C  # the preview's; an error status since
    assert feedback == [code for code in range(1, 0x0F) if code != database_full]
    while enrollment.capture() is None:
        pass
    assert owner.info.options["uv"] is True


@pytest.mark.check("BIO-04")
def test_giving_up(owner: Owner) -> None:
    bio = owner.bio()
    enrollment = bio.enroll()
    enrollment.capture()
    enrollment.cancel()
    assert bio.enumerate_enrollments() == {}


@pytest.mark.check("BIO-06")
def test_a_full_sensor() -> None:
    model = replace(CTAP_2_3, fingerprint=FingerSensor(samples=1, max_templates=2))
    with VirtualToken(profile=model) as token:
        owner = Owner(token)
        owner.pin.set_pin(PIN_CODE)
        bio = owner.bio()
        enroll(bio)
        enroll(bio)
        with pytest.raises(CtapError) as caught:
            enroll(bio)
        assert caught.value.code is ERR.FP_DATABASE_FULL


@pytest.mark.check("BIO-03")
def test_a_refused_sample_ends_the_command(owner: Owner) -> None:
    owner.token.sensor.script("refused")
    with pytest.raises(CtapError) as caught:
        owner.bio().enroll().capture()
    assert caught.value.code is ERR.OPERATION_DENIED


@pytest.mark.check("PIN-30", "PIN-31", "MC-18")
def test_the_finger_verifies(owner: Owner) -> None:
    enroll(owner.bio())
    granted = owner.pin.get_uv_token(PERMISSION.BIO_ENROLL)
    (template,) = FPBioEnrollment(owner.ctap, owner.pin.protocol, granted).enumerate_enrollments()
    owner.token.uv_mismatch()
    with pytest.raises(CtapError) as caught:
        owner.pin.get_uv_token(PERMISSION.GET_ASSERTION)
    assert caught.value.code is ERR.UV_INVALID
    assert owner.pin.get_uv_retries() == 7
    assert owner.info.uv_count_since_pin == 2
    made = owner.ctap.make_credential(CDH, RP, {"id": b"x"}, KEY_PARAMS, options={"uv": True})
    assert made.auth_data.is_user_verified()
    assert template


@pytest.mark.check("BIO-03")
def test_fingers_lie_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "token.sqlite"
    with VirtualToken(path) as token:
        owner = Owner(token)
        owner.pin.set_pin(PIN_CODE)
        bio = owner.bio()
        template = enroll(bio)
        bio.set_name(template, "thümb")
    with VirtualToken(path) as token:
        again = Owner(token)
        assert again.bio().enumerate_enrollments() == {template: "thümb"}
        assert again.info.options["uv"] is True


@pytest.mark.check("BIO-01", "BIO-03", "BIO-04", "BIO-05")
def test_the_preview() -> None:
    preview = replace(
        CTAP_2_1.with_options(userVerificationMgmtPreview=False, uv=False),
        versions=("FIDO_2_0", "FIDO_2_1_PRE"),
        behavior=replace(CTAP_2_1.behavior, token_usage_ms=None, token_has_permissions=False),
    )
    with VirtualToken(profile=preview.with_options(pinUvAuthToken=None)) as token:
        owner = Owner(token, PinProtocolV1)
        owner.pin.set_pin(PIN_CODE)
        granted = owner.pin.get_pin_token(PIN_CODE)
        bio = FPBioEnrollment(owner.ctap, owner.pin.protocol, granted)
        template = enroll(bio)
        bio.set_name(template, "thumb")
        assert bio.enumerate_enrollments() == {template: "thumb"}
        assert owner.info.options["userVerificationMgmtPreview"] is True


@pytest.mark.check("U2F-16")
def test_u2f_by_finger_under_always_uv(owner: Owner) -> None:
    enroll(owner.bio())
    owner.config().toggle_always_uv()
    u2f = Ctap1(LinkDevice(owner.token.link()))
    app, challenge = bytes(32), bytes(range(32))
    registered = u2f.register(challenge, app)
    registered.verify(app, challenge)
    owner.token.uv_mismatch()
    with pytest.raises(ApduError) as caught:
        u2f.authenticate(challenge, app, registered.key_handle)
    assert caught.value.code == 0x6985
    signed = u2f.authenticate(challenge, app, registered.key_handle)
    signed.verify(app, challenge, registered.public_key)
    bio = owner.bio()
    bio.remove_enrollment(next(iter(bio.enumerate_enrollments())))
    with pytest.raises(ApduError) as caught:
        u2f.register(challenge, app)
    assert caught.value.code == 0x6986


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.check("CFG-04", "ATT-08", "ATT-09", "GI-10", "GI-16")
def test_enterprise_attestation() -> None:
    model = replace(CTAP_2_3_ENTERPRISE, enterprise_rp_ids=("example.org",))
    with VirtualToken(profile=model) as token:
        owner = Owner(token)
        owner.pin.set_pin(PIN_CODE)
        assert owner.info.options["ep"] is False
        with pytest.raises(CtapError) as caught:
            owner.make(enterprise_attestation=1)
        assert caught.value.code is ERR.INVALID_PARAMETER
        owner.config().enable_enterprise_attestation()
        assert owner.info.options["ep"] is True
        for kind in (1, 2):
            made = owner.make(enterprise_attestation=kind)
            assert made.ep_att is True
            PackedAttestation().verify(made.att_stmt, made.auth_data, CDH)
            (der,) = made.att_stmt["x5c"]
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.2")
            assert x509.load_der_x509_certificate(der).extensions.get_extension_for_oid(oid)
        assert owner.make().ep_att is None


@pytest.mark.check("CFG-08", "GI-11")
def test_the_complexity_policy(owner: Owner) -> None:
    assert owner.info.pin_complexity_policy is False
    owner.config().set_min_pin_length(pin_complexity_policy=True)
    assert owner.info.pin_complexity_policy is True


@pytest.mark.check("CFG-10", "RST-06")
def test_a_long_touch_for_reset() -> None:
    with VirtualToken(
        profile=replace(CTAP_2_3, long_touch_for_reset=True), presence="script"
    ) as token:
        owner = Owner(token)
        owner.pin.set_pin(PIN_CODE)
        assert owner.info.long_touch_for_reset is True
        token.touch()
        token.refuse()
        with pytest.raises(CtapError) as caught:
            owner.ctap.reset()
        assert caught.value.code is ERR.OPERATION_DENIED
        assert owner.info.options["clientPin"] is True
        token.touch(held=True)
        owner.ctap.reset()
        assert owner.info.options["clientPin"] is False


@pytest.mark.check("RST-06")
def test_a_reset_over_another_transport(token: VirtualToken) -> None:
    assert Owner(token).info.transports_for_reset == ["usb"]
    by_nfc = Ctap2(LinkDevice(token.link("nfc")))
    with pytest.raises(CtapError) as caught:
        by_nfc.reset()
    assert caught.value.code is ERR.OPERATION_DENIED


# --- reading for good ----------------------------------------------------------------------------


@pytest.mark.check("PIN-23", "TOK-13", "CM-12")
def test_a_persistent_token_reads(owner: Owner) -> None:
    assert CredentialManagement.is_readonly_supported(owner.info)
    for user in (b"ada", b"grace"):
        owner.make(user)
    granted = owner.persistent()
    owner.token.power_cycle()
    manager = owner.manager(granted)
    assert manager.get_metadata()[1] == 2
    (rp,) = manager.enumerate_rps()
    assert rp[3]["id"] == "example.org"
    listed = manager.enumerate_creds(rp[4])
    assert {entry[6]["id"] for entry in listed} == {b"ada", b"grace"}
    for change in (
        lambda: manager.delete_cred(listed[0][7]),
        lambda: manager.update_user_info(listed[0][7], listed[0][6]),
    ):
        with pytest.raises(CtapError) as caught:
            change()
        assert caught.value.code is ERR.PIN_AUTH_INVALID
    assert manager.get_metadata()[1] == 2


@pytest.mark.check("TOK-14", "PIN-16")
def test_a_new_pin_ends_it(owner: Owner) -> None:
    granted = owner.persistent()
    owner.pin.change_pin(PIN_CODE, "another one")
    with pytest.raises(CtapError) as caught:
        owner.manager(granted).get_metadata()
    assert caught.value.code is ERR.PIN_AUTH_INVALID


@pytest.mark.check("GI-17", "GI-18")
def test_the_token_is_recognized_and_so_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "token.sqlite"
    with VirtualToken(path) as token:
        owner = Owner(token)
        owner.pin.set_pin(PIN_CODE)
        granted = owner.persistent()
        known = owner.info.get_identifier(granted)
        assert known is not None
        assert len(known) == 16
        empty = owner.info.get_cred_store_state(granted)
        made = owner.make()
        changed = owner.info.get_cred_store_state(granted)
        assert changed not in (empty, None)
        owner.ctap.get_assertion(RP["id"], CDH)
        assert owner.info.get_cred_store_state(granted) == changed
    with VirtualToken(path) as token:
        again = Owner(token)
        assert again.info.get_identifier(granted) == known
        assert again.info.get_cred_store_state(granted) == changed
        cm = again.pin.get_pin_token(PIN_CODE, PERMISSION.CREDENTIAL_MGMT)
        credential = made.auth_data.credential_data.credential_id
        again.manager(cm).delete_cred(
            {"id": credential, "type": "public-key"}  # type: ignore[arg-type]
        )
        assert again.info.get_cred_store_state(granted) not in (empty, changed)
        again.ctap.reset()
        again.pin.set_pin(PIN_CODE)
        assert again.info.get_identifier(again.persistent()) != known
