"""What travels to other hosts keeps to Python 3.9: all that goes into the one-file program.

These are rules over the source; tests/matrix/test_python39.py has a real Python 3.9 import it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ci.loading import load

SRC = Path(__file__).parents[2] / "src"
packer = load("pyz")
PACKED = packer.packed(SRC)
NEWER = {
    "ExceptionGroup",
    "LiteralString",
    "Never",
    "NotRequired",
    "ParamSpec",
    "Required",
    "Self",
    "StrEnum",
    "TaskGroup",
    "TypeAlias",
    "TypeGuard",
    "TypeVarTuple",
    "UTC",
    "Unpack",
    "aclosing",
    "add_note",
    "aiter",
    "anext",
    "assert_never",
    "assert_type",
    "batched",
    "bit_count",
    "call",
    "chdir",
    "entry_points",
    "file_digest",
    "hardlink_to",
    "override",
    "pairwise",
    "reveal_type",
    "root_dir",
    "stdlib_module_names",
    "timeout_at",
    "tomllib",
}
"""Names of the standard library that came after 3.9, as attributes or imports."""
KEYWORDS = {
    "a2b_base64": {"strict_mode"},
    "dataclass": {"slots", "kw_only"},
    "zip": {"strict"},
    "field": {"kw_only"},
}
BUILTIN = {"bool", "bytes", "dict", "float", "int", "list", "set", "str", "tuple", "type"}
POSSESSIVE = re.compile(r"(?<!\\)[*+?}]\+|\(\?>")


def too_new(source: str) -> list[str]:
    """What Python 3.9 would stumble over, with its line."""
    found = []
    for node in packer.evaluated(ast.parse(source, feature_version=(3, 9))):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Match):
            found.append(f"{line}: match")
        elif isinstance(node, ast.Attribute) and node.attr in NEWER:
            found.append(f"{line}: .{node.attr}")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
            found += [f"{line}: import {name}" for name in sorted(names & NEWER)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            if is_type(node.left) and is_type(node.right):
                found.append(f"{line}: {ast.unparse(node)}")
        elif isinstance(node, ast.Call):
            found += [f"{line}: {word}" for word in newer_call(node)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if POSSESSIVE.search(text) and "\n" not in text:
                found.append(f"{line}: {text!r}")
    return found


def newer_call(node: ast.Call) -> Iterator[str]:
    called = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
    newer = KEYWORDS.get(called, set())
    yield from (f"{word.arg}=" for word in node.keywords if word.arg in newer)
    if called in {"from_bytes", "to_bytes"} and len(node.args) + len(node.keywords) < 2:
        yield f"{called} without byteorder"


def is_type(node: ast.AST) -> bool:
    """Whether an operand of `|` looks like a type and not like flags."""
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    if isinstance(node, ast.BinOp):
        return is_type(node.left) and is_type(node.right)
    if isinstance(node, ast.Constant):
        return node.value is None
    name = node.id if isinstance(node, ast.Name) else ""
    builtin = name in {
        "bool",
        "bytes",
        "dict",
        "float",
        "int",
        "list",
        "set",
        "str",
        "tuple",
        "type",
    }
    return builtin or (name[:1].isupper() and not name.isupper())


def test_server_needs_the_standard_library_and_little_of_ours() -> None:
    found = packer.reached(SRC, packer.servers(SRC))
    assert {"fidokit.server.check", "fidokit.openssh.wire", "fidokit.types"} <= set(found)
    rooms = {name.split(".")[1] for name in found if "." in name}
    lower = {"errors", "types", "facade", "findings", "openssh", "files", "system"}
    assert rooms <= {"server", *lower}


@pytest.mark.parametrize("name", PACKED)
def test_nothing_is_newer(name: str) -> None:
    assert too_new(PACKED[name].read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "match x:\n    case 1: pass",
        "@dataclass(frozen=True, slots=True)\nclass A: pass",
        "from enum import StrEnum",
        "import tomllib",
        "zip(a, b, strict=True)",
        "Line = Good | Bad",
        "isinstance(x, Good | Bad)",
        "Usual = type[Good] | None",
        "re.compile(r'[a-z]++')",
        "re.compile(rb'(?>a)')",
        "n.bit_count()",
        "int.from_bytes(data)",
        "n.to_bytes(4)",
        "a2b_base64(text, strict_mode=True)",
    ],
)
def test_each_rule_can_fail(source: str) -> None:
    try:
        assert too_new(source)
    except SyntaxError:
        assert source.startswith("match")


@pytest.mark.parametrize(
    "source",
    [
        "def f(x: int | None) -> A | B: ...",
        "if TYPE_CHECKING:\n    from typing import Self",
        "x = a | b",
        "x = os.O_RDONLY | O_CLOEXEC",
        "x = FLAG | OTHER",
    ],
)
def test_and_lets_pass_what_3_9_has(source: str) -> None:
    assert too_new(source) == []
