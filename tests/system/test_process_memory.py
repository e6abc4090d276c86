"""What the process does against cores and debuggers; in a child, for it cannot be undone."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, resource
from fidokit.system.process_memory import harden
harden()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_no_core_and_not_dumpable() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["0", "0"]
