"""The sshds that run with a configuration: reloaded, or run with the old files again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fidokit.errors import FidokitError, SshdNotAsked
from fidokit.server.sshd import services
from fidokit.server.sshd.instances import SshdInstance, running
from fidokit.server.sshd.query import Sshd
from fidokit.server.sshd.services import PATIENCE_S, Address, Services


@dataclass(frozen=True)
class RunningMember:
    """One of them.

    Attributes:
        services: what manages it.
        places: where it answers.
    """

    services: Services
    places: Sequence[Address]


@dataclass(frozen=True)
class Running:
    """The sshds that run.

    Attributes:
        members: each of them.
        patience: seconds for a new process to answer.
    """

    members: Sequence[RunningMember]
    patience: float = PATIENCE_S

    def reload(self) -> bool:
        """Have all of them take their new configuration; whether new processes answer.

        Raises:
            FidokitError: one could not be told.
        """
        return all(services.reload(x.services, x.places, self.patience) for x in self.members)

    def restore(self) -> None:
        """Have them run with the old files again.

        Raises:
            FidokitError: one does not.
        """
        why = ""
        try:
            runs = [services.restart(x.services, x.places, self.patience) for x in self.members]
            if all(runs):
                return
        except FidokitError as error:
            why = f" ({error.message})"
        raise FidokitError(
            "sshd did not take the new configuration, and does not run with the old one, though "
            f"its files are as they were{why}",
            hint="do not log out; look into its log and start it by hand",
        )


def instances_of(sshd: Sshd, config: Path) -> list[SshdInstance]:
    """The sshds that run with a configuration file, whichever program they are and however started.

    Args:
        sshd: the installed one.
        config: without symbolic links.
    """
    return [one for one in running(spare=sshd) if _reads(one.sshd, config)]


def _reads(sshd: Sshd, config: Path) -> bool:
    named = sshd.named_config
    if named is None:
        try:
            reading = sshd.explained().reading
        except SshdNotAsked:
            return False  # it would not start any more
        named = reading.files[0] if reading and reading.files else ""
    return os.path.realpath(named) == str(config)


def others_that_read(sshd: Sshd, config: Path, paths: Iterable[Path]) -> list[SshdInstance]:
    """The sshds that run with another configuration file, and read one of the paths as well.

    Args:
        sshd: the installed one.
        config: the other's, without symbolic links.
        paths: of files that may not be there yet.
    """
    found = []
    for one in running(spare=sshd):
        if _reads(one.sshd, config):
            continue
        with suppress(SshdNotAsked):
            reading = one.sshd.explained().reading
            if reading and any(reading.includes(path) for path in paths):
                found.append(one)
    return found


def find_running(
    sshd: Sshd, config: Path, manager: Services | None, pid_file: Path | None
) -> Running:
    """The sshds that run with a configuration, or the socket that starts one.

    Args:
        manager: what manages it; looked for when None.
        pid_file: where the one that is meant has noted its process id.

    Raises:
        FidokitError: none answers.
    """
    if manager is None and pid_file is None:
        found = [_member(one) for one in instances_of(sshd, config)]
        if found:
            return Running(found)
        socket = services.of_socket()
        if socket is not None:
            return Running([RunningMember(socket[0], services.answering(socket[1]))])
    settings = sshd.with_config(config).settings()
    places = services.answering(services.addresses(settings))
    if not places:
        raise FidokitError(
            "no sshd answers here that could be reloaded",
            hint="start it, or leave --reload out",
        )
    command = [sshd.program, "-f", str(config)]
    return Running([RunningMember(manager or services.noted(settings, command, pid_file), places)])


def _member(instance: SshdInstance) -> RunningMember:
    places = services.answering(services.addresses(instance.sshd.settings()))
    return RunningMember(services.of_instance(instance), places)
