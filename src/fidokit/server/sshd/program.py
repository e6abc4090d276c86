"""sshd asked about a configuration: is it one (`sshd -t`), and what does it come to (`sshd -T`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedFile
from fidokit.server.sshd.query import Origin
from fidokit.server.sshd.settings import PROGRAMS, Settings, parse

TIMEOUT_S: Final = 30.0
LOOPBACK: Final = Origin("localhost", "127.0.0.1", "127.0.0.1", "22")
"""Where logins to a throw-away server come from."""


def find_sshd(named: str | None = None) -> str:
    """sshd's whole path: it starts itself again for each connection and asks for no less.

    Raises:
        FidokitError: it is not installed.
    """
    for name in [named] if named else PROGRAMS:
        found = shutil.which(name)
        if found:
            return os.path.abspath(found)  # noqa: PTH100  its name may matter: links stay
    raise FidokitError(
        f"{named or 'sshd'} is not installed here",
        hint="install openssh-server, or name the program with --sshd",
    )


@dataclass(frozen=True, slots=True)
class SshdProgram:
    """An sshd.

    Attributes:
        path: of the program.
        host_key: a key of ours for it, where this user may not read the machine's own.
    """

    path: str
    host_key: Path | None = None

    def check(self, config: Path) -> None:
        """`sshd -t`.

        Raises:
            MalformedFile: sshd would not start with this configuration; says why.
        """
        self._run(["-t", *self._of(config)], config)

    def effective(self, config: Path, user: str | None = None) -> Settings:
        """`sshd -T`: what a configuration comes to, for a login of a user from this machine.

        Args:
            user: whose Match blocks count; None for the settings outside of any.

        Raises:
            MalformedFile: as `check`.
            UsageError: a user's name that sshd cannot be asked about.
        """
        where = ["-C", LOOPBACK.spec(user)] if user is not None else []
        return parse(self._run(["-T", *self._of(config), *where], config))

    def _of(self, config: Path) -> list[str]:
        key = ["-h", str(self.host_key)] if self.host_key and os.geteuid() != 0 else []
        return ["-f", str(config), *key]

    def _run(self, arguments: Sequence[str], config: Path) -> str:
        try:
            done = subprocess.run(  # noqa: S603  the program that the person or PATH names
                [self.path, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FidokitError(f"{self.path} cannot be run: {error}") from None
        if done.returncode != 0:
            raise MalformedFile(
                f"sshd refuses {config}: {_reason(done.stderr)}", hint=_hint(done.stderr)
            )
        return done.stdout.decode("utf-8", "replace")


def _reason(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(lines[-3:]) or "it says nothing"


def _hint(said: bytes) -> str:
    if b"privilege separation directory" in said:
        return "sshd wants that folder: sudo mkdir -m 755 /run/sshd"
    if b"no hostkeys available" in said:
        return "only root reads the host keys: repeat it with sudo"
    return "mend it, and check with: sshd -t"
