"""A website, its visitor's browser and the visitor, all of them python-fido2's, on one token."""

from __future__ import annotations

from threading import Event
from typing import Any

from fido2.attestation import Attestation
from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice
from fido2.ctap2.extensions import (
    CredBlobExtension,
    CredPropsExtension,
    CredProtectExtension,
    HmacSecretExtension,
    LargeBlobExtension,
    MinPinLengthExtension,
    PinComplexityPolicyExtension,
    ThirdPartyPaymentExtension,
)
from fido2.ctap2.pin import ClientPin
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestationObject,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    UserVerificationRequirement,
)

ORIGIN = "https://login.example.org"
RP = PublicKeyCredentialRpEntity(id="example.org", name="Example")
EVERY_EXTENSION = (
    HmacSecretExtension(),
    LargeBlobExtension(),
    CredBlobExtension(),
    CredProtectExtension(),
    MinPinLengthExtension(),
    PinComplexityPolicyExtension(),
    CredPropsExtension(),
    ThirdPartyPaymentExtension(),
)


class Visitor(UserInteraction):
    """Answers the browser.

    Args:
        pin: what is typed, or None for somebody who closes the prompt.
    """

    def __init__(self, pin: str | None = None) -> None:
        self.pin = pin
        self.asked_for: list[ClientPin.PERMISSION] = []
        self.touches = 0

    def prompt_up(self) -> None:
        self.touches += 1

    def request_pin(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> str | None:
        assert rp_id == RP.id
        self.asked_for.append(permissions)
        return self.pin


class Site:
    """Registers accounts and logs them in; what the token signs is checked by the server's code.

    Args:
        device: the token, as python-fido2 opened it.
        pin: what the visitor types.
    """

    def __init__(self, device: CtapDevice, pin: str | None = None) -> None:
        self.visitor = Visitor(pin)
        self.device = device
        self.server = Fido2Server(
            RP,
            attestation=AttestationConveyancePreference.DIRECT,
            verify_attestation=_verify_statement,
        )
        self.credentials: list[AttestedCredentialData] = []

    @property
    def client(self) -> Fido2Client:
        """A new browser: each remembers what the token can do."""
        collector = DefaultClientDataCollector(ORIGIN)
        return Fido2Client(self.device, collector, self.visitor, EVERY_EXTENSION)

    def register(
        self, user: str = "ada", *, event: Event | None = None, **wishes: Any
    ) -> RegistrationResponse:
        """Make a credential for an account, as far as `register_begin`'s keywords wish."""
        entity = PublicKeyCredentialUserEntity(id=user.encode(), name=user)
        wishes.setdefault("user_verification", UserVerificationRequirement.DISCOURAGED)
        options, state = self.server.register_begin(entity, **wishes)
        response = self.client.make_credential(options.public_key, event)
        data = self.server.register_complete(state, response)
        assert data.credential_data is not None
        self.credentials.append(data.credential_data)
        return response

    def log_in(self, choice: int = 0, **wishes: Any) -> AuthenticationResponse:
        """Log the account in that the visitor chooses, with any credential unless `credentials`."""
        wishes.setdefault("credentials", self.credentials)
        wishes.setdefault("user_verification", UserVerificationRequirement.DISCOURAGED)
        options, state = self.server.authenticate_begin(**wishes)
        response = self.client.get_assertion(options.public_key).get_response(choice)
        self.server.authenticate_complete(state, self.credentials, response)
        return response


def _verify_statement(attestation: AttestationObject, client_data_hash: bytes) -> None:
    """Check the statement itself, by python-fido2's class for its format."""
    verifier = Attestation.for_type(attestation.fmt)()
    verifier.verify(attestation.att_stmt, attestation.auth_data, client_data_hash)
