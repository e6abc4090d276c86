"""Where measured programs run: a home of their own, nothing inherited."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import fidokit

KEPT = ("PATH", "LANG", "LC_ALL")
FIDOKIT = [sys.executable, str(Path(sys.executable).parent / "fidokit")]
"""The script of this environment, under its interpreter by name: a path may have spaces."""


@dataclass(frozen=True, slots=True)
class Place:
    """A scratch home, and the environment that points there."""

    home: Path
    environment: dict[str, str]

    def fidokit(self, *arguments: str) -> str:
        """Run a command of fidokit to prepare something, and return what it prints.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            [*FIDOKIT, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"fidokit {' '.join(arguments)}: {done.stderr}")
        return done.stdout


@contextmanager
def place() -> Iterator[Place]:
    """Make a scratch home, with the package byte-compiled as an installed one is."""
    compileall.compile_dir(str(Path(fidokit.__file__).parent), quiet=1)
    with TemporaryDirectory(prefix="fidokit-bench-") as folder:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        yield Place(Path(folder), {**kept, "HOME": folder, "XDG_STATE_HOME": f"{folder}/state"})
