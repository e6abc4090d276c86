"""Credentials and files for the joined list."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fidokit.client.credentials.resident import ResidentCredential, encode_display
from fidokit.files.scan import FoundKey
from fidokit.openssh.keys.public import PublicKey, PublicLine, SkEd25519Public
from fidokit.types import Application, CredentialId, CredProtect, SkFlag, UserId

UP, UV = SkFlag.USER_PRESENCE_REQUIRED, SkFlag.USER_VERIFICATION_REQUIRED
RESIDENT = SkFlag.RESIDENT_KEY
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def key(number: int, application: str = "ssh:") -> SkEd25519Public:
    return SkEd25519Public(bytes([number]) * 32, Application(application))


def credential(  # noqa: PLR0917  as a row of a table
    public: SkEd25519Public | None,
    credential_id: CredentialId,
    user: str = "",
    user_name: str = "",
    comment: str = "",
    flags: SkFlag = UP | RESIDENT,
    rp: str = "",
) -> ResidentCredential:
    return ResidentCredential(
        credential_id=credential_id,
        application=public.application if public else Application(rp),
        user_id=UserId(user.encode().ljust(32, b"\0")),
        user_name=user_name,
        display_name=encode_display(comment, bool(flags & UP)),
        public=public,
        cred_protect=CredProtect.UV_REQUIRED if flags & UV else CredProtect.UV_OPTIONAL,
    )


def file(
    name: str, public: PublicKey, *, private: bool = True, comment: str = "", day: int = 1
) -> FoundKey:
    modified = EPOCH.replace(day=day)
    return FoundKey(Path("/keys", name), PublicLine(public, comment), private, modified)
