"""Signing with a key on a token; nothing leaves here that the public key does not confirm."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.client.answer import MISBEHAVIOR_HINT
from fidokit.client.credentials import u2f
from fidokit.client.credentials.auth_data import Flag, parse_auth_data
from fidokit.client.owner.owner import Use
from fidokit.client.owner.proofs import Permission, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import (
    CredentialNotFound,
    Malformed,
    SignatureInvalid,
    TokenMisbehaved,
    TouchRefused,
    Unsupported,
)
from fidokit.openssh.signatures.signature import (
    SkEcdsaSignature,
    SkEd25519Signature,
    from_assertion,
    verify,
)
from fidokit.types import Application, CtapCommand, CtapStatus, KeyHandle, KeyType, SkFlag

if TYPE_CHECKING:
    import threading

    from fidokit.client.answer import Answer
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import SkPrivate

LONGEST_SIGNATURE: Final = 4096
WHY: Final = "signing"

Signature = SkEd25519Signature | SkEcdsaSignature


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which key is to sign, and how much its owner has to do: touch, and PIN or finger.

    That is all that OpenSSH tells a SecurityKeyProvider, which never sees the public key.
    """

    key_type: KeyType
    application: Application
    key_handle: KeyHandle
    flags: SkFlag

    @property
    def touch(self) -> bool:
        """Whether a touch is demanded."""
        return SkFlag.USER_PRESENCE_REQUIRED in self.flags

    @property
    def verified(self) -> bool:
        """Whether PIN or finger are demanded."""
        return SkFlag.USER_VERIFICATION_REQUIRED in self.flags


def sign(
    session: Session,
    private: SkPrivate,
    message: bytes,
    *,
    stop: threading.Event | None = None,
) -> Signature:
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
    public = private.public
    wanted = Wanted(public.key_type, public.application, private.key_handle, private.flags)
    signature = sign_unverified(session, wanted, message, stop=stop)
    try:
        verify(public, signature, message, require_verification=wanted.verified)
    except (SignatureInvalid, Malformed) as error:
        raise TokenMisbehaved(
            f"the token returned a bad signature ({error.message})", hint=MISBEHAVIOR_HINT
        ) from None
    return signature


def sign_unverified(
    session: Session, wanted: Wanted, message: bytes, *, stop: threading.Event | None = None
) -> Signature:
    """A signature that is not verified, for who has no public key: what the token says, in form.

    Raises:
        As `sign`; TokenMisbehaved only for an answer that cannot be read.
    """
    if session.info.is_u2f_only:
        signature = _authenticate(session, wanted, message, stop)
    else:
        signature = _assert(session, wanted, message, stop)
    if wanted.touch and not signature.user_present:
        raise TouchRefused(
            "signing failed: the token signed without a touch", hint="touch it when it blinks"
        )
    return signature


def _assert(
    session: Session, wanted: Wanted, message: bytes, stop: threading.Event | None
) -> Signature:
    digest = hashlib.sha256(message).digest()
    request: dict[int, object] = {
        1: wanted.application,
        2: digest,
        3: [{"id": bytes(wanted.key_handle), "type": "public-key"}],
    }
    if not wanted.touch:
        request[5] = {"up": False}
    wish = Wish(Permission.GET_ASSERTION, wanted.application, WHY)
    use = Use(CtapCommand.GET_ASSERTION, request, digest, wish, stop)
    try:
        answer, _ = session.owner.perform(use, at_once=wanted.verified)
    except CtapRefusal as refusal:
        if refusal.status in {CtapStatus.NO_CREDENTIALS, CtapStatus.INVALID_CREDENTIAL}:
            raise _not_held(session, wanted) from None
        raise error_for(refusal.status, WHY) from None
    if wanted.touch:
        session.owner.spent()
    return _signature(answer, wanted)


def _signature(answer: Answer, wanted: Wanted) -> Signature:
    data = parse_auth_data(answer.octets(2, longest=4096))
    data.require_rp(wanted.application)
    descriptor = answer.optional_map(1)
    if descriptor is not None and descriptor.octets("id", longest=1023) != wanted.key_handle:
        raise answer.wrong(1, "names another key than the one asked for")
    if data.flags & (Flag.EXTENSIONS | Flag.ATTESTED):
        raise answer.wrong(2, "holds more than an OpenSSH signature can carry")
    signature = answer.octets(3, longest=LONGEST_SIGNATURE)
    return from_assertion(wanted.key_type, int(data.flags), data.counter, signature)


def _not_held(session: Session, wanted: Wanted) -> CredentialNotFound:
    return CredentialNotFound(
        f"{session.name} does not hold this key for {wanted.application!r}",
        hint="plug in the token that made the key"
        + (
            ""
            if wanted.verified
            else "; a key that needs the PIN must say so in its file (`key flags`)"
        ),
    )


def _authenticate(
    session: Session, wanted: Wanted, message: bytes, stop: threading.Event | None
) -> Signature:
    if wanted.key_type is not KeyType.ECDSA_SK or wanted.verified:
        raise Unsupported(
            f"{session.name} supports only U2F, and this key needs FIDO2",
            hint="plug in the token that made the key",
        )
    challenge = hashlib.sha256(message).digest()
    application = hashlib.sha256(wanted.application.encode()).digest()
    made = u2f.authenticate(
        session.connection,
        challenge,
        application,
        wanted.key_handle,
        WHY,
        touch=wanted.touch,
        stop=stop,
    )
    return from_assertion(wanted.key_type, made.presence, made.counter, made.signature)
