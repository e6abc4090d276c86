"""Every sentence that an error of fidokit can print, read from the source, with its FAQ entry."""

from __future__ import annotations

import ast
import functools
import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fidokit import errors
from fidokit.cli.app import GROUPS, TOP

SAYS = {"note", "tell"}
"""Functions that say something to the user on standard error or the terminal."""
GAP = "…"
"""Stands where a message names what it is about."""
KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.FidokitError)
}
HEAD = """\
# Every error message

Each sentence that an error of fidokit can print, with … where it names what it is about, or where
it passes on the words of another program. The link leads to what it means and what to do. Search
finds a sentence by a few of its words.

| message | entry | exit code |
|---|---|---|
"""
NOTES = """
## Notes and warnings

What a command says beside its result. None of these changes the exit code by itself. The link leads
to the commands that say it. The sentences of `server check` and `doctor` have an ID, which
[Findings by ID](findings.md) explains.

| message | said by |
|---|---|
"""


@dataclass(frozen=True, order=True)
class Message:
    """One sentence, with the class of its error."""

    sentence: str
    kind: str


def page(source: Path) -> str:
    """Return the page of messages, in their order by letters."""
    rows = [
        f"| {_cell(each.sentence)} "
        f"| [{each.kind}](faq.md#{each.kind.lower()}) | {int(KINDS[each.kind].exit_code)} |"
        for each in sorted(messages(source), key=lambda m: m.sentence.lstrip(f"{GAP} '").lower())
    ]
    said = [
        f"| {_cell(each.sentence)} | [{each.command}]({each.page}) |"
        for each in sorted(notes(source), key=lambda n: n.sentence.lstrip(f"{GAP} '").lower())
    ]
    return HEAD + "\n".join(rows) + "\n" + NOTES + "\n".join(said) + "\n"


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "&#124;").replace("*", "&#42;")


@dataclass(frozen=True, order=True)
class Note:
    """One sentence beside a result, with the command that says it and that command's page."""

    sentence: str
    command: str
    page: str


def notes(source: Path) -> set[Note]:
    """Return what the command says beside its results: notes, warnings, and answers to typing."""
    found = set()
    for path in sorted((source / "fidokit/cli").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = dict(_constants(tree))
        command, page = _command_of(path.relative_to(source / "fidokit/cli"))
        found |= {
            Note(" ".join(text.split()), command, page)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAYS and node.args
            for text in _sentences(node.args[0], constants)
            if len(text.replace(GAP, "").split()) > 1
        }
    return found


def _command_of(path: Path) -> tuple[str, str]:
    """Return the group or command whose verbs a module has, and its page."""
    module = ".".join(path.with_suffix("").parts[1:])
    for group, section in GROUPS.items():
        if any(target.partition(":")[0] == module for target in section.verbs.values()):
            return f"fidokit {group}", f"commands/{group}.md"
    for name, target in TOP.items():
        if target.partition(":")[0] == module:
            return f"fidokit {name}", f"commands/{name}.md"
    return "every command", "commands/index.md"


def messages(source: Path) -> set[Message]:
    """Return what the errors that are made below a folder say."""
    return {
        Message(" ".join(text.split()), kind)
        for _, kind, said, constants in _errors(source)
        for text in _sentences(said, constants)
        if text.strip(f"{GAP} :'")
    }


def unread(source: Path) -> list[str]:
    """Return where an error gets words that are not written there, and these: `file: words`."""
    return [
        f"{name}: {ast.unparse(said)}"
        for name, _, said, constants in _errors(source)
        if not any(text.strip(f"{GAP} :'") for text in _sentences(said, constants))
    ]


@functools.cache
def _errors(source: Path) -> list[tuple[str, str, ast.expr, dict[str, str]]]:
    """Return each error that is made: the file, its kind, its words, the constants of the file."""
    found = []
    for path in sorted(source.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = dict(_constants(tree))
        name = path.relative_to(source).as_posix()
        found += [(name, kind, said, constants) for kind, said in _made(tree)]
    return found


def _made(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield each error that is made, by its class or a row of a table: kind, words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            if kind := _kind(node.func):
                yield kind, node.args[0]
            elif len(node.args) > 1 and (kind := _kind(node.args[0])):
                yield kind, node.args[1]


def _kind(called: ast.expr) -> str | None:
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name if name in KINDS else None


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and value is not None and (text := _whole(value)):
                yield target.id, text


def _whole(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_whole(part) or GAP for part in node.values)
    return ""


def _sentences(node: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    """Yield each text that an expression may be; nothing for one that was made elsewhere."""
    if isinstance(node, ast.IfExp):
        yield from _sentences(node.body, constants)
        yield from _sentences(node.orelse, constants)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left = list(_sentences(node.left, constants)) or [GAP]
        right = list(_sentences(node.right, constants)) or [GAP]
        yield from (a + b for a in left for b in right)
    elif isinstance(node, ast.Name):
        if node.id in constants:
            yield constants[node.id]
    elif text := _whole(node):
        yield text
