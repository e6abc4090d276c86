"""Packs fidokit.pyz: the part of fidokit that runs without any installation, and what it imports.

Usage: pyz.py SOURCE-FOLDER WHEELS-FOLDER OUTPUT

WHEELS-FOLDER has the wheels that one-file.txt names. The same input gives the same bytes.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from fidokit import one_file
from fidokit.fleet.hosts.imports import evaluated, imported, modules, reached

__all__ = ["evaluated", "imported", "modules", "packed", "reached", "servers"]

LIMIT = 1_500_000
"""Bytes that the file may have."""

START = "from fidokit.one_file import main\n\nmain()\n"
SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file inside: a zip file can hold no earlier one."""


def packed(source: Path) -> dict[str, Path]:
    """What goes in, by dotted name: all of `server`, the command, and what these import.

    What one_file.LEFT_OUT names stays out, with all below it.
    """
    roots = [*servers(source), "fidokit.one_file", *_verbs()]
    return reached(source, roots, [f"fidokit.{name}" for name in one_file.LEFT_OUT])


def servers(source: Path) -> list[str]:
    """The modules of `server`, all of which travel."""
    return [name for name in modules(source) if f"{name}.".startswith("fidokit.server.")]


def _verbs() -> Iterator[str]:
    for name in one_file.VERBS:
        for target in one_file.cut(name).verbs.values():
            yield f"fidokit.cli.commands.{target.partition(':')[0]}"


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
