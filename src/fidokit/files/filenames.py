"""Names of key files: of keys that come from a token, whose text is hostile, and of backups.

By default those from a token are `ssh-keygen -K`'s: `id_{ecdsa,ed25519}_sk_rk[_APP][_USER]`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fidokit.errors import UsageError
from fidokit.files.keyfile import name_of, public_path
from fidokit.types import KeyType

MAX_NAME = 230
"""Bytes: a name may have 255, and `-cert.pub` and a tag of nine more are still to be appended."""

TEMPLATE_FIELDS = ("type", "application", "user", "user_name", "comment", "fingerprint", "id")
"""`type` ed25519_sk or ecdsa_sk; `application` without `ssh:`; `user` the user id as text or
hexadecimal; `user_name` and `comment` as the token stores them; `fingerprint` the first 16
characters of it; `id` the first 16 hexadecimal digits of the credential id."""

_SEPARATORS = frozenset("/\\")
_FIELD = re.compile(r"\{([^{}]*)\}")
_PREFIXES = ("ssh://", "ssh:")


def type_part(key_type: KeyType) -> str:
    """A key's type in a file name: `ed25519_sk` or `ecdsa_sk`."""
    return key_type.value.replace("-", "_")


def application_part(application: str) -> str:
    """The application without its `ssh://` or `ssh:`."""
    for prefix in _PREFIXES:
        if application.startswith(prefix):
            return application[len(prefix) :]
    return application


def user_part(user_id: bytes) -> str:
    """The user id without its padding; as hexadecimal where it is unfit for a file name.

    Unfit are, as in ssh-keygen, `/`, `\\` and `..`, and what it would have to escape: control
    characters and what is not UTF-8.
    """
    trimmed = user_id.rstrip(b"\0")
    try:
        text = trimmed.decode("utf-8")
    except UnicodeDecodeError:
        return trimmed.hex()
    unfit = not text.isprintable() or "/" in text or "\\" in text or ".." in text
    return trimmed.hex() if unfit else text


def download_name(key_type: KeyType, application: str, user_id: bytes) -> str:
    """The name that `ssh-keygen -K` gives, sanitized.

    Args:
        user_id: 0 to 64 bytes, zero-padded.
    """
    parts = [application_part(application), user_part(user_id)]
    suffix = "".join(f"_{part}" for part in parts if part)
    return sanitize(f"id_{type_part(key_type)}_rk{suffix}")


def check_template(template: str) -> None:
    """Raise UsageError for a template with an unknown field or a stray brace."""
    unknown = [name for name in _FIELD.findall(template) if name not in TEMPLATE_FIELDS]
    stray = set("{}") & set(_FIELD.sub("", template))
    if unknown or stray:
        what = f"no field {{{unknown[0]}}} exists" if unknown else "a brace stands alone"
        known = ", ".join(f"{{{name}}}" for name in TEMPLATE_FIELDS)
        raise UsageError(f"--name {template!r}: {what}", hint=f"the fields are {known}")
    if not template.strip():
        raise UsageError("--name is empty", hint="try --name 'id_{type}_{application}'")


def render_template(template: str, fields: Mapping[str, str]) -> str:
    """Fill in a template and sanitize the outcome.

    Args:
        fields: a value for each of `TEMPLATE_FIELDS`.
    """
    check_template(template)
    return sanitize(_FIELD.sub(lambda match: fields[match.group(1)], template))


def sanitize(name: str) -> str:
    """A harmless file name of at most 230 bytes.

    Separators and all that is not printable become `_`, as do dashes and dots in front, which
    programs take for options and hidden files. A name cut for length ends in a digest of the
    whole, so that two long names stay apart.
    """
    safe = "".join("_" if c in _SEPARATORS or not c.isprintable() else c for c in name)
    front = len(safe) - len(safe.lstrip("-."))
    return _shorten("_" * front + safe[front:]) or "_"


def _shorten(name: str) -> str:
    data = name.encode("utf-8")
    if len(data) <= MAX_NAME:
        return name
    digest = hashlib.sha256(data).hexdigest()[:16]
    return data[: MAX_NAME - 17].decode("utf-8", "ignore") + "_" + digest


def make_unique(names: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Add its tag to every name that occurs more than once, so that order does not matter.

    Args:
        tags: up to 8 characters each, fit for a file name, different for different keys.

    Names that differ in case alone count as equal: some file systems think so.
    """
    count = Counter(name.casefold() for name in names)
    return [
        f"{name}_{tag}" if count[name.casefold()] > 1 else name
        for name, tag in zip(names, tags)  # noqa: B905  Python 3.9 has no strict
    ]


# --- what tells a backup's files and comment from the first key's ----------------------------


# `id_work` and "me@laptop" have their backup in `id_work_backup` and "me@laptop (backup)"; a second
# one is `id_work_backup2` and "me@laptop (backup 2)". Each is there where the other is lost: the
# comment rides on the token, the name is beside the first file.

MOST_BACKUPS: Final = 9
"""Backups of one key that are looked for."""
_MARK: Final = re.compile(r" ?\(backup(?: \d)?\)$")


def backup_path(path: Path, number: int = 1) -> Path:
    """The private file of a backup.

    Args:
        path: the first key's private file.
        number: which backup, from 1.

    Raises:
        UsageError: the path ends in no name.
    """
    return path.with_name(f"{name_of(path)}_backup{number if number > 1 else ''}")


def backup_comment(comment: str, number: int = 1) -> str:
    """A backup's comment, made from the first key's."""
    mark = f"(backup {number})" if number > 1 else "(backup)"
    return f"{comment} {mark}" if comment else mark


def first_comment(comment: str) -> str | None:
    """The first key's comment, told from a backup's; None for a comment of no backup."""
    found = _MARK.search(comment)
    return comment[: found.start()] if found else None


def backups_beside(path: Path) -> list[Path]:
    """The public files of the backups of a key, in order.

    Args:
        path: the first key's private or public file.
    """
    first = path.with_suffix("") if path.suffix == ".pub" else path
    named = (public_path(backup_path(first, number)) for number in range(1, MOST_BACKUPS + 1))
    return [file for file in named if file.is_file()]


def free_backup_path(path: Path) -> tuple[Path, int]:
    """The first name for a backup that no file has, and its number."""
    for number in range(1, MOST_BACKUPS + 1):
        chosen = backup_path(path, number)
        if not chosen.exists() and not public_path(chosen).exists():
            return chosen, number
    return backup_path(path, MOST_BACKUPS), MOST_BACKUPS
