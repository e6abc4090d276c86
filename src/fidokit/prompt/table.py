"""A table on a terminal: one line a row, made to fit, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

GAP: Final = 2
_CUT: Final = "..."


class Column(NamedTuple):
    """A column of a listing.

    Args:
        title: its heading.
        style: bold, or a color (an SGR number) on a terminal.
        least: what its cells may be cut to where room is short, in columns; 0 for never.
        drop: how soon it is left out where cutting does not help, 1 first; 0 for never.
    """

    title: str
    style: str = ""
    least: int = 0
    drop: int = 0


class Laid(NamedTuple):
    """What fits: the numbers of the columns, and how wide each is."""

    chosen: tuple[int, ...]
    widths: tuple[int, ...]


def cell_width(text: str) -> int:
    """How many columns a text takes; signs of East Asia take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    marks = sum(unicodedata.combining(sign) > 0 for sign in text)
    return len(text) + wide - marks


def padded(text: str, width: int) -> str:
    """A text cut or filled to `width` columns."""
    if cell_width(text) > width:
        while text and cell_width(text) > width - len(_CUT):
            text = text[:-1]
        text += _CUT
    return text + " " * (width - cell_width(text))


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> Laid | None:
    """How a table fits into `room` columns; None if it does not.

    Columns without content are left out.
    """
    filled = [n for n in range(len(columns)) if any(row[n] for row in rows)]
    wanted = {n: max(cell_width(row[n]) for row in rows) for n in filled}
    for n in filled:
        wanted[n] = max(wanted[n], cell_width(columns[n].title))
    while filled:
        laid = _squeezed(columns, filled, wanted, room)
        if laid is not None:
            return laid
        droppable = [n for n in filled if columns[n].drop]
        if not droppable:
            return None
        filled.remove(min(droppable, key=lambda n: columns[n].drop))
    return None


def _squeezed(
    columns: Sequence[Column], chosen: Sequence[int], wanted: dict[int, int], room: int
) -> Laid | None:
    widths = {n: wanted[n] for n in chosen}
    over = sum(widths.values()) + GAP * (len(chosen) - 1) - room
    while over > 0:
        loose = [n for n in chosen if columns[n].least and widths[n] > columns[n].least]
        if not loose:
            return None
        widths[max(loose, key=lambda n: widths[n])] -= 1
        over -= 1
    return Laid(tuple(chosen), tuple(widths[n] for n in chosen))
