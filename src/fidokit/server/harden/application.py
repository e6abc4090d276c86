"""Carrying out a plan: files written, judged by sshd once more, and taken back if it goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fidokit.errors import FidokitError
from fidokit.server.authorize.key_file import locked
from fidokit.server.harden.levels import Directive, unmet
from fidokit.server.sshd import drop_in, services
from fidokit.server.sshd.drop_in import Edit
from fidokit.server.sshd.program import SshdProgram
from fidokit.server.sshd.services import PATIENCE_S, Address, Services


@dataclass(frozen=True, slots=True)
class Running:
    """The sshd that runs.

    Attributes:
        services: what manages it.
        places: where it answers.
        patience: seconds for a new process to answer.
    """

    services: Services
    places: Sequence[Address]
    patience: float = PATIENCE_S

    def reload(self) -> bool:
        """Have it take its new configuration; whether a new process answers.

        Raises:
            FidokitError: it could not be told, and runs as it did.
        """
        return services.reload(self.services, self.places, self.patience)

    def restore(self) -> None:
        """Have it run with the old files again.

        Raises:
            FidokitError: it does not.
        """
        why = ""
        try:
            if services.restart(self.services, self.places, self.patience):
                return
        except FidokitError as error:
            why = f" ({error.message})"
        raise FidokitError(
            "sshd did not take the new configuration, and does not run with the old one, though "
            f"its files are as they were{why}",
            hint="do not log out; look into its log and start it by hand",
        )


def find_running(
    sshd: SshdProgram, config: Path, manager: Services | None, pid_file: Path | None
) -> Running:
    """The sshd that runs with a configuration.

    Args:
        manager: what manages it; looked for when None.
        pid_file: see `services.find_services`.

    Raises:
        FidokitError: none answers.
    """
    settings = sshd.effective(config)
    found = manager or services.find_services(settings, [sshd.path, "-f", str(config)], pid_file)
    places = services.answering(services.addresses(settings))
    if not places:
        raise FidokitError(
            "no sshd answers here that could be reloaded",
            hint="start it, or leave --reload out",
        )
    return Running(found, places)


@dataclass
class Applying:
    """The edits of a plan, and how far they have come.

    Attributes:
        directives: what must hold afterwards.
    """

    sshd: SshdProgram
    config: Path
    edits: Sequence[Edit]
    directives: Sequence[Directive]
    _done: list[Edit] = field(default_factory=list, init=False)

    def run(self, running: Running | None) -> None:
        """Carry them out.

        Raises:
            FidokitError: a file was changed meanwhile, sshd refuses the files, or no new process
                answers; then everything is as it was before.
        """
        with locked(self.config.parent), self._taken_back():
            for edit in self.edits:
                drop_in.check_current(edit)
            for edit in self.edits:
                drop_in.write(edit)
                self._done.append(edit)
            self._check()
            if running:
                self._reload(running)

    def _check(self) -> None:
        """Ask sshd about the files where they are now: the trial's stood elsewhere."""
        self.sshd.check(self.config)
        overruled = unmet(self.directives, self.sshd.effective(self.config))
        if overruled:
            raise FidokitError(
                f"{overruled[0]} does not hold once it is in place; everything is as it was before",
                hint="look for files that include others, with `sshd -T -ddd`",
            )

    def _reload(self, running: Running) -> None:
        if not running.reload():
            self._take_back()
            running.restore()
            raise FidokitError(
                "sshd does not answer after it was reloaded; everything is as it was before",
                hint="look into its log, such as `journalctl -u ssh`",
            )

    @contextmanager
    def _taken_back(self) -> Iterator[None]:
        try:
            yield
        except BaseException:  # also Ctrl-C: half of a change is worse than none
            self._take_back()
            raise

    def _take_back(self) -> None:
        for edit in reversed(self._done):
            with suppress(FidokitError):  # the first error says more, and the others must go on
                drop_in.write(edit.reverse)
        self._done.clear()
