"""Making an SSH key on a token, the way OpenSSH's sk-usbhid does it, checked before and after."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.client.answer import MISBEHAVIOR_HINT
from fidokit.client.blobs.credential_blobs import KEY_SIZE, kept_with_credentials
from fidokit.client.credentials import attestation, u2f
from fidokit.client.credentials.auth_data import Flag, parse_auth_data, sk_public
from fidokit.client.credentials.resident import LONGEST, STOCK, cut, encode_display
from fidokit.client.owner.owner import Use
from fidokit.client.owner.proofs import Permission, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import (
    CredentialInTheWay,
    FidokitError,
    Interrupted,
    PinNotSet,
    StoreFull,
    TokenMisbehaved,
    TokenSilent,
    TouchTimedOut,
    Unsupported,
    UsageError,
)
from fidokit.openssh.keys.public import SkPublic
from fidokit.openssh.signatures.attestation import Attestation
from fidokit.types import (
    Application,
    CredProtect,
    CtapCommand,
    CtapStatus,
    KeyHandle,
    KeyType,
    SkFlag,
)

if TYPE_CHECKING:
    from fidokit.client.answer import Answer
    from fidokit.client.credentials.auth_data import AuthData
    from fidokit.client.info import TokenInfo
    from fidokit.client.session import Session

USER_ID_SIZE: Final = 32
MOST_CREDENTIALS: Final = 1024
"""No token on the market stores as many for all its RPs together."""
WHY: Final = "making the key"

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What key is wanted.

    Args:
        key_type: ecdsa-sk or ed25519-sk.
        application: the RP id; begins with `ssh:` unless `allow_any_application`.
        user: ssh-keygen's user=, at most 31 bytes of UTF-8.
        resident: store it on the token.
        verify_required: demand PIN or finger at each use.
        touch_required: demand a touch at each use.
        challenge: what the attestation is to sign, of any length; 32 random bytes when None.
        user_name: shown in credential lists, at most 64 bytes.
        display_name: shown in credential lists, at most 64 bytes; made from `comment` and
            `touch_required` when empty.
        replace: let a resident key of the same application and user go.
        comment: rides in the displayName of a resident key.
        allow_any_application: allow applications that OpenSSH refuses to use.
        large_blob: let the resident key have a large blob beside it.
        or_types: further key types that will do, in order of preference, for a token that does not
            tell which it makes.
        enterprise: ask for an enterprise attestation: 1 as the maker decided, 2 as whoever manages
            this machine wants it (CTAP 2.3 section 7.1); None for the ordinary one.
    """

    key_type: KeyType
    application: Application
    user: str = ""
    resident: bool = False
    verify_required: bool = False
    touch_required: bool = True
    challenge: bytes | None = None
    user_name: str = ""
    display_name: str = ""
    replace: bool = False
    comment: str = ""
    allow_any_application: bool = False
    large_blob: bool = False
    or_types: tuple[KeyType, ...] = ()
    enterprise: int | None = None

    @property
    def types(self) -> tuple[KeyType, ...]:
        """The key types that will do, the preferred one first."""
        return (self.key_type, *self.or_types)

    @property
    def flags(self) -> SkFlag:
        """What the private key file says of its use."""
        chosen = SkFlag(0)
        if self.touch_required:
            chosen |= SkFlag.USER_PRESENCE_REQUIRED
        if self.verify_required:
            chosen |= SkFlag.USER_VERIFICATION_REQUIRED
        return chosen | SkFlag.RESIDENT_KEY if self.resident else chosen

    @property
    def cred_protect(self) -> CredProtect | None:
        """The protection that OpenSSH asks for: 3 for verify-required, 2 for resident keys."""
        if self.verify_required:
            return CredProtect.UV_REQUIRED
        return CredProtect.UV_OPTIONAL_WITH_LIST if self.resident else None

    @property
    def user_id(self) -> bytes:
        """The user string padded with zeros to 32 bytes, as OpenSSH has it."""
        return self.user.encode("utf-8").ljust(USER_ID_SIZE, b"\0")


class Enrolled(NamedTuple):
    """The new key: what its two files and the attestation file are made of.

    Args:
        unproved: what the attestation does not prove, in sentences for the user.
    """

    public: SkPublic
    key_handle: KeyHandle
    flags: SkFlag
    attestation: Attestation
    challenge: bytes
    unproved: tuple[str, ...] = ()


def enroll(session: Session, enrollment: Enrollment, random: Random = os.urandom) -> Enrolled:
    """Make the key; nothing is done on the token before all that can be checked was checked.

    Args:
        random: gives so many random bytes, for the challenge.

    Raises:
        UsageError: the request is not valid.
        Unsupported, StoreFull, PinNotSet: this token cannot; the hint says what to do.
        WouldOverwrite: a resident key of the same application and user is there.
        PinError, TouchRefused, TouchTimedOut: the owner did not agree.
        TokenMisbehaved: what the token made is not what was asked for.
    """
    check_request(enrollment)
    check_token(session, enrollment)
    challenge = random(32) if enrollment.challenge is None else enrollment.challenge
    digest = hashlib.sha256(challenge).digest()
    if session.info.is_u2f_only:
        made = _register(session, enrollment, digest)
    else:
        made = _make_credential(session, enrollment, digest)
    return made._replace(challenge=challenge)


def check_request(enrollment: Enrollment) -> None:
    """What can be said without a token.

    Raises:
        UsageError: the application or the user string will not do.
    """
    application = enrollment.application
    if not application.startswith("ssh:") and not enrollment.allow_any_application:
        raise UsageError(
            f"the application {application!r} does not begin with ssh:",
            hint="OpenSSH uses only such keys; --allow-any-application makes one nevertheless",
        )
    if not application or "\0" in application or len(application.encode()) > 255:
        raise UsageError("the application must be 1 to 255 bytes of text without NUL")
    if enrollment.large_blob and not enrollment.resident:
        raise UsageError(
            "only a resident key can have a large blob", hint="make it with -O resident"
        )
    if "\0" in enrollment.user or len(enrollment.user.encode()) >= USER_ID_SIZE:
        raise UsageError(
            f"the user string has to be at most {USER_ID_SIZE - 1} bytes of text without NUL",
            hint="choose a shorter user=; the longer name can go into the comment",
        )


LONGEST_RP_ID: Final = 32
"""Bytes of an RP id that every token returns whole in its lists (CTAP 2.3 section 6.8.7)."""


def long_application(application: str) -> str | None:
    """Why a resident key for this application is hard to recover, for the user; None: it is not."""
    size = len(application.encode("utf-8", "replace"))
    if size <= LONGEST_RP_ID:
        return None
    return (
        f"the application {application!r} has {size} bytes, of which a token may keep "
        f"{LONGEST_RP_ID}: `ssh-keygen -K` cannot recover such a key then, and "
        "`fidokit key download` needs --application with the whole name"
    )


def check_token(session: Session, enrollment: Enrollment) -> None:
    """What getInfo tells; costs no further round trip.

    Raises:
        Unsupported, StoreFull, PinNotSet: this token cannot; the hint says what to do.
    """
    info = session.info
    if all(info.supports(kind) is False for kind in enrollment.types):
        raise Unsupported(
            f"{session.name} cannot make {enrollment.key_type} keys",
            hint="use -t ecdsa-sk, which every token can make",
        )
    if enrollment.resident and not info.has_resident:
        raise Unsupported(
            f"{session.name} cannot store resident keys", hint="make the key without -O resident"
        )
    if enrollment.cred_protect and "credProtect" not in info.extensions:
        raise Unsupported(
            f"{session.name} cannot protect credentials (no credProtect)",
            hint="make the key without -O resident and -O verify-required",
        )
    if enrollment.enterprise is not None and not info.options.get("ep", False):
        raise _no_enterprise(session)
    if enrollment.large_blob and _blob_extension(info) is None:
        raise Unsupported(
            f"{session.name} keeps no large blobs", hint="make the key without --large-blob"
        )
    if _needs_proof(session, enrollment) and not info.uv_configured and not info.pin_set:
        raise _nothing_to_prove_with(session)
    if enrollment.resident and info.remaining_resident == 0 and not enrollment.replace:
        raise StoreFull(
            f"{session.name} has no room for another resident key",
            hint="delete one with `fidokit key delete`, or make the key without -O resident",
        )


def _no_enterprise(session: Session) -> Unsupported:
    if "ep" in session.info.options:
        return Unsupported(
            f"enterprise attestation is off on {session.name}",
            hint="turn it on with `fidokit config enterprise-attestation on`",
        )
    return Unsupported(
        f"{session.name} has no enterprise attestation",
        hint="make the key without -O enterprise-attestation",
    )


def _nothing_to_prove_with(session: Session) -> FidokitError:
    if session.info.pin_set is None:
        return Unsupported(
            f"such a key needs a PIN or a finger, and {session.name} has neither",
            hint="enroll a finger if it has a sensor, or make the key without such options",
        )
    return PinNotSet(
        f"such a key needs a PIN, and {session.name} has none yet",
        hint="set one with `fidokit pin set`",
    )


def _needs_proof(session: Session, enrollment: Enrollment) -> bool:
    info = session.info
    if info.is_u2f_only:
        return False
    if enrollment.resident or enrollment.verify_required:
        return True
    return bool(info.pin_set or info.uv_configured) and not info.make_credential_needs_no_pin


# --- CTAP2 ---------------------------------------------------------------------------------


def _make_credential(session: Session, enrollment: Enrollment, digest: bytes) -> Enrolled:
    proof_wanted = _needs_proof(session, enrollment)
    looking = enrollment.resident and not enrollment.replace
    permissions = Permission.MAKE_CREDENTIAL
    if looking:
        permissions |= Permission.GET_ASSERTION
        _refuse_overwrite(session, enrollment, permissions)
    request = _request(session.info, enrollment, digest)
    wish = Wish(permissions, enrollment.application, WHY)
    use = Use(CtapCommand.MAKE_CREDENTIAL, request, digest, wish)
    try:
        answer, proved = session.owner.perform(use, at_once=proof_wanted)
    except CtapRefusal as refusal:
        raise error_for(refusal.status, WHY) from None
    except (Interrupted, TokenSilent, TouchTimedOut) as error:
        raise _perhaps_made(error, enrollment) from None
    session.owner.spent()
    try:
        return _made(session, enrollment, answer, digest, proved=proved)
    except FidokitError as error:
        raise _left_behind(error, enrollment) from None


def _made(
    session: Session, enrollment: Enrollment, answer: Answer, digest: bytes, *, proved: bool
) -> Enrolled:
    statement = attestation.Statement.read(answer)
    data = parse_auth_data(statement.auth_data)
    public, handle = _check_made(enrollment, data, proved)
    if enrollment.large_blob and not _can_have_blob(session.info, answer):
        raise _not_as_asked("the key can have no large blob")
    unproved = attestation.verify_statement(statement, public, handle, digest)
    if enrollment.enterprise is not None and not answer.flag(4):
        unproved += ("the token gave an ordinary attestation, not an enterprise one",)
    return Enrolled(public, handle, enrollment.flags, statement.as_openssh(), b"", unproved)


def _perhaps_made(error: FidokitError, enrollment: Enrollment) -> FidokitError:
    """The error, naming the key that a touch in the last moment may have made."""
    late = "if the token was touched at the last moment, it may hold a key for"
    return _naming(error, enrollment, late)


def _left_behind(error: FidokitError, enrollment: Enrollment) -> FidokitError:
    """The error about a key that was made, naming what stays on the token."""
    return _naming(error, enrollment, "the token made a key and keeps it, for")


def _naming(error: FidokitError, enrollment: Enrollment, what: str) -> FidokitError:
    if enrollment.resident:
        user = f", user {enrollment.user!r}" if enrollment.user else ""
        named = f"{what} {enrollment.application!r}{user}: see `fidokit key list`"
        error.hint = f"{error.hint}; {named}" if error.hint else named
    return error


def _request(info: TokenInfo, enrollment: Enrollment, digest: bytes) -> dict[int, object]:
    """The map of authenticatorMakeCredential (CTAP 2.1 section 6.1)."""
    name = cut(enrollment.user_name, LONGEST) or STOCK
    display = enrollment.display_name or encode_display(
        enrollment.comment, enrollment.touch_required
    )
    request: dict[int, object] = {
        1: digest,
        2: {"id": enrollment.application, "name": enrollment.application},
        3: {"id": enrollment.user_id, "name": name, "displayName": cut(display, LONGEST) or STOCK},
        4: [{"alg": int(kind.cose_alg), "type": "public-key"} for kind in enrollment.types],
    }
    if extensions := _extensions(info, enrollment):
        request[6] = extensions
    if enrollment.resident:
        request[7] = {"rk": True}
    if enrollment.enterprise is not None:
        request[0x0A] = enrollment.enterprise
    return request


def _extensions(info: TokenInfo, enrollment: Enrollment) -> dict[str, object]:
    """What is asked for beyond the key itself (CTAP 2.3 section 12)."""
    wanted: dict[str, object] = {}
    if enrollment.cred_protect:
        wanted["credProtect"] = int(enrollment.cred_protect)
    if enrollment.large_blob:
        wanted |= _blob_extension(info) or {}
    return wanted


def _blob_extension(info: TokenInfo) -> Mapping[str, object] | None:
    """How a key is made that can have a large blob; None if the token keeps none."""
    if info.has_large_blobs and "largeBlobKey" in info.extensions:
        return {"largeBlobKey": True}
    return {"largeBlob": {"support": "required"}} if kept_with_credentials(info) else None


def _can_have_blob(info: TokenInfo, answer: Answer) -> bool:
    if not kept_with_credentials(info):
        return answer.optional_bytes(5, longest=KEY_SIZE) is not None
    unsigned = answer.optional_map(6)
    output = unsigned.optional_map("largeBlob") if unsigned else None
    return output is not None and output.flag("supported")


def _refuse_overwrite(session: Session, enrollment: Enrollment, permissions: Permission) -> None:
    """Look, without a touch, whether the token holds this application and user already."""
    why = "looking for a key of the same name"
    for user_id in _resident_user_ids(session, enrollment.application, permissions, why):
        if user_id == enrollment.user_id:
            user = f" and user {enrollment.user!r}" if enrollment.user else ""
            raise CredentialInTheWay(
                f"{session.name} already holds a resident key for "
                f"{enrollment.application!r}{user}, and nothing was changed",
                hint="--force replaces it; another application or user keeps both",
            )


def _resident_user_ids(
    session: Session, application: Application, permissions: Permission, why: str
) -> list[bytes]:
    digest = bytes(32)
    request: dict[int, object] = {1: application, 2: digest, 5: {"up": False}}
    use = Use(CtapCommand.GET_ASSERTION, request, digest, Wish(permissions, application, WHY))
    try:
        answer, _ = session.owner.perform(use, at_once=True)
    except CtapRefusal as refusal:
        if refusal.status == CtapStatus.NO_CREDENTIALS:
            return []
        raise error_for(refusal.status, why) from None
    count = answer.uint(5, default=1)
    if count > MOST_CREDENTIALS:
        raise answer.wrong(5, f"is {count}, which is impossible")
    following = (
        session.connection.request(CtapCommand.GET_NEXT_ASSERTION, None, "assertion", why=why)
        for _ in range(count - 1)
    )
    return [_user_id(answer), *map(_user_id, following)]


def _user_id(answer: Answer) -> bytes:
    # without it nobody could tell whether a key is about to be overwritten
    return answer.member(4).octets("id", longest=64, shortest=0)


def _check_made(enrollment: Enrollment, data: AuthData, proved: bool) -> tuple[SkPublic, KeyHandle]:
    """The new key, if it is the one that was asked for."""
    data.require_rp(enrollment.application)
    if data.credential_id is None or data.cose_key is None:
        raise _not_as_asked("its answer holds no credential")
    if not data.flags & Flag.USER_PRESENT:
        raise _not_as_asked("it made the key without a touch")
    if proved and not data.flags & Flag.USER_VERIFIED:
        raise _not_as_asked("it did not verify its owner")
    protection = data.extensions.optional_uint("credProtect")
    if protection != enrollment.cred_protect:
        raise _not_as_asked(f"it set protection {protection}, not {enrollment.cred_protect}")
    public = sk_public(data.cose_key, enrollment.application)
    if public is None or public.key_type not in enrollment.types:
        raise _not_as_asked(f"it made a key that is not {' or '.join(enrollment.types)}")
    return public, KeyHandle(data.credential_id)


def _not_as_asked(why: str) -> TokenMisbehaved:
    return TokenMisbehaved(f"the token did not do as asked: {why}", hint=MISBEHAVIOR_HINT)


# --- CTAP1 ---------------------------------------------------------------------------------


def _register(session: Session, enrollment: Enrollment, digest: bytes) -> Enrolled:
    application = hashlib.sha256(enrollment.application.encode()).digest()
    made = u2f.register(session.connection, digest, application, WHY)
    statement = attestation.from_registration(made, application)
    public = sk_public(attestation.u2f_cose_key(made.point), enrollment.application)
    if public is None:
        raise _not_as_asked("it made no P-256 key")
    handle = KeyHandle(made.key_handle)
    unproved = attestation.verify_statement(statement, public, handle, digest)
    return Enrolled(public, handle, enrollment.flags, statement.as_openssh(), b"", unproved)
