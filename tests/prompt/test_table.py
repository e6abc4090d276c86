"""Tables fit their terminal: cells are cut, columns left out, and else there is none."""

from __future__ import annotations

import pytest

from fidokit.prompt.table import Column, cell_width, lay_out, padded

COLUMNS = (Column("Key", least=6), Column("Type", drop=1), Column("File", least=4))
ROWS = [["a long name", "ed25519-sk", "a-file"], ["b", "ecdsa-sk", ""]]


@pytest.mark.parametrize(
    ("room", "chosen", "widths"),
    [
        (80, (0, 1, 2), (11, 10, 6)),
        (31, (0, 1, 2), (11, 10, 6)),
        (28, (0, 1, 2), (8, 10, 6)),
        (24, (0, 1, 2), (6, 10, 4)),
        (23, (0, 2), (11, 6)),
        (12, (0, 2), (6, 4)),
    ],
)
def test_what_fits(room: int, chosen: tuple[int, ...], widths: tuple[int, ...]) -> None:
    laid = lay_out(COLUMNS, ROWS, room)
    assert laid == (chosen, widths)
    assert sum(widths) + 2 * (len(widths) - 1) <= room


def test_what_does_not_fit_is_no_table() -> None:
    assert lay_out(COLUMNS, ROWS, 11) is None


def test_columns_without_content_are_left_out() -> None:
    assert lay_out(COLUMNS, [["a", "", "f"]], 80) == ((0, 2), (3, 4))


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("name", 6, "name  "),
        ("a longer name", 8, "a lon..."),
        ("\u540d\u524d", 6, "\u540d\u524d  "),
        ("\u540d\u524d\u540d\u524d", 6, "\u540d... "),
        ("e\u0301t\u00e9", 5, "e\u0301t\u00e9  "),
    ],
)
def test_cells_take_their_width(text: str, width: int, shown: str) -> None:
    assert padded(text, width) == shown
    assert cell_width(padded(text, width)) == width
