"""What a browser does of WebAuthn between a page and a security key, for a virtual token.

The rules are those of WebAuthn Level 3, sections 5.1.3 (create) and 5.1.4 (get), by python-fido2's
client: origin and RP id, client data, lists of credentials, verification, extensions. What differs
there from browsers is settled here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from fido2.client import ClientDataCollector, ClientError, Fido2Client, UserInteraction
from fido2.rpid import verify_rp_id
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestationObject,
    CollectedClientData,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialRequestOptions,
    UserVerificationRequirement,
)

from fidokit.testing.devices import open_device

if TYPE_CHECKING:
    from fido2.client import AssertionSelection
    from fido2.ctap2.base import Info

    from fidokit.virtual.token import VirtualToken

Json = dict[str, Any]
Options = PublicKeyCredentialCreationOptions | PublicKeyCredentialRequestOptions
T = TypeVar("T")

DEFAULT_ALGORITHMS: Final = (-7, -257)
"""ES256 and RS256, for a page that names none (WebAuthn section 5.1.3 step 10)."""

LONGEST_USER_ID: Final = 64
_PUBLIC_KEY: Final = "public-key"
_CONSENT: Final = "The operation either timed out or was not allowed."


class PageRejection(Exception):
    """What a page's promise is rejected with.

    Args:
        name: of the DOMException, or TypeError.
        message: what it says.
    """

    def __init__(self, name: str, message: str = _CONSENT) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class PageUser:
    """What the user at the browser would do.

    Args:
        pin: what they type where a PIN is asked for; None cancels.
        account: the user name or user id that they choose among several; None for the first.
    """

    pin: str | None = None
    account: str | bytes | None = None


@dataclass(frozen=True, slots=True)
class PageOrigin:
    """Where a request comes from.

    Args:
        origin: of the document, as the browser knows it: scheme, host and port.
        ancestors: origins of the frames around it, the closest first.
    """

    origin: str
    ancestors: Sequence[str] = ()

    @property
    def cross_origin(self) -> bool:
        """Whether a frame around it is of another origin."""
        return any(around != self.origin for around in self.ancestors)


def create(
    token: VirtualToken, page: PageOrigin, given: object, user: PageUser, canceled: Event
) -> Json:
    """Register: `navigator.credentials.create()`.

    Args:
        token: plugged in.
        page: who asks.
        given: PublicKeyCredentialCreationOptions, with bytes for each BufferSource.
        user: types the PIN.
        canceled: ends it when set.

    Returns:
        RegistrationResponseJSON.

    Raises:
        PageRejection: what the page's promise is rejected with.
        OSError, FidokitError, fido2.ctap.CtapError, ValueError: the token broke.
    """
    members = _members(given, "challenge")
    _prepare_creation(members, page)
    options = _read(PublicKeyCredentialCreationOptions, members)
    with open_device(token) as device:
        client = Fido2Client(device, _Collector(page), _Interaction(user))
        chosen = options.authenticator_selection
        if chosen and _lenient(client.info, chosen.user_verification):
            chosen = replace(chosen, user_verification=UserVerificationRequirement.DISCOURAGED)
            options = replace(options, authenticator_selection=chosen)
        try:
            made = client.make_credential(options, canceled)
        except ClientError as error:
            raise _rejection(error, "InvalidStateError") from error
        transports = [*(client.info.transports or ["usb"])]
    found = made.response.attestation_object
    if options.attestation in {None, AttestationConveyancePreference.NONE}:
        found = AttestationObject.create("none", found.auth_data, {})
    return _tidy(dict(made)) | {"response": _response(made, found, transports)}


def get(
    token: VirtualToken, page: PageOrigin, given: object, user: PageUser, canceled: Event
) -> Json:
    """Log in: `navigator.credentials.get()`; as `create`, of PublicKeyCredentialRequestOptions.

    Returns:
        AuthenticationResponseJSON.

    Raises:
        PageRejection, OSError, FidokitError, fido2.ctap.CtapError, ValueError: as `create`.
    """
    members = _members(given, "challenge")
    members.setdefault("rpId", urlsplit(page.origin).hostname)
    _filter_descriptors(members, "allowCredentials")
    options = _read(PublicKeyCredentialRequestOptions, members)
    with open_device(token) as device:
        client = Fido2Client(device, _Collector(page), _Interaction(user))
        if _lenient(client.info, options.user_verification):
            options = replace(options, user_verification=UserVerificationRequirement.DISCOURAGED)
        try:
            found = client.get_assertion(options, canceled)
            return _tidy(dict(found.get_response(_chosen(found, user))))
        except ClientError as error:
            raise _rejection(error, "NotAllowedError") from error


# --- what a page may ask ---------------------------------------------------------------------


def _members(given: object, *required: str) -> Json:
    """A dictionary with these members that are bytes."""
    if not isinstance(given, dict):
        raise PageRejection("TypeError", "publicKey is not a dictionary")
    for name in required:
        if not isinstance(given.get(name), bytes):
            raise PageRejection("TypeError", f"{name} is not a BufferSource")
    return dict(given)


def _prepare_creation(members: Json, page: PageOrigin) -> None:
    user, rp = members.get("user"), members.get("rp")
    if not 1 <= len(_members(user, "id")["id"]) <= LONGEST_USER_ID:
        raise PageRejection("TypeError", "user.id is not between 1 and 64 bytes long")
    members["rp"] = {"id": urlsplit(page.origin).hostname} | _members(rp)
    selection = members.setdefault("authenticatorSelection", {})
    if _members(selection).get("authenticatorAttachment") == "platform":
        raise PageRejection("NotAllowedError")
    wanted = members.get("pubKeyCredParams")
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise PageRejection("TypeError", "pubKeyCredParams is not a sequence")
    usable = [one for one in wanted if one.get("type") == _PUBLIC_KEY]
    if wanted and not usable:
        raise PageRejection("NotSupportedError", "no type of pubKeyCredParams is known")
    members["pubKeyCredParams"] = usable or [
        {"type": _PUBLIC_KEY, "alg": number} for number in DEFAULT_ALGORITHMS
    ]
    _filter_descriptors(members, "excludeCredentials")


def _filter_descriptors(members: Json, name: str) -> None:
    """Leave out what is not a public key; a list that had others alone matches nothing."""
    listed = members.get(name) or []
    if not isinstance(listed, list):
        raise PageRejection("TypeError", f"{name} is not a sequence")
    known = [_members(one, "id") for one in listed]
    usable = [one for one in known if one.get("type") == _PUBLIC_KEY]
    if listed and not usable and name == "allowCredentials":
        raise PageRejection("NotAllowedError")
    members[name] = usable


def _read(kind: type[T], members: Json) -> T:
    try:
        made: T = kind.from_dict(members)  # type: ignore[attr-defined]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise PageRejection("TypeError", f"the options are not valid: {error}") from error
    return made


# --- client data and consent ---------------------------------------------------------------------


class _Collector(ClientDataCollector):
    """Client data with what a browser knows of frames (WebAuthn section 5.8.1)."""

    def __init__(self, page: PageOrigin) -> None:
        self._page = page

    def collect_client_data(self, options: Options) -> tuple[CollectedClientData, str]:
        page = self._page
        if isinstance(options, PublicKeyCredentialCreationOptions):
            kind, rp_id = CollectedClientData.TYPE.CREATE, options.rp.id
        else:
            kind, rp_id = CollectedClientData.TYPE.GET, options.rp_id
        if not rp_id or not verify_rp_id(rp_id, page.origin):
            raise PageRejection(
                "SecurityError",
                "The relying party ID is not a registrable domain suffix of, nor equal to the "
                "current domain.",
            )
        data = CollectedClientData.create(
            kind,
            options.challenge,
            page.origin,
            page.cross_origin,
            **({"topOrigin": page.ancestors[-1]} if page.cross_origin else {}),
        )
        return data, rp_id


class _Interaction(UserInteraction):
    def __init__(self, user: PageUser) -> None:
        self._user = user

    def request_pin(self, *_: object) -> str | None:
        return self._user.pin


def _lenient(info: Info, wanted: UserVerificationRequirement | None) -> bool:
    """Whether to go on without verification, as browsers do: preferred, and not set up."""
    configured = any(info.options.get(name) for name in ("uv", "clientPin", "bioEnroll"))
    preferred = wanted in {None, UserVerificationRequirement.PREFERRED}
    return preferred and not configured


def _rejection(error: ClientError, known: str) -> PageRejection:
    """By WebAuthn a page learns why in one case alone: the token knows a credential already."""
    if error.code == ClientError.ERR.DEVICE_INELIGIBLE and known == "InvalidStateError":
        return PageRejection(known, "The token has a credential of this account already.")
    return PageRejection("NotAllowedError")


def _chosen(found: AssertionSelection, user: PageUser) -> int:
    """Which of several accounts."""
    accounts = [assertion.user or {} for assertion in found.get_assertions()]
    if user.account is None:
        return 0
    for at, account in enumerate(accounts):
        if user.account in {account.get("name"), account.get("id")}:
            return at
    raise PageRejection("NotAllowedError")


# --- what the page gets --------------------------------------------------------------------------


def _response(made: Any, found: AttestationObject, transports: Sequence[str]) -> Json:
    key = found.auth_data.credential_data
    assert key is not None  # noqa: S101  a token that made none was refused
    public = _public_key(key.public_key)
    return {
        "clientDataJSON": made.response.client_data.b64,
        "attestationObject": websafe_encode(found),
        "authenticatorData": websafe_encode(found.auth_data),
        "transports": transports,
        "publicKeyAlgorithm": key.public_key[3],
        **({"publicKey": websafe_encode(public)} if public else {}),
    }


def _public_key(cose: Mapping[int, Any]) -> bytes | None:
    """SubjectPublicKeyInfo; None if a browser would not know the kind (section 5.2.1.1)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
    curves: dict[Any, ec.EllipticCurve] = {
        1: ec.SECP256R1(),
        2: ec.SECP384R1(),
        3: ec.SECP521R1(),
    }
    match cose[1], cose.get(-1):
        case 2, (1 | 2 | 3) as curve:
            key = ec.EllipticCurvePublicKey.from_encoded_point(
                curves[curve], b"\x04" + cose[-2] + cose[-3]
            )
        case 1, 6:
            key = ed25519.Ed25519PublicKey.from_public_bytes(cose[-2])
        case 3, bytes(modulus):
            numbers = rsa.RSAPublicNumbers(int.from_bytes(cose[-2]), int.from_bytes(modulus))
            key = numbers.public_key()
        case _:
            return None
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _tidy(json: Json) -> Json:
    """Without the empty second result of prf, which python-fido2 writes as a list."""
    results = json["clientExtensionResults"].get("prf", {}).get("results", {})
    for name in [name for name, value in results.items() if not value]:
        del results[name]
    return json
