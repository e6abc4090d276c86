"""docs/ctap-checks.md has every check of the authenticator once, with the clause behind it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from tests.conformance import CHECKS, read_checks

from fidokit.virtual.core.profile import Behavior, HidManners

PAGE = Path(__file__).parents[2] / "docs" / "ctap-checks.md"
ROW = re.compile(r"^\| ([A-Z0-9]{2,3}-\d\d) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text())


def test_the_page_has_the_checks_that_tests_name_in_their_order() -> None:
    assert [check for check, _, _ in ROWS] == list(read_checks(CHECKS.read_text()))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_has_an_outcome_and_a_clause(row: tuple[str, str, str]) -> None:
    _, outcome, clause = row
    assert outcome
    assert re.search(r"\d|silent|U2F", clause)


@pytest.mark.parametrize(("name", "kind"), [("Behavior", Behavior), ("HidManners", HidManners)])
def test_choices_that_the_page_names_are_there(name: str, kind: type) -> None:
    known = {field.name for field in fields(kind)}
    named = set(re.findall(rf"{name}\.(\w+)", PAGE.read_text()))
    assert named
    assert named <= known


def test_each_check_has_its_source_once_and_they_are_counted() -> None:
    sources = PAGE.read_text().partition("## What was held against the text")[2]
    kinds = re.findall(r"^### [^\n]+: (\d+)$\n(.+?)(?=^### |\Z)", sources, re.MULTILINE | re.DOTALL)
    named = [re.findall(r"\b[A-Z0-9]{2,3}-\d\d\b", listed) for _, listed in kinds]
    assert [int(count) for count, _ in kinds] == [len(checks) for checks in named]
    assert len(kinds) == 3
    all_named = sorted(check for checks in named for check in checks)
    assert all_named == sorted(check for check, _, _ in ROWS)
