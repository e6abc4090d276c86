"""The documents of the command say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from fidokit import errors
from fidokit.cli import schema

DOCS = Path(__file__).parents[2] / "docs"


def kinds() -> dict[str, int]:
    found = [v for v in vars(errors).values() if isinstance(v, type)]
    return {c.__name__: int(c.exit_code) for c in found if issubclass(c, errors.FidokitError)}


def test_every_error_stands_in_the_row_of_its_status() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", (DOCS / "errors.md").read_text(), re.MULTILINE)
    documented = {kind: int(code) for code, names in rows for kind in re.findall(r"`(\w+)`", names)}
    assert documented == kinds()


def test_every_shape_of_the_schema_is_documented() -> None:
    text = (DOCS / "json.md").read_text()
    source = Path(schema.__file__).read_text()
    members = set(re.findall(r'^ +"(\w+)":', source, re.MULTILINE))
    assert members
    assert [name for name in sorted(members) if f'"{name}"' not in text] == []
