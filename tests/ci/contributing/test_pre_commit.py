"""The hooks: local ones alone, whose commands exist, and which leave no static check out."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from tests.ci.conftest import TOP

CONFIG = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text())
HOOKS: list[dict[str, Any]] = [hook for repo in CONFIG["repos"] for hook in repo["hooks"]]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def names() -> set[str]:
    known = re.search(r'^readonly names="(.*)"$', (TOP / ".ci/check").read_text(), re.MULTILINE)
    assert known
    return set(known[1].split())


def test_nothing_is_fetched() -> None:
    assert [repo["repo"] for repo in CONFIG["repos"]] == ["local"]
    assert {hook["language"] for hook in HOOKS} == {"system"}
    assert not [hook for hook in HOOKS if "additional_dependencies" in hook]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_the_command_exists(hook: dict[str, Any]) -> None:
    script, *words = hook["entry"].split()
    assert (TOP / script).is_file()
    if script == ".ci/check":
        assert words
        assert set(words) <= names()
        assert hook["pass_filenames"] is False
    else:
        assert [script, words[0]] == [".ci/in-venv", "check"]
        installed = {Requirement(text).name for text in PROJECT["optional-dependencies"]["check"]}
        assert words[1] in installed


def test_every_static_check_has_a_hook() -> None:
    entries = " ".join(hook["entry"] for hook in HOOKS).replace("ruff format", "ruff-format")
    assert names() <= set(entries.split())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_on_files_that_exist(hook: dict[str, Any]) -> None:
    pattern = re.compile(hook.get("files", r"\.py$"))
    tree = [
        p.relative_to(TOP).as_posix()
        for top in (".ci", ".github", "src")
        for p in (TOP / top).rglob("*")
    ]
    assert [path for path in [*tree, ".pre-commit-config.yaml"] if pattern.search(path)]
