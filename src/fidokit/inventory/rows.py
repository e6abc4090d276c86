"""One row of the key list: a key, where it is, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.types import CredentialId

if TYPE_CHECKING:
    from fidokit.types import KeyType


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key on the token, on disk, or both.

    Attributes:
        fingerprint: "SHA256:..." of the public key.
        key_type: None for a website's credential that is no SSH type.
        user: the user id as text, trailing zeros trimmed; hexadecimal where it is not text.
        verify_required, touch_required: None where not known (an encrypted file, no token).
        on_token: whether the open token holds it.
        created: the file's modification time, UTC: tokens do not tell.
        files: private key files, and public ones whose private half is not beside them.
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
