"""The picture of the benchmarks: of the rows that compare programs, as the page has them now."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.plot import PICTURE, bars, draw

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = "| what | ours | beside | theirs | ratio | goal | met |\n|---|---:|---|---:|---:|---|---|\n"


def test_committed_picture_shows_the_table() -> None:
    """`make bench` draws it."""
    assert PICTURE.read_text() == draw(PAGE.read_text())


def test_rows_beside_no_program_are_left_out() -> None:
    page = HEAD + (
        "| a <list> | 1.0 ms | ssh-agent | 2.0 ms | 0.50x | <= 1.00x | yes |\n"
        "| memory | 1.0 MB | ceiling | 2.0 MB | 0.50x | <= 1.00x | yes |\n"
        "| start | 9.0 ms | click | 3.0 ms | 3.00x | <= 1.00x | **no** |\n"
    )
    assert [(bar.what, bar.ratio) for bar in bars(page)] == [("a <list>", 0.5), ("start", 3.0)]
    root = ElementTree.fromstring(draw(page))
    texts = (each for each in root.iter() if each.tag.endswith("}text"))
    shown = {"".join(each.itertext()) for each in texts}
    assert {"a <list> / ssh-agent", "start / click", "0.50x", "3.00x"} <= shown


def test_a_page_without_results_is_told_of() -> None:
    with pytest.raises(ValueError, match="compares no programs"):
        draw(HEAD)


def test_slower_rows_are_not_hidden() -> None:
    everything = bars(PAGE.read_text())
    assert any(bar.ratio > 1 for bar in everything)
    assert draw(PAGE.read_text()).count("#ff9e4a") == sum(bar.ratio > 1 for bar in everything)
