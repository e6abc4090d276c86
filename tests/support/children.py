"""Child processes that run for long end with the tests, however these end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

RUN = "FIDOKIT_TEST_RUN"
"""Names the folder of the run (see guardian.py) to its children."""
_SET_PDEATHSIG = 1
prctl = ctypes.CDLL(None).prctl if hasattr(ctypes.CDLL(None), "prctl") else lambda *_: -1


def place() -> Path:
    """A folder with a short path that is gone when the run is over."""
    return Path(os.environ.get(RUN, "/tmp"))


def signal_at_parents_end(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when the thread that started it ends."""
    prctl(_SET_PDEATHSIG, number)


def popen(command: Any, **options: Any) -> subprocess.Popen[Any]:
    """`subprocess.Popen` for what runs for long: killed when this process ends."""
    return subprocess.Popen(command, preexec_fn=_end_with_parent, **options)  # noqa: PLW1509  # one call of C


def _end_with_parent() -> None:
    signal_at_parents_end(signal.SIGKILL)
