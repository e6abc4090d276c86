"""Reports: hostile text does nothing, whatever a token calls itself."""

from __future__ import annotations

import json

from hwtests.report import Report, Result, cell
from hypothesis import given
from hypothesis import strategies as st

HOSTILE = "\x1b[2J<script>|`rm`\n# head\u202e"


def test_hostile_text_is_one_quiet_cell() -> None:
    page = Report(product=HOSTILE, results=[Result("t::x", "failed", 1.5, reason=HOSTILE)])
    told = page.markdown()
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "\n# head" not in told
    assert "<script>" not in told
    assert "| `t::x` | failed | 1.50 s | 0 | 0 |" in told


def test_json_keeps_it_whole() -> None:
    assert json.loads(Report(product=HOSTILE).json())["token"]["product"] == HOSTILE


@given(st.text())
def test_a_cell_never_ends_its_row(text: str) -> None:
    made = cell(text)
    assert "\n" not in made
    assert "|" not in made.replace("\\|", "")


def test_counts_name_every_outcome() -> None:
    results = [Result("a", "passed", 0), Result("b", "skipped", 0), Result("c", "passed", 0)]
    assert Report(results=results).counts() == {
        "passed": 2,
        "differs": 0,
        "failed": 0,
        "skipped": 1,
    }
