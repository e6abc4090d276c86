"""Which OpenSSH the programs on the PATH are of: some of what they do is newer, or gone."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache


@cache
def openssh(program: str = "ssh") -> tuple[int, int]:
    """Its version, such as (9, 2).

    Args:
        program: ssh, or sshd by its path.
    """
    path = shutil.which(program, path=None if "/" not in program else "") or program
    done = subprocess.run(
        [path, "-V"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", done.stdout + done.stderr)
    assert found, done
    return int(found[1]), int(found[2])
