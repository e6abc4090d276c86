"""What messages tell people to type is there: every command and option that a string names."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import fidokit
from fidokit.cli import app

SOURCE = Path(fidokit.__file__).parent
COMMAND = re.compile(
    r"(`|: |\$ |\n  )?\bfidokit ((?:--token \S+ )?[a-z][a-z-]*(?: [a-z-]+)?)((?: [^`.,;:()\n]+)?)"
)
OPTION = re.compile(r"(?<!\S)(--?[A-Za-z][a-z-]*)")
NO_COMMANDS = {"virtual authenticator", "virtual token"}
"""Where fidokit stands before a noun."""
KNOWN = {*app.GROUPS, *app.TOP}
LATER = {"otp"}
"""Groups that the table of CTAP statuses knows before the command does."""


def strings(tree: ast.AST) -> Iterator[str]:
    """Every text of a module that people may see; inserted values stand as X."""
    nodes = list(ast.walk(tree))
    docs = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for n in nodes if isinstance(n, ast.JoinedStr) for part in n.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in docs | inside:
            yield node.value if isinstance(node.value, str) else ""


@functools.cache
def told() -> list[tuple[str, str]]:
    found = set()
    for path in SOURCE.rglob("*.py"):
        source = path.read_text()
        for text in strings(ast.parse(source)) if "fidokit " in source else ():
            for match in COMMAND.finditer(text):
                words = re.sub(r"--token \S+ ", "", match[2])
                first = words.split()[0]
                prose = first not in KNOWN and match[1] is None
                if not prose and words not in NO_COMMANDS and first not in LATER - KNOWN:
                    found.add((words, match[3].partition(" -- ")[0]))
    return sorted(found)


def command_of(words: str) -> click.Command:
    first, _, second = words.partition(" ")
    if first in app.TOP:
        return app.load(app.TOP[first])
    return app.load(app.GROUPS[first].verbs[second])


def test_enough_is_found() -> None:
    words = {words for words, _ in told()}
    assert len(words) > 15
    assert {"pin set", "key generate", "virtual create", "doctor", "key download"} <= words


@pytest.mark.parametrize(("words", "rest"), told(), ids=lambda text: text.strip() or "-")
def test_what_people_are_told_to_type_is_there(words: str, rest: str) -> None:
    command = command_of(words)
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    assert set(OPTION.findall(rest)) <= known


@pytest.mark.parametrize("word", ["key", "pin", "token", "virtual", "config"])
def test_a_group_is_not_told_without_its_verb(word: str) -> None:
    assert word not in {words for words, _ in told()}
