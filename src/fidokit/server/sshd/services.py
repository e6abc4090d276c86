"""Having a running sshd take its new configuration, and seeing that it answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from fidokit.errors import FidokitError, NoPermission
from fidokit.server.sshd.settings import SshdSettings

PATIENCE_S: Final = 15.0
"""Seconds in which a new process has to answer; sshd needs a tenth."""

_STEP_S: Final = 0.05
_HELLO: Final = b"SSH-"
_UNITS: Final = ("ssh.service", "sshd.service")
_SYSTEMD: Final = "/run/systemd/system"
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104  compared, not bound

Address = tuple[str, int]
Systemctl = Callable[[Sequence[str]], subprocess.CompletedProcess[bytes]]


class Services(Protocol):
    """What manages the running sshd."""

    def reload(self) -> None:
        """Have it read its configuration again."""

    def restart(self) -> None:
        """Have it run again, with the configuration that is there now, whether it died or not."""

    def generation(self) -> object:
        """Something that differs once a new process is up; None where that cannot be seen."""

    def is_gone(self) -> bool:
        """Whether it has ended."""


@dataclass(frozen=True)
class Systemd:
    """sshd as a unit of systemd.

    Attributes:
        unit: its name.
        pid_file: where sshd notes its process id, if anywhere.
        run: runs systemctl.
    """

    unit: str
    pid_file: Path | None
    run: Systemctl

    def reload(self) -> None:
        """Run `systemctl reload` for the unit."""
        self._do("reload")

    def restart(self) -> None:
        """Run `systemctl restart` for the unit."""
        self._do("restart")

    def generation(self) -> object:
        """What the file of the process id is now."""
        return _mark(self.pid_file)

    def is_gone(self) -> bool:
        """Whether the unit has failed or stopped."""
        return self.run(["systemctl", "is-active", "--quiet", self.unit]).returncode != 0

    def _do(self, verb: str) -> None:
        done = self.run(["systemctl", verb, self.unit])
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise FidokitError(
                f"systemctl {verb} {self.unit} failed: {said}",
                hint=f"look at: systemctl status {self.unit}",
            )


@dataclass
class Signaled:
    """sshd as a process, which SIGHUP has start itself again (sshd(8)).

    Attributes:
        pid_file: where it notes its process id.
        command: starts another one, where it has died.
    """

    pid_file: Path
    command: Sequence[str]
    _last: int | None = field(default=None, init=False)

    def reload(self) -> None:
        """Send SIGHUP.

        Raises:
            FidokitError: no sshd has the process id in the file.
        """
        pid = self._pid()
        if pid is None:
            raise FidokitError(
                f"no sshd runs that {self.pid_file} names",
                hint="name the file of its process id with --pid-file; `sshd -T` says PidFile",
            )
        try:
            os.kill(pid, signal.SIGHUP)
        except PermissionError:
            raise NoPermission("sshd belongs to another user", hint="use sudo") from None

    def restart(self) -> None:
        """SIGHUP, or a new process."""
        if self._pid() is not None:
            self.reload()
            return
        subprocess.run(  # noqa: S603  sshd, which the person or PATH names
            list(self.command),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def generation(self) -> object:
        """What the file of the process id is now: sshd makes it anew."""
        return _mark(self.pid_file)

    def is_gone(self) -> bool:
        """Whether it has ended; it starts itself again under the same number."""
        return self._pid() is None

    def _pid(self) -> int | None:
        """The process id in the file, which sshd takes away for a moment while it starts again."""
        with suppress(OSError, ValueError):
            self._last = int(self.pid_file.read_text())
        return self._last if self._last is not None and _is_sshd(self._last) else None


def _is_sshd(pid: int) -> bool:
    """Whether a process is an sshd that lives: a stale file may name anybody's process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except FileNotFoundError:
        return False
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name.startswith("sshd") and rest.split()[0] != "Z"


def find_services(
    settings: SshdSettings,
    command: Sequence[str],
    pid_file: Path | None,
    run: Systemctl | None = None,
) -> Services:
    """What manages sshd here: systemd where it runs and has the unit, else its process id.

    Args:
        settings: the effective ones; they say where the process id is.
        command: starts an sshd with the configuration.
        pid_file: named by the person: then systemd is not asked.
        run: runs systemctl.

    Raises:
        FidokitError: neither is known.
    """
    run = run or _run
    noted = settings.first("pidfile", "none")
    known = None if noted == "none" else Path(noted)
    if pid_file is None and Path(_SYSTEMD).is_dir():
        for unit in _UNITS:
            if run(["systemctl", "is-active", "--quiet", unit]).returncode == 0:
                return Systemd(unit, known, run)
    chosen = pid_file or known
    if chosen is None:
        raise FidokitError(
            "it is not known which process is sshd",
            hint="name its --pid-file, or reload it by hand",
        )
    return Signaled(chosen, command)


def addresses(settings: SshdSettings) -> list[Address]:
    """Where an sshd with these settings can be reached from here."""
    found = []
    for value in settings.values.get("listenaddress", ()):
        host, _, port = value.partition(" ")[0].rpartition(":")
        if port.isdecimal():
            found.append((_ANY_ADDRESS.get(host, host).strip("[]"), int(port)))
    return found


def answering(places: Sequence[Address]) -> list[Address]:
    """Those of the addresses where an SSH server greets."""
    return [place for place in places if _greets(place)]


def reload(services: Services, places: Sequence[Address], patience: float = PATIENCE_S) -> bool:
    """Have sshd take its new configuration.

    Args:
        places: where it answered until now.

    Returns:
        whether a new process answers there.
    """
    old = services.generation()
    services.reload()

    def is_new() -> bool:
        new = services.generation()
        return old is None or (new is not None and new != old)

    return _comes_up(places, patience, is_new, services.is_gone)


def restart(services: Services, places: Sequence[Address], patience: float = PATIENCE_S) -> bool:
    """Have sshd run again; whether it answers.

    Whether it is gone is not asked: it may not have noted its process id yet.
    """
    services.restart()
    return _comes_up(places, patience, lambda: True, lambda: False)


def _comes_up(
    places: Sequence[Address],
    patience: float,
    is_new: Callable[[], bool],
    is_gone: Callable[[], bool],
) -> bool:
    """Whether a new process answers everywhere, soon."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if is_new() and all(_greets(place) for place in places):
            return True
        if is_gone():
            return False
        time.sleep(_STEP_S)
    return False


def _mark(path: Path | None) -> object:
    with suppress(OSError):
        if path is not None:
            found = path.stat()
            return found.st_ino, found.st_mtime_ns
    return None


def _greets(place: Address) -> bool:
    try:
        with socket.create_connection(place, 2.0) as connection:
            connection.settimeout(5.0)
            return connection.recv(len(_HELLO)) == _HELLO
    except OSError:
        return False


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603  systemctl, with names of ours
        list(command), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
