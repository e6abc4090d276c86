"""The page of results: the table, the machine's facts, and nothing else changed."""

from __future__ import annotations

import datetime
import os
import socket
from pathlib import Path

import pytest
from benchmarks.timing import Result

from benchmarks import report

DAY = datetime.date(2026, 11, 22)
GOOD = Result("start", 0.050, "hello", 0.050, 1.25)
BAD = Result("list", 1.5, "hello", 0.5, 2.6)
MEMORY = Result("peak", 32.0, "ceiling", 64.0, 1.0, unit="MB")
PAGE = f"# Title\n\nText.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n"


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (1.5, "s", "1.50 s"),
        (0.0502, "s", "50.2 ms"),
        (12.34e-6, "s", "12.3 µs"),
        (5e-9, "s", "5 ns"),
        (48.25, "MB", "48.2 MB"),
    ],
)
def test_value(amount: float, unit: str, text: str) -> None:
    assert report.value(amount, unit) == text


def test_row_of_a_goal_met_and_of_one_missed() -> None:
    assert report.row(GOOD) == "| start | 50.0 ms | hello | 50.0 ms | 1.00x | <= 1.25x | yes |"
    assert report.row(BAD) == "| list | 1.50 s | hello | 500.0 ms | 3.00x | <= 2.60x | **no** |"
    assert report.row(MEMORY) == "| peak | 32.0 MB | ceiling | 64.0 MB | 0.50x | <= 1.00x | yes |"


@pytest.mark.interop
def test_rewrite_replaces_the_results_alone() -> None:
    page = report.rewrite(PAGE, [GOOD, BAD], DAY)
    assert page.startswith("# Title\n\nText.\n\n")
    assert page.endswith(f"{report.END}\n\nAfter.\n")
    assert "old" not in page
    assert report.row(GOOD) in page
    assert "measured on 2026-11-22" in page


@pytest.mark.interop
def test_rewrite_twice_is_rewrite_once() -> None:
    once = report.rewrite(PAGE, [GOOD], DAY)
    assert report.rewrite(once, [GOOD], DAY) == once


@pytest.mark.interop
def test_facts_do_not_name_the_machine() -> None:
    text = "\n".join(report.facts(DAY))
    assert f"{os.cpu_count()} cores" in text
    assert "OpenSSH" in text
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text


def test_page_without_a_place_for_results_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        report.rewrite("# Title\n", [GOOD], DAY)


@pytest.mark.interop
def test_our_own_page_has_the_place() -> None:
    page = (Path(__file__).parents[2] / "docs/benchmarks.md").read_text()
    assert report.row(GOOD) in report.rewrite(page, [GOOD], DAY)
