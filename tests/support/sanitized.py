"""sk_fidokit.c, compiled so that every misuse of memory ends the program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.agent_host import stock

import fidokit

SOURCE = Path(fidokit.__file__).parent / "provider" / "sk_fidokit.c"
STRICT = (
    *("-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
)


def compiled(made: Path, *arguments: str | Path) -> Path:
    """What the C compiler makes of it; its warnings are errors."""
    command = [stock("cc"), *STRICT, "-o", str(made), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def strict_library(folder: Path) -> Path:
    """The library itself, for sk-api 10; it runs only where `preload` says so."""
    made = folder / "sk_fidokit.so"
    return compiled(made, "-shared", "-fPIC", "-fvisibility=hidden", SOURCE)


def preload() -> dict[str, str]:
    """The environment in which a stock program can load it."""
    found = subprocess.check_output([stock("cc"), "-print-file-name=libasan.so"], text=True)
    # leaks: of the stock program's own, which are not ours
    return {"LD_PRELOAD": os.path.realpath(found.strip()), "ASAN_OPTIONS": "detect_leaks=0"}
