"""Text on a terminal: made harmless, and said beside the result on standard error."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def escape(text: str) -> str:
    """Text from a token or a file, made harmless for a terminal.

    Whatever is not printable (control characters, escape sequences, bidirectional and other
    invisible format characters, line ends, undecodable bytes) is shown as its escape.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def escape_lines(text: str, *, indent: str = "") -> str:
    """As `escape`, but line ends stay; lines after the first are indented."""
    return f"\n{indent}".join(escape(line) for line in text.split("\n"))


def is_fancy(stream: TextIO) -> bool:
    """Whether a person reads this stream on a terminal that can do more than lines."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def note(text: str) -> None:
    """Say something to the person beside the result: on standard error."""
    sys.stderr.write(f"{escape_lines(text)}\n")
