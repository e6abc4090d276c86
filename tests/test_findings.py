"""The registry of findings: ids that are stable and explained, and no others on the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fidokit import findings
from fidokit.findings import DOCTOR, KINDS, FindingKind

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/findings.md").read_text()
SECTIONS = dict(re.findall(r"^### (FK\d{3}): (.+)$", PAGE, re.MULTILINE))
SOURCES = sorted((ROOT / "src/fidokit").rglob("*.py"))


def test_the_page_explains_each_and_nothing_else() -> None:
    assert {kind.id: kind.title for kind in KINDS.values()} == SECTIONS
    assert list(SECTIONS) == sorted(SECTIONS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.id)
def test_the_page_says_how_bad_it_is(kind: FindingKind) -> None:
    _, _, after = PAGE.partition(f"### {kind.id}: ")
    said = after.partition("### ")[0].split("\n\n", 1)[1]
    assert said.strip()
    if kind.id < "FK4":
        assert said.startswith(f"{str(kind.severity).capitalize()}.")


def test_ids_are_grouped() -> None:
    assert all(re.fullmatch(r"FK[1-6]\d\d", kind) for kind in KINDS)
    assert {kind.id[2] for kind in DOCTOR.values()} == {"5"}
    doubtful = {kind for kind in KINDS if kind[2] == "4"} | {findings.UNCHECKED_HOST.id}
    assert {kind.id for kind in KINDS.values() if kind.doubt} == doubtful


def test_each_is_used() -> None:
    """A kind that nothing reports is a promise of the page that nothing keeps."""
    names = {name for name, value in vars(findings).items() if isinstance(value, FindingKind)}
    text = "\n".join(
        p.read_text() for p in SOURCES if p.name != "findings.py" or "server" in p.parts
    )
    assert [name for name in sorted(names) if f"kinds.{name}" not in text] == []


def test_every_check_of_doctor_has_an_id() -> None:
    told: set[str] = set()
    for path in [*(ROOT / "src/fidokit/system").glob("*.py"), ROOT / "src/fidokit/guide/doctor.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                first = node.args[0]
                told |= {str(first.value)} if isinstance(first, ast.Constant) else set()
    assert told <= DOCTOR.keys()
    assert len(told) > 8
