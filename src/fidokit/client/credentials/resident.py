"""SSH keys that live on the token: list, delete, rename, with the fewest messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.client import fido2_device
from fidokit.client.credentials.auth_data import LONGEST_CREDENTIAL_ID, sk_public
from fidokit.client.owner.config import require_taken
from fidokit.client.owner.proofs import Permission, PinToken, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.client.tolerance import DELETED_KEY_SIGNS, EMPTY_LIST, NAMES_CUT, RP_ID_CUT
from fidokit.errors import (
    FidokitError,
    Interrupted,
    PinAuthBlocked,
    PinBlocked,
    PinError,
    PinRequired,
    TokenGone,
    TokenSilent,
    Unsupported,
    UsageError,
    UvBlocked,
)
from fidokit.openssh.keys.public import SkPublic
from fidokit.types import (
    Application,
    CredentialId,
    CredProtect,
    CtapCommand,
    CtapStatus,
    KeyHandle,
    SkFlag,
    UserId,
)

if TYPE_CHECKING:
    from fidokit.client.answer import Answer
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import SkPrivate


COMMANDS: Final[Mapping[str, int]] = {
    "credMgmt": CtapCommand.CREDENTIAL_MANAGEMENT,
    "credentialMgmtPreview": CtapCommand.CREDENTIAL_MANAGEMENT_PREVIEW,
}
METADATA, RPS_BEGIN, RPS_NEXT, KEYS_BEGIN, KEYS_NEXT, DELETE, UPDATE = range(1, 8)
"""Subcommands of authenticatorCredentialManagement (CTAP 2.1 section 6.8)."""
MOST: Final = 1024
"""RPs or credentials; no token on the market stores as many."""
_SSH: Final = "ssh:"
HOPELESS: Final = (
    Interrupted,
    TokenGone,
    TokenSilent,
    PinError,
    PinBlocked,
    PinAuthBlocked,
    UvBlocked,
)
"""Errors of one key after which the others cannot be done either."""


@dataclass(frozen=True, slots=True)
class ResidentCredential:
    """One credential on a token; all its texts are whoever wrote them there's.

    Args:
        credential_id: 1 to 1023 bytes; OpenSSH's key handle.
        application: the RP id, which a token may have shortened (then `public` is None).
        rp_id_hash: SHA-256 of the RP id as it was when the credential was made.
        algorithm: COSE number of the key, None if it is not known.
        user_id: as stored, zeros included.
        user_name, display_name: as stored, empty if the token gave none.
        public: None for key types that OpenSSH does not know.
        cred_protect: the protection level; 1 if the token does not say.
        large_blob_key: the key of its large blob, 32 bytes; None if it can have none.
    """

    credential_id: CredentialId
    application: Application
    user_id: UserId
    user_name: str
    display_name: str
    public: SkPublic | None
    cred_protect: CredProtect
    large_blob_key: bytes | None = field(default=None, repr=False)
    rp_id_hash: bytes = b""
    algorithm: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the token returned the application shortened, so that no file can name it."""
        return self.rp_id_hash not in (b"", _hash(self.application))

    @property
    def whole_rp_id(self) -> str | None:
        """The RP id where it is whole, for the proof of the owner; None if it was cut."""
        return None if self.is_cut else self.application

    @property
    def verify_required(self) -> bool:
        """Whether each use wants the PIN or the sensor."""
        return self.cred_protect is CredProtect.UV_REQUIRED

    @property
    def flags(self) -> SkFlag:
        """The flags that a private key file for it should have."""
        flags = SkFlag.RESIDENT_KEY
        if decode_display(self.display_name)[1]:
            flags |= SkFlag.USER_PRESENCE_REQUIRED
        if self.verify_required:
            flags |= SkFlag.USER_VERIFICATION_REQUIRED
        return flags

    @property
    def private(self) -> SkPrivate | None:
        """What a private key file for it holds; None for key types that OpenSSH does not know."""
        from fidokit.openssh.keys.private import SkPrivate

        if self.public is None:
            return None
        return SkPrivate(self.public, self.flags, KeyHandle(self.credential_id))

    @property
    def comment(self) -> str:
        """The comment that was stored with it, or empty."""
        return decode_display(self.display_name)[0]

    @property
    def user(self) -> str:
        """ssh-keygen's user=: the user id without its padding; hex where it is not text."""
        trimmed = self.user_id.rstrip(b"\0")
        try:
            return trimmed.decode("utf-8")
        except UnicodeDecodeError:
            return trimmed.hex()


class RpFailure(NamedTuple):
    """One application whose credentials could not be listed, and why."""

    application: str
    error: FidokitError


def list_credentials(
    session: Session,
    *,
    application: Application | None = None,
    any_rp: bool = False,
    known: Iterable[str] = (),
    failed: list[RpFailure] | None = None,
) -> list[ResidentCredential]:
    """The credentials of one application, of all SSH applications, or of every RP.

    Args:
        session: the open token.
        application: the one application; it is found by its hash, however the token cut it.
        any_rp: also applications that are not SSH's.
        known: applications that may be there; one that the token cut is told by its hash.
        failed: takes the applications that cannot be listed, and the others are; None raises.

    Raises:
        Unsupported: the token has no credential management.
        UsageError: an application that is not SSH's, without `any_rp`.
        PinError, TouchRefused, TouchTimedOut: the owner did not agree.
        TokenMisbehaved: the answers are not valid.
    """
    if application is not None:
        _require_ssh(application, any_rp)
        command = _Manager(session, application)
        return list(command.keys(application, _hash(application)))
    command = _Manager(session, None)
    whole = {_hash(name): Application(name) for name in known}
    found: list[ResidentCredential] = []
    for given, rp_id_hash in command.rps():
        rp_id = whole.get(rp_id_hash, given)
        if rp_id_hash != _hash(given):
            session.connection.notes.note(RP_ID_CUT)
        if any_rp or rp_id.startswith(_SSH):
            found += _of_one(command, rp_id, rp_id_hash, failed)
    return found


def _of_one(
    command: _Manager, rp_id: Application, rp_id_hash: bytes, failed: list[RpFailure] | None
) -> list[ResidentCredential]:
    try:
        return command.keys(rp_id, rp_id_hash)
    except FidokitError as error:
        if failed is None or isinstance(error, HOPELESS):
            raise
        failed.append(RpFailure(rp_id, error))
        return []


def delete(session: Session, credential: ResidentCredential, *, any_rp: bool = False) -> None:
    """Remove a credential from the token, for good.

    Raises:
        UsageError: it belongs to a website and `any_rp` is not given.
        CredentialNotFound: it is no longer there.
        PinError, Unsupported: as `list_credentials`.
    """
    _require_ssh(credential.application, any_rp)
    command = _Manager(session, credential.whole_rp_id)
    with _told_if_gone(command, credential, "deleting the key"):
        command.call(DELETE, {2: _descriptor(credential)}, "deleting the key")


def signs_still(session: Session, credential: ResidentCredential) -> bool:
    """Whether the token is seen to sign with a credential that it deleted.

    Some tokens keep the private key in the credential id, and a file has that. Asked silently; one
    under credProtect 3 shows itself to a proof alone, which costs nothing if a proof is good for
    everything (CTAP 2.0) and is not asked for otherwise.

    Raises:
        TokenGone, TokenSilent, TokenMisbehaved: it went, is silent, or sends an invalid answer.
    """
    if credential.is_cut:
        return False  # nothing to ask for
    digest, why = bytes(32), "looking for the deleted key"
    asked: dict[int, object] = {
        1: credential.application,
        2: digest,
        3: [_descriptor(credential)],
        5: {"up": False},
    }

    def ask(proof: PinToken | None) -> Answer:
        proved = {6: proof.authenticate(digest), 7: proof.version} if proof else {}
        request = {**asked, **proved}
        return session.connection.attempt(CtapCommand.GET_ASSERTION, request, "assertion", why=why)

    wish = Wish(Permission.GET_ASSERTION, credential.application, why)
    try:
        if not credential.verify_required:
            ask(None)
        elif session.info.has_pin_token_permissions:
            return False
        else:
            session.owner.proved(wish, ask)
    except CtapRefusal:
        return False
    session.connection.notes.note(DELETED_KEY_SIGNS)
    return True


@contextmanager
def _told_if_gone(command: _Manager, credential: ResidentCredential, why: str) -> Iterator[None]:
    """Say that a credential is gone where the token speaks of the proof (CTAP 2.1, 6.8.5).

    A proof for one relying party does not tell which credentials others have, nor so whether one
    exists at all.
    """
    try:
        yield
    except PinRequired:
        of = credential.rp_id_hash or _hash(credential.application)
        listed = command.keys(credential.application, of)
        if any(key.credential_id == credential.credential_id for key in listed):
            raise
        raise error_for(CtapStatus.NO_CREDENTIALS, why) from None


def rename(
    session: Session, credential: ResidentCredential, user_name: str, display_name: str
) -> ResidentCredential:
    """Change the names stored with a credential; its user id stays.

    Returns the credential as the token shows it afterwards: some shorten the names.

    Args:
        user_name, display_name: at most 64 bytes of UTF-8 each, longer ones are cut; an empty
            one is removed.

    Raises:
        Unsupported: the token cannot change stored names (CTAP 2.1 preview).
        CredentialNotFound: it is no longer there.
        NotTaken: the token accepted the names and kept the old ones.
    """
    if session.info.has_cred_mgmt != "credMgmt":
        raise Unsupported(
            f"{session.name} cannot rename keys", hint="a token of CTAP 2.1 or later can"
        )
    names = {"name": cut(user_name, LONGEST), "displayName": cut(display_name, LONGEST)}
    user = {"id": bytes(credential.user_id), **{k: v for k, v in names.items() if v}}
    command = _Manager(session, credential.whole_rp_id)
    with _told_if_gone(command, credential, "renaming the key"):
        command.call(UPDATE, {2: _descriptor(credential), 3: user}, "renaming the key")
    return _read_back(session, command, credential, (names["name"], names["displayName"]))


def _read_back(
    session: Session, command: _Manager, before: ResidentCredential, wanted: tuple[str, str]
) -> ResidentCredential:
    of = before.rp_id_hash or _hash(before.application)
    listed = command.keys(before.application, of)
    now = next((key for key in listed if key.credential_id == before.credential_id), None)
    if now is None:
        raise error_for(CtapStatus.NO_CREDENTIALS, "renaming the key")
    stored, old = (now.user_name, now.display_name), (before.user_name, before.display_name)
    require_taken(session, stored == wanted or stored != old, "the new name")
    if stored != wanted:
        session.connection.notes.note(NAMES_CUT)
    return now


def remaining(session: Session) -> tuple[int, int]:
    """How many credentials are stored, and at most how many more fit.

    Raises:
        Unsupported, PinError: as `list_credentials`.
    """
    answer = _Manager(session, None).call(METADATA, None, "counting the keys")
    return answer.uint(1), answer.uint(2)


class _Manager:
    """authenticatorCredentialManagement on one session, for one application or for all."""

    def __init__(self, session: Session, rp_id: str | None) -> None:
        kind = session.info.has_cred_mgmt
        if kind is None:
            raise Unsupported(
                f"{session.name} cannot list or manage its resident keys",
                hint="a token of CTAP 2.1 or later can; key files made by it still work",
            )
        self._session = session
        self._command = COMMANDS[kind]
        self._rp_id = rp_id

    def call(self, subcommand: int, params: Mapping[int, object] | None, why: str) -> Answer:
        """One subcommand that needs proof; refusals as our errors."""

        def send(proof: PinToken) -> Answer:
            return self._send(subcommand, params, proof, why)

        owner = self._session.owner
        prove = owner.read if subcommand == METADATA else owner.proved
        try:
            return prove(self._wish(why), send)
        except CtapRefusal as refusal:
            raise error_for(refusal.status, why) from None

    def rps(self) -> list[tuple[Application, bytes]]:
        """RP id and its hash of every RP with a credential."""
        return [
            (Application(answer.member(3).text("id")), answer.exactly(4, 32))
            for answer in self._listed(RPS_BEGIN, RPS_NEXT, None, count=5)
        ]

    def keys(self, rp_id: Application, rp_id_hash: bytes) -> list[ResidentCredential]:
        """The credentials of one RP."""
        found = self._listed(KEYS_BEGIN, KEYS_NEXT, {1: rp_id_hash}, count=9)
        return [_credential(answer, rp_id, rp_id_hash) for answer in found]

    def _wish(self, why: str) -> Wish:
        return Wish(Permission.CREDENTIAL_MANAGEMENT, self._rp_id, why)

    def _listed(
        self, begin: int, following: int, params: Mapping[int, object] | None, *, count: int
    ) -> list[Answer]:
        """An enumeration, whole; one whose proof dies in between begins anew."""
        why = "listing the keys"

        def walk(proof: PinToken) -> list[Answer]:
            first = self._send(begin, params, proof, why)
            total = first.uint(count, default=0 if first.is_empty else 1)
            if total > MOST:
                raise first.wrong(count, f"is {total}, which is impossible")
            if total == 0:  # some tokens say so instead of refusing
                self._session.connection.notes.note(EMPTY_LIST)
                return []
            attempt = self._session.connection.attempt
            rest = [
                attempt(self._command, {1: following}, "list of keys", why=why)
                for _ in range(total - 1)
            ]
            return [first, *rest]

        try:
            return self._session.owner.read(self._wish(why), walk)
        except CtapRefusal as refusal:
            if refusal.status == CtapStatus.NO_CREDENTIALS:
                return []
            raise error_for(refusal.status, why) from None

    def _send(
        self, subcommand: int, params: Mapping[int, object] | None, proof: PinToken, why: str
    ) -> Answer:
        body = b"" if params is None else fido2_device.encode(params)
        request: dict[int, object] = {1: subcommand, 3: proof.version}
        if params is not None:
            request[2] = params
        request[4] = proof.authenticate(bytes([subcommand]) + body)
        return self._session.connection.attempt(self._command, request, "list of keys", why=why)


def _credential(answer: Answer, rp_id: Application, rp_id_hash: bytes) -> ResidentCredential:
    user = answer.member(6)
    # a token may shorten a long RP id, and no program of C reads one with a NUL as it is: a key
    # file with such an application would never work
    usable = "\0" not in rp_id and _hash(rp_id) == rp_id_hash
    protection = answer.uint(0x0A, default=1)
    if not 1 <= protection <= 3:
        raise answer.wrong(0x0A, f"is {protection}, which is not a level of protection")
    return ResidentCredential(
        credential_id=CredentialId(answer.member(7).octets("id", longest=LONGEST_CREDENTIAL_ID)),
        application=rp_id,
        user_id=UserId(user.octets("id", longest=64, shortest=0)),
        user_name=user.optional_text("name") or "",
        display_name=user.optional_text("displayName") or "",
        public=sk_public(answer.member(8), rp_id) if usable else None,
        algorithm=answer.member(8).optional_int(3),
        rp_id_hash=rp_id_hash,
        cred_protect=CredProtect(protection),
        large_blob_key=answer.exactly(0x0B, 32) if 0x0B in answer else None,
    )


def _descriptor(credential: ResidentCredential) -> Mapping[str, object]:
    return {"id": bytes(credential.credential_id), "type": "public-key"}


def _hash(rp_id: str) -> bytes:
    return hashlib.sha256(rp_id.encode("utf-8", "surrogatepass")).digest()


def _require_ssh(rp_id: str, any_rp: bool) -> None:
    if not any_rp and not rp_id.startswith(_SSH):
        raise UsageError(
            f"{rp_id!r} is not an SSH application: the credential belongs to a website",
            hint="give --any-rp if you mean it",
        )


# What rides in displayName is what `ssh-keygen -K` loses: the comment, and that no touch is needed.
# Credential management returns it without a further PIN or touch, and a token stores at least 64
# bytes of it (CTAP 2.1 section 6.1.1).

LONGEST: Final = 64
NO_TOUCH: Final = "no-touch-required"
STOCK: Final = "openssh"
"""What stock OpenSSH writes into name and displayName."""


def encode_display(comment: str, touch_required: bool) -> str:
    """A displayName of at most 64 bytes of UTF-8 that `decode_display` reads back.

    A comment that does not fit is cut at a character's boundary; what cannot be encoded at all
    (lone surrogates) becomes a question mark.
    """
    comment = comment.encode("utf-8", "replace").decode("utf-8").strip()
    if touch_required:
        plain = cut(comment, LONGEST)
        # a comment that reads as the mark itself must not turn into a license to skip the touch
        return plain if decode_display(plain) == (plain, True) or not plain else _quoted(plain)
    return cut(f"{NO_TOUCH} {comment}", LONGEST).strip()


def decode_display(display: str) -> tuple[str, bool]:
    """The comment and whether a touch is required; total on any text.

    Somebody else's displayName is just a comment, and stock OpenSSH's is none.
    """
    if display == STOCK:
        return "", True
    head, _, rest = display.partition(" ")
    if head == NO_TOUCH:
        return rest, False
    return display.removeprefix(" "), True


def _quoted(comment: str) -> str:
    return cut(" " + comment, LONGEST)


def cut(text: str, size: int) -> str:
    """The longest front of `text` that fits into `size` bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore").rstrip()
