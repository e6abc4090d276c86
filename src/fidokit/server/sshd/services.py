"""Having a running sshd take its new configuration, and seeing that it answers."""

from __future__ import annotations

import os
import shlex
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
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.settings import SshdSettings

PATIENCE_S: Final = 15.0
"""Seconds in which a new process has to answer; sshd needs a tenth."""

_STEP_S: Final = 0.05
_HELLO: Final = b"SSH-"
_SOCKETS: Final = ("ssh.socket", "sshd.socket")
_SYSTEMD: Final = "/run/systemd/system"
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104  compared, not bound

Address = tuple[str, int]
Systemctl = Callable[[Sequence[str]], subprocess.CompletedProcess[bytes]]


class Services(Protocol):
    """What manages the running sshd.

    Attributes:
        command: what an administrator types to reload it; empty if nothing is needed.
    """

    @property
    def command(self) -> str: ...  # noqa: D102

    def reload(self) -> None:
        """Have it read its configuration again."""

    def restart(self) -> None:
        """Have it run again, with the configuration that is there now, whether it died or not."""

    def generation(self) -> object:
        """Something that differs once a new process is up; None if that cannot be seen."""

    def is_gone(self) -> bool:
        """Whether it has ended."""


@dataclass(frozen=True)
class Systemd:
    """sshd as a unit of systemd.

    Attributes:
        unit: its name.
        pid: of the process that listens.
        run: runs systemctl.
    """

    unit: str
    pid: int | None
    run: Systemctl

    @property
    def command(self) -> str:
        """What an administrator types to reload it."""
        return f"systemctl reload {self.unit}"

    def reload(self) -> None:
        """Run `systemctl reload` for the unit."""
        self._do("reload")

    def restart(self) -> None:
        """Run `systemctl restart` for the unit."""
        self._do("restart")

    def generation(self) -> object:
        """What tells the process from one that has started itself again."""
        return incarnation(self.pid)

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


@dataclass(frozen=True)
class SystemdWoken(Systemd):
    """sshd as a unit that a socket of systemd has started: SIGHUP may end it (10.0 on Debian 13),
    since it cannot bind again what systemd holds."""

    @property
    def command(self) -> str:
        """What an administrator types to have it take its configuration; sessions stay."""
        return f"systemctl restart {self.unit}"

    def reload(self) -> None:
        """Run `systemctl restart` for the unit."""
        self._do("restart")

    def generation(self) -> object:
        """What tells its process from one before."""
        shown = self.run(["systemctl", "show", "-p", "MainPID", self.unit]).stdout
        pid = shown.decode("utf-8", "replace").strip().rpartition("=")[2]
        return incarnation(int(pid)) if pid.isdecimal() else None


@dataclass(frozen=True)
class ByConnection:
    """A socket of systemd, which starts an sshd for each connection, or for the next one.

    Attributes:
        unit: its name.
    """

    unit: str

    command = ""

    def reload(self) -> None:
        """Do nothing: the next connection takes the new configuration."""

    def restart(self) -> None:
        """Do nothing: systemd still has the socket."""

    def generation(self) -> object:
        """Nothing: no process is there that could change."""
        return None

    def is_gone(self) -> bool:
        """Never: systemd has the socket."""
        return False


@dataclass(frozen=True)
class Process:
    """sshd as a process alone, which SIGHUP has start itself again (sshd(8)).

    Attributes:
        pid: its number, which stays.
        start: starts another one, if it has died.
    """

    pid: int
    start: Sequence[str]

    @property
    def command(self) -> str:
        """What an administrator types to reload it."""
        return f"kill -HUP {self.pid}"

    def reload(self) -> None:
        """Send SIGHUP.

        Raises:
            NoPermission: it belongs to another user.
            FidokitError: it has ended.
        """
        try:
            os.kill(self.pid, signal.SIGHUP)
        except PermissionError:
            raise NoPermission("sshd belongs to another user", hint="use sudo") from None
        except ProcessLookupError:
            raise FidokitError(f"sshd has ended: process {self.pid}", hint="start it") from None

    def restart(self) -> None:
        """SIGHUP, or a new process."""
        if self.is_gone():
            _start(self.start)
        else:
            self.reload()

    def generation(self) -> object:
        """What tells the process from one that has started itself again."""
        return incarnation(self.pid)

    def is_gone(self) -> bool:
        """Whether it has ended; it starts itself again under the same number."""
        return not _is_sshd(self.pid)


def incarnation(pid: int | None) -> object:
    """What tells a process from one that has started itself again under its number.

    Its sockets are made anew, and its stack lies elsewhere (proc(5)); both are for root and its
    owner to see. None if neither can be seen.
    """
    if pid is None:
        return None
    sockets, stack = set(), ""
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                sockets.add(str(entry.readlink()))
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        stack = text.rpartition(")")[2].split()[25]
    opened = frozenset(name for name in sockets if name.startswith("socket:"))
    return (opened, stack) if opened or stack not in {"", "0"} else None


def unit_of(pid: int, proc: Path = Path("/proc")) -> str:
    """The service of systemd that a process belongs to; empty for none (cgroups(7))."""
    with suppress(OSError):
        for line in (proc / str(pid) / "cgroup").read_text("utf-8", "replace").splitlines():
            name = line.rpartition("/")[2]
            if name.endswith(".service") and name.startswith("ssh"):
                return name
    return ""


@dataclass
class Signaled:
    """sshd as a process, which SIGHUP has start itself again (sshd(8)).

    Attributes:
        pid_file: where it notes its process id.
        start: starts another one, if it has died.
    """

    pid_file: Path
    start: Sequence[str]
    _last: int | None = field(default=None, init=False)

    @property
    def command(self) -> str:
        """What an administrator types to reload it."""
        return f"kill -HUP $(cat {shlex.quote(str(self.pid_file))})"

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
        else:
            _start(self.start)

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


def _start(command: Sequence[str]) -> None:
    subprocess.run(  # noqa: S603  sshd, which the user or PATH names
        list(command),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def of_instance(instance: SshdInstance, run: Systemctl | None = None) -> Services:
    """What manages an sshd that runs: systemd if it is one of its services, else SIGHUP.

    Args:
        instance: with a process.
        run: runs systemctl.
    """
    pid = instance.pid or 0
    unit = unit_of(pid) if Path(_SYSTEMD).is_dir() else ""
    if unit:
        run = run or _run
        kind = SystemdWoken if _is_woken(unit, run) else Systemd
        return kind(unit, pid, run)
    return Process(pid, (instance.sshd.program, *instance.sshd.arguments))


def _is_woken(unit: str, run: Systemctl) -> bool:
    """Whether a socket that listens starts a unit (systemd.socket(5))."""
    shown = run(["systemctl", "show", "-p", "TriggeredBy", unit]).stdout.decode("utf-8", "replace")
    sockets = [name for name in shown.rpartition("=")[2].split() if name.endswith(".socket")]
    return any(run(["systemctl", "is-active", "--quiet", name]).returncode == 0 for name in sockets)


def of_socket(run: Systemctl | None = None) -> tuple[ByConnection, list[Address]] | None:
    """A socket of systemd that starts sshd, and where it listens; None if none is active."""
    run = run or _run
    if not Path(_SYSTEMD).is_dir():
        return None
    for unit in _SOCKETS:
        if run(["systemctl", "is-active", "--quiet", unit]).returncode == 0:
            shown = run(["systemctl", "show", unit, "-p", "Listen"]).stdout.decode(
                "utf-8", "replace"
            )
            return ByConnection(unit), _listening(shown)
    return None


def _listening(shown: str) -> list[Address]:
    """The TCP addresses of `Listen=[::]:22 (Stream)`, one a line."""
    found = []
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        host, _, port = value.partition(" ")[0].rpartition(":")
        if name == "Listen" and port.isdecimal():
            found.append((_ANY_ADDRESS.get(host, host).strip("[]"), int(port)))
    return found


def noted(settings: SshdSettings, command: Sequence[str], pid_file: Path | None) -> Signaled:
    """An sshd that has noted its process id.

    Args:
        settings: the effective ones; they say if it does.
        command: starts an sshd with the configuration.
        pid_file: named by the user.

    Raises:
        FidokitError: it is not known where.
    """
    named = settings.first("pidfile", "none")
    chosen = pid_file or (None if named == "none" else Path(named))
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
    """Make sshd take its new configuration.

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
    """Make sshd run again; whether it answers.

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
