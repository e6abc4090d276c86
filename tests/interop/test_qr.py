"""QR codes of `otp enroll`, read by a stock program as a phone reads them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fidokit.cli import qr
from fidokit.cli.qr import Look
from fidokit.server.otp.enrollment import OtpRequest, plan_otp, qr_matrix, write_qr

pytestmark = pytest.mark.interop

URI = (
    "otpauth://totp/ex%C3%A4mple.org:charlie%40ex%C3%A4mple.org"
    "?secret=AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT&issuer=ex%C3%A4mple.org"
)
GROUND = re.compile(r"\x1b\[(?:38;5;(\d+);)?48;5;(\d+)m(\u2580|  )")
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


@pytest.mark.parametrize("how", [look for look in Look if look is not Look.NONE])
def test_the_terminal(tmp_path: Path, scan: Callable[[Path], str], how: Look) -> None:
    lines = qr.lines(qr_matrix(URI), how)
    if how in (Look.HALF_BLOCKS, Look.SPACES):
        rows = [row for line in lines for row in colored(line)]
    else:
        drawn, ground = (LIGHT, DARK) if how is Look.BLOCKS_ON_DARK else (DARK, LIGHT)
        rows = [row for line in lines for row in plain(line, drawn, ground)]
    picture = tmp_path / "terminal.pgm"
    picture.write_bytes(graymap(rows))
    assert scan(picture) == URI


def colored(line: str) -> list[bytes]:
    """The rows of pixels of a line whose cells have colors of their own."""
    cells = GROUND.findall(line)
    shade = {"16": DARK, "231": LIGHT}
    if cells[0][2] == "  ":
        return [b"".join(shade[ground] for _, ground, _ in cells)]
    upper = b"".join(shade[letter] for letter, _, _ in cells)
    return [upper, b"".join(shade[ground] for _, ground, _ in cells)]


def plain(line: str, drawn: bytes, ground: bytes) -> list[bytes]:
    """The rows of pixels of a line of block letters."""
    upper = b"".join(drawn if letter in "\u2580\u2588" else ground for letter in line)
    return [upper, b"".join(drawn if letter in "\u2584\u2588" else ground for letter in line)]


def graymap(rows: list[bytes]) -> bytes:
    """A picture in the PGM format, with the terminal around it as dark as terminals are."""
    wide = [bytes(pixel for pixel in row for _ in range(SCALE)) for row in rows]
    edge = bytes(3 * SCALE)
    blank = [bytes(len(wide[0]) + 2 * len(edge))] * len(edge)
    lines = [*blank, *(edge + row + edge for row in wide for _ in range(SCALE)), *blank]
    return b"P5 %d %d 255\n" % (len(lines[0]), len(lines)) + b"".join(lines)
