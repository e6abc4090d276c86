"""`server` and all that it imports, on the oldest Python that it travels to: Debian 11's, 3.9."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.server.test_python39 import SRC, packer
from tests.support.roots import required

pytestmark = [pytest.mark.interop, pytest.mark.root]

IMPORT = """
import importlib, pathlib, sys
sys.path.insert(0, "/src")
assert sys.version_info[:2] == (3, 9), sys.version
for name in pathlib.Path("/names").read_text().split():
    importlib.import_module(name)
print("imported")
"""


def test_it_is_imported(tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("\n".join(packer.reached(SRC, packer.servers(SRC))))
    show = {str(SRC): "/src", str(names): "/names"}
    command = required("bullseye").within(["python3", "-B", "-W", "error", "-c", IMPORT], show=show)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "imported\n", done.stderr
