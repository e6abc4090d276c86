"""python-fido2's WebAuthn client and its extension processors against the virtual token.

Yubico wrote this client for hardware: what it seals, opens and refuses is judged by its own code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fido2 import cbor
from fido2.attestation import PackedAttestation
from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.cose import ARKG_P256_PLACEHOLDER, CoseKey
from fido2.ctap import CtapError
from fido2.ctap2 import ClientPin, Config, CredentialManagement, Ctap2, LargeBlobs
from fido2.ctap2.extensions import (
    CredBlobExtension,
    CredPropsExtension,
    CredProtectExtension,
    HmacSecretExtension,
    LargeBlobExtension,
    MinPinLengthExtension,
    PinComplexityPolicyExtension,
    PreviewSignExtension,
    ThirdPartyPaymentExtension,
)
from fido2.ctap2.pin import PinProtocol, PinProtocolV1, PinProtocolV2
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.profile import (
    CTAP_2_1,
    CTAP_2_3,
    CTAP_2_3_LARGE_BLOB,
    CTAP_2_3_PREVIEW,
    Profile,
)
from fidokit.virtual.token import VirtualToken

PIN_CODE = "2-many-pins"
RP = PublicKeyCredentialRpEntity(id="example.org", name="Example")
ORIGIN = "https://example.org"
SMALL_MESSAGES = replace(CTAP_2_3, max_msg_size=1024, max_large_blob_array=16_384)
ALL = (
    HmacSecretExtension(allow_hmac_secret=True),
    LargeBlobExtension(),
    CredBlobExtension(),
    CredProtectExtension(),
    MinPinLengthExtension(),
    PinComplexityPolicyExtension(),
    CredPropsExtension(),
    ThirdPartyPaymentExtension(),
    PreviewSignExtension(),
)


class Owner(UserInteraction):
    """Knows the PIN and lets everything happen."""

    def request_pin(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> str:
        return PIN_CODE


class Site:
    """A relying party and its visitor's browser, on one token."""

    def __init__(self, model: Profile, *, pin: bool = True, uv: bool = False) -> None:
        self.token = VirtualToken(profile=model, uv_enrolled=uv)
        self.ctap = Ctap2(LinkDevice(self.token.link()))
        if pin:
            ClientPin(self.ctap).set_pin(PIN_CODE)
        self.server = Fido2Server(RP, attestation=AttestationConveyancePreference.DIRECT)
        self.credentials: list[Any] = []

    @property
    def client(self) -> Fido2Client:
        """A new one each time: it remembers getInfo."""
        collector = DefaultClientDataCollector(ORIGIN)
        return Fido2Client(LinkDevice(self.token.link()), collector, Owner(), ALL)

    def register(
        self, extensions: Any = None, user: bytes = b"ada", *, rk: bool = True
    ) -> RegistrationResponse:
        """Make a credential and have the server check it."""
        key = ResidentKeyRequirement.REQUIRED if rk else ResidentKeyRequirement.DISCOURAGED
        options, state = self.server.register_begin(
            PublicKeyCredentialUserEntity(id=user, name=user.decode()),
            resident_key_requirement=key,
            user_verification=UserVerificationRequirement.PREFERRED,
            extensions=extensions,
        )
        response = self.client.make_credential(options.public_key)
        data = self.server.register_complete(state, response)
        assert data.credential_data is not None
        self.credentials.append(data.credential_data)
        return response

    def log_in(
        self, extensions: Any = None, *, choice: int = 0, allow: Any = None
    ) -> AuthenticationResponse:
        """Use a credential and have the server check its signature."""
        options, state = self.server.authenticate_begin(
            allow,
            user_verification=UserVerificationRequirement.PREFERRED,
            extensions=extensions,
        )
        response = self.client.get_assertion(options.public_key).get_response(choice)
        self.server.authenticate_complete(state, self.credentials, response)
        return response

    def pin_token(self, permission: ClientPin.PERMISSION) -> tuple[PinProtocol, bytes]:
        pin = ClientPin(self.ctap)
        return pin.protocol, pin.get_pin_token(PIN_CODE, permission)

    def config(self) -> Config:
        return Config(self.ctap, *self.pin_token(ClientPin.PERMISSION.AUTHENTICATOR_CFG))

    def blobs(self) -> LargeBlobs:
        return LargeBlobs(self.ctap, *self.pin_token(ClientPin.PERMISSION.LARGE_BLOB_WRITE))


def outputs(response: RegistrationResponse | AuthenticationResponse) -> Any:
    """What the page would see; attributes hold bytes, members their base64."""
    return response.client_extension_results


@pytest.fixture(params=[CTAP_2_1, CTAP_2_3], ids=lambda model: model.name)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(request.param)
    yield made
    made.token.close()


@pytest.fixture
def newest() -> Iterator[Site]:
    made = Site(CTAP_2_3)
    yield made
    made.token.close()


# --- prf and hmac-secret -------------------------------------------------------------------------


def prf(*salts: bytes) -> dict[str, Any]:
    return {
        "prf": {"eval": dict(zip(("first", "second"), map(websafe_encode, salts), strict=False))}
    }


@pytest.mark.check("HMS-02", "HMS-03")
@pytest.mark.parametrize("rk", [True, False])
def test_prf(site: Site, rk: bool) -> None:
    made = outputs(site.register({"prf": {}}, rk=rk))
    assert made.prf.enabled is True
    allow = None if rk else site.credentials

    def results(*salts: bytes) -> Any:
        return outputs(site.log_in(prf(*salts), allow=allow)).prf.results

    one, both = results(b"one"), results(b"one", b"two")
    assert (len(one.first), one.second or None) == (32, None)
    assert (both.first, both.second) == (one.first, results(b"two").first)
    site.token.power_cycle()
    assert results(b"one").first == one.first


@pytest.mark.check("HMC-01")
@pytest.mark.parametrize("salts", [(b"one",), (b"one", b"two")])
def test_prf_when_the_credential_is_made(newest: Site, salts: tuple[bytes, ...]) -> None:
    made = outputs(newest.register(prf(*salts))).prf
    used = outputs(newest.log_in(prf(*salts))).prf
    assert made.enabled is True
    assert (made.results.first, made.results.second or b"") == (
        used.results.first,
        used.results.second or b"",
    )


@pytest.mark.check("HMC-01")
@pytest.mark.parametrize("protocol", [PinProtocolV1, PinProtocolV2])
def test_both_protocols_seal_the_same_secret(protocol: type[Any]) -> None:
    with VirtualToken() as token:
        ctap = Ctap2(LinkDevice(token.link()))
        pin = ClientPin(ctap, protocol())
        salt = os.urandom(32)

        def sealed() -> tuple[dict[int, Any], bytes]:
            key, secret = pin._get_shared_secret()
            salt_enc = pin.protocol.encrypt(secret, salt)
            mac = pin.protocol.authenticate(secret, salt_enc)
            return {1: key, 2: salt_enc, 3: mac, 4: pin.protocol.VERSION}, secret

        asked, secret = sealed()
        made = ctap.make_credential(
            bytes(32), dict(RP), {"id": b"ada", "name": "ada"},
            [{"type": "public-key", "alg": -7}],
            extensions={"hmac-secret": True, "hmac-secret-mc": asked}, options={"rk": True},
        )  # fmt: skip
        asked_again, other = sealed()
        used = ctap.get_assertion("example.org", bytes(32), extensions={"hmac-secret": asked_again})
        assert made.auth_data.extensions is not None
        assert used.auth_data.extensions is not None
        at_making = pin.protocol.decrypt(secret, made.auth_data.extensions["hmac-secret-mc"])
        assert at_making == pin.protocol.decrypt(other, used.auth_data.extensions["hmac-secret"])


# --- largeBlobs and largeBlobKey -----------------------------------------------------------------


@pytest.mark.check("LBK-01", "LB-02", "LB-06", "LB-08")
def test_large_blobs_of_two_accounts(site: Site) -> None:
    for user in (b"ada", b"bob"):
        made = outputs(site.register({"largeBlob": {"support": "required"}}, user))
        assert made.large_blob.supported is True
    for choice, blob in enumerate((b"bob's " * 100, os.urandom(200))):
        write = {"largeBlob": {"write": websafe_encode(blob)}}
        allow = [site.credentials[1 - choice]]
        assert outputs(site.log_in(write, allow=allow)).large_blob.written is True
    read = {"largeBlob": {"read": True}}
    site.token.power_cycle()
    assert outputs(site.log_in(read, choice=0)).large_blob.blob == b"bob's " * 100
    assert len(outputs(site.log_in(read, choice=1)).large_blob.blob) == 200
    assert len(site.blobs().read_blob_array()) == 2


@pytest.mark.check("LB-03", "LB-08", "TOK-11")
def test_an_array_of_many_fragments() -> None:
    site = Site(SMALL_MESSAGES)
    keys, blobs = [os.urandom(32) for _ in range(6)], [os.urandom(2000) for _ in range(6)]
    for key, blob in zip(keys, blobs, strict=True):
        site.blobs().put_blob(key, blob)
    for key, blob in zip(keys, blobs, strict=True):
        assert site.blobs().get_blob(key) == blob
    site.blobs().delete_blob(keys[0])
    assert site.blobs().get_blob(keys[0]) is None
    assert site.blobs().get_blob(keys[5]) == blobs[5]
    with pytest.raises(CtapError) as full:
        site.blobs().put_blob(os.urandom(32), os.urandom(9000))
    assert full.value.code is CtapError.ERR.LARGE_BLOB_STORAGE_FULL
    assert site.blobs().get_blob(keys[5]) == blobs[5]
    site.token.close()


@pytest.mark.check("LB-06", "TOK-08")
def test_large_blobs_and_permissions(newest: Site) -> None:
    with pytest.raises(CtapError) as refused:
        LargeBlobs(newest.ctap).write_blob_array([])
    assert refused.value.code is CtapError.ERR.PUAT_REQUIRED
    wrong = newest.pin_token(ClientPin.PERMISSION.CREDENTIAL_MGMT)
    with pytest.raises(CtapError) as refused:
        LargeBlobs(newest.ctap, *wrong).write_blob_array([])
    assert refused.value.code is CtapError.ERR.PIN_AUTH_INVALID


@pytest.mark.check("LB-06", "LB-02")
def test_a_token_that_nothing_protects_is_written_by_anybody() -> None:
    site = Site(CTAP_2_3, pin=False)
    blobs = LargeBlobs(site.ctap)
    assert blobs.read_blob_array() == []
    blobs.put_blob(bytes(32), b"x")
    assert blobs.get_blob(bytes(32)) == b"x"
    site.token.close()


# --- the others ----------------------------------------------------------------------------------


@pytest.mark.check("CBL-01", "CBL-02")
def test_cred_blob(site: Site) -> None:
    assert site.ctap.info.max_cred_blob_length == 32
    for user in (b"ada", b"bob"):
        made = site.register({"credBlob": b"of " + user}, user)
        data = made.response.attestation_object.auth_data
        assert data.extensions == {"credBlob": True}
    for choice, user in enumerate((b"bob", b"ada")):
        used = site.log_in({"getCredBlob": True}, choice=choice)
        data = used.response.authenticator_data
        assert data.extensions == {"credBlob": b"of " + user}
        assert used.response.user_handle == user


@pytest.mark.check("CPR-01")
@pytest.mark.parametrize(
    ("policy", "level"), [(p, n) for n, p in enumerate(CredProtectExtension.POLICY, 1)]
)
def test_cred_protect(site: Site, policy: CredProtectExtension.POLICY, level: int) -> None:
    made = site.register(
        {
            "credentialProtectionPolicy": policy.value,
            "enforceCredentialProtectionPolicy": True,
            "credProps": True,
        }
    )
    data = made.response.attestation_object.auth_data
    assert data.extensions == {"credProtect": level}
    assert outputs(made).cred_props.rk is True
    site.log_in()


@pytest.mark.check("MPL-01", "PCP-01", "CFG-07")
def test_policies_for_a_listed_relying_party(newest: Site) -> None:
    asked = {"minPinLength": True, "pinComplexityPolicy": True}

    def told() -> Any:
        return newest.register(asked).response.attestation_object.auth_data.extensions

    assert told() is None
    newest.config().set_min_pin_length(min_pin_length=7, rp_ids=["example.org", "example.com"])
    assert told() == {"minPinLength": 7, "pinComplexityPolicy": False}
    newest.config().set_min_pin_length(rp_ids=["example.com"])
    assert told() is None


@pytest.mark.check("TPP-01")
@pytest.mark.parametrize("rk", [True, False])
@pytest.mark.parametrize("payment", [True, False])
def test_third_party_payment(newest: Site, rk: bool, payment: bool) -> None:
    newest.register({"payment": {"isPayment": True}} if payment else None, rk=rk)
    used = newest.log_in({"payment": {"isPayment": True}}, allow=newest.credentials)
    assert used.response.authenticator_data.extensions == {"thirdPartyPayment": payment}


@pytest.mark.check("CM-06", "LBK-01", "TPP-01")
def test_credential_management_tells_them(newest: Site) -> None:
    newest.register({"largeBlob": {"support": "required"}, "payment": {"isPayment": True}})
    permission = ClientPin.PERMISSION.CREDENTIAL_MGMT
    manager = CredentialManagement(newest.ctap, *newest.pin_token(permission))
    result = CredentialManagement.RESULT
    (party,) = manager.enumerate_rps()
    (found,) = manager.enumerate_creds(party[result.RP_ID_HASH])
    key = found[result.LARGE_BLOB_KEY]
    newest.blobs().put_blob(key, b"found by its key")
    used = newest.log_in({"largeBlob": {"read": True}})
    assert outputs(used).large_blob.blob == b"found by its key"
    assert found[0x0C] is True


@pytest.mark.check("GN-01", "GN-05", "EXT-01")
def test_everything_at_once(newest: Site) -> None:
    for user in (b"ada", b"bob", b"eve"):
        newest.register(
            {
                **prf(b"salt"),
                "largeBlob": {"support": "preferred"},
                "credBlob": user,
                "credentialProtectionPolicy": "userVerificationRequired",
                "minPinLength": True,
                "pinComplexityPolicy": True,
                "credProps": True,
                "payment": {"isPayment": user == b"bob"},
            },
            user,
        )
    asked = {"getCredBlob": True, "payment": {"isPayment": True}, **prf(b"salt")}
    secrets = set()
    for choice, user in enumerate((b"eve", b"bob", b"ada")):
        used = newest.log_in(asked, choice=choice)
        data = used.response.authenticator_data
        assert data.extensions is not None
        assert data.extensions["credBlob"] == user == used.response.user_handle
        assert data.extensions["thirdPartyPayment"] is (user == b"bob")
        secrets.add(outputs(used).prf.results.first)
    assert len(secrets) == 3


@pytest.mark.check("UVM-01")
def test_built_in_verification() -> None:
    site = Site(CTAP_2_3, pin=False, uv=True)
    site.register()
    assert site.log_in().response.authenticator_data.is_user_verified()
    made = site.ctap.make_credential(
        bytes(32), dict(RP), {"id": b"bob", "name": "bob"}, [{"type": "public-key", "alg": -7}],
        extensions={"uvm": True}, options={"uv": True},
    )  # fmt: skip
    assert made.auth_data.extensions == {"uvm": [[2, 1, 1]]}
    site.token.close()


@pytest.mark.check("LBX-01", "LBX-02", "GI-14")
def test_the_large_blob_extension_of_2_3() -> None:
    """python-fido2 2.2 has no processor for it, and knows unsigned outputs of makeCredential only;
    a strict client it is all the same: it refuses replies that are not canonical."""
    site = Site(CTAP_2_3_LARGE_BLOB, pin=False)
    made = site.ctap.make_credential(
        bytes(32), dict(RP), {"id": b"ada", "name": "ada"}, [{"type": "public-key", "alg": -7}],
        extensions={"largeBlob": {"support": "required"}}, options={"rk": True},
    )  # fmt: skip
    assert made.unsigned_extension_outputs == {"largeBlob": {"supported": True}}
    assert made.auth_data.credential_data is not None
    allow: list[Any] = [{"type": "public-key", "id": made.auth_data.credential_data.credential_id}]
    assert RP.id is not None

    def ask(value: dict[str, Any]) -> Any:
        request = {1: RP.id, 2: bytes(32), 3: allow, 4: {"largeBlob": value}}
        return site.ctap.send_cbor(Ctap2.CMD.GET_ASSERTION, request).get(8)

    site.ctap.get_assertion(RP.id, bytes(32), allow, extensions={"largeBlob": {"read": True}})
    assert not ask({"read": True})
    assert ask({"write": b"blob", "originalSize": 9}) == {"largeBlob": {"written": True}}
    assert ask({"read": True}) == {"largeBlob": {"blob": b"blob", "originalSize": 9}}
    with pytest.raises(ValueError, match="does not support LargeBlobs"):
        LargeBlobs(site.ctap)
    site.token.close()


# --- previewSign ---------------------------------------------------------------------------------


def generate(site: Site, algorithm: int) -> tuple[Any, CoseKey]:
    """A signing key, its own attestation checked, and its public half."""
    made = site.register({"previewSign": {"generateKey": {"algorithms": [-1, algorithm]}}})
    key = outputs(made).previewSign.generated_key
    assert key.algorithm == algorithm
    PackedAttestation().verify(
        key.attestation_object.att_stmt,
        key.attestation_object.auth_data,
        made.response.client_data.hash,
    )
    members: Any = cbor.decode(key.public_key)
    return key, CoseKey.parse(members)


def signature(site: Site, key: Any, tbs: bytes, args: bytes | None = None) -> bytes:
    credential = site.credentials[-1]
    asked = {"keyHandle": websafe_encode(key.key_handle), "tbs": websafe_encode(tbs)}
    if args is not None:
        asked["additionalArgs"] = websafe_encode(args)
    by_credential = {websafe_encode(credential.credential_id): asked}
    used = site.log_in({"previewSign": {"signByCredential": by_credential}}, allow=[credential])
    made: bytes = outputs(used).previewSign.signature
    return made


@pytest.fixture
def preview() -> Iterator[Site]:
    made = Site(CTAP_2_3_PREVIEW)
    yield made
    made.token.close()


@pytest.mark.parametrize("algorithm", [-7, -8])
def test_preview_sign(preview: Site, algorithm: int) -> None:
    key, public = generate(preview, algorithm)
    preview.token.power_cycle()
    public.verify(b"a document", signature(preview, key, b"a document"))


def test_preview_sign_with_derived_keys(preview: Site) -> None:
    key, seed = generate(preview, -65539)
    assert isinstance(seed, ARKG_P256_PLACEHOLDER)
    for context in (b"one", b"two"):
        public, args = seed.derive_public_key(os.urandom(32), context)
        digest = hashlib.sha256(b"a document").digest()
        made = signature(preview, key, digest, cbor.encode(args))
        public.verify(b"a document", made)
