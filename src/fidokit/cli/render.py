"""How things are shown: escaped for a terminal, plain for a pipe, or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TextIO, Union

from fidokit.prompt.table import GAP, cell_width, lay_out, padded
from fidokit.prompt.table import Column as Column  # noqa: PLC0414  what verbs show is here
from fidokit.prompt.text import (
    BOLD,
    colored,
    escape,
    escape_but_bytes,
    escape_lines,
    fitted,
    is_fancy,
    note,
)

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.cli.settings import Settings
    from fidokit.errors import FidokitError

Json = Mapping[str, object]
SCHEMA = 1
_LINES_A_WRITE = 4096


def home_path(path: Path) -> str:
    """A path as people write it: ~ for the home folder."""
    from pathlib import Path

    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


class Listing(NamedTuple):
    """Rows under columns; `empty` says what to do next if there is none. None shows as -.

    `short` is what a terminal shows instead, one line a row.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | None]]
    empty: str
    footer: str = ""
    short: Listing | None = None


class Facts(NamedTuple):
    """Labels and values about one thing."""

    title: str
    pairs: Sequence[tuple[str, str]]
    footer: str = ""


class Lines(NamedTuple):
    """Ready sentences; token text in them is escaped like all else."""

    lines: Sequence[str]


class Check(NamedTuple):
    """One finding: a short word in a color of `prompt.text`, a sentence, and a remedy."""

    word: str
    color: str
    sentence: str
    hint: str


class Checks(NamedTuple):
    """Findings, one below the other."""

    checks: Sequence[Check]


Shown = Union[Listing, Facts, Lines, Checks]  # noqa: UP007  Python 3.9


def show(settings: Settings, data: Json, human: Shown) -> None:
    """Print the result of a command: JSON where asked for, else for a user or a pipe."""
    if settings.json:
        write_json(data)
        return
    if isinstance(human, Lines):
        write_lines(human.lines)
    elif isinstance(human, Facts):
        show_facts(human)
    elif isinstance(human, Listing):
        _show_listing(human)
    else:
        _show_checks(human)


def write_json(data: Json) -> None:
    """Print one JSON document: pure ASCII, so nothing in it can reach the terminal raw."""
    import json

    print(json.dumps({"schema": SCHEMA, **data}, indent=2))


def write_raw(data: bytes) -> None:
    """Print bytes as they are to a pipe or file; a terminal gets text, escaped.

    Raises:
        UsageError: a terminal, and no text.
    """
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        print(escape_lines(data.decode("utf-8").rstrip("\n")))
    except UnicodeDecodeError:
        from fidokit.errors import UsageError

        raise UsageError(
            f"these {len(data)} bytes are not text, and this is a terminal",
            hint="write them to a file with -o FILE",
        ) from None


def labeled(label: str, text: str, stream: TextIO | None = None, sgr: str = "") -> str:
    """Text behind a label, for standard error or another stream; further lines are indented, so
    that none can pose as another message."""
    stream = stream or sys.stderr
    indent = len(label)
    lines = [_hanging(escape(line), indent, stream) for line in text.split("\n")]
    marked = colored(label, sgr, stream) if sgr else label
    return marked + ("\n" + " " * indent).join(lines)


def error_data(error: FidokitError) -> Json:
    """An error as JSON (docs/errors.md)."""
    data: dict[str, object] = {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }
    if (retries := getattr(error, "retries", None)) is not None:
        data["retries"] = retries
    return data


def write_lines(lines: Iterable[str]) -> None:
    """Print lines, escaped; many at a time, because files of 100,000 keys exist.

    What is not a terminal gets bytes that are not UTF-8 as they are: they are a key's comment.
    """
    iterator: Iterator[str] = iter(lines)
    harmless: Callable[[str], str] = escape if sys.stdout.isatty() else escape_but_bytes
    if is_fancy(sys.stdout):
        harmless = _fitting
    while batch := [harmless(line) for line in islice(iterator, _LINES_A_WRITE)]:
        sys.stdout.write("\n".join(batch) + "\n")


def _fitting(line: str) -> str:
    """A sentence broken at words; all else is whole, since it may be meant to be copied."""
    line = escape(line)
    return fitted(line, _width()) if line[:1].isupper() and line.endswith(".") else line


def styled(text: str, sgr: str = BOLD) -> str:
    """Bold, or in a color of `prompt.text`, on a terminal that may have it; else as it is."""
    return colored(text, sgr, sys.stdout)


def _show_checks(checks: Checks) -> None:
    width = max((len(check.word) for check in checks.checks), default=0)
    for check in checks.checks:
        sentence = _hanging(escape(check.sentence), width + 2)
        print(styled(f"{check.word:<{width}}", check.color), "", sentence)
        for line in check.hint.splitlines():
            print(" " * (width + 2) + _hanging(escape(line), width + 2))


def show_facts(facts: Facts) -> None:
    """Print labels and values under a title."""
    width = max((len(label) for label, _ in facts.pairs), default=0)
    if facts.title:
        print(styled(_hanging(escape(facts.title), 0)))
    for label, value in facts.pairs:
        print(f"  {label:<{width}}  {_hanging(escape(value), width + 4)}")
    if facts.footer:
        print(f"\n{_advice(facts.footer)}")


def _hanging(value: str, indent: int, stream: TextIO | None = None) -> str:
    """A value in its column: broken between words on a terminal, one line for a pipe.

    A command between backticks stays whole, so that it can be copied.
    """
    if not is_fancy(stream or sys.stdout) or len(value) <= (room := _width() - indent):
        return value
    return fitted(value, room).replace("\n", "\n" + " " * indent)


def _advice(text: str) -> str:
    """A text whose commands work for how this was installed."""
    if "fidokit " not in text:
        return text
    from fidokit.cli.installation import Installation

    return Installation().advice(text)


def _width() -> int:
    """Columns of the terminal, at least enough for a label and a word."""
    import shutil

    return max(shutil.get_terminal_size().columns, 40)


def _show_listing(listing: Listing) -> None:
    if not listing.rows:
        note(_advice(listing.empty))
    elif is_fancy(sys.stdout):
        _show_table(listing)
    else:
        _show_plain(listing)


def show_cards(listing: Listing) -> None:
    """All of each row, one below the other, on a terminal; for a pipe as every listing."""
    if listing.rows and is_fancy(sys.stdout):
        _show_cards(listing)
    else:
        _show_listing(listing)


def _show_plain(listing: Listing) -> None:
    """One line a row, fields apart by tabs (escape() leaves none inside), under a heading."""
    print("\t".join(column.title.upper().replace(" ", "-") for column in listing.columns))
    for row in listing.rows:
        print("\t".join(escape(cell) if cell else "-" for cell in row))


def _show_table(listing: Listing) -> None:
    """A table where it fits the terminal, else one card a row; columns without content go."""
    listing = listing.short or listing
    rows = [[escape(cell or "") for cell in row] for row in listing.rows]
    laid = lay_out(listing.columns, rows, _width())
    if laid is None:
        _show_cards(listing)
    else:
        titles = [padded(listing.columns[n].title, w) for n, w in zip(*laid)]  # noqa: B905  Python 3.9
        print(styled((" " * GAP).join(titles).rstrip()))
        for row in rows:
            print(_row_of(listing.columns, row, *laid))
    for line in listing.footer.splitlines():
        print(_hanging(line, 0))


def _row_of(
    columns: Sequence[Column], row: Sequence[str], chosen: Sequence[int], widths: Sequence[int]
) -> str:
    last = chosen[-1]
    cells = []
    for n, width in zip(chosen, widths):  # noqa: B905  Python 3.9
        cell = row[n] or "-"
        text = cell if n == last and cell_width(cell) <= width else padded(cell, width)
        cells.append(styled(text, columns[n].style) if columns[n].style else text)
    return (" " * GAP).join(cells)


def _show_cards(listing: Listing) -> None:
    first, *others = (c.title if c.title.isupper() else c.title.lower() for c in listing.columns)
    for row in listing.rows:
        pairs = [(label, cell) for label, cell in zip(others, row[1:]) if cell]  # noqa: B905  Python 3.9
        show_facts(Facts(row[0] or first, pairs))
        print()
