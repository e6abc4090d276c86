"""Counts what tells a healthy tree from a tangled one, and fails on the hard limits.

Usage: signals.py [TOP-FOLDER]. Sizes of functions leave the docstring out; every import counts
as an edge, those inside functions too, except under `if TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "fidokit"
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module


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


def body_lines(function: Function) -> int:
    """Return the lines of a function, signature included and docstring left out."""
    assert function.end_lineno is not None
    size = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        first = function.body[0]
        assert first.end_lineno is not None
        size -= first.end_lineno - first.lineno + 1
    return size


def percentile(values: list[int], share: float) -> int:
    """Return the value that the given share of all values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0


def public(node: ast.Module | ast.ClassDef) -> Iterator[Documented]:
    """Yield what a reader may use: public functions and classes, and their public methods."""
    for child in node.body:
        if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def broad(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler takes every exception and keeps it."""
    names = {node.id for node in ast.walk(handler.type or ast.Pass()) if isinstance(node, ast.Name)}
    if "Exception" in names:
        return True
    passes_on = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    return (handler.type is None or "BaseException" in names) and not passes_on


def module_name(path: Path, top: Path) -> str:
    """Return the dotted name of a file below `top`; a package is named without `__init__`."""
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from runtime_nodes(child)


def imported(source: Source, name: str, modules: set[str]) -> set[str]:
    """Return the modules of the package that a module imports, each as precisely as known."""
    package = name if source.path.name == "__init__.py" else name.rpartition(".")[0]
    wanted: set[str] = set()
    for node in runtime_nodes(source.tree):
        if isinstance(node, ast.Import):
            wanted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            climbed = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            base = (
                ".".join([*climbed, node.module or ""]).rstrip(".") if node.level else node.module
            )
            inner = {f"{base}.{alias.name}" for alias in node.names}
            wanted |= {i if i in modules else str(base) for i in inner}
    return (wanted & modules) - {name}


def cycles(edges: dict[str, set[str]]) -> list[set[str]]:
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


@dataclass(frozen=True)
class Signal:
    """One row of the table; `limit` is what the row is held to, `where` the places to look at."""

    name: str
    value: str
    limit: str
    good: bool
    hard: bool
    where: tuple[str, ...] = ()


def share(part: int, whole: int) -> float:
    """Return a percentage; nothing of nothing is all."""
    return 100.0 * part / whole if whole else 100.0


def size_signals(library: list[Source], everything: list[Source], top: Path) -> Iterator[Signal]:
    """Yield the signals on lengths: the library's functions and files, the longest anywhere."""
    sizes = [body_lines(f) for source in library for f in source.functions()]
    files = [source.lines for source in library]
    median, high = int(statistics.median(sizes or [0])), percentile(sizes, 0.95)
    yield Signal("function lines, median", str(median), "<= 8", median <= 8, hard=False)
    yield Signal("function lines, 95th percentile", str(high), "<= 40", high <= 40, hard=False)
    yield longest(
        "function",
        [
            (body_lines(f), f"{source.path.relative_to(top)}:{f.lineno} {f.name}")
            for source in everything
            for f in source.functions()
        ],
        80,
    )
    middle = int(statistics.median(files or [0]))
    yield Signal("file lines, median", str(middle), "<= 200", middle <= 200, hard=False)
    yield longest("file", [(s.lines, str(s.path.relative_to(top))) for s in everything], 500)


def longest(what: str, sized: list[tuple[int, str]], limit: int) -> Signal:
    """Return the signal on the longest function or file of the whole tree, tests included."""
    over = tuple(f"{place} ({size} lines)" for size, place in sorted(sized) if size > limit)
    value = max((size for size, _ in sized), default=0)
    return Signal(
        f"{what} lines, longest", str(value), f"<= {limit}", not over, hard=True, where=over
    )


def text_signals(library: list[Source], top: Path) -> Iterator[Signal]:
    """Yield the signals on annotations, docstrings and broad handlers."""

    def place(source: Source, node: ast.AST) -> str:
        return f"{source.path.relative_to(top)}:{getattr(node, 'lineno', 1)}"

    functions = [(s, f) for s in library for f in s.functions()]
    bare = tuple(f"{place(s, f)} {f.name}" for s, f in functions if f.returns is None)
    annotated = share(len(functions) - len(bare), len(functions))
    yield Signal(
        "return annotations", f"{annotated:.1f} %", "100 %", not bare, hard=True, where=bare
    )

    documented = [(s, node) for s in library for node in (s.tree, *public(s.tree))]
    silent = tuple(place(s, node) for s, node in documented if ast.get_docstring(node) is None)
    told = share(len(documented) - len(silent), len(documented))
    yield Signal(
        "public docstrings", f"{told:.1f} %", ">= 98 %", told >= 98, hard=True, where=silent
    )

    wide = tuple(
        place(s, node)
        for s in library
        for node in ast.walk(s.tree)
        if isinstance(node, ast.ExceptHandler) and broad(node)
    )
    good = len(wide) <= 1
    yield Signal("handlers of every exception", str(len(wide)), "<= 1", good, hard=True, where=wide)


def balance_signals(library: list[Source], tests: list[Source], top: Path) -> Iterator[Signal]:
    """Yield the signals on proportions and on the import graph."""
    total = sum(source.lines for source in library)
    skin = sum(s.lines for s in library if "cli" in s.path.relative_to(top).parts)
    part = share(skin, total - skin) if total > skin else 0.0
    yield Signal("cli, share of the library", f"{part:.1f} %", "<= 25 %", part <= 25, hard=True)
    tested = sum(source.lines for source in tests)
    value = f"{tested} to {total}"
    yield Signal("lines of tests to source", value, ">= 1", tested >= total, hard=True)
    names = {module_name(source.path, top / "src"): source for source in library}
    rings = cycles({name: imported(source, name, set(names)) for name, source in names.items()})
    where = tuple(" <-> ".join(sorted(ring)) for ring in rings)
    yield Signal("import cycles", str(len(rings)), "0", not rings, hard=True, where=where)


def measure(top: Path) -> list[Signal]:
    """Return every signal of the tree below `top`."""
    library, tests = read(top / "src" / PACKAGE), read(top / "tests")
    others = [source for name in ("benchmarks", ".ci", "hwtests") for source in read(top / name)]
    return [
        *size_signals(library, [*library, *tests, *others], top),
        *text_signals(library, top),
        *balance_signals(library, tests, top),
    ]


def show(signals: list[Signal], say: Callable[[str], None] = print) -> None:
    """Print the table and, for what is off, the places."""
    for signal in signals:
        verdict = "ok" if signal.good else ("FAILED" if signal.hard else "look")
        say(f"{signal.name:32} {signal.value:>16}  {signal.limit:8} {verdict}")
        if not signal.good:
            for place in signal.where[:20]:
                say(f"    {place}")


def main(arguments: list[str]) -> int:
    """Return 1 where a hard limit is broken."""
    signals = measure(Path(arguments[0] if arguments else ".").resolve())
    show(signals)
    return int(any(signal.hard and not signal.good for signal in signals))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
