"""Puts a PIN and credentials on a token before a test begins, through python-fido2's client."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from fido2.ctap1 import Ctap1
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.webauthn import AttestedCredentialData

from fidokit.errors import UsageError
from fidokit.testing.devices import open_device
from fidokit.types import CoseAlg

if TYPE_CHECKING:
    from fidokit.testing.token import WatchedToken


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that a token shall have from the start.

    Args:
        rp_id: the relying party, such as "example.org", or an SSH application, "ssh:".
        user_name: the account's name.
        user_id: the account's handle, 1 to 64 bytes; the name's bytes where it is empty.
        algorithm: a COSE number; -7 is ES256.
        resident: whether the token lists it without being given its id.
        cred_protect: level 1 to 3 of that extension, or None to leave it to the token.
        hmac_secret: whether it shall have the secrets behind WebAuthn's prf.
    """

    rp_id: str
    user_name: str = "ada"
    user_id: bytes = b""
    algorithm: int = CoseAlg.ES256
    resident: bool = True
    cred_protect: int | None = None
    hmac_secret: bool = False


def provision(token: WatchedToken, pin: str | None, credentials: Iterable[Credential]) -> None:
    """Set a PIN and make credentials; touches and verification that this needs are queued.

    Args:
        token: a fresh one; what was made is in its `credentials` afterwards, in order.
        pin: 4 to 63 characters, or None for no PIN.
        credentials: what to make.

    Raises:
        UsageError: a U2F token has no PIN and no resident credentials.
        fido2.ctap.CtapError: the token refused.
    """
    with open_device(token) as device:
        if token.profile.has_ctap2:
            maker = _Maker(token, Ctap2(device), pin)
            token.credentials = [maker.make(wanted) for wanted in credentials]
        else:
            ctap1 = Ctap1(device)
            token.credentials = [
                _register(token, ctap1, wanted) for wanted in _u2f(pin, credentials)
            ]
    if token.takes_gestures:
        token.forget_gestures()


def _answer(token: WatchedToken, *, verify: bool = False) -> None:
    """Queue what a credential takes; a person of the test's own answers by itself."""
    if not token.takes_gestures:
        return
    token.touch()
    if verify:
        token.uv_match()


def _u2f(pin: str | None, credentials: Iterable[Credential]) -> list[Credential]:
    wanted = list(credentials)
    if pin is not None or any(credential.resident for credential in wanted):
        raise UsageError(
            "a U2F token has no PIN and no resident credentials",
            hint="leave the pin out and say resident=False",
        )
    return wanted


def _register(token: WatchedToken, ctap: Ctap1, wanted: Credential) -> AttestedCredentialData:
    _answer(token)
    made = ctap.register(secrets.token_bytes(32), hashlib.sha256(wanted.rp_id.encode()).digest())
    return AttestedCredentialData.from_ctap1(made.key_handle, made.public_key)


class _Maker:
    def __init__(self, token: WatchedToken, ctap: Ctap2, pin: str | None) -> None:
        self._token = token
        self._ctap = ctap
        self._pin = pin
        if pin is not None:
            ClientPin(ctap).set_pin(pin)

    def make(self, wanted: Credential) -> AttestedCredentialData:
        challenge_hash = secrets.token_bytes(32)
        options = {"rk": wanted.resident}
        param, version = self._proof(wanted, challenge_hash)
        verify = param is None and bool(self._ctap.info.options.get("uv"))
        if verify:
            options["uv"] = True
        _answer(self._token, verify=verify)
        made = self._ctap.make_credential(
            challenge_hash,
            {"id": wanted.rp_id, "name": wanted.rp_id},
            {"id": wanted.user_id or wanted.user_name.encode(), "name": wanted.user_name},
            [{"type": "public-key", "alg": int(wanted.algorithm)}],
            extensions=_extensions(wanted),
            options=options,
            pin_uv_param=param,
            pin_uv_protocol=version,
        )
        return cast("AttestedCredentialData", made.auth_data.credential_data)

    def _proof(self, wanted: Credential, challenge_hash: bytes) -> tuple[bytes | None, int | None]:
        if self._pin is None:
            return None, None
        client = ClientPin(self._ctap)
        permission = ClientPin.PERMISSION.MAKE_CREDENTIAL
        pin_token = client.get_pin_token(self._pin, permission, wanted.rp_id)
        return client.protocol.authenticate(pin_token, challenge_hash), client.protocol.VERSION


def _extensions(wanted: Credential) -> dict[str, object]:
    asked = {"credProtect": wanted.cred_protect, "hmac-secret": wanted.hmac_secret or None}
    return {name: value for name, value in asked.items() if value is not None}
