"""The scripts of .ci are programs that bash can read, and each says how it is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".ci"
SCRIPTS = [path for path in sorted(FOLDER.iterdir()) if path.is_file() and not path.suffix]
PROGRAMS = [path for path in SCRIPTS if path.name not in {"environment", "debian-packages"}]


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda path: path.name)
def test_is_a_program(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n# ")


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda path: path.name)
def test_bash_can_read_it(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda path: path.name)
def test_starts_from_the_top_whatever_the_folder(script: Path) -> None:
    assert 'cd "$(dirname "$0")/.."' in script.read_text()
    assert "unset CDPATH" in script.read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_names_no_host(script: Path) -> None:
    assert "://" not in script.read_text()
