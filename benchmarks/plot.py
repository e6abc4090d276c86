"""The table of results as a picture: how long ours takes beside each other program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from math import log10
from pathlib import Path
from typing import NamedTuple

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "benchmarks.svg"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| ([\d.]+)x \|", re.MULTILINE)
NO_PROGRAM = re.compile(r"ceiling|a second|^among|^of 1,000|in memory")
"""What stands beside ours where that is a goal, or ours with fewer keys."""

WIDTH, LEFT, HIGH, TOP, BOTTOM = 900, 470, 22, 64, 16
LEAST, MOST = 0.004, 6.0
TICKS = (0.01, 0.1, 1.0)


class Bar(NamedTuple):
    """One row that compares ours with a program of somebody else."""

    what: str
    ours: str
    beside: str
    theirs: str
    ratio: float


def bars(page: str) -> list[Bar]:
    """Read the rows of a page that compare programs, the fastest of ours first."""
    found = [Bar(a, b, c, d, float(ratio)) for a, b, c, d, ratio in ROW.findall(page)]
    return sorted(
        (bar for bar in found if not NO_PROGRAM.search(bar.beside)), key=lambda bar: bar.ratio
    )


def draw(page: str) -> str:
    """Return the picture of a page's table; ValueError if nothing in it compares programs."""
    shown = bars(page)
    if not shown:
        raise ValueError("the page compares no programs")
    return "\n".join(_picture(shown)) + "\n"


def _at(ratio: float) -> float:
    share = log10(max(ratio, LEAST) / LEAST) / log10(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - 70)


def _picture(shown: list[Bar]) -> Iterator[str]:
    height = TOP + HIGH * len(shown) + BOTTOM
    yield f'<svg viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg" role="img">'
    yield "<style>text { font: 12px sans-serif; fill: #d9d9d9; } .head { font-weight: bold; }"
    yield ".small { fill: #999; font-size: 11px; }</style>"
    yield f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#0c0c0c"/>'
    yield '<text class="head" x="16" y="26">fidokit: its time as a share of another\'s</text>'
    for tick in TICKS:
        at = f"{_at(tick):.0f}"
        yield f'<text class="small" x="{at}" y="48" text-anchor="middle">{tick:g}x</text>'
        yield (
            f'<path d="M{at} 54V{height - BOTTOM}" stroke="#d9d9d9" '
            f'stroke-opacity="{0.6 if tick == 1 else 0.15}"/>'
        )
    for number, bar in enumerate(shown):
        yield from _bar(bar, TOP + HIGH * number)
    yield "</svg>"


def _bar(bar: Bar, top: int) -> Iterator[str]:
    color = "#26a69a" if bar.ratio <= 1 else "#ff9e4a"
    words = f"{escape(bar.what)} <tspan class='small'>/ {escape(bar.beside)}</tspan>"
    end = _at(bar.ratio)
    yield f'<text x="{LEFT - 10}" y="{top + 14}" text-anchor="end">{words}</text>'
    yield f'<rect x="{LEFT}" y="{top + 3}" width="{end - LEFT:.1f}" height="15" fill="{color}">'
    yield f"<title>{escape(bar.ours)} beside {escape(bar.theirs)}</title></rect>"
    ratio = f"{bar.ratio:.2f}x" if bar.ratio >= 0.01 else "under 0.01x"
    yield f'<text class="small" x="{end + 6:.0f}" y="{top + 14}">{ratio}</text>'
