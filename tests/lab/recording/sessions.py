"""A recorded session with everything in it that must not be kept."""

from __future__ import annotations

from pathlib import Path

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap2.base import Ctap2
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.pin import ClientPin
from fido2.hid import CtapHidDevice
from fido2.utils import websafe_decode
from fido2.webauthn import PublicKeyCredentialCreationOptions, PublicKeyCredentialRequestOptions

from fidokit.lab.recording.recorder import RecordedToken, RecordFile
from fidokit.testing.devices import PRODUCT, _Connection, descriptor_of
from fidokit.virtual.recorded import Recording
from fidokit.virtual.token import VirtualToken

PIN = "hunter42"
SALT = b"a salt that nobody may have ....!"[:32]
RP = "example.org"


class Ada(UserInteraction):
    def request_pin(self, *_: object, **__: object) -> str:
        return PIN


def recorded_token(token: VirtualToken, file: RecordFile) -> RecordedToken:
    return RecordedToken(token.link(), file, token.identity.serial)


def device_of(token: VirtualToken, recorded: RecordedToken) -> CtapHidDevice:
    """python-fido2's device for the recorded token."""
    return CtapHidDevice(descriptor_of(token), _Connection(recorded))


def session(path: Path, profile: str = "ctap2.3") -> list[bytes]:
    """Record a life of a token by python-fido2; returns secrets that only the client knew."""
    token = VirtualToken(profile=profile)
    secrets: list[bytes] = [PIN.encode(), SALT]
    head = Recording(token.capabilities, "usb", PRODUCT)
    with (
        RecordFile(path, head) as file,
        token,
        device_of(token, recorded_token(token, file)) as device,
    ):
        ctap = Ctap2(device)
        ClientPin(ctap).set_pin(PIN)
        ctap = Ctap2(device)
        client = Fido2Client(device, DefaultClientDataCollector(f"https://{RP}"), Ada())
        made = client.make_credential(
            PublicKeyCredentialCreationOptions.from_dict(
                {
                    "rp": {"id": RP, "name": "x"},
                    "user": {"id": b"ada", "name": "ada", "displayName": "Ada"},
                    "challenge": b"c" * 32,
                    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
                    "authenticatorSelection": {
                        "residentKey": "required",
                        "userVerification": "required",
                    },
                    "extensions": {"prf": {}, "largeBlob": {"support": "required"}},
                }
            )
        )
        assert made.client_extension_results is not None
        used = client.get_assertion(
            PublicKeyCredentialRequestOptions.from_dict(
                {
                    "rpId": RP,
                    "challenge": b"d" * 32,
                    "userVerification": "required",
                    "extensions": {"prf": {"eval": {"first": SALT}}},
                }
            )
        ).get_response(0)
        prf = used.client_extension_results["prf"]["results"]["first"]
        secrets.append(websafe_decode(prf))
        pin = ClientPin(ctap)
        pin_token = pin.get_pin_token(PIN, ClientPin.PERMISSION.CREDENTIAL_MGMT)
        secrets.append(pin_token)
        listed = CredentialManagement(ctap, pin.protocol, pin_token)
        (rp,) = listed.enumerate_rps()
        (credential,) = listed.enumerate_creds(rp[4])
        secrets.append(credential[0x0B])
    return secrets
