"""Every command of ours that a page shows is there, with its options, also where it is not run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.ci.contributing.mentions import code

from fidokit.cli import app

TOP = Path(__file__).parents[2]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
START = re.compile(r"(?:^|[\s(`;|&$])fidokit(?: --token \S+)? ([a-z][a-z0-9-]*)(.*)")
END = re.compile(r"[|;&<>)]|\$\(|\s#\s|\s--\s|`")
OUTPUT = re.compile(r"^```(?:console|text|python)\n.*?^```$", re.MULTILINE | re.DOTALL)
"""What is run anyway, and what programs print."""


def shown(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the first word of each command of a page, and what follows up to a pipe or the like."""
    for line in code(OUTPUT.sub("", page.read_text())):
        if "pip install" not in line and (found := START.search(line)):
            yield found[1], END.split(found[2])[0].strip()


def commands() -> list[tuple[str, str]]:
    return sorted({each for page in PAGES for each in shown(page)})


def command(first: str, rest: list[str]) -> tuple[click.Command, list[str]] | None:
    """Return the command and its arguments; None for a group that is named alone."""
    if first in app.TOP:
        return app.load(app.TOP[first]), rest
    verbs = app.GROUPS[first].verbs
    if not rest or rest[0] not in verbs:
        assert not rest or not re.fullmatch(r"[a-z-]+", rest[0]), f"{first} has no verb {rest[0]}"
        return None
    return app.load(verbs[rest[0]]), rest[1:]


def test_enough_is_found() -> None:
    assert len(commands()) > 150
    assert ("server", "check --require hardware") in commands()


@pytest.mark.parametrize(("first", "rest"), commands(), ids=lambda text: text or "-")
def test_command_is_there(first: str, rest: str) -> None:
    assert first in app.GROUPS or first in app.TOP
    try:
        words = shlex.split(rest)
    except ValueError:
        words = re.sub("['\"]", "", rest).split()  # a part of a quotation
    if found := command(first, words):
        known = {name for param in found[0].params for name in (*param.opts, *param.secondary_opts)}
        given = {word.partition("=")[0] for word in found[1] if re.match(r"--?[A-Za-z]", word)}
        unknown = {word for word in given if word not in known and word[:2] not in known - {"--"}}
        assert unknown <= {"-h", "--help"}, unknown
