"""`fidokit key list` on a terminal: one line a key, and what a question mark in it means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fidokit.cli.render import Column, Listing, home_path

if TYPE_CHECKING:
    from fidokit.keys import KeyRow
    from fidokit.keys.resident_keys import Backup

COLUMNS: Final = (
    Column("Key", "1", least=18),
    Column("Type", drop=2),
    Column("Asks for"),
    Column("Token"),
    Column("Backup", drop=1),
    Column("File", least=14),
)
UNKNOWN: Final = "?"
ASKS_LEGEND: Final = "? under Asks for: the file is under a passphrase, or the token does not tell."
TOKEN_LEGEND: Final = "? under Token: no token was asked."  # noqa: S105  a word, no secret
_SHORT_PRINT: Final = 15
"""Signs of a fingerprint that tell keys of one name apart: SHA256: and eight more."""

_OLDEST: Final = 0.0

SORTS: Final[Mapping[str, Callable[[KeyRow], object]]] = {
    "name": lambda row: (row.comment or row.application).casefold(),
    "type": lambda row: str(row.key_type or row.other_type),
    "created": lambda row: row.created.timestamp() if row.created else _OLDEST,
    "file": lambda row: str(row.files[0]) if row.files else "",
}
"""What --sort takes, and the order that it means."""


def short_listing(
    rows: Sequence[KeyRow], backups: Sequence[Backup], *, asked: bool, empty: str
) -> Listing:
    """One line for each key.

    Args:
        rows: the keys.
        backups: of each.
        asked: whether a token was asked for its keys.
        empty: what is said if there are none.
    """
    cells = [
        (
            name,
            _type(row),
            asks_for(row),
            _yes_no(row.on_token) if asked else UNKNOWN,
            str(backup),
            _file(row),
        )
        for name, row, backup in zip(names(rows), rows, backups, strict=True)
    ]
    legends = [
        ASKS_LEGEND if any(UNKNOWN in cell[2] for cell in cells) else "",
        "" if asked else TOKEN_LEGEND,
        f"{len(rows)} {'key' if len(rows) == 1 else 'keys'}; --long shows details.",
    ]
    return Listing(COLUMNS, cells, empty, "\n".join(filter(None, legends)))


def names(rows: Sequence[KeyRow]) -> list[str]:
    """A name for each key that tells it from the others, also where its end is cut.

    It is what its user called it; where that is not enough, its application stands before.
    """
    short = [row.comment or _of_application(row) for row in rows]
    longer = [
        f"{_of_application(row)}, {name}" if row.comment and count > 1 else name
        for name, row, count in _counted(short, rows)
    ]
    return [
        f"{row.fingerprint[:_SHORT_PRINT]} {name}" if count > 1 else name
        for name, row, count in _counted(longer, rows)
    ]


def _counted(names: Sequence[str], rows: Sequence[KeyRow]) -> list[tuple[str, KeyRow, int]]:
    counts = Counter(names)
    return [(name, row, counts[name]) for name, row in zip(names, rows, strict=True)]


def _of_application(row: KeyRow) -> str:
    return f"{row.application} {row.user}".rstrip()


def _type(row: KeyRow) -> str:
    if row.key_type:
        return str(row.key_type)
    return "cut" if row.application_cut else row.other_type


def asks_for(row: KeyRow) -> str:
    """What each use of the key asks for."""
    if row.verify_required is None or (row.touch_required is None and not row.on_token):
        return UNKNOWN
    touch = row.touch_required is not False
    if row.verify_required:
        return "PIN, touch" if touch else "PIN"
    return "touch" if touch else "nothing"


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _file(row: KeyRow) -> str:
    if not row.files:
        return ""
    more = f" +{len(row.files) - 1}" if len(row.files) > 1 else ""
    return home_path(row.files[0]) + more
