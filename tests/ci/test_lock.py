"""The constraints: names and versions alone, inside the ranges that users get."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
DIRECT = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["test"],
    *PROJECT["project"]["optional-dependencies"]["pcsc"],
    *PROJECT["project"]["optional-dependencies"]["site"],
    *PROJECT["project"]["optional-dependencies"]["check"],
    *PROJECT["project"]["optional-dependencies"]["fuzz"],
]


def pinned() -> dict[str, str]:
    lines = (TOP / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_line_is_a_name_and_a_version() -> None:
    for line in (TOP / "constraints.txt").read_text().splitlines():
        assert line.startswith("# ") or re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line


@pytest.mark.parametrize("text", DIRECT)
def test_direct_requirement_is_pinned_inside_its_range(text: str) -> None:
    wanted = Requirement(text)
    assert wanted.specifier.contains(pinned()[wanted.name])


@pytest.mark.parametrize("text", DIRECT)
def test_direct_requirement_has_a_lower_bound(text: str) -> None:
    assert any(part.operator == ">=" for part in Requirement(text).specifier)


def test_the_newcomers_tests_need_nothing_that_is_compiled() -> None:
    """pyscard has no wheels for Linux."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [Requirement(text) for text in (*PROJECT["project"]["dependencies"], *extras["test"])]
    assert not any(requirement.extras for requirement in wanted)
    assert "fidokit[pcsc,site,test]" in extras["test-all"]


def test_the_project_itself_is_not_pinned() -> None:
    assert PROJECT["project"]["name"] not in pinned()
