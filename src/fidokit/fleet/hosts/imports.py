"""The modules of fidokit that a program needs, as their source shows: what travels, no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_ANNOTATIONS: Final = frozenset({"annotation", "returns"})


def modules(source: Path) -> dict[str, Path]:
    """Every module of fidokit by its dotted name."""
    found = {}
    for path in sorted((source / "fidokit").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def reached(source: Path, roots: Sequence[str], left_out: Sequence[str] = ()) -> dict[str, Path]:
    """Modules and what they import, in functions, too; nothing that is left out."""
    known = modules(source)
    todo, seen = [*roots], set[str]()
    while todo:
        name = todo.pop()
        if name in seen or any(f"{name}.".startswith(f"{out}.") for out in left_out):
            continue
        seen.add(name)
        todo += [one for one in (name.rpartition(".")[0], *imported(known[name])) if one in known]
    return {name: known[name] for name in sorted(seen)}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file may import when it runs, and the packages that they are in."""
    for node in evaluated(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node that Python runs: no annotations, nothing for the type checker alone."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        for field, value in ast.iter_fields(node):
            if field not in _ANNOTATIONS:
                inner = value if isinstance(value, list) else [value]
                todo += [n for n in inner if isinstance(n, ast.AST) and not _is_for_types(n)]


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
