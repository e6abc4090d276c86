"""The public API: few names, each documented, executed, and free until it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).parents[1]
PACKAGES = ("tokens", "keys", "signing", "agent", "server", "virtual", "lab", "testing")
HEAVY = ("cryptography", "fido2", "rich", "sqlite3", "asyncio", "bcrypt", "smartcard", "pytest")
MOST = 76


def package(name: str) -> ModuleType:
    return importlib.import_module(f"fidokit.{name}")


NAMES = [(name, public) for name in PACKAGES for public in package(name).__all__]


def test_they_are_few_and_none_stands_in_two_packages() -> None:
    names = [public for _, public in NAMES]
    assert len(set(names)) == len(names)
    assert 55 <= len(names) <= MOST


@pytest.mark.parametrize(("name", "public"), NAMES)
def test_every_name_is_there_documented_and_on_the_page(name: str, public: str) -> None:
    value = getattr(package(name), public)
    assert public in dir(package(name))
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__ is not None
        assert len(value.__doc__.split()) > 3
    code = "\n".join(blocks())
    assert re.search(rf"\b{public}\b", code), f"docs/api.md shows no example of {public}"


def test_a_missing_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = package("tokens").nothing_of_the_kind


@pytest.mark.parametrize("name", [name for name in PACKAGES if name != "testing"])
def test_type_checkers_and_python_see_the_same_names(name: str) -> None:
    module = package(name)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    seen = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert seen == module._PUBLIC.homes


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        env={"PYTHONPATH": str(TOP / "src")},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(done.stdout.split())


def test_importing_the_packages_loads_nothing_else() -> None:
    names = [name for name in PACKAGES if name != "testing"]
    loaded = loaded_after(f"from fidokit import {', '.join(names)}")
    ours = {name for name in loaded if name.startswith("fidokit.")}
    assert ours == {f"fidokit.{name}" for name in (*names, "facade")}
    assert not loaded.intersection(HEAVY)


def blocks(page: str = "api.md") -> list[str]:
    """The Python on a page, each block on its lines of the page."""
    text = (TOP / "docs" / page).read_text()
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return ["\n" * text[: match.start(1)].count("\n") + match[1] for match in found]


@pytest.mark.parametrize("page", ["api.md", "virtual-token.md", "transports/usbip.md"])
def test_the_page_runs(page: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks, one after the other, in an empty home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    space: dict[str, object] = {"__name__": "page", "input": print}
    for block in blocks(page):
        exec(compile(block, f"docs/{page}", "exec"), space)
