"""Where the stock programs are that judge our work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.pcscd import Pcscd, started
from tests.support.suites import brings


def stock(program: str) -> str:
    """The path of a stock program. Where it is missing, CI fails; elsewhere the test skips."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed; install the Debian packages that README names"
        if os.environ.get("CI") == "true" and program not in _left_out():
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _left_out() -> list[str]:
    """Packages that this release does not have, by their names; the set-up said so."""
    noted = Path(sys.prefix) / ".left-out"
    return noted.read_text().split() if noted.exists() else []


Run = Callable[..., str]
"""Runs ssh-keygen with some arguments and gives what it printed."""


@pytest.fixture(name="stock", scope="session")
@brings("interop")
def _stock() -> Callable[[str], str]:
    """`stock` itself, for tests that cannot import from a conftest."""
    return stock


@pytest.fixture
@brings("interop")
def ssh_keygen(tmp_path: Path) -> Run:
    """Run ssh-keygen in `tmp_path` without a terminal; a failure fails the test unless wanted.

    Keywords: `stdin` (text or bytes for its input), `fails` (it must exit non-zero; what it
    said on standard error is given back).
    """
    program = stock("ssh-keygen")

    def run(*args: str | Path, stdin: bytes = b"", fails: bool = False) -> str:
        done = subprocess.run(
            [program, *map(str, args)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        )
        assert (done.returncode != 0) is fails, done
        return (done.stderr if fails else done.stdout).decode()

    return run


@pytest.fixture(scope="session")
@brings("interop")
def pcscd() -> Iterator[Pcscd]:
    """A real one, with an empty reader."""
    with started() as found:
        yield found
