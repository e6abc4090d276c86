"""The tests that CI runs on other releases: they exist, they are a tenth, no area is left out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.matrix.__main__ import named

TOP = Path(__file__).parents[2]
AREAS = {
    "formats": ("ssh_keygen_keys", "ssh_keygen_krl", "ssh_keygen_signatures", "ssh_keygen_cert"),
    "provider": ("provider",),
    "agent": ("agent_add", "agent_login", "agent_ssh_add"),
    "server": ("otp", "server_check", "server_harden", "server_second_factor"),
    "readers": ("pcsc",),
}


def functions(path: Path) -> set[str]:
    """The names of a file's tests, as they stand in ids."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if hasattr(one, "name")}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize("line", [*named("chosen"), *named("beyond_bullseye")])
def test_each_is_a_test(line: str) -> None:
    path, _, name = line.partition("::")
    assert (TOP / path).is_file()
    assert not name or name in functions(TOP / path)


@pytest.mark.parametrize("area", AREAS)
def test_no_area_is_left_out(area: str) -> None:
    assert [line for line in named("chosen") if any(f"test_{part}" in line for part in AREAS[area])]


def test_they_are_about_a_tenth() -> None:
    everything = sum(len(functions(path)) for path in (TOP / "tests/interop").glob("test_*.py"))
    assert 0.04 < len(named("chosen")) / everything < 0.15
