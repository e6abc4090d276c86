"""Text on a terminal: made harmless, and said beside the result on standard error."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO


def escape(text: str) -> str:
    """Text from a token or a file, made harmless for a terminal.

    Whatever is not printable (control characters, escape sequences, bidirectional and other
    invisible format characters, line ends, undecodable bytes) is shown as its escape.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def escape_but_bytes(text: str) -> str:
    """Text as `escape` makes it; bytes that are not UTF-8 stay (PEP 383). Not for a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or _is_byte(c) else _escaped(c) for c in text)


def _is_byte(sign: str) -> bool:
    return "\udc80" <= sign <= "\udcff"


def _escaped(sign: str) -> str:
    if _is_byte(sign):
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode("ascii")


def escape_lines(text: str, *, indent: str = "") -> str:
    """As `escape`, but line ends stay; lines after the first are indented."""
    return f"\n{indent}".join(escape(line) for line in text.split("\n"))


def count(number: int, thing: str) -> str:
    """A number of things, such as "1 key" and "2,000 keys"; the plural is formed by an s."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def is_fancy(stream: TextIO) -> bool:
    """Whether a user reads this stream on a terminal that can do more than lines."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


BOLD: Final = "1"
GOOD: Final = "38;5;29"
BAD: Final = "38;5;131"
DOUBT: Final = "38;5;163"
FAINT: Final = "38;5;243"
PALETTE: Final = (GOOD, BAD, DOUBT, FAINT)
"""Colors (SGR) that read on white and on black: of the 256 that are the same on each terminal,
with a contrast of 4.5 or more to both (WCAG 2.1, 1.4.3), which none of the first 16 promises."""


def colored(text: str, sgr: str, stream: TextIO) -> str:
    """Bold or in a color on a terminal that may have it; else as it is.

    Args:
        text: harmless already.
        sgr: BOLD, or one of PALETTE.
        stream: where it goes.
    """
    if not is_fancy(stream) or os.environ.get("NO_COLOR") or not (sgr == BOLD or _many_colors()):
        return text
    return f"\x1b[{sgr}m{text}\x1b[0m"


def _many_colors() -> bool:
    return "256color" in os.environ.get("TERM", "") or bool(os.environ.get("COLORTERM"))


def note(text: str) -> None:
    """Say something to the user beside the result: on standard error."""
    text = escape_lines(text)
    if is_fancy(sys.stderr):
        text = fitted(text, columns(sys.stderr))
    sys.stderr.write(f"{text}\n")


def fitted(text: str, width: int) -> str:
    """Lines broken at words where they are wider than `width`; those that go on are as far in.

    A command between backticks stays whole, so that it can be copied.
    """
    return "\n".join(
        line if len(line) <= width else "\n".join(_broken(line, width)) for line in text.split("\n")
    )


_NO_BREAK = "\u00a0"


def _broken(line: str, width: int) -> list[str]:
    parts = line.split("`")
    whole = "`".join(p.replace(" ", _NO_BREAK) if n % 2 else p for n, p in enumerate(parts))
    indent = " " * (len(line) - len(line.lstrip()))
    lines = wrapped(whole.strip(), width - len(indent))
    return [indent + one.replace(_NO_BREAK, " ") for one in lines]


_USUAL = 80
_NARROWEST = 20


def columns(terminal: TextIO | int) -> int:
    """How wide a terminal is, a stream or a descriptor; 80 if it does not tell."""
    try:
        descriptor = terminal if isinstance(terminal, int) else terminal.fileno()
        return max(os.get_terminal_size(descriptor).columns or _USUAL, _NARROWEST)
    except (OSError, ValueError):
        return _USUAL


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at words; what has no blanks stays whole."""
    import textwrap

    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
