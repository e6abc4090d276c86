"""What getAssertion does for large blobs: the keys of the array, and blobs kept with credentials.

CTAP 2.1 has the extension largeBlobKey, which gives a credential's key to the array; CTAP 2.3 may
have the extension largeBlob in its place, which reads and writes a blob kept beside the credential
(section 12.9): compressed, not sealed, for the token itself guards it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from fidokit.client.blobs.array import pack, unpack
from fidokit.client.owner.owner import Use
from fidokit.client.owner.proofs import Permission, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import CredentialNotFound, StoreFull
from fidokit.types import Application, CredentialId, CtapCommand, CtapStatus

if TYPE_CHECKING:
    from fidokit.client.answer import Answer
    from fidokit.client.info import TokenInfo
    from fidokit.client.session import Session

KEY_SIZE: Final = 32
LONGEST_PACKED: Final = 1 << 13
"""Bytes; no answer of a token is longer."""
_LARGE_BLOB: Final = "largeBlob"
_DIGEST: Final = bytes(32)
"""Signed by the token and thrown away: it is not the hash of anything."""


class BlobOwner(Protocol):
    """The credential that a blob belongs to."""

    @property
    def credential_id(self) -> CredentialId:
        """Its id, 1 to 1023 bytes."""

    @property
    def application(self) -> Application:
        """The RP id it was made for."""

    @property
    def verify_required(self) -> bool:
        """Whether each use wants the PIN or the sensor."""

    @property
    def large_blob_key(self) -> bytes | None:
        """Its key to the large-blob array, 32 bytes, if that is known already."""


def kept_with_credentials(info: TokenInfo) -> bool:
    """Whether the token has the largeBlob extension, and so no large-blob array."""
    return _LARGE_BLOB in info.extensions and not info.has_large_blobs


def fetch_key(session: Session, owner: BlobOwner, why: str) -> bytes | None:
    """The key of a credential to the large-blob array, for which its owner has to touch the token.

    Returns None if the credential was made without one.

    Raises:
        CredentialNotFound: the token does not hold the credential.
        PinError, TouchRefused, TouchTimedOut: the owner did not agree.
    """
    answer = _assertion(session, owner, {"largeBlobKey": True}, touch=True, why=why)
    return answer.exactly(7, KEY_SIZE) if 7 in answer else None


def read(session: Session, owner: BlobOwner, why: str) -> bytes | None:
    """The blob kept with a credential, None if there is none; no touch is needed.

    Raises:
        CredentialNotFound: the token does not hold the credential.
        Malformed: the blob does not unpack.
        PinError: the credential wants it.
    """
    asked = {_LARGE_BLOB: {"read": True}}
    output = _output(_assertion(session, owner, asked, touch=False, why=why))
    if output is None or "blob" not in output:
        return None
    packed = output.octets("blob", longest=LONGEST_PACKED, shortest=0)
    # an empty stream is how a deleted one is stored: no blob, however short, packs to nothing
    return unpack(packed, output.uint("originalSize")) if packed else None


def write(session: Session, owner: BlobOwner, blob: bytes | None, why: str) -> None:
    """Keep a blob with a credential, in the place of the one it had; None empties it.

    Raises:
        StoreFull: the token did not take it; nothing was changed.
        CredentialNotFound, PinError, TouchRefused, TouchTimedOut: as said.
    """
    packed = b"" if blob is None else pack(blob)
    wish = {"write": packed, "originalSize": len(blob or b"")}
    output = _output(_assertion(session, owner, {_LARGE_BLOB: wish}, touch=True, why=why))
    if output is None or not output.flag("written"):
        raise StoreFull(
            f"{session.name} did not take {len(packed)} bytes for the key of {owner.application!r}",
            hint="store something smaller; only a key made with --large-blob can have a blob",
        )


def _output(answer: Answer) -> Answer | None:
    unsigned = answer.optional_map(8)
    return None if unsigned is None else unsigned.optional_map(_LARGE_BLOB)


def _assertion(
    session: Session, owner: BlobOwner, extensions: Mapping[str, object], *, touch: bool, why: str
) -> Answer:
    application = owner.application
    request: dict[int, object] = {
        1: application,
        2: _DIGEST,
        3: [{"id": bytes(owner.credential_id), "type": "public-key"}],
        4: extensions,
    }
    if not touch:
        request[5] = {"up": False}
    at_once = owner.verify_required or (touch and _protected(session.info))
    wish = Wish(Permission.GET_ASSERTION, application, why)
    use = Use(CtapCommand.GET_ASSERTION, request, _DIGEST, wish)
    try:
        answer, _ = session.owner.perform(use, at_once=at_once)
    except CtapRefusal as refusal:
        if refusal.status in {CtapStatus.NO_CREDENTIALS, CtapStatus.INVALID_CREDENTIAL}:
            raise CredentialNotFound(
                f"{session.name} does not hold this key for {application!r}",
                hint="plug in the token that made the key",
            ) from None
        raise error_for(refusal.status, why) from None
    if touch:
        session.owner.spent()
    return answer


def _protected(info: TokenInfo) -> bool:
    return bool(info.pin_set or info.uv_configured)
