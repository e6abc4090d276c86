"""Credentials and files for the joined list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fidokit.openssh.keys.public import PublicKey, PublicLine, SkEd25519Public
from fidokit.types import Application, CredentialId, SkFlag

UP, UV = SkFlag.USER_PRESENCE_REQUIRED, SkFlag.USER_VERIFICATION_REQUIRED
RESIDENT = SkFlag.RESIDENT_KEY
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def key(number: int, application: str = "ssh:") -> SkEd25519Public:
    return SkEd25519Public(bytes([number]) * 32, Application(application))


@dataclass(frozen=True, slots=True)
class Credential:
    public: SkEd25519Public | None
    credential_id: CredentialId
    user: str = ""
    user_name: str = ""
    comment: str = ""
    flags: SkFlag = UP | RESIDENT
    rp: str = ""

    @property
    def application(self) -> Application:
        return self.public.application if self.public else Application(self.rp)


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    line: PublicLine
    is_private: bool
    modified: datetime = EPOCH


def file(
    name: str, public: PublicKey, *, private: bool = True, comment: str = "", day: int = 1
) -> File:
    modified = EPOCH.replace(day=day)
    return File(Path("/keys", name), PublicLine(public, comment), private, modified)
