"""Our client lives the whole life of keys on each quirk and each preset."""

from __future__ import annotations

import pytest
from tests.support.sandbox import Sandbox
from tests.virtual.quirks.life import live
from tests.virtual.quirks.seen import SEEN, seen_of

from fidokit.virtual.quirks.catalog import PRESETS, QUIRKS

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", ["", *QUIRKS])
def test_a_life_on_each_quirk(sandbox: Sandbox, name: str) -> None:
    lived, seen = live(sandbox, *filter(None, [name])), seen_of(name)
    assert lived.failed == seen.failed, lived.said
    if seen.step:
        assert seen.said in lived.said[seen.step]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_life_on_each_preset(sandbox: Sandbox, preset: str) -> None:
    """A step fails exactly where a quirk of the firmware makes it fail."""
    names = PRESETS[preset]
    failed = {step: s for name in names for step, s in seen_of(name).failed.items()}
    if "pin-turns-on-always-uv" in names:  # nothing is left to switch on
        failed.pop("always-uv on", None)
    lived = live(sandbox, preset)
    assert lived.failed == failed, lived.said


def test_what_is_seen_is_of_quirks_that_there_are() -> None:
    assert SEEN.keys() <= QUIRKS.keys()
