"""A QR code on a terminal, dark on light whatever the terminal's colors are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto

from fidokit.prompt.text import is_fancy

MARGIN = 2
"""Light modules around; the standard's 4 would not fit 24 lines, and phones do with 2."""

_DARK, _LIGHT = 16, 231  # of the 256 colors those two that no theme changes


class Look(Enum):
    """What a terminal can show."""

    HALF_BLOCKS = auto()
    """Two modules a letter, in colors of their own."""

    SPACES = auto()
    """A module is two spaces on a colored ground: no letters beyond ASCII."""

    BLOCKS_ON_DARK = auto()
    """No colors: what is light is drawn, because the terminal is dark."""

    BLOCKS_ON_LIGHT = auto()
    """No colors: what is dark is drawn."""

    NONE = auto()
    """Neither colors nor blocks: nothing that a phone could read."""


def look(environ: Mapping[str, str] = os.environ) -> Look:
    """What standard output can show."""
    colors = is_fancy(sys.stdout) and not environ.get("NO_COLOR")
    blocks = _can_print("\u2580\u2584\u2588")
    if colors:
        return Look.HALF_BLOCKS if blocks else Look.SPACES
    if not blocks:
        return Look.NONE
    return Look.BLOCKS_ON_LIGHT if _is_light(environ) else Look.BLOCKS_ON_DARK


def lines(rows: Sequence[bytes], how: Look) -> list[str]:
    """The lines to print; none for `Look.NONE`.

    Args:
        rows: 1 for dark and 0 for light, without a margin.
        how: see there.
    """
    framed = _framed(rows)
    if how is Look.NONE:
        return []
    if how is Look.SPACES:
        return [_spaces(row) for row in framed]
    framed += [bytes(len(framed[0]))] * (len(framed) % 2)
    pairs = zip(framed[::2], framed[1::2], strict=True)
    if how is Look.HALF_BLOCKS:
        return [_colored(upper, lower) for upper, lower in pairs]
    drawn = 1 if how is Look.BLOCKS_ON_LIGHT else 0
    return ["".join(_plain(upper, lower, drawn)) for upper, lower in pairs]


def width(rows: Sequence[bytes], how: Look) -> int:
    """Columns that `lines` takes."""
    return (len(rows) + 2 * MARGIN) * (2 if how is Look.SPACES else 1)


def _framed(rows: Sequence[bytes]) -> list[bytes]:
    side = bytes(MARGIN)
    edge = [bytes(len(rows) + 2 * MARGIN)] * MARGIN
    return [*edge, *(side + row + side for row in rows), *edge]


def _colored(upper: bytes, lower: bytes) -> str:
    cells = (
        f"\x1b[38;5;{_DARK if above else _LIGHT};48;5;{_DARK if below else _LIGHT}m\u2580"
        for above, below in zip(upper, lower, strict=True)
    )
    return "".join(cells) + "\x1b[0m"


def _spaces(row: bytes) -> str:
    return "".join(f"\x1b[48;5;{_DARK if dark else _LIGHT}m  " for dark in row) + "\x1b[0m"


def _plain(upper: bytes, lower: bytes, drawn: int) -> Iterator[str]:
    for above, below in zip(upper, lower, strict=True):
        yield " \u2584\u2580\u2588"[2 * (above == drawn) + (below == drawn)]


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _is_light(environ: Mapping[str, str]) -> bool:
    """Whether the terminal says that its ground is light: COLORFGBG, such as 0;15."""
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    return ground == "7" or (ground.isdigit() and 9 <= int(ground) <= 15)
