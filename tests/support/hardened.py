"""A machine for `server harden`: an sshd that runs, the keys it knows, a client with an agent."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.agent_host import Host
from tests.support.sshd import Sshd, outlast, running

from fidokit.server.harden.application import apply_hardening, plan_hardening, plan_unhardening
from fidokit.server.harden.plan import HardeningPlan, HardeningRequest, HardeningTarget

USER = pwd.getpwuid(os.geteuid()).pw_name
SSHD = "/usr/sbin/sshd"
BEGUN_S = 0.3
"""When a reload is told from the start of an sshd: sooner, nobody can harden it by hand."""


def line(host: Host, name: str, options: str = "") -> str:
    """The line of authorized_keys for one of the host's keys."""
    return f"{options} {(host.home / name).with_suffix('.pub').read_text()}".lstrip()


class Machine:
    """A server, the keys it knows, and the ways to harden it."""

    def __init__(self, server: Sshd, host: Host) -> None:
        self.server, self.host = server, host
        self.folder = server.folder / "sshd_config.d"
        self.pam = server.folder / "pam"

    @property
    def target(self) -> HardeningTarget:
        modules = (str(self.server.folder),)
        return HardeningTarget(self.server.config, SSHD, self.pam, modules)

    def authorize(self, *lines: str) -> None:
        (self.server.folder / "authorized").write_text("".join(lines))

    def plan(self, level: str, **more: object) -> HardeningPlan:
        request = HardeningRequest(level, (USER,), **more)  # type: ignore[arg-type]
        return plan_hardening(request, self.target, environ=self.environ)

    def harden(self, level: str, *, reload: bool = True, **more: object) -> HardeningPlan:
        plan = self.plan(level, **more)
        apply_hardening(plan, reload=reload, pid_file=self.server.folder / "pid")
        return plan

    def undo(self) -> HardeningPlan:
        plan = plan_unhardening(self.target)
        apply_hardening(plan, reload=True, pid_file=self.server.folder / "pid")
        return plan

    @property
    def environ(self) -> dict[str, str]:
        return self.host.env | {"SSH_AUTH_SOCK": self.host.socket}

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Every configuration file: what is in it, and its mode."""
        found = [self.server.config, self.pam, *self.folder.glob("*")]
        found += self.server.folder.glob("*.fidokit-original")
        return {
            str(path): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            for path in found
            if path.exists()
        }

    def says(self, key: str, *options: str) -> str:
        """What ssh notes down about a login by a key of the agent."""
        public = str((self.host.home / key).with_suffix(".pub"))
        command = [*self.server.client("-v", "-i", public, *options), f"{USER}@127.0.0.1", "true"]
        done = subprocess.run(
            command, capture_output=True, env=self.environ, timeout=60, check=False, text=True
        )
        return done.stderr

    def lets_in(self, key: str) -> bool:
        return "Authenticated to 127.0.0.1" in self.says(key)


@contextmanager
def machine(
    folder: Path,
    host: Host,
    *first: str,
    place: str = "include",
    tail: Sequence[str] = (),
    sshd: str = SSHD,
) -> Iterator[Machine]:
    """A server of which the files are below `folder`."""
    (folder / "sshd_config.d").mkdir(parents=True)
    include = [f"Include {folder}/sshd_config.d/*.conf"] if place == "include" else []
    settings = (*first, *include, f"AuthorizedKeysFile {folder}/authorized")
    with running(folder, *settings, sshd=sshd, tail=tail) as server:
        outlast(folder / "pid", BEGUN_S)
        yield Machine(server, host)
