"""C libraries of ours that other programs load, compiled on the machine that loads them.

A wheel with such a library inside would be for one platform and one age of libc. So the wheel
carries the source, and whoever needs the library has it made by the machine's own compiler, once:
behind the library's own bytes stands what it was made from, and only a change makes it anew.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fidokit.errors import Unsupported
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded

COMPILERS: Final = ("cc", "gcc", "clang")
"""The first of these that is on the search path."""
FLAGS: Final = (
    *("-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-fvisibility=hidden"),
    *("-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"),
    *("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"),
)
LIBRARIES: Final = ("-ldl",)
"""Behind the source: before glibc 2.34 dladdr is there."""
MODE: Final = 0o755
MOST: Final = 1 << 24
"""Bytes of a library; ours have some twenty thousand."""
TIMEOUT: Final = 120.0
"""Seconds that the compiler gets; it needs less than one."""


def ready(source: Path, name: str, own: Path, *definitions: str) -> Path:
    """The library of a source that comes with us.

    Args:
        source: one file in C.
        name: of the library.
        own: the user's folder, where it is compiled to.
        definitions: arguments such as "-DNAME=1".

    Returns:
        The one that a packager put beside the source, or to where a link there leads; else the
        user's own.

    Raises:
        Unsupported, NoPermission, FidokitError: see `compiled`.
    """
    packaged = source.with_name(name)
    if packaged.is_file():
        return packaged.resolve()
    return compiled(source, own / name, *definitions)


def compiled(source: Path, made: Path, *definitions: str) -> Path:
    """The library, made if it is missing or was made from something else.

    Args:
        source: one file in C.
        made: where the library is or is to be; its folder is created.
        definitions: arguments such as "-DNAME=1".

    Returns:
        `made`.

    Raises:
        Unsupported: no C compiler is here, or it refuses.
        NoPermission, FidokitError: the disk refused.
    """
    if is_current(source, made, *definitions):
        return made
    library = _compile(source, definitions)
    with explained(made.parent):
        made.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(made, library + _mark(source, definitions), MODE)
    return made


def is_current(source: Path, made: Path, *definitions: str) -> bool:
    """Whether a library is there and was made from this source in this way."""
    return made.is_file() and read_bounded(made, MOST).endswith(_mark(source, definitions))


def _mark(source: Path, definitions: Sequence[str]) -> bytes:
    """What stands behind the library; whoever loads an ELF file does not look there."""
    how = "\0".join((platform.machine(), *FLAGS, *definitions)).encode()
    made_from = hashlib.sha256(how + b"\0" + read_bounded(source, MOST))
    return f"\nfidokit:{made_from.hexdigest()}\n".encode()


def _compile(source: Path, definitions: Sequence[str]) -> bytes:
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise Unsupported(
            f"{source.name} has to be compiled once, and there is no C compiler",
            hint="install one (Debian: apt install gcc libc6-dev), then run this again",
        )
    with tempfile.TemporaryDirectory(prefix="fidokit-") as folder:
        made = Path(folder) / "made.so"
        command = [compiler, *FLAGS, *definitions, "-o", str(made), str(source), *LIBRARIES]
        try:
            done = subprocess.run(  # noqa: S603 - the user's own compiler, our own arguments
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unsupported(f"{compiler} did not compile {source.name}: {error}") from None
        if done.returncode or not made.is_file():
            raise Unsupported(
                f"{compiler} did not compile {source.name}: {_complaint(done.stderr)}",
                hint="a compiler without libc's headers? Debian: apt install gcc libc6-dev",
            )
        return read_bounded(made, MOST)


def _complaint(said: bytes) -> str:
    """The first error of the compiler, else its last words."""
    lines = said.decode("utf-8", "replace").splitlines() or ["it says nothing"]
    return next((line for line in lines if "error" in line), lines[-1])
