"""Writes docs/quirks.md from the catalog: `make docs`."""

from __future__ import annotations

from pathlib import Path

from tests.virtual.quirks.seen import seen_of

from fidokit.virtual.quirks.choice import list_presets, list_quirks

PAGE = Path(__file__).parents[3] / "docs" / "quirks.md"

_HEAD = """# Quirks

A virtual token with a quirk departs from CTAP's text, or decides what the text leaves open, as real
firmware was seen to: `fidokit virtual create NAME --quirk QUIRK`, or in Python
`VirtualToken(quirks=[...])`. [Virtual tokens](virtual-token.md) has examples. This page is made
from the catalog by `make docs`.

The firmwares were compiled for Linux and tried in November 2026, over HID and PC/SC; what is known
from public trackers alone is marked in the second table. A quirk without a firmware was reported
without one.

## Quirks

A token with it ... The numbers are sections of CTAP 2.3. The last column is what a life of keys
shows (make, use, list, download, rename, delete, change the PIN, settings, reset), which a test
lives on each quirk and each preset.

| quirk | what it does | seen in | text | what a user of fidokit sees |
|---|---|---|---|---|
"""

_PRESETS = """
## Presets

The name of a firmware stands for everything that was seen of it.

| preset | firmware | quirks |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    quirks = "".join(
        f"| `{quirk.name}` | {quirk.effect} | {', '.join(quirk.firmwares) or 'a report'} "
        f"| {quirk.text} | {seen_of(quirk.name).note} |\n"
        for quirk in list_quirks()
    )
    presets = "".join(
        f"| `{preset.name}` | {preset.firmware} | {', '.join(preset.quirks)} |\n"
        for preset in list_presets()
    )
    return _HEAD + quirks + _PRESETS + presets


if __name__ == "__main__":
    PAGE.write_text(page())
