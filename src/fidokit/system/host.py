"""The machine as the probes see it, so that a test can build another one in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ANSWER_LIMIT: Final = 1 << 18
"""Bytes: the longest message an SSH agent may send (PROTOCOL.agent, AGENT_MAX_LEN)."""

TIMEOUT: Final = 5.0
"""Seconds that a program or an agent gets to answer a probe."""


def run_program(argv: Sequence[str]) -> str | None:
    """Output and errors of a program that should end at once; None if it does not exist."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - the probes name their programs themselves
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def exchange_with_agent(path: str, request: bytes) -> bytes:
    """One framed message of the agent protocol, and the answer without its length.

    Raises:
        OSError: nobody listens, or the answer does not come or is longer than allowed.
    """
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
        connection.sendall(len(request).to_bytes(4, "big") + request)
        with connection.makefile("rb") as stream:
            size = int.from_bytes(stream.read(4), "big")
            if not 0 < size <= ANSWER_LIMIT:
                raise ConnectionAbortedError("the answer has no sensible length")
            answer = stream.read(size)
    if len(answer) != size:
        raise ConnectionAbortedError("the answer ends early")
    return answer


def listener_of(path: str) -> str:
    """The name of the process that listens at a Unix socket; empty if it cannot be known."""
    import socket
    import struct

    if not hasattr(socket, "SO_PEERCRED"):
        return ""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(path)
            size = struct.calcsize("3i")
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            return Path(f"/proc/{struct.unpack('3i', found)[0]}/comm").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def may_read_and_write(path: Path) -> bool:
    """Whether this user may open `path` for both; access lists count."""
    return os.access(path, os.R_OK | os.W_OK)


def effective_user() -> int:
    """The effective user id; 0 on Windows, where every file says so too."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def module_exists(name: str) -> bool:
    """Whether a module is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec(name) is not None


def has_pyscard() -> bool:
    """Whether pyscard can be imported, and the system's library beneath it.

    Its binding warns meanwhile; Python 3.13 crashes at its end where warnings are errors.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import smartcard.System  # noqa: F401
        except ImportError:
            return False
    return True


def xdg_folder(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    """Where a user keeps files of one kind (XDG base directories 0.8: a relative one is ignored).

    Args:
        environ: the environment variables.
        variable: such as "XDG_STATE_HOME".
        usual: where that is without the variable, below the home folder.
    """
    base = environ.get(variable, "")
    return Path(base) if base.startswith("/") else home_folder(environ) / usual


def home_folder(environ: Mapping[str, str]) -> Path:
    """The user's home folder."""
    return Path(environ.get("HOME") or Path.home())


@dataclass(frozen=True)
class Host:
    """Files under `root`, the environment, programs, sockets.

    Attributes:
        root: `/`, or a test's folder with the files that matter.
        environ: the environment variables.
        run: runs a program; its output and errors as one text, None if it is not installed.
        exchange: sends bytes to a Unix socket and returns the answer; raises OSError.
        listener: names the process that listens at a Unix socket.
        access: may this user read and write this path?
        has_module: can this Python module be imported?
        platform: sys.platform.
        user_id: the effective user id.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    run: Callable[[Sequence[str]], str | None] = run_program
    exchange: Callable[[str, bytes], bytes] = exchange_with_agent
    listener: Callable[[str], str] = listener_of
    access: Callable[[Path], bool] = may_read_and_write
    has_module: Callable[[str], bool] = module_exists
    platform: str = sys.platform
    user_id: int = field(default_factory=effective_user)

    def path(self, absolute: str) -> Path:
        """An absolute path on this machine."""
        return self.root / absolute.lstrip("/")

    @property
    def home(self) -> Path:
        """The user's home folder."""
        return home_folder(self.environ)

    @property
    def data_folder(self) -> Path:
        """Where what can be made anew is kept: `$XDG_DATA_HOME/fidokit`."""
        return xdg_folder(self.environ, "XDG_DATA_HOME", ".local/share") / "fidokit"

    @property
    def state_folder(self) -> Path:
        """Where what has to last is kept: `$XDG_STATE_HOME/fidokit`."""
        return xdg_folder(self.environ, "XDG_STATE_HOME", ".local/state") / "fidokit"
