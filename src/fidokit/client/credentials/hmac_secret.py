"""Secrets from a token: 32 bytes for a salt, the same each time (CTAP 2.3 section 12.7).

The token derives them with a key of its own, one for uses with PIN or finger and another without.
They travel encrypted, and the assertion that brings them signs what it brings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.client import pin_protocol
from fidokit.client.answer import MISBEHAVIOR_HINT, Answer
from fidokit.client.credentials import attestation
from fidokit.client.credentials.auth_data import AuthData, Flag, parse_auth_data, sk_public
from fidokit.client.owner import proofs
from fidokit.client.owner.owner import Use
from fidokit.client.owner.proofs import Permission, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import CredentialNotFound, MalformedKey, TokenMisbehaved, Unsupported
from fidokit.openssh.keys.public import SkEcdsaPublic
from fidokit.types import (
    Application,
    CoseAlg,
    CredentialId,
    CtapCommand,
    CtapStatus,
    KeyHandle,
)

if TYPE_CHECKING:
    from fidokit.client.session import Session

EXTENSION: Final = "hmac-secret"
SALT: Final = 32
"""Bytes of a salt, and of the secret for it."""
LONGEST_SIGNATURE: Final = 4096
LONGEST_OUTPUT: Final = 96
MAKING: Final = "making the credential"
DERIVING: Final = "deriving the secret"


class SecretCredential(NamedTuple):
    """A credential that derives secrets; no secret itself.

    Args:
        application: the RP id that it was made for.
        credential_id: 1 to 1023 bytes.
        verified: whether it is used with PIN or finger: without, the secret is another one.
        point: its public key, 65 bytes uncompressed P-256; empty if that is not known.
    """

    application: Application
    credential_id: CredentialId
    verified: bool
    point: bytes = b""


def create(session: Session, application: str, name: str, *, verified: bool) -> SecretCredential:
    """Make a credential that derives secrets; it is not resident, so whoever has its id keeps it.

    Args:
        session: the open token.
        application: the RP id.
        name: for the token's own lists and screens.
        verified: whether it is to be used with PIN or finger.

    Raises:
        Unsupported: the token has no hmac-secret.
        PinError, TouchRefused, TouchTimedOut: the owner did not agree.
        TokenMisbehaved: what the token made is not what was asked for.
    """
    _require_extension(session)
    digest = os.urandom(32)
    request: dict[int, object] = {
        1: digest,
        2: {"id": application, "name": application},
        3: {"id": os.urandom(32), "name": name, "displayName": name},
        4: [{"alg": int(CoseAlg.ES256), "type": "public-key"}],
        6: {EXTENSION: True},
    }
    info = session.info
    protected = bool(info.pin_set or info.uv_configured)
    wish = Wish(Permission.MAKE_CREDENTIAL, application, MAKING)
    use = Use(CtapCommand.MAKE_CREDENTIAL, request, digest, wish)
    at_once = protected and (verified or not info.make_credential_needs_no_pin)
    if verified and not protected:
        proofs.require_pin(session.connection, DERIVING)
    try:
        answer, proved = session.owner.perform(use, at_once=at_once)
    except CtapRefusal as refusal:
        raise error_for(refusal.status, MAKING) from None
    session.owner.spent()
    statement = attestation.Statement.read(answer)
    data = parse_auth_data(statement.auth_data)
    public = _made(data, Application(application), proved)
    handle = CredentialId(data.credential_id or b"")
    attestation.verify_statement(statement, public, KeyHandle(handle), digest)
    return SecretCredential(Application(application), handle, verified, public.point)


def _made(data: AuthData, application: Application, proved: bool) -> SkEcdsaPublic:
    data.require_rp(application)
    public = sk_public(data.cose_key, application) if data.cose_key else None
    if not isinstance(public, SkEcdsaPublic):
        raise _not_as_asked("its answer holds no P-256 key")
    if not data.flags & Flag.USER_PRESENT or (proved and not data.flags & Flag.USER_VERIFIED):
        raise _not_as_asked("it did not ask its user")
    if not data.extensions.flag(EXTENSION):
        raise _not_as_asked("the credential derives no secrets")
    return public


def derive(session: Session, credential: SecretCredential, salt: bytes) -> bytes:
    """The secret of a credential for a salt, 32 bytes; after a touch, and PIN or finger if wanted.

    Args:
        session: the open token.
        credential: made by this token.
        salt: 32 bytes, not secret.

    Raises:
        CredentialNotFound: this token did not make the credential.
        Unsupported: the token has no hmac-secret, or asks for the PIN if none was asked for
            before, so that its secret would be another one.
        PinError, TouchRefused, TouchTimedOut: the owner did not agree.
        TokenMisbehaved: the answer cannot be read, or its signature does not verify.
    """
    _require_extension(session)
    shared = _shared_secret(session)
    digest = os.urandom(32)
    request: dict[int, object] = {
        1: credential.application,
        2: digest,
        3: [{"id": bytes(credential.credential_id), "type": "public-key"}],
        4: {EXTENSION: _input(shared, salt)},
    }
    wish = Wish(Permission.GET_ASSERTION, credential.application, DERIVING)
    use = Use(CtapCommand.GET_ASSERTION, request, digest, wish)
    try:
        answer, _ = session.owner.perform(use, at_once=credential.verified)
    except CtapRefusal as refusal:
        if refusal.status in {CtapStatus.NO_CREDENTIALS, CtapStatus.INVALID_CREDENTIAL}:
            raise CredentialNotFound(
                f"{session.name} did not make this credential",
                hint="plug in the token that made it, or use the file of its backup",
            ) from None
        raise error_for(refusal.status, DERIVING) from None
    session.owner.spent()
    return _opened(answer, credential, shared, digest)


def _require_extension(session: Session) -> None:
    if EXTENSION not in session.info.extensions:
        raise Unsupported(
            f"{session.name} derives no secrets (no {EXTENSION})",
            hint="most FIDO2 tokens do; `fidokit token info` lists extensions",
        )


def _shared_secret(session: Session) -> pin_protocol.Secret:
    try:
        return proofs.shared_secret(session.connection, DERIVING)
    except CtapRefusal as refusal:
        raise error_for(refusal.status, DERIVING) from None


def _input(shared: pin_protocol.Secret, salt: bytes) -> Mapping[int, object]:
    encrypted = shared.encrypt(salt)
    members: dict[int, object] = {
        1: shared.key_agreement,
        2: encrypted,
        3: shared.authenticate(encrypted),
    }
    if shared.version != 1:  # tokens of CTAP 2.0 do not know the member
        members[4] = shared.version
    return members


def _opened(
    answer: Answer, credential: SecretCredential, shared: pin_protocol.Secret, digest: bytes
) -> bytes:
    data = parse_auth_data(answer.octets(2, longest=LONGEST_SIGNATURE))
    data.require_rp(credential.application)
    _require_signed(answer, data, credential, digest)
    if not data.flags & Flag.USER_PRESENT:
        raise _not_as_asked("it did not ask for a touch")
    if bool(data.flags & Flag.USER_VERIFIED) != credential.verified:
        raise _another_secret(credential)
    secret = shared.decrypt(data.extensions.octets(EXTENSION, longest=LONGEST_OUTPUT))
    if len(secret) != SALT:
        raise _not_as_asked(f"its secret has {len(secret)} bytes")
    return secret


def _require_signed(
    answer: Answer, data: AuthData, credential: SecretCredential, digest: bytes
) -> None:
    """The secret is of this credential, where its public key is known."""
    if not credential.point:
        return
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = answer.octets(3, longest=LONGEST_SIGNATURE)
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), credential.point)
    except ValueError:
        raise MalformedKey("the credential's public key is not a point on P-256") from None
    try:
        key.verify(signature, data.raw + digest, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise TokenMisbehaved(
            "the token returned a bad signature, so its secret is not used", hint=MISBEHAVIOR_HINT
        ) from None


def _another_secret(credential: SecretCredential) -> Unsupported:
    if credential.verified:
        return Unsupported(
            "the token did not verify its user, so its secret would be different",
            hint="set a PIN with `fidokit pin set`",
        )
    return Unsupported(
        "the token asks for the PIN or a finger at every use now, so that its secret would be "
        "another one",
        hint="turn this off to get the old secret: `fidokit config always-uv off`",
    )


def _not_as_asked(why: str) -> TokenMisbehaved:
    return TokenMisbehaved(f"the token did not do as asked: {why}", hint=MISBEHAVIOR_HINT)
