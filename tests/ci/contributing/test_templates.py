"""The issue forms, by the rules that GitHub documents; it hides a form that breaks them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ci.conftest import TOP

FOLDER = TOP / ".github/ISSUE_TEMPLATE"
FORMS = [path for path in sorted(FOLDER.glob("*.yml")) if path.name != "config.yml"]
ATTRIBUTES = {
    "markdown": ({"value"}, set()),
    "input": ({"label"}, {"description", "placeholder", "value"}),
    "textarea": ({"label"}, {"description", "placeholder", "value", "render"}),
    "dropdown": ({"label", "options"}, {"description", "multiple", "default"}),
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_there_are_forms_and_no_blank_issues() -> None:
    assert {path.stem for path in FORMS} == {"bug", "feature", "token"}
    assert read(FOLDER / "config.yml") == {"blank_issues_enabled": False}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_form_has_what_github_demands(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels"}
    assert any(part["type"] != "markdown" for part in form["body"])
    ids = Counter(part["id"] for part in form["body"] if "id" in part)
    labels = Counter(p["attributes"]["label"] for p in form["body"] if p["type"] != "markdown")
    assert max([*ids.values(), *labels.values()]) == 1


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_every_part_is_well_formed(path: Path) -> None:
    for part in read(path)["body"]:
        needed, allowed = ATTRIBUTES[part["type"]]
        assert needed <= set(part["attributes"]) <= needed | allowed
        assert set(part) <= {"type", "attributes", "id", "validations"}
        assert ("id" in part) is (part["type"] != "markdown")
        assert all(isinstance(option, str) for option in part["attributes"].get("options", []))


@pytest.mark.parametrize("name", ["bug", "token"])
def test_reports_say_what_to_leave_out(name: str) -> None:
    text = (FOLDER / f"{name}.yml").read_text()
    assert "serial number" in text


def test_forms_differ_in_name() -> None:
    assert len({read(path)["name"] for path in FORMS}) == len(FORMS)
