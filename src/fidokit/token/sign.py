"""Signing with a key on a token; nothing leaves here that the public key does not confirm."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from fidokit.errors import (
    CredentialNotFound,
    Malformed,
    SignatureInvalid,
    TokenMisbehaved,
    TouchRefused,
    Unsupported,
)
from fidokit.openssh.assertion import from_assertion
from fidokit.openssh.public import SkEcdsaPublic
from fidokit.openssh.signature import verify
from fidokit.token import u2f
from fidokit.token.answer import MISBEHAVIOUR_HINT
from fidokit.token.auth_data import Flag, parse_auth_data
from fidokit.token.authorisation import Permission
from fidokit.token.commands import GET_ASSERTION
from fidokit.token.proof import prove
from fidokit.token.status import CtapRefusal, error_for
from fidokit.types import CtapStatus, SkFlag

if TYPE_CHECKING:
    import threading

    from fidokit.openssh.private import SkPrivate
    from fidokit.openssh.signature_blob import SkEcdsaSignature, SkEd25519Signature
    from fidokit.token.answer import Answer
    from fidokit.token.session import Session

LONGEST_SIGNATURE: Final = 4096
WHY: Final = "signing"


def sign(
    session: Session,
    private: SkPrivate,
    message: bytes,
    *,
    stop: threading.Event | None = None,
) -> SkEd25519Signature | SkEcdsaSignature:
    """A signature over `message`, with touch and verification as the key's flags say.

    Args:
        private: the key file's content; its key handle finds the key on the token.
        message: what is signed, of any length; the token sees its SHA-256.
        stop: set by somebody else to cancel on the token.

    Raises:
        CredentialNotFound: this token did not make the key, or hides it without a PIN.
        PinError, TouchRefused, TouchTimedOut: the owner did not agree.
        Unsupported: a U2F token and a key that needs more.
        TokenMisbehaved: the token signed something else.
    """
    touch = bool(private.flags & SkFlag.USER_PRESENCE_REQUIRED)
    verified = bool(private.flags & SkFlag.USER_VERIFICATION_REQUIRED)
    if session.info.is_u2f_only:
        signature = _authenticate(session, private, message, touch, stop)
    else:
        signature = _assert(session, private, message, touch, stop)
    if touch and not signature.user_present:
        raise TouchRefused(
            "signing failed: the token signed without a touch", hint="touch it when it blinks"
        )
    try:
        verify(private.public, signature, message, require_verification=verified)
    except (SignatureInvalid, Malformed) as error:
        raise TokenMisbehaved(
            f"the token returned a bad signature ({error.message})", hint=MISBEHAVIOUR_HINT
        ) from None
    return signature


def _assert(
    session: Session,
    private: SkPrivate,
    message: bytes,
    touch: bool,
    stop: threading.Event | None,
) -> SkEd25519Signature | SkEcdsaSignature:
    application = private.public.application
    digest = hashlib.sha256(message).digest()
    request: dict[int, object] = {
        1: application,
        2: digest,
        3: [{"id": bytes(private.key_handle), "type": "public-key"}],
    }
    if not touch:
        request[5] = {"up": False}
    if private.flags & SkFlag.USER_VERIFICATION_REQUIRED or (touch and session.info.always_uv):
        proof = session.authorise_use(Permission.GET_ASSERTION, application, WHY)
        prove(request, proof, digest, option=5, param=6)
    try:
        answer = session.attempt(GET_ASSERTION, request, "assertion", why=WHY, stop=stop)
    except CtapRefusal as refusal:
        if refusal.status in {CtapStatus.NO_CREDENTIALS, CtapStatus.INVALID_CREDENTIAL}:
            raise _not_held(session, private) from None
        raise error_for(refusal.status, WHY) from None
    if touch:
        session.spent()
    return _signature(answer, private)


def _signature(answer: Answer, private: SkPrivate) -> SkEd25519Signature | SkEcdsaSignature:
    data = parse_auth_data(answer.octets(2, longest=4096))
    data.require_rp(private.public.application)
    descriptor = answer.optional_map(1)
    if descriptor is not None and descriptor.octets("id", longest=1023) != private.key_handle:
        raise answer.wrong(1, "names another key than the one asked for")
    if data.flags & (Flag.EXTENSIONS | Flag.ATTESTED):
        raise answer.wrong(2, "holds more than an OpenSSH signature can carry")
    signature = answer.octets(3, longest=LONGEST_SIGNATURE)
    return from_assertion(private.public.key_type, int(data.flags), data.counter, signature)


def _not_held(session: Session, private: SkPrivate) -> CredentialNotFound:
    hidden = not private.flags & SkFlag.USER_VERIFICATION_REQUIRED
    return CredentialNotFound(
        f"{session.name} does not hold this key for {private.public.application!r}",
        hint="plug in the token that made the key"
        + ("; a key that wants the PIN has to say so in its file (`key flags`)" if hidden else ""),
    )


def _authenticate(
    session: Session,
    private: SkPrivate,
    message: bytes,
    touch: bool,
    stop: threading.Event | None,
) -> SkEd25519Signature | SkEcdsaSignature:
    public = private.public
    if not isinstance(public, SkEcdsaPublic) or (private.flags & SkFlag.USER_VERIFICATION_REQUIRED):
        raise Unsupported(
            f"{session.name} speaks U2F alone, and this key needs FIDO2",
            hint="plug in the token that made the key",
        )
    challenge = hashlib.sha256(message).digest()
    application = hashlib.sha256(public.application.encode()).digest()
    made = u2f.authenticate(
        session, challenge, application, private.key_handle, WHY, touch=touch, stop=stop
    )
    return from_assertion(public.key_type, made.presence, made.counter, made.signature)
