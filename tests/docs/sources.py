"""What the source says of its surroundings: the variables of the environment and paths it names."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
SYSTEM_PATH = re.compile(r"/(?:etc|usr|run|var|proc|sys|dev)(?:/[\w.*@-]+)+")


@functools.cache
def trees() -> list[ast.Module]:
    """Return every module of the library, parsed."""
    return [ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))]


def constants(modules: list[ast.Module]) -> dict[str, str]:
    """Return the names that stand for a text at the top of some module."""
    found: dict[str, str] = {}
    for node in (child for module in modules for child in module.body):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found |= {each.id: value.value for each in targets if isinstance(each, ast.Name)}
    return found


def variables() -> set[str]:
    """Return the variables of the environment that the library reads, sets or hands on."""
    modules = trees()
    known = constants(modules)

    def name(node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        return known.get(getattr(node, "id", getattr(node, "attr", "")), "")

    found = {name(each) for module in modules for each in _asked(module)}
    for path in sorted(SOURCE.rglob("*.c")):
        found |= set(re.findall(r'getenv\("(\w+)"\)', path.read_text()))
    for path in sorted(SOURCE.rglob("*.service")):
        found |= set(re.findall(r"\$(FIDOKIT_\w+)", path.read_text()))
    return {each for each in found if VARIABLE.fullmatch(each)}


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


def paths() -> set[str]:
    """Return the paths of the system that the library names in its code, not in its docstrings."""
    found: set[str] = set()
    for module in trees():
        said = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and id(node) not in said:
                found |= set(SYSTEM_PATH.findall(str(node.value)))
    return found
