"""Opens a door for people who hold a security key that was registered before."""

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.hid import CtapHidDevice
from fido2.server import Fido2Server
from fido2.webauthn import (
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

ORIGIN = "https://door.example.org"


class NoSecurityKey(Exception):
    """Nothing is plugged in."""


class Door:
    """Knows the keys of everybody who may come in."""

    def __init__(
        self,
        person: UserInteraction | None = None,
        verification: UserVerificationRequirement = UserVerificationRequirement.DISCOURAGED,
    ) -> None:
        rp = PublicKeyCredentialRpEntity(id="door.example.org", name="The door")
        self.server = Fido2Server(rp)
        self.person = person or UserInteraction()
        self.verification = verification
        self.credentials = {}

    def register(self, name: str) -> None:
        """Remember the key that is plugged in."""
        user = PublicKeyCredentialUserEntity(id=name.encode(), name=name)
        options, state = self.server.register_begin(user, user_verification=self.verification)
        response = self.client().make_credential(options.public_key)
        data = self.server.register_complete(state, response)
        self.credentials[name] = data.credential_data

    def open(self, name: str) -> None:
        """Return if the key that is plugged in is this user's; raise if not."""
        known = [self.credentials[name]]
        options, state = self.server.authenticate_begin(known, self.verification)
        response = self.client().get_assertion(options.public_key).get_response(0)
        self.server.authenticate_complete(state, known, response)

    def client(self) -> Fido2Client:
        """Talk to the first key there is."""
        for device in CtapHidDevice.list_devices():
            return Fido2Client(device, DefaultClientDataCollector(ORIGIN), self.person)
        raise NoSecurityKey
