"""Stock ssh-keygen for tests of formats that it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.suites import brings


@pytest.fixture
@brings("interop")
def ssh_keygen_in(tmp_path: Path) -> Callable[..., None]:
    """Runs ssh-keygen in the test's folder; it must succeed."""
    program = shutil.which("ssh-keygen")
    if program is None:
        reason = "ssh-keygen is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def run(*arguments: str) -> None:
        subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    return run


@pytest.fixture
def stock_keygen(tmp_path: Path, ssh_keygen_in: Callable[..., None]) -> Callable[[str, str], bytes]:
    """A private key file of a type, under a passphrase, that ssh-keygen made."""

    def make(kind: str, words: str) -> bytes:
        ssh_keygen_in("-q", "-t", kind, "-N", words, "-a", "1", "-C", "me@here", "-f", "k")
        return (tmp_path / "k").read_bytes()

    return make
