"""Choosing keys by what a person would type: fingerprint, file, name or credential id."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from fidokit.errors import CredentialNotFound, UsageError
from fidokit.inventory.rows import KeyRow

MIN_HEX: Final = 4
"""Hexadecimal digits of a credential id that are not taken for a name."""

MIN_FINGERPRINT: Final = 4
"""Characters of a fingerprint, without `SHA256:`."""

_LISTED: Final = 8

Matcher = Callable[[str, KeyRow], bool]


def resolve(selector: str, rows: Sequence[KeyRow]) -> KeyRow:
    """The one row that `selector` names.

    It is held against all rows in these ways, and the first way that fits any row decides: whole
    fingerprint, file, application or user or comment or `APPLICATION/USER`, fingerprint's
    beginning (4 characters and more), credential id's beginning (4 hexadecimal digits and more).

    Raises:
        CredentialNotFound: none fits.
        UsageError: several do; the hint lists them.
    """
    for fits in _WAYS:
        found = [row for row in rows if fits(selector, row)]
        if len(found) > 1:
            raise _ambiguous(selector, found)
        if found:
            return found[0]
    raise CredentialNotFound(
        f"no key fits {selector!r}",
        hint="`fidokit key list` shows what there is; name a key by fingerprint, file, "
        "application, user, comment or credential id",
    )


def label(row: KeyRow) -> str:
    """A key in a few words for messages: application, user, fingerprint's beginning."""
    user = f"/{row.user}" if row.user else ""
    what = f"{row.key_type}, {row.fingerprint[:19]}" if row.key_type else "a website's credential"
    return f"{row.application}{user} ({what})"


def _ambiguous(selector: str, found: Sequence[KeyRow]) -> UsageError:
    listed = "; ".join(label(row) for row in found[:_LISTED])
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return UsageError(
        f"{selector!r} fits {len(found)} keys: {listed}{more}",
        hint="name one by the beginning of its fingerprint",
    )


def _bare(fingerprint: str) -> str:
    return fingerprint.removeprefix("SHA256:").rstrip("=")


def _is_fingerprint(selector: str, row: KeyRow) -> bool:
    return bool(row.fingerprint) and _bare(selector) == _bare(row.fingerprint)


def _begins_fingerprint(selector: str, row: KeyRow) -> bool:
    start = _bare(selector)
    return len(start) >= MIN_FINGERPRINT and _bare(row.fingerprint).startswith(start)


def _is_file(selector: str, row: KeyRow) -> bool:
    if not selector or "\0" in selector:
        return False
    # os.path's leaves ~nobody as it is; Path's raises where no user has the name
    wanted = Path(os.path.realpath(os.path.expanduser(selector)))  # noqa: PTH111
    names = {Path(os.path.realpath(path)) for path in row.files}
    return wanted in names or (wanted.suffix == ".pub" and wanted.with_suffix("") in names)


def _is_name(selector: str, row: KeyRow) -> bool:
    application = row.application
    short = re.sub(r"^ssh:(//)?", "", application)
    names = {application, short, row.user, row.user_name, row.comment}
    names |= {f"{application}/{row.user}", f"{short}/{row.user}"} if row.user else set()
    return selector in names - {""}


def _begins_credential_id(selector: str, row: KeyRow) -> bool:
    return (
        row.credential_id is not None
        and len(selector) >= MIN_HEX
        and row.credential_id.hex().startswith(selector.lower())
    )


_WAYS: Final[Sequence[Matcher]] = (
    _is_fingerprint,
    _is_file,
    _is_name,
    _begins_fingerprint,
    _begins_credential_id,
)
