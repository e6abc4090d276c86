"""The page of faults has each of them, by both of its names, with its parameters."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from fidokit.lab.fault_words import FAULTS

PAGE = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()


def test_every_fault_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| `(\w+)` \| (.*?)\| .* \|$", PAGE, re.MULTILINE)
    shown = {name: (kind, re.findall(r"`(\w+)`", given)) for name, kind, given in rows}
    assert shown == {
        name: (kind.__name__, [each.name for each in fields(kind)]) for name, kind in FAULTS.items()
    }


def test_the_python_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "docs/faults.md", "exec"), names)
    assert "token" in names
