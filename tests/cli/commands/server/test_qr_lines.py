"""QR codes of `otp enroll` on terminals: what is shown, read back as a camera would."""

from __future__ import annotations

import io
import re
import sys

import pytest

from fidokit.cli.commands.server.otp import QR_MARGIN, qr_lines
from fidokit.server.otp.enrollment import qr_code

CODE = qr_code("otpauth://totp/a:b?secret=AAAQEAYEAUDAOCAJ&issuer=a")
COLORED = re.compile(r"\x1b\[38;5;231;48;5;16m(.*)\x1b\[0m")
SPACES = re.compile(r"\x1b\[48;5;(16|231)m( +)\x1b\[0m")
LIGHT, DARK = {"COLORFGBG": "0;15"}, {"COLORFGBG": "15;0"}


class Screen(io.TextIOWrapper):
    """A terminal, or a pipe."""

    def __init__(self, encoding: str, *, tty: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


def lines(
    monkeypatch: pytest.MonkeyPatch, encoding: str, *, tty: bool, **environ: str
) -> list[str]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Screen(encoding, tty=tty))
    return qr_lines(CODE, environ)


def framed() -> list[bytes]:
    side = bytes(QR_MARGIN)
    rows = [side + bytes(row) + side for row in CODE.matrix]
    blank = [bytes(len(rows[0]))] * QR_MARGIN
    return [*blank, *rows, *blank]


def seen(shown: list[str], drawn: int) -> list[bytes]:
    """The modules of block letters; those that the last line has too many are gone."""
    rows = []
    for line in shown:
        bits = [" \u2584\u2580\u2588".index(letter) for letter in line]
        rows += [bytes(drawn if bit & half else 1 - drawn for bit in bits) for half in (2, 1)]
    return rows[: len(framed())]


def test_colors_that_no_theme_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [COLORED.fullmatch(line) for line in lines(monkeypatch, "utf-8", tty=True)]
    assert seen([match[1] for match in found if match], 0) == framed()
    assert all(found)


def test_spaces_where_there_are_no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lines(monkeypatch, "ascii", tty=True)
    assert all(line.isascii() for line in shown)
    assert not any(re.sub(SPACES, "", line) for line in shown)
    cells = [SPACES.findall(line) for line in shown]
    rows = [b"".join(bytes([c == "16"]) * (len(s) // 2) for c, s in line) for line in cells]
    assert rows == framed()


@pytest.mark.parametrize(
    ("tty", "environ", "drawn"),
    [
        (True, {"NO_COLOR": "1"}, 0),
        (True, {"NO_COLOR": "1", **DARK}, 0),
        (True, {"NO_COLOR": "1", **LIGHT}, 1),
        (True, {"NO_COLOR": "1", "COLORFGBG": "0;default;7"}, 1),
        (True, {"NO_COLOR": "1", "COLORFGBG": "12;8"}, 0),
        (True, {"NO_COLOR": "1", "COLORFGBG": "x"}, 0),
        (False, {}, 0),
        (False, LIGHT, 1),
    ],
)
def test_blocks_without_colors(
    monkeypatch: pytest.MonkeyPatch, tty: bool, environ: dict[str, str], drawn: int
) -> None:
    assert seen(lines(monkeypatch, "utf-8", tty=tty, **environ), drawn) == framed()


def test_nothing_rather_than_what_no_phone_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(monkeypatch, "ascii", tty=False) == []
