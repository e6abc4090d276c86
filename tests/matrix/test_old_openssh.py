"""What we say to an OpenSSH that is too old, by that of Debian 11, 8.4."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.matrix.__main__ import write_programs
from tests.support.roots import required

pytestmark = [pytest.mark.interop, pytest.mark.root]


def test_our_library_is_refused_with_the_way_that_works(tmp_path: Path) -> None:
    with required("bullseye").machine({"/tmp": "/tmp"}) as machine:
        write_programs(machine, tmp_path)
        done = subprocess.run(
            [sys.executable, "-m", "fidokit", "provider", "path"],
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 8
    assert "8.4" in done.stderr
    assert "fidokit agent serve" in done.stderr
