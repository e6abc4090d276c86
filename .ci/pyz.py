"""Packs fidokit.pyz: the part of fidokit that runs without any installation, and what it imports.

Usage: pyz.py SOURCE-FOLDER WHEELS-FOLDER OUTPUT

WHEELS-FOLDER has the wheels that one-file.txt names. The same input gives the same bytes.
"""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fidokit import one_file

LIMIT = 1_500_000
"""Bytes that the file may have."""

START = "from fidokit.one_file import main\n\nmain()\n"
SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file inside: a zip file can hold no earlier one."""


def modules(source: Path) -> dict[str, Path]:
    """Every module of fidokit by its dotted name."""
    found = {}
    for path in sorted((source / "fidokit").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def packed(source: Path) -> dict[str, Path]:
    """What goes in, by dotted name: all of `server`, the command, and what these import.

    What one_file.LEFT_OUT names stays out, with all below it.
    """
    roots = [*servers(source), "fidokit.one_file", *_verbs()]
    return reached(source, roots, [f"fidokit.{name}" for name in one_file.LEFT_OUT])


def servers(source: Path) -> list[str]:
    """The modules of `server`, all of which travel."""
    return [name for name in modules(source) if f"{name}.".startswith("fidokit.server.")]


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


def _verbs() -> Iterator[str]:
    for name in one_file.VERBS:
        for target in one_file.cut(name).verbs.values():
            yield f"fidokit.cli.commands.{target.partition(':')[0]}"


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
    yield node
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_for_types(child):
                yield from evaluated(child)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def files(source: Path, wheels: Path) -> Iterator[tuple[str, bytes]]:
    """The names inside and what they hold: ours, then the wheels' code and licenses."""
    yield "__main__.py", START.encode()
    for path in packed(source).values():
        yield path.relative_to(source).as_posix(), path.read_bytes()
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".py") or "/licenses/" in name:
                    yield name, archive.read(name)


def main(source: str, wheels: str, output: str) -> str | None:
    """Write the file; return what is wrong, or nothing."""
    made = Path(output)
    with made.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, data in files(Path(source), Path(wheels)):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED, 9)
    made.chmod(0o755)
    if (size := made.stat().st_size) > LIMIT:
        return f"{made.name} has {size:,} bytes, which is more than {LIMIT:,}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
