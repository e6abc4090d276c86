"""Counts what tells a healthy tree from a tangled one, and fails on the hard limits.

Usage: signals.py [TOP-FOLDER]. Sizes of functions leave the docstring out. The import graph, the
rows of packages and the names are judged by structure.py.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structure
from structure import PACKAGE, Function, Source, read

Documented = Function | ast.ClassDef | ast.Module

BOUNDARIES = (
    "src/fidokit/agent/counter_watch.py",  # one counter that is not noted ends nothing
    "src/fidokit/agent/loop.py",  # one client's defect is its own
    "src/fidokit/agent/service.py",  # one look at the tokens does not end the next
    "src/fidokit/agent/token_desk.py",  # listing one token ends no other's
    "src/fidokit/agent/token_places.py",  # a look's error belongs to who waits for it
    "src/fidokit/cli/main.py",  # the command: a defect becomes a sentence that asks for a report
    "src/fidokit/client/links/watchdog.py",  # a worker thread: who waits for it raises the same
    "src/fidokit/fleet/hosts/parallel.py",  # one host's defect is not another's
    "src/fidokit/fleet/applying/rollout.py",  # one host's defect is not another's
    "src/fidokit/server/host_steps.py",  # what was done before a defect is to be taken back
    "src/fidokit/testing/browser/token.py",  # a page's request: the test reads what went wrong
    "src/fidokit/virtual/transports/memory.py",  # one client, reader or request of many ends alone
    "src/fidokit/provider/service.py",  # the provider: a defect becomes OpenSSH's error number
)
"""The files that may meet every exception: where a process begins, or serves many."""


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


BANNED = {
    r"(?<!here )\b(is|are|was|were) no (?!longer|more|way|such|one|other|terminal,)[\w{`]": "not a",
    r"\b([Tt]he|[Aa]|[Ii]ts|this) person\b": "the user",
    r"\b[Rr]ubbish[\"., ](?!:)": "an invalid response",
    r"\bat hand\b": "connected, available",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b[Hh]ave sshd\b": "make sshd",
    r"\bon no (token|card)\b": "not on a token",
    r"\bway back\b": "undo",
    r"\bmakes? no sense\b": "is not valid",
    r"\bmisses (a|the) (parameter|member)\b": "reports a missing ...",
    r"\b[Ee]xit status \d+ where\b": "the exit status is ... if",
    r"\bmay be (given|repeated)( several times)?\b": "can be repeated",
    r"\bbe its finger\b|\bover all plug-ins\b|\bproved beforehand\b": "see the glossary",
    r"\bwhere (nobody|none) (is|can)\b": "if",
    r"\b(None|True|False) where\b": "if",
    r"\bwhere there (is|are) (no|none|one|any)\b": "if there is",
    r"\bof no use\b": "useless",
    r"\ball the same\b(?!;)": "anyway, still",
    r"\bto be had\b": "available",
    r"\b(has|have) not got\b": "does not have",
    r"\b(hang|hung|hangs) up on\b": "disconnect",
    r"\bdo(es)? not mind\b": "does not check, ignores",
    r"\bnaming the others\b|\bon request alone\b|\bat no moment\b": "see the glossary",
    r"\blies? (beside|beneath)\b": "is beside",
    r"\btold to stop waiting\b": "no longer waits",
    r"\bknows by heart\b|\bhas no say\b": "see the glossary",
}
"""Phrases that are not plain technical English, and what to write instead."""


LEANING = re.compile(r"(the same|likewise|as above|see above|ditto)[.,:;]", re.IGNORECASE)


def leans(docstring: str, node: ast.AST) -> bool:
    """Tell whether a docstring makes sense only beside another one, or hardly says a thing."""
    short = len(docstring.split()) <= 3 and not isinstance(node, ast.Module)
    return short or LEANING.match(docstring) is not None


def broad(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler takes every exception and keeps it."""
    names = {node.id for node in ast.walk(handler.type or ast.Pass()) if isinstance(node, ast.Name)}
    if "Exception" in names:
        return True
    passes_on = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    return (handler.type is None or "BaseException" in names) and not passes_on


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


def none(name: str, where: tuple[str, ...]) -> Signal:
    """Return the signal on what must not be there at all."""
    return Signal(name, str(len(where)), "0", not where, hard=True, where=where)


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

    leaning = tuple(
        f"{place(s, node)} {getattr(node, 'name', '')}: {said.splitlines()[0]}"
        for s, node in documented
        if (said := ast.get_docstring(node) or "") and leans(said, node)
    )
    yield none("public docstrings that do not stand alone", leaning)

    wide = tuple(
        place(s, node)
        for s in library
        if str(s.path.relative_to(top)) not in BOUNDARIES
        for node in ast.walk(s.tree)
        if isinstance(node, ast.ExceptHandler) and broad(node)
    )
    yield none("handlers of every exception outside boundaries", wide)


def language_signals(top: Path) -> Iterator[Signal]:
    """Yield the signal on phrases that no message, docstring or page has."""
    pages = [top / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    trees = (("src", "*.py"), ("docs", "*.md"), ("ansible", "*.py"), ("ansible", "*.md"))
    files = [*pages, *(path for name, kind in trees for path in (top / name).rglob(kind))]
    found = tuple(
        f"{path.relative_to(top)}:{number} {hit[0]!r}: write {instead!r}"
        for path in sorted(files)
        if path.exists()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for phrase, instead in BANNED.items()
        if (hit := re.search(phrase, line))
    )
    yield none("phrases that are not plain English", found)


def balance_signals(library: list[Source], tests: list[Source], top: Path) -> Iterator[Signal]:
    """Yield the signals on proportions."""
    total = sum(source.lines for source in library)
    skin = sum(s.lines for s in library if "cli" in s.path.relative_to(top).parts)
    part = share(skin, total - skin) if total > skin else 0.0
    yield Signal("cli, share of the library", f"{part:.1f} %", "<= 25 %", part <= 25, hard=True)
    tested = sum(source.lines for source in tests)
    value = f"{tested} to {total}"
    yield Signal("lines of tests to source", value, ">= 1", tested >= total, hard=True)


def structure_signals(library: list[Source], top: Path) -> Iterator[Signal]:
    """Yield the signals on the import graph, on names and on folders."""
    names = {structure.module_name(source.path, top / "src"): source for source in library}
    edges = {n: structure.imported(source, n, set(names)) for n, source in names.items()}
    rings = structure.cycles(edges)
    yield none("import cycles", tuple(" <-> ".join(sorted(ring)) for ring in rings))
    yield none("imports against the rows", tuple(structure.upward(edges)))
    yield none("public class names used twice", tuple(structure.doubles(library, top)))
    yield none("modules that are near-namesakes", tuple(structure.namesakes(names)))
    yield none("folders of more than 15 files", tuple(structure.crowded(library, top)))
    small = tuple(
        f"{s.path.relative_to(top)} ({s.lines} lines)"
        for s in library
        if s.lines < 60 and not s.path.name.startswith("__")
    )
    yield Signal(
        "files under 60 lines", str(len(small)), "reason", not small, hard=False, where=small
    )


def measure(top: Path) -> list[Signal]:
    """Return every signal of the tree below `top`."""
    library, tests = read(top / "src" / PACKAGE), read(top / "tests")
    others = [
        source
        for name in ("benchmarks", ".ci", "hwtests", "ansible")
        for source in read(top / name)
    ]
    return [
        *size_signals(library, [*library, *tests, *others], top),
        *text_signals(library, top),
        *language_signals(top),
        *balance_signals(library, tests, top),
        *structure_signals(library, top),
    ]


def show(signals: list[Signal], say: Callable[[str], None] = print) -> None:
    """Print the table and, for what is off, the places."""
    for signal in signals:
        verdict = "ok" if signal.good else ("FAILED" if signal.hard else "look")
        say(f"{signal.name:47} {signal.value:>15}  {signal.limit:8} {verdict}")
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
