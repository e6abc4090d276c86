"""The face itself: every name is there, and naming costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from fidokit import api

SOURCE = Path(api.__file__)
HEAVY = ("cryptography", "fido2.ctap2", "rich", "sqlite3", "asyncio", "bcrypt", "smartcard")


def names_for_type_checkers() -> dict[str, str]:
    found = {}
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fidokit."):
            for alias in node.names:
                assert alias.asname == alias.name
                found[alias.name] = node.module or ""
    return found


def test_type_checkers_and_python_see_the_same_names() -> None:
    assert names_for_type_checkers() == api._MODULE_OF
    assert dir(api) == sorted(api._MODULE_OF)


@pytest.mark.parametrize("name", sorted(api._MODULE_OF))
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(api, name)
    assert value is getattr(api, name)
    assert name in {"QUIET", "LARGEST_BLOB", "HARDENING_LEVELS"} or value.__doc__


def test_a_missing_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = api.nothing_of_the_kind


def loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE.parents[2])},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(done.stdout.split())


def test_importing_the_face_loads_nothing_else() -> None:
    loaded = loaded_after("import fidokit.api")
    assert {name for name in loaded if name.startswith("fidokit")} == {"fidokit", "fidokit.api"}


def test_no_module_of_the_face_loads_anything_heavy() -> None:
    light = set(api._MODULE_OF.values()) - {"fidokit.api.virtual_token"}  # a class of the token's
    modules = "; ".join(f"import {module}" for module in sorted(light))
    assert not loaded_after(modules).intersection(HEAVY)
