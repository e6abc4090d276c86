"""QR codes on terminals: what is shown, read back as a camera would."""

from __future__ import annotations

import io
import re
import sys

import pytest

from fidokit.cli import qr
from fidokit.cli.qr import Look

ROWS = [b"\1\0\1", b"\0\1\0", b"\1\1\0"]
CELL = re.compile(r"\x1b\[38;5;(\d+);48;5;(\d+)m(.)")
SPACE = re.compile(r"\x1b\[48;5;(\d+)m  ")
BLACK, WHITE = "16", "231"


class Screen(io.TextIOWrapper):
    """A terminal, or a pipe."""

    def __init__(self, encoding: str, *, tty: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


def framed() -> list[bytes]:
    side = bytes(qr.MARGIN)
    blank = bytes(3 + 2 * qr.MARGIN)
    return [blank] * 2 + [side + row + side for row in ROWS] + [blank] * 2


def seen_of_blocks(lines: list[str], drawn: int) -> list[bytes]:
    rows = []
    for line in lines:
        bits = [" \u2584\u2580\u2588".index(letter) for letter in line]
        rows += [bytes(drawn if bit & half else 1 - drawn for bit in bits) for half in (2, 1)]
    return rows


def test_colors_of_its_own() -> None:
    rows = []
    for line in qr.lines(ROWS, Look.HALF_BLOCKS):
        cells = CELL.findall(line)
        assert line.endswith("\x1b[0m")
        assert {letter for _, _, letter in cells} == {"\u2580"}
        rows += [bytes(c[half] == BLACK for c in cells) for half in (0, 1)]
        assert {c[half] for c in cells for half in (0, 1)} <= {BLACK, WHITE}
    assert rows == [*framed(), bytes(7)]


def test_spaces_where_there_are_no_blocks() -> None:
    rows = [bytes(c == BLACK for c in SPACE.findall(line)) for line in qr.lines(ROWS, Look.SPACES)]
    assert rows == framed()
    assert all(line.isascii() for line in qr.lines(ROWS, Look.SPACES))


@pytest.mark.parametrize(("how", "drawn"), [(Look.BLOCKS_ON_DARK, 0), (Look.BLOCKS_ON_LIGHT, 1)])
def test_blocks_without_colors(how: Look, drawn: int) -> None:
    shown = qr.lines(ROWS, how)
    assert not any("\x1b" in line for line in shown)
    assert seen_of_blocks(shown, drawn) == [*framed(), bytes(7)]


def test_nothing_rather_than_what_no_phone_reads() -> None:
    assert qr.lines(ROWS, Look.NONE) == []


@pytest.mark.parametrize("how", [Look.HALF_BLOCKS, Look.SPACES, Look.BLOCKS_ON_DARK])
def test_width(how: Look) -> None:
    line = re.sub(r"\x1b\[[0-9;]*m", "", qr.lines(ROWS, how)[0])
    assert len(line) == qr.width(ROWS, how)


@pytest.mark.parametrize(
    ("encoding", "tty", "environ", "expected"),
    [
        ("utf-8", True, {}, Look.HALF_BLOCKS),
        ("ascii", True, {}, Look.SPACES),
        ("utf-8", True, {"NO_COLOR": "1"}, Look.BLOCKS_ON_DARK),
        ("utf-8", True, {"NO_COLOR": "1", "COLORFGBG": "15;0"}, Look.BLOCKS_ON_DARK),
        ("utf-8", True, {"NO_COLOR": "1", "COLORFGBG": "0;15"}, Look.BLOCKS_ON_LIGHT),
        ("utf-8", True, {"NO_COLOR": "1", "COLORFGBG": "0;default;7"}, Look.BLOCKS_ON_LIGHT),
        ("utf-8", True, {"NO_COLOR": "1", "COLORFGBG": "12;8"}, Look.BLOCKS_ON_DARK),
        ("utf-8", True, {"NO_COLOR": "1", "COLORFGBG": "x"}, Look.BLOCKS_ON_DARK),
        ("utf-8", False, {}, Look.BLOCKS_ON_DARK),
        ("ascii", False, {}, Look.NONE),
    ],
)
def test_what_a_terminal_can_show(
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    tty: bool,
    environ: dict[str, str],
    expected: Look,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Screen(encoding, tty=tty))
    assert qr.look(environ) is expected
