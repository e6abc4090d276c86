"""The program that travels: small, for Python 3.9, of the standard library alone."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

from tests.ci.loading import load
from tests.fleet.hosts.programs import traveling
from tests.server.test_python39 import too_new

from fidokit.fleet.hosts.imports import modules, reached
from fidokit.fleet.hosts.program import TravelingProgram, far_command

SRC = Path(__file__).parents[3] / "src"
ENTRY = "fidokit.cli.far_side.audit"
FOUND = reached(SRC, [ENTRY])


def test_what_travels() -> None:
    packed = TravelingProgram.packed(ENTRY)
    texts = json.loads(zlib.decompress(packed.modules))
    assert texts == {name: path.read_text() for name, path in FOUND.items()}
    assert {ENTRY, "fidokit.server.check.report"} <= texts.keys() < modules(SRC).keys()
    assert len(packed.modules) < 400_000
    assert TravelingProgram.packed(ENTRY) is packed


def test_nothing_in_it_is_newer_than_python_3_9() -> None:
    one_file = load("pyz").packed(SRC)  # its own test looks at those
    assert {n: too_new(p.read_text()) for n, p in FOUND.items() if n not in one_file} == {
        name: [] for name in FOUND if name not in one_file
    }


def test_it_needs_no_package() -> None:
    """All of it is imported where there is nothing but the standard library."""
    source = "import importlib\ndef main(names):\n"
    source += " for name in names.split(): importlib.import_module(name)\n print('imported')\n"
    texts = json.loads(zlib.decompress(TravelingProgram.packed(ENTRY).modules))
    program = TravelingProgram(
        "traveler", zlib.compress(json.dumps({**texts, "traveler": source}).encode())
    )
    assert run(program, " ".join(FOUND)) == "imported"


def test_the_command_is_one_word_to_any_shell() -> None:
    command = far_command()
    assert command.count("'") == 2
    assert not set("\\!$`\n") & set(command)
    assert shlex.split(command)[:2] == ["python3", "-ISBc"]
    assert shlex.split(far_command("/opt/a b", sudo=True))[:4] == ["sudo", "-n", "--", "/opt/a b"]


def test_a_package_and_its_module_travel() -> None:
    texts = {
        "box": "",
        "box.inner": "NAME = __name__",
        "traveler": "from box.inner import NAME\ndef main(r): print(NAME, r)",
    }
    program = TravelingProgram("traveler", zlib.compress(json.dumps(texts).encode()))
    assert run(program, "asked") == "box.inner asked"


def test_nothing_is_written(tmp_path: Path) -> None:
    program = traveling(
        "import os, sys\ndef main(r): print(sys.dont_write_bytecode, sys.path[:1] == [''])"
    )
    assert run(program, "x", folder=tmp_path) == "True False"
    assert list(tmp_path.iterdir()) == []


def run(program: TravelingProgram, request: str, folder: Path | None = None) -> str:
    words = shlex.split(far_command(sys.executable))
    done = subprocess.run(
        words, input=program.input("abc", request), capture_output=True, cwd=folder, check=True
    )
    return done.stdout.decode().strip()
