"""QR codes of `otp enroll`, read by a stock program as a phone reads them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fidokit.cli.commands.server.otp import qr_lines
from fidokit.server.otp.enrollment import OtpRequest, plan_otp, qr_code, write_qr

pytestmark = pytest.mark.interop

URI = (
    "otpauth://totp/ex%C3%A4mple.org:charlie%40ex%C3%A4mple.org"
    "?secret=AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT&issuer=ex%C3%A4mple.org"
)
CELL = re.compile(r"\x1b\[([0-9;]*)m([^\x1b]*)")
DARK, LIGHT = b"\0", b"\xff"
SCALE = 6
"""Pixels a module."""


@pytest.fixture
def scan(stock: Callable[[str], str]) -> Callable[[Path], str]:
    """What a reader of QR codes finds in a picture."""
    program = stock("zbarimg")

    def read(picture: Path) -> str:
        command: list[str | Path] = [
            program,
            "--quiet",
            "--raw",
            "--oneshot",
            "-Sqrcode.enable",
            picture,
        ]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        return done.stdout.decode().rstrip("\n")

    return read


def test_the_file(tmp_path: Path, scan: Callable[[Path], str]) -> None:
    write_qr(URI, tmp_path / "code.png")
    assert scan(tmp_path / "code.png") == URI


@pytest.mark.parametrize("label", ["a", "x" * 100])
def test_what_enroll_makes(
    tmp_path: Path, scan: Callable[[Path], str], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = plan_otp(OtpRequest(label=label, issuer=label))
    write_qr(plan.uri, tmp_path / "code.png")
    assert scan(tmp_path / "code.png") == plan.uri


class Screen(io.TextIOWrapper):
    """A terminal of an encoding, or a pipe."""

    def __init__(self, encoding: str, *, tty: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize("ground", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_terminal(
    tmp_path: Path,
    scan: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    ground: bytes,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Screen(encoding, tty=True))
    rows = [
        row
        for line in qr_lines(qr_code(URI), {})
        for row in pixels(line, ground, encoding == "utf-8")
    ]
    picture = tmp_path / "terminal.pgm"
    picture.write_bytes(graymap(rows, ground))
    assert scan(picture) == URI


@pytest.mark.parametrize("ground", [DARK, LIGHT], ids=["dark", "light"])
def test_the_terminal_without_colors(
    tmp_path: Path, scan: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch, ground: bytes
) -> None:
    monkeypatch.setattr(sys, "stdout", Screen("utf-8", tty=False))
    environ = {"COLORFGBG": "15;0" if ground == DARK else "0;15"}
    rows = [row for line in qr_lines(qr_code(URI), environ) for row in pixels(line, ground)]
    picture = tmp_path / "terminal.pgm"
    picture.write_bytes(graymap(rows, ground))
    assert scan(picture) == URI


def pixels(line: str, ground: bytes, blocks: bool = True) -> list[bytes]:
    """The rows of pixels of a line: two, or one where a module is two spaces.

    Args:
        ground: the terminal's; its letters are the other.
        blocks: the line is of block letters.
    """
    shades = {"16": DARK, "231": LIGHT}
    usual = (LIGHT if ground == DARK else DARK, ground)
    rows = [b"", b""]
    runs = CELL.findall(line) if line.startswith("\x1b") else [("", line)]
    for sgr, letters in runs:
        ink = re.search(r"38;5;(\d+)", sgr)
        paper = re.search(r"48;5;(\d+)", sgr)
        colors = (shades[ink[1]] if ink else usual[0], shades[paper[1]] if paper else usual[1])
        rows[0] += b"".join(colors[letter not in "\u2580\u2588"] for letter in letters)
        rows[1] += b"".join(colors[letter not in "\u2584\u2588"] for letter in letters)
    return rows if blocks else [rows[0][::2]]


def graymap(rows: list[bytes], ground: bytes) -> bytes:
    """A picture in the PGM format, with the terminal around it."""
    wide = [bytes(pixel for pixel in row for _ in range(SCALE)) for row in rows]
    edge = ground * (3 * SCALE)
    blank = [ground * (len(wide[0]) + 2 * len(edge))] * len(edge)
    lines = [*blank, *(edge + row + edge for row in wide for _ in range(SCALE)), *blank]
    return b"P5 %d %d 255\n" % (len(lines[0]), len(lines)) + b"".join(lines)
