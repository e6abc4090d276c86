"""What the source says of its surroundings: the variables of the environment and paths it names."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
CONSTANT = re.compile(r'^(\w+)(?:: [^=\n]+)? = "([A-Z][A-Z0-9_]+)"$', re.MULTILINE)
MENTIONED = re.compile(r"environ|\benv\b")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
PLAIN = {"LANG", "LANGUAGE", "LOGNAME", "USER", "ZDOTDIR"}
NUMBERS = re.compile(r"(?:O|SC|SO|TCP)_\w+")
"""Names of the system's numbers, which look like variables."""
SYSTEM_PATH = re.compile(r"/(?:etc|usr|run|var|proc|sys|dev)(?:/[\w.*@-]+)+")


@functools.cache
def texts() -> list[str]:
    """Return every module of the library."""
    return [path.read_text() for path in sorted(SOURCE.rglob("*.py"))]


def constants() -> dict[str, str]:
    """Return the names that stand for a variable at the top of some module."""
    return dict(found for text in texts() for found in CONSTANT.findall(text))


@functools.cache
def variables() -> set[str]:
    """Return the variables of the environment that the library reads, sets or hands on."""
    known = constants()

    def name(node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        return known.get(getattr(node, "id", getattr(node, "attr", "")), "")

    modules = (ast.parse(text) for text in texts() if MENTIONED.search(text))
    found = set()
    for module in modules:
        found |= {name(each) for each in _asked(module)} | _named(module)
    for path in sorted(SOURCE.rglob("*.c")):
        found |= set(re.findall(r'getenv\("(\w+)"\)', path.read_text()))
    for path in sorted(SOURCE.rglob("*.service")):
        found |= set(re.findall(r"\$(FIDOKIT_\w+)", path.read_text()))
    return {each for each in found if VARIABLE.fullmatch(each)}


def _named(module: ast.Module) -> set[str]:
    """Return what looks like a variable in a module that has to do with the environment."""
    texts = {
        str(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    alike = {text for text in texts if re.fullmatch(r"[A-Z]+(?:_[A-Z0-9]+)+", text)}
    return {text for text in alike if not NUMBERS.fullmatch(text)} | (texts & PLAIN)


def _asked(module: ast.Module) -> Iterator[ast.expr]:
    """Yield what names a variable: arguments, subscripts and members of an environment."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            if any(_is_environment(each) for each in (node.func, *node.args[:1])):
                yield from node.args[:2]
        elif isinstance(node, ast.Subscript) and _is_environment(node.value):
            yield node.slice
        elif isinstance(node, ast.Compare) and _is_environment(node.comparators[0]):
            yield node.left
        elif isinstance(node, ast.Dict) and None in node.keys:
            spread = zip(node.keys, node.values, strict=True)
            if any(key is None and _is_environment(value) for key, value in spread):
                yield from (key for key in node.keys if key is not None)


def _is_environment(node: ast.expr) -> bool:
    """Tell by the names in an expression: environ, environment, env."""
    names = (getattr(n, "id", getattr(n, "attr", "")) or "" for n in ast.walk(node))
    return any("environ" in name or name == "env" for name in names)


@functools.cache
def paths() -> set[str]:
    """Return the paths of the system that the library names in its code, not in its docstrings."""
    found: set[str] = set()
    for module in (ast.parse(text) for text in texts() if SYSTEM_PATH.search(text)):
        said = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and id(node) not in said:
                found |= set(SYSTEM_PATH.findall(str(node.value)))
    return found
