"""File names for keys that come from a token, whose text is hostile.

By default they are `ssh-keygen -K`'s: `id_{ecdsa,ed25519}_sk_rk[_APP][_USER]`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from fidokit.errors import UsageError
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
    """`ed25519_sk` or `ecdsa_sk`."""
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
        what = f"the field {{{unknown[0]}}}" if unknown else "a brace that belongs to no field"
        known = ", ".join(f"{{{name}}}" for name in TEMPLATE_FIELDS)
        raise UsageError(f"the name template has {what}", hint=f"the fields are {known}")
    if not template.strip():
        raise UsageError("the name template is empty", hint="try --name 'id_{type}_{application}'")


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

    Names that differ in case alone count as the same: some file systems think so.
    """
    count = Counter(name.casefold() for name in names)
    return [
        f"{name}_{tag}" if count[name.casefold()] > 1 else name
        for name, tag in zip(names, tags, strict=True)
    ]
