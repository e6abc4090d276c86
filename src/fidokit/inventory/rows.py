"""One row of the key list: a key, where it is, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from fidokit.openssh.keys.public import PublicLine, SkPublic
from fidokit.types import Application, CredentialId, KeyType, SkFlag


class TokenCredential(Protocol):
    """What the list needs of a resident credential."""

    @property
    def credential_id(self) -> CredentialId:
        """Its id, 1 to 1023 bytes."""

    @property
    def application(self) -> Application:
        """The RP id."""

    @property
    def user(self) -> str:
        """The user id as text."""

    @property
    def user_name(self) -> str:
        """The name stored beside it."""

    @property
    def comment(self) -> str:
        """The comment stored with it, or empty."""

    @property
    def public(self) -> SkPublic | None:
        """The public key; None for a website's key of a type that OpenSSH does not know."""

    @property
    def flags(self) -> SkFlag:
        """The flags that a private key file for it should have."""


class LocalFile(Protocol):
    """What the list needs of a key file."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def line(self) -> PublicLine:
        """Its public key, and its comment where that can be read."""

    @property
    def is_private(self) -> bool:
        """Whether it is the private half."""

    @property
    def modified(self) -> datetime:
        """Its modification time, UTC."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key on the token, on disk, or both.

    Text comes from tokens and files: escape it before a terminal.

    Attributes:
        fingerprint: "SHA256:..." of the public key; empty, as key_type is None, for a website's
            credential of a type that OpenSSH does not know.
        user: the user id as text, trailing zeros trimmed; hexadecimal where it is not text.
        verify_required, touch_required: None where not known (an encrypted file, no token).
        on_token: whether the open token holds it as a resident credential.
        created: the oldest file's modification time, UTC: tokens do not tell.
        files: private key files, and public ones whose private half is nowhere to be seen.
        credential_id: None where it is not on the token.
    """

    fingerprint: str
    key_type: KeyType | None
    application: str
    user: str
    comment: str
    verify_required: bool | None
    touch_required: bool | None
    on_token: bool
    created: datetime | None
    files: tuple[Path, ...]
    credential_id: CredentialId | None
    public_line: str
    user_name: str = ""
    public: SkPublic | None = field(default=None, repr=False)
    credential: TokenCredential | None = field(default=None, repr=False, compare=False)
