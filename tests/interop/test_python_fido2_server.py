"""WebAuthn, end to end: python-fido2's server and client on either side of a virtual token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from threading import Event
from typing import Any, TypeAlias

import pytest
from fido2.client import ClientError, PinRequiredError
from fido2.cose import ES256, CoseKey, EdDSA
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.config import Config
from fido2.ctap2.pin import ClientPin
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AuthenticatorAttachment,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialType,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from tests.interop.webauthn import RP, Site
from tests.support import pyscard

from fidokit.testing import FidoDevices, TokenFactory, WatchedToken, open_device

PIN_CODE = "correct horse"
RESIDENT = ResidentKeyRequirement.REQUIRED
VERIFIED = UserVerificationRequirement.REQUIRED
PREFERRED = UserVerificationRequirement.PREFERRED
CTAP2 = ["ctap2.0", "ctap2.1", "ctap2.3"]
EVERY_PROFILE = pytest.mark.parametrize("profile", ["u2f", *CTAP2])
CTAP2_PROFILES = pytest.mark.parametrize("profile", CTAP2)

MakeSite: TypeAlias = Callable[..., Site]


@pytest.fixture
def make_site(virtual_token_factory: TokenFactory) -> Iterator[MakeSite]:
    """Open a site on a new token: make_site(profile, pin=, presence=, uv=)."""
    with ExitStack() as opened:

        def make(profile: str, pin: str | None = None, **wishes: Any) -> Site:
            token = virtual_token_factory(profile=profile, pin=pin, **wishes)
            return Site(opened.enter_context(open_device(token)), pin)

        yield make


def failure(of: Callable[[], object]) -> tuple[ClientError.ERR, Any]:
    """How the client failed, and what the token had said."""
    with pytest.raises(ClientError) as caught:
        of()
    return caught.value.code, getattr(caught.value.cause, "code", None)


def key_parameters(*algorithms: int) -> list[PublicKeyCredentialParameters]:
    kind = PublicKeyCredentialType.PUBLIC_KEY
    return [PublicKeyCredentialParameters(type=kind, alg=alg) for alg in algorithms]


# --- a second factor -----------------------------------------------------------------------------


@EVERY_PROFILE
def test_registration_and_login(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    made = site.register()
    assert made.response.attestation_object.fmt == ("fido-u2f" if profile == "u2f" else "packed")
    assert made.authenticator_attachment is AuthenticatorAttachment.CROSS_PLATFORM
    used = [site.log_in().response.authenticator_data for _ in range(3)]
    assert all(data.is_user_present() for data in used)
    counters = [data.counter for data in used]
    assert counters == sorted(set(counters))


@EVERY_PROFILE
def test_several_accounts(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    for user in ("ada", "bob", "eve"):
        site.register(user)
    for credential in site.credentials:
        used = site.log_in(credentials=[credential])
        assert used.raw_id == credential.credential_id
    kind = PublicKeyCredentialType.PUBLIC_KEY
    strangers = [PublicKeyCredentialDescriptor(type=kind, id=bytes(64))]
    used = site.log_in(credentials=[*strangers, site.credentials[1]])
    assert used.raw_id == site.credentials[1].credential_id


@EVERY_PROFILE
def test_a_token_that_the_account_does_not_know(make_site: MakeSite, profile: str) -> None:
    known, stranger = make_site(profile), make_site(profile)
    known.register()
    code, _ = failure(lambda: stranger.log_in(credentials=known.credentials))
    assert code is ClientError.ERR.DEVICE_INELIGIBLE


@EVERY_PROFILE
def test_exclude_credentials(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    site.register()
    code, _ = failure(lambda: site.register(credentials=site.credentials))
    assert code is ClientError.ERR.DEVICE_INELIGIBLE
    asked = 2 if profile in CTAP2 else 0  # a page must not learn of the key without a touch
    assert site.visitor.touches == asked
    make_site(profile).register(credentials=site.credentials)


@EVERY_PROFILE
def test_another_sites_credential_is_none(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    site.register()
    site.server.rp = type(RP)(id="login.example.org", name="Another")
    code, _ = failure(site.log_in)
    assert code is ClientError.ERR.DEVICE_INELIGIBLE


@EVERY_PROFILE
def test_no_attestation_wanted(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    site.server.attestation = AttestationConveyancePreference.NONE
    site.register()
    site.log_in()


@pytest.mark.parametrize("algorithm", [ES256, EdDSA])
@pytest.mark.parametrize("profile", ["ctap2.1", "ctap2.3"])
def test_algorithms(make_site: MakeSite, profile: str, algorithm: type[CoseKey]) -> None:
    site = make_site(profile)
    site.server.allowed_algorithms = key_parameters(-65535, algorithm.ALGORITHM)
    site.register()
    assert isinstance(site.credentials[0].public_key, algorithm)
    site.log_in()


@EVERY_PROFILE
def test_algorithms_that_nobody_has(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    site.server.allowed_algorithms = key_parameters(-65535)
    code, status = failure(site.register)
    assert code is ClientError.ERR.CONFIGURATION_UNSUPPORTED
    lacking = CtapError.ERR.UNSUPPORTED_OPTION, CtapError.ERR.UNSUPPORTED_ALGORITHM
    assert status is lacking[profile != "u2f"]


# --- without a user name -------------------------------------------------------------------------


@CTAP2_PROFILES
@pytest.mark.parametrize("pin", [None, PIN_CODE])
def test_discoverable_login(make_site: MakeSite, profile: str, pin: str | None) -> None:
    site = make_site(profile, pin)
    wish = VERIFIED if pin else UserVerificationRequirement.DISCOURAGED
    for user in ("ada", "bob", "eve"):
        made = site.register(
            user,
            resident_key_requirement=RESIDENT,
            user_verification=wish,
            extensions={"credProps": True},
        )
        assert made.client_extension_results.cred_props.rk is True
    for choice, handle in enumerate((b"eve", b"bob", b"ada")):
        used = site.log_in(choice, credentials=None, user_verification=wish)
        assert used.response.user_handle == handle
        assert used.response.authenticator_data.is_user_verified() is bool(pin)


@CTAP2_PROFILES
def test_an_account_is_replaced_by_itself(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    site.register(resident_key_requirement=RESIDENT)
    site.register(resident_key_requirement=RESIDENT)
    used = site.log_in(credentials=None)
    assert used.raw_id == site.credentials[1].credential_id
    code, status = failure(lambda: site.log_in(credentials=site.credentials[:1]))
    assert (code, status) == (ClientError.ERR.DEVICE_INELIGIBLE, CtapError.ERR.NO_CREDENTIALS)


@CTAP2_PROFILES
def test_nobody_has_registered(make_site: MakeSite, profile: str) -> None:
    code, status = failure(lambda: make_site(profile).log_in(credentials=None))
    assert (code, status) == (ClientError.ERR.DEVICE_INELIGIBLE, CtapError.ERR.NO_CREDENTIALS)


@CTAP2_PROFILES
def test_discoverable_only_where_wished(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    site.register(resident_key_requirement=ResidentKeyRequirement.DISCOURAGED)
    code, _ = failure(lambda: site.log_in(credentials=None))
    assert code is ClientError.ERR.DEVICE_INELIGIBLE


# --- user verification ---------------------------------------------------------------------------


@CTAP2_PROFILES
def test_verification_by_pin(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile, PIN_CODE)
    made = site.register(user_verification=VERIFIED)
    used = site.log_in(user_verification=VERIFIED)
    assert made.response.attestation_object.auth_data.is_user_verified()
    assert used.response.authenticator_data.is_user_verified()
    permission = ClientPin.PERMISSION
    assert site.visitor.asked_for == [permission.MAKE_CREDENTIAL, permission.GET_ASSERTION]


@CTAP2_PROFILES
def test_verification_where_it_is_not_wanted(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile, PIN_CODE)
    site.register()
    used = site.log_in()
    assert not used.response.authenticator_data.is_user_verified()
    asked = [ClientPin.PERMISSION.MAKE_CREDENTIAL] if profile == "ctap2.0" else []
    assert site.visitor.asked_for == asked


@CTAP2_PROFILES
def test_a_wrong_pin_costs_a_try(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile, PIN_CODE)
    site.visitor.pin = "wrong horse"
    ask = ClientError.ERR.BAD_REQUEST

    def statuses(count: int) -> list[Any]:
        return [failure(lambda: site.register(user_verification=VERIFIED)) for _ in range(count)]

    refused, blocked = CtapError.ERR.PIN_INVALID, CtapError.ERR.PIN_AUTH_BLOCKED
    assert statuses(4) == [(ask, refused), (ask, refused), (ask, blocked), (ask, blocked)]
    assert ClientPin(Ctap2(site.device)).get_pin_retries()[0] == 5


@CTAP2_PROFILES
def test_nobody_types_a_pin(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile, PIN_CODE)
    site.visitor.pin = None
    with pytest.raises(PinRequiredError):
        site.register(user_verification=VERIFIED)


@EVERY_PROFILE
def test_verification_without_a_pin(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile)
    code, _ = failure(lambda: site.register(user_verification=VERIFIED))
    assert code is ClientError.ERR.CONFIGURATION_UNSUPPORTED


def test_verification_built_in(make_site: MakeSite) -> None:
    site = make_site("ctap2.3", uv=True)
    site.register(user_verification=VERIFIED)
    used = site.log_in(user_verification=PREFERRED)
    assert used.response.authenticator_data.is_user_verified()
    assert site.visitor.asked_for == []


def test_the_pin_in_place_of_a_locked_sensor(
    virtual_token_factory: TokenFactory,
) -> None:
    token = virtual_token_factory(uv=True, pin=PIN_CODE)
    with open_device(token) as device:
        site = Site(device, PIN_CODE)
        for _ in range(token.profile.uv_attempts):
            token.uv_mismatch()
        codes = [
            failure(lambda: site.register(user_verification=VERIFIED))[1]
            for _ in range(token.profile.uv_attempts - 1)
        ]
        assert set(codes) == {CtapError.ERR.UV_INVALID}
        site.register(user_verification=VERIFIED)
        assert len(site.visitor.asked_for) == 1


@pytest.mark.parametrize("profile", ["ctap2.1", "ctap2.3"])
def test_always_uv(make_site: MakeSite, profile: str) -> None:
    site = make_site(profile, PIN_CODE)
    Config(*authorized(site, ClientPin.PERMISSION.AUTHENTICATOR_CFG)).toggle_always_uv()
    site.register()
    used = site.log_in()
    assert used.response.authenticator_data.is_user_verified()
    assert len(site.visitor.asked_for) == 2


def authorized(site: Site, permission: ClientPin.PERMISSION) -> tuple[Ctap2, Any, bytes]:
    ctap = Ctap2(site.device)
    pin = ClientPin(ctap)
    return ctap, pin.protocol, pin.get_pin_token(PIN_CODE, permission, RP.id)


# --- the person ----------------------------------------------------------------------------------


def scripted(factory: TokenFactory, profile: str) -> tuple[WatchedToken, Site]:
    token = factory(profile=profile, presence="script")
    return token, Site(open_device(token))


@EVERY_PROFILE
def test_the_visitor_is_asked_to_touch(virtual_token_factory: TokenFactory, profile: str) -> None:
    token, site = scripted(virtual_token_factory, profile)
    site.visitor.prompt_up = token.touch  # type: ignore[method-assign]
    site.register()
    site.log_in()


@CTAP2_PROFILES
def test_the_visitor_refuses(virtual_token_factory: TokenFactory, profile: str) -> None:
    token, site = scripted(virtual_token_factory, profile)
    token.refuse()
    code, status = failure(site.register)
    assert (code, status) == (ClientError.ERR.BAD_REQUEST, CtapError.ERR.OPERATION_DENIED)


@EVERY_PROFILE
def test_the_page_gives_up(virtual_token_factory: TokenFactory, profile: str) -> None:
    _, site = scripted(virtual_token_factory, profile)
    event = Event()
    site.visitor.prompt_up = event.set  # type: ignore[method-assign]
    code, _ = failure(lambda: site.register(event=event))
    assert code is ClientError.ERR.TIMEOUT


@EVERY_PROFILE
def test_selection_among_tokens(virtual_token_factory: TokenFactory, profile: str) -> None:
    token, site = scripted(virtual_token_factory, profile)
    token.touch()
    site.client.selection()


# --- over a contactless reader -------------------------------------------------------------------


@EVERY_PROFILE
def test_registration_and_login_on_a_reader(
    virtual_token_factory: TokenFactory, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    pyscard.install(monkeypatch)
    from fido2.pcsc import CtapPcscDevice

    pin = None if profile == "u2f" else PIN_CODE
    FidoDevices(monkeypatch).lay_on_reader(virtual_token_factory(profile=profile, pin=pin))
    (device,) = CtapPcscDevice.list_devices()
    site = Site(device, pin)
    wish = VERIFIED if pin else UserVerificationRequirement.DISCOURAGED
    site.register(user_verification=wish)
    used = site.log_in(user_verification=wish)
    assert used.response.authenticator_data.is_user_verified() is bool(pin)


# --- extensions ----------------------------------------------------------------------------------


def outputs_of(made: RegistrationResponse) -> Mapping[str, Any]:
    return made.response.attestation_object.auth_data.extensions or {}


def cred_protect(site: Site) -> bool:
    policy = {"credentialProtectionPolicy": "userVerificationRequired"}
    made = site.register(extensions=policy, user_verification=VERIFIED)
    level = outputs_of(made).get("credProtect")
    if level is None:
        return False
    code, status = failure(site.log_in)
    assert (code, status) == (ClientError.ERR.DEVICE_INELIGIBLE, CtapError.ERR.NO_CREDENTIALS)
    site.log_in(user_verification=VERIFIED)
    return bool(level == 3)


def prf(*salts: bytes) -> dict[str, Any]:
    names = ("first", "second")[: len(salts)]
    return {"prf": {"eval": dict(zip(names, map(websafe_encode, salts), strict=True))}}


def hmac_secret(site: Site) -> bool:
    made = site.register(extensions={"prf": {}}).client_extension_results
    if made.prf is None or not made.prf.enabled:
        return False

    def secrets(*salts: bytes) -> Any:
        return site.log_in(extensions=prf(*salts)).client_extension_results.prf.results

    one, both = secrets(b"one"), secrets(b"one", b"two")
    assert len(one.first) == 32
    return bool(both.first == one.first and both.second == secrets(b"two").first)


def hmac_secret_mc(site: Site) -> bool:
    made = site.register(extensions=prf(b"salt")).client_extension_results.prf
    if made is None or made.results is None:
        return False
    used = site.log_in(extensions=prf(b"salt")).client_extension_results.prf
    return bool(made.results.first == used.results.first)


def cred_blob(site: Site) -> bool:
    made = site.register(resident_key_requirement=RESIDENT, extensions={"credBlob": b"blob"})
    used = site.log_in(extensions={"getCredBlob": True}).response.authenticator_data
    stored = outputs_of(made).get("credBlob", False)
    assert stored is (used.extensions == {"credBlob": b"blob"})
    return bool(stored)


def large_blob_key(site: Site) -> bool:
    wish = {"largeBlob": {"support": "preferred"}}
    made = site.register(resident_key_requirement=RESIDENT, extensions=wish)
    if not made.client_extension_results.large_blob.supported:
        return False
    write = {"largeBlob": {"write": websafe_encode(b"kept" * 100)}}
    written = site.log_in(extensions=write, user_verification=VERIFIED).client_extension_results
    read = site.log_in(extensions={"largeBlob": {"read": True}}).client_extension_results
    return bool(written.large_blob.written and read.large_blob.blob == b"kept" * 100)


def told_policies(site: Site) -> Mapping[str, Any]:
    """What a relying party that may know of the PIN's rules is told."""
    if "minPinLength" in site.client.info.extensions:
        config = Config(*authorized(site, ClientPin.PERMISSION.AUTHENTICATOR_CFG))
        config.set_min_pin_length(min_pin_length=7, rp_ids=[str(RP.id)])
    wish = {"minPinLength": True, "pinComplexityPolicy": True}
    return outputs_of(site.register(extensions=wish))


def min_pin_length(site: Site) -> bool:
    return told_policies(site).get("minPinLength") == 7


def pin_complexity_policy(site: Site) -> bool:
    return told_policies(site).get("pinComplexityPolicy") is False


def third_party_payment(site: Site) -> bool:
    wish = {"payment": {"isPayment": True}}
    site.register(extensions=wish)
    used = site.log_in(extensions=wish).response.authenticator_data
    return used.extensions == {"thirdPartyPayment": True}


def uvm(site: Site) -> bool:
    """python-fido2's client has no processor for it, so this goes to its CTAP layer."""
    ctap, protocol, token = authorized(site, ClientPin.PERMISSION.MAKE_CREDENTIAL)
    made = ctap.make_credential(
        bytes(32),
        dict(RP),
        {"id": b"ada", "name": "ada"},
        [{"type": "public-key", "alg": -7}],
        extensions={"uvm": True},
        pin_uv_param=protocol.authenticate(token, bytes(32)),
        pin_uv_protocol=protocol.VERSION,
    )
    return "uvm" in (made.auth_data.extensions or {})


JUDGES: Mapping[str, Callable[[Site], bool]] = {
    "credProtect": cred_protect,
    "hmac-secret": hmac_secret,
    "hmac-secret-mc": hmac_secret_mc,
    "credBlob": cred_blob,
    "largeBlobKey": large_blob_key,
    "minPinLength": min_pin_length,
    "pinComplexityPolicy": pin_complexity_policy,
    "thirdPartyPayment": third_party_payment,
    "uvm": uvm,
}
"""For each extension: whether the token does it, by all that the client and the server can see."""


@CTAP2_PROFILES
@pytest.mark.parametrize("extension", JUDGES)
def test_an_extension_works_exactly_where_it_is_listed(
    make_site: MakeSite, profile: str, extension: str
) -> None:
    site = make_site(profile, PIN_CODE)
    listed = extension in site.client.info.extensions
    assert JUDGES[extension](site) is listed


@CTAP2_PROFILES
def test_every_listed_extension_is_judged(make_site: MakeSite, profile: str) -> None:
    assert set(make_site(profile).client.info.extensions) <= set(JUDGES)
