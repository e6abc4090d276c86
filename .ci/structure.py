"""The tree as a graph: who imports whom, in which row, and what is called alike.

Every import counts as an edge: those inside functions, those under `if TYPE_CHECKING`, and modules
that are named by strings, whole or behind a prefix in an f-string.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "fidokit"
Function = ast.FunctionDef | ast.AsyncFunctionDef

ROWS = (
    ("errors", "types", "facade", "findings"),
    ("openssh", "cbor", "unix_socket"),
    ("metadata", "files", "system"),
    ("client", "virtual"),
    ("prompt", "inventory", "agent_client"),
    ("tokens", "server"),
    ("keys", "lab"),
    ("signing", "provider"),
    ("agent", "fleet", "testing"),
    ("guide",),
    ("cli", "pytest_plugin"),
    ("one_file",),
)
"""The rows of docs/architecture.md from the lowest up: a package imports lower rows alone."""

MOST_FILES = 15
_TARGET = re.compile(r"([a-z_][\w.]*)(?::\w+)?")


@dataclass(frozen=True)
class Source:
    """One Python file, read once."""

    path: Path
    lines: int
    tree: ast.Module = field(repr=False)

    def functions(self) -> Iterator[Function]:
        """Yield every function, methods and nested ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


def read(folder: Path) -> list[Source]:
    """Read every Python file below a folder, which may be missing."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Source(path, text.count("\n"), ast.parse(text, str(path))))
    return found


def module_name(path: Path, top: Path) -> str:
    """Return the dotted name of a file below `top`; a package is named without `__init__`."""
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: Source, name: str, modules: set[str]) -> set[str]:
    """Return the modules of the package that a module imports, each as precisely as known."""
    package = name if source.path.name == "__init__.py" else name.rpartition(".")[0]
    wanted = _by_strings(source.tree)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            wanted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            inner = {f"{base}.{alias.name}" for alias in node.names}
            wanted |= {i if i in modules else base for i in inner}
    return (wanted & modules) - {name}


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return str(node.module)
    climbed = package.split(".")[: len(package.split(".")) - (node.level - 1)]
    return ".".join([*climbed, node.module or ""]).rstrip(".")


def _by_strings(tree: ast.Module) -> set[str]:
    """Return what strings may name: themselves, or a part behind a prefix of an f-string."""
    strings = {
        match[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (match := _TARGET.fullmatch(node.value))
    }
    prefixes = {
        str(first.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and isinstance(first := node.values[0], ast.Constant)
        if str(first.value).startswith(f"{PACKAGE}.")
    }
    return strings | {f"{prefix}{string}" for prefix in prefixes for string in strings}


def cycles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other in a ring (Tarjan's components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for target in sorted(edges[name]):
            if target not in order:
                visit(target)
            if target in stack:
                low[name] = min(low[name], low[target])
        if low[name] == order[name]:
            at = stack.index(name)
            ring = set(stack[at:])
            del stack[at:]
            if len(ring) > 1:
                found.append(ring)

    for name in edges:
        if name not in order:
            visit(name)
    return found


def upward(edges: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the imports that do not point to a lower row, and the packages that are in none."""
    row = {package: number for number, packages in enumerate(ROWS) for package in packages}
    for package in sorted({_package(name) for name in edges} - row.keys() - {"", "__main__"}):
        yield f"{PACKAGE}.{package} is in no row"
    for name, targets in sorted(edges.items()):
        for target in sorted(targets):
            ours, other = _package(name), _package(target)
            if ours != other and row.get(ours, len(ROWS)) <= row.get(other, -1):
                yield f"{name} -> {target}"


def _package(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def doubles(library: list[Source], top: Path) -> Iterator[str]:
    """Yield the public class names that stand in more than one place."""
    places = defaultdict(list)
    for source in library:
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{source.path.relative_to(top)}:{node.lineno}")
    yield from (f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1)


def namesakes(modules: Mapping[str, Source]) -> Iterator[str]:
    """Yield the modules of one folder whose names differ by a letter or an ending."""
    folders = defaultdict(list)
    for name in modules:
        folders[name.rpartition(".")[0]].append(name.rpartition(".")[2])
    for folder, names in sorted(folders.items()):
        for number, one in enumerate(sorted(names)):
            for other in sorted(names)[number + 1 :]:
                if alike(one, other):
                    yield f"{folder}: {one}, {other}"


def alike(one: str, other: str) -> bool:
    """Tell whether two names are told apart by a letter, a plural or an ending alone.

    `plug` and `plugging`, `large_blob` and `large_blobs`, `authorisation` and `authorization` are
    alike; `hid` and `hid_port`, `key_file` and `key_lines` are not.
    """
    if one.count("_") != other.count("_"):
        return False
    words = [
        pair for pair in zip(one.split("_"), other.split("_"), strict=True) if len(set(pair)) > 1
    ]
    return len(words) == 1 and _same_stem(*words[0])


def _same_stem(one: str, other: str) -> bool:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    tails = one[shared:], other[shared:]
    if len(one) == len(other) and one[shared + 1 :] == other[shared + 1 :]:
        return len(one) > 3  # a letter differs in the middle
    short, long = sorted((one, other), key=len)
    if len(long) > 3 and any(long[:i] + long[i + 1 :] == short for i in range(len(long))):
        return True  # a letter more
    return shared >= 4 and all(len(tail) <= 4 for tail in tails) and "" in tails


def crowded(library: list[Source], top: Path) -> Iterator[str]:
    """Yield the folders that hold more Python files than a reader takes in."""
    count: dict[Path, int] = defaultdict(int)
    for source in library:
        count[source.path.parent] += 1
    for folder, files in sorted(count.items()):
        if files > MOST_FILES:
            yield f"{folder.relative_to(top)} ({files} files)"
