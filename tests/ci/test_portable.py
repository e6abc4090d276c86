"""What CI runs on macOS and Windows: its tests exist and need no module that only Unix has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ci.conftest import TOP

SCRIPT = (TOP / ".ci/portable").read_text()
UNIX_ALONE = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
HIDING = f"""
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {UNIX_ALONE!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
for name in {UNIX_ALONE!r}:
    sys.modules.pop(name, None)
"""


def rooms() -> list[str]:
    listed = re.search(r"^rooms=\((.*)\)$", SCRIPT, re.MULTILINE)
    assert listed
    return listed[1].split()


@pytest.mark.parametrize("room", [*rooms(), "tests/files"])
def test_the_room_exists(room: str) -> None:
    assert room in SCRIPT
    assert (TOP / room).exists()


def collected(folder: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """Collect tests in a Python that has no module which only Unix has."""
    (folder / "no_unix.py").write_text(HIDING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no_unix", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--collect-only", *what],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_their_tests_import_no_module_that_only_unix_has(tmp_path: Path) -> None:
    done = collected(tmp_path, *rooms())
    assert done.returncode == 0, done.stdout[-2000:]
    count = re.search(r"^(\d+) tests collected", done.stdout, re.MULTILINE)
    assert count
    assert int(count[1]) > 2000


def test_such_an_import_would_be_seen(tmp_path: Path) -> None:
    test = tmp_path / "test_unix.py"
    test.write_text("import fcntl\n")
    assert collected(tmp_path, str(test)).returncode != 0
