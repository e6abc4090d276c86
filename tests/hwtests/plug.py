"""A person's hands for `--hands`: plug.py FOLDER NAME FLAG... GESTURE.

`insert` serves a virtual token in the background, by the ways that the flags say; `unplug` ends
that, and waits; `touch` is left to the token's own policy. FOLDER keeps the process's number.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 30


def insert(pid: Path, arguments: list[str], env: dict[str, str] | None = None) -> None:
    """Serve it, and wait until it is reached.

    Args:
        env: of the server; this process's where there is none.
    """
    process = subprocess.Popen(  # it outlives this program; `unplug` ends it, or the run's guardian
        [sys.executable, "-m", "fidokit", "virtual", "serve", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=env,
    )
    pid.write_text(str(process.pid))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"  "):  # the ways come after the first line
            break
    process.stdout.close()
    process.returncode = 0  # it lives on without us


def unplug(pid: Path) -> None:
    """End it, if it is there."""
    if not pid.exists():
        return
    number = int(pid.read_text())
    pid.unlink()
    os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while _alive(number) and time.monotonic() < deadline:
        time.sleep(0.02)


def _alive(number: int) -> bool:
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def main() -> None:
    """Do what the last argument says."""
    folder, *arguments, gesture = sys.argv[1:]
    pid = Path(folder) / "served.pid"
    if gesture == "insert":
        insert(pid, arguments)
    elif gesture == "unplug":
        unplug(pid)


if __name__ == "__main__":
    main()
