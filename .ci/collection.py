"""Writes the tree of the Ansible collection: what `ansible/` has, and our library beside it.

Usage: collection.py TREE OUTPUT
       collection.py --repack ARCHIVE

The library is the part of `src/fidokit` that the plug-ins import, and what that imports. It goes
into module_utils, where Ansible finds it by the import statements and sends it along with a module;
so its own imports become relative. A module that is not part of it is imported as before, and is
missing where it is called.

The second writes an archive of `ansible-galaxy collection build` again: the same tree, the same
bytes.
"""

from __future__ import annotations

import ast
import gzip
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path

import pyz

UTILS = "ansible_collections.fidokit.ssh.plugins.module_utils"
HEAD = "# Of fidokit {version}, with imports made relative by .ci/collection: change it there.\n"
ANSIBLE = range(14, 22)
"""The minor versions of ansible-core whose `ansible-test` gets its list of exceptions."""
_LICENSE = "LICENSE"


def roots(plugins: Path) -> Iterator[str]:
    """The modules of fidokit that the plug-ins import."""
    for path in sorted(plugins.rglob("*.py")):
        for name in pyz.imported(path):
            if name.startswith(f"{UTILS}.fidokit"):
                yield name.removeprefix(f"{UTILS}.")


def library(source: Path, plugins: Path) -> dict[str, Path]:
    """What goes in, by dotted name."""
    known = pyz.modules(source)
    return pyz.reached(source, [name for name in roots(plugins) if name in known])


def is_package(path: Path) -> bool:
    """Whether a file is a package's own."""
    return path.name == "__init__.py"


def relative(text: str, name: str, path: Path, inside: Collection[str]) -> str:
    """The text of a module whose imports of others inside do not name fidokit.

    Raises:
        ValueError: it imports one of them in a way that has no relative form.
    """
    lines = text.split("\n")
    depth = name.count(".") + is_package(path)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import) and any(
            alias.name.partition(".")[0] == "fidokit" for alias in node.names
        ):
            raise ValueError(f"{path}:{node.lineno}: write `from ... import ...`")
        if not isinstance(node, ast.ImportFrom) or node.level or node.module not in inside:
            continue
        assert node.module
        begin = f"from {node.module} import"
        line = lines[node.lineno - 1]
        assert begin in line, f"{path}:{node.lineno}"
        rest = node.module.partition(".")[2]
        lines[node.lineno - 1] = line.replace(begin, f"from {'.' * depth}{rest} import", 1)
    return "\n".join(lines)


def write(tree: Path, output: Path) -> None:
    """Write the collection's tree.

    Args:
        tree: the repository.
        output: a folder that does not exist yet.
    """
    source, mine = tree / "src", tree / "ansible"
    shutil.copytree(mine, output, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(tree / _LICENSE, output / _LICENSE)
    found = library(source, mine / "plugins")
    version = ast.parse(found["fidokit"].read_text("utf-8")).body[-1]
    assert isinstance(version, ast.Assign)
    head = HEAD.format(version=ast.literal_eval(version.value))
    for name, path in found.items():
        place = output / "plugins/module_utils" / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = head + relative(path.read_text("utf-8"), name, path, found)
        place.write_text("" if is_package(path) else text, encoding="utf-8")  # none is public here
    for minor in ANSIBLE:
        ignored = output / f"tests/sanity/ignore-2.{minor}.txt"
        ignored.parent.mkdir(parents=True, exist_ok=True)
        ignored.write_text("".join(f"{line}\n" for line in not_for_us(output)), encoding="utf-8")


def not_for_us(output: Path) -> Iterator[str]:
    """The findings of `ansible-test sanity` that we mean to have: our license, and assertions."""
    for path in sorted(output.glob("plugins/**/*.py")):
        name, parts = path.relative_to(output), path.relative_to(output).parts
        if parts[1] in {"modules", "callback"}:
            yield f"{name} validate-modules:missing-gplv3-license"
        if parts[1:3] == ("module_utils", "fidokit"):
            yield f"{name} pylint!skip"  # ruff and mypy judge it where it comes from
            if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text()))):
                yield f"{name} no-assert"


def repack(archive: Path) -> None:
    """Write an archive again: names in order, no owners, one time for all."""
    moment = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))
    with tarfile.open(archive) as old:
        members = sorted(old.getmembers(), key=lambda one: one.name)
        found = [(one, old.extractfile(one)) for one in members]
        files = [(one, data.read() if data else b"") for one, data in found]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as new:
        for one, data in files:
            one.mtime, one.uid, one.gid, one.uname, one.gname = moment, 0, 0, "", ""
            one.mode = 0o755 if one.isdir() else 0o644
            new.addfile(one, io.BytesIO(data))
    with archive.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped:
        zipped.write(packed.getvalue())


def main(words: list[str]) -> None:
    """Do what the command line asks for."""
    match words:
        case ["--repack", archive]:
            repack(Path(archive))
        case [tree, output]:
            write(Path(tree), Path(output))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
