"""A key and its backups on other tokens: made in one ceremony."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import UsageError
from fidokit.files.filenames import (
    MOST_BACKUPS,
    backup_comment,
    backup_path,
    first_comment,
    free_backup_path,
)
from fidokit.files.keyfile import default_path
from fidokit.keys.generation import GenerateRequest, check, user_at_host
from fidokit.keys.holder import open_key_file
from fidokit.types import PassphraseSource, SkFlag

if TYPE_CHECKING:
    from fidokit.client.session import Session


def with_backups(request: GenerateRequest, count: int) -> list[GenerateRequest]:
    """The request for a key and those for its backups: alike but for file and comment.

    Args:
        request: of the first key.
        count: how many backups, 0 to 9.

    Raises:
        UsageError: more than that.
    """
    if count > MOST_BACKUPS:
        raise UsageError(f"{count} backups are too many", hint=f"make {MOST_BACKUPS} at most")
    path = request.path or default_path(request.key_type)
    if request.or_types:  # the files of a key and its backups are named alike, so before the touch
        request = replace(request, path=path)
    comment = user_at_host() if request.comment is None else request.comment
    backups = [
        replace(
            request,
            path=backup_path(path, number),
            comment=backup_comment(comment, number),
            attestation_file=_beside(request.attestation_file, number),
        )
        for number in range(1, count + 1)
    ]
    return [request, *backups]


def _beside(attestation: Path | None, number: int) -> Path | None:
    return backup_path(attestation, number) if attestation else None


def check_ceremony(sessions: Sequence[Session], requests: Sequence[GenerateRequest]) -> None:
    """All that can be said before the first touch, of every token and every file.

    Raises:
        UsageError: one token is meant twice.
        And what `generate_key` raises before it asks a token for anything.
    """
    names = [session.selector for session in sessions]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"{name} is named twice: a backup has to be on another token",
                hint="name the other token; `fidokit token list` shows what is plugged in",
            )
    for session, request in zip(sessions, requests, strict=True):
        check(session, request)


def backup_of(
    path: Path, *, user: str = "", passphrase: PassphraseSource | None = None
) -> GenerateRequest:
    """The request for one more backup of a key that is there already.

    Args:
        path: the first key's private file.
        user: ssh-keygen's user=, which is on the first token alone.
        passphrase: asks for the file's.

    Raises:
        MalformedKey, PassphraseRequired, PassphraseWrong, NoPermission: as `open_key_file`.
    """
    first = open_key_file(path, passphrase=passphrase)
    chosen, number = free_backup_path(path)
    flags = first.key.flags
    return GenerateRequest(
        key_type=first.key.public.key_type,
        path=chosen,
        application=first.key.public.application,
        user=user,
        resident=SkFlag.RESIDENT_KEY in flags,
        verify_required=SkFlag.USER_VERIFICATION_REQUIRED in flags,
        touch_required=SkFlag.USER_PRESENCE_REQUIRED in flags,
        comment=backup_comment(first_comment(first.comment) or first.comment, number),
        allow_any_application=True,
    )
