"""The documents of the command say what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fidokit import errors
from fidokit.cli import schema
from fidokit.cli.commands.server import check_json
from fidokit.cli.commands.setup import setup_json
from fidokit.fleet.report import host_lines
from fidokit.fleet.report.formats import document

DOCS = Path(__file__).parents[2] / "docs"


def kinds() -> dict[str, int]:
    found = [v for v in vars(errors).values() if isinstance(v, type)]
    return {c.__name__: int(c.exit_code) for c in found if issubclass(c, errors.FidokitError)}


def test_every_error_stands_in_the_row_of_its_status() -> None:
    rows = re.findall(
        r"^\| (\d+) \|.*\|(.*)\|$", (DOCS / "exit-codes.md").read_text(), re.MULTILINE
    )
    documented = {kind: int(code) for code, names in rows for kind in re.findall(r"`(\w+)`", names)}
    assert documented == kinds()


def names(tree: ast.AST) -> Iterator[str]:
    """The members that a module's functions give: keys of displays, and what `members` is told."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (str(k.value) for k in node.keys if isinstance(k, ast.Constant))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "members":
            given = node.args[1]
            if isinstance(given, ast.Constant):
                yield from (word.partition("=")[0] for word in str(given.value).split())


def test_every_shape_of_the_schema_is_documented() -> None:
    text = (DOCS / "json.md").read_text()
    sources = [
        Path(str(module.__file__)).read_text()
        for module in (schema, check_json, setup_json, document, host_lines)
    ]
    found = {name for source in sources for name in names(ast.parse(source))}
    assert len(found) > 100
    assert [name for name in sorted(found) if f'"{name}"' not in text] == []
