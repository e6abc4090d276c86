"""The drunken bishop: a walk over a small board, steered by a digest, drawn as a picture.

Source: Loss, Limmer, von Gernler, "The drunken bishop: An analysis of the OpenSSH fingerprint
visualization algorithm" (2009).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_WIDTH: Final = 17
_HEIGHT: Final = 9
_SIGNS: Final = " .o+=*BOX@%&#/^"
"""How often a square was visited: never to fourteen times or more."""


def draw(digest: bytes, title: str, footer: str) -> str:
    """The board after the walk, in a frame; eleven lines without a last line end.

    Args:
        digest: the hash of a key, any length.
        title: text in the upper frame, cut at 16 characters as stock OpenSSH cuts it.
        footer: text in the lower frame, likewise.
    """
    visits = [[0] * _WIDTH for _ in range(_HEIGHT)]
    x, y = start = (_WIDTH // 2, _HEIGHT // 2)
    for right, down in _moves(digest):
        x = min(max(x + right, 0), _WIDTH - 1)
        y = min(max(y + down, 0), _HEIGHT - 1)
        visits[y][x] += 1
    squares = [[_SIGNS[min(n, len(_SIGNS) - 1)] for n in row] for row in visits]
    squares[start[1]][start[0]] = "S"
    squares[y][x] = "E"
    rows = [f"|{''.join(row)}|" for row in squares]
    return "\n".join([_border(title), *rows, _border(footer)])


def _moves(digest: bytes) -> Iterator[tuple[int, int]]:
    """Two bits a move, lowest first: one for right or left, one for down or up."""
    for byte in digest:
        for shift in (0, 2, 4, 6):
            yield (byte >> shift & 1) * 2 - 1, (byte >> shift + 1 & 1) * 2 - 1


def _border(text: str) -> str:
    text = text[: _WIDTH - 1]
    left = (_WIDTH - len(text)) // 2
    return "+" + "-" * left + text + "-" * (_WIDTH - len(text) - left) + "+"
