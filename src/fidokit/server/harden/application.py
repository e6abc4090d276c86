"""Hardening sshd: planned and proved on throw-away servers first, then written, or undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from fidokit.errors import FidokitError
from fidokit.server.harden import plan as planning
from fidokit.server.harden.levels import Directive, unmet
from fidokit.server.harden.plan import HardeningPlan, HardeningRequest, HardeningTarget, Planner
from fidokit.server.locks import only_one
from fidokit.server.sshd import drop_in, services, trial
from fidokit.server.sshd.drop_in import Edit, PreparedEdit
from fidokit.server.sshd.query import Sshd, find_sshd
from fidokit.server.sshd.services import PATIENCE_S, Address, Services


def plan_hardening(
    request: HardeningRequest,
    target: HardeningTarget | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> HardeningPlan:
    """Find out what a level changes, and whether everybody still gets in; changes nothing.

    Throw-away servers on loopback, with the old and the new configuration, are asked by the stock
    ssh. What stands against the level is in the plan, and `apply_hardening` raises it.

    Args:
        request: the level, the users, the keys at hand.
        target: which sshd; this machine's when None.
        environ: for ssh; this process's when None.

    Raises:
        MalformedFile: sshd refuses its configuration as it is, or as it would be.
        UsageError: no such user or level, a user has no key, or a key at hand is nobody's.
        NoPermission, FidokitError: a file cannot be read, or a throw-away sshd does not run.
    """
    path = find_sshd(_resolved(target).sshd)
    with trial.bench() as bench:
        sshd = Sshd(path, (), lambda: str(bench.host_key))
        environment = trial.environment(environ)
        return Planner(request, _resolved(target), sshd, bench, environment).plan()


def plan_unhardening(target: HardeningTarget | None = None) -> HardeningPlan:
    """Find out what takes every hardening back; changes nothing.

    Raises:
        MalformedFile: a block of ours has lost its end.
        NoPermission, FidokitError: a file cannot be read.
    """
    return planning.undo(_resolved(target))


def apply_hardening(
    plan: HardeningPlan,
    *,
    reload: bool = False,
    services: Services | None = None,
    pid_file: Path | None = None,
) -> None:
    """Carry out a plan; whatever goes wrong, every file is as it was afterwards.

    Args:
        plan: made by `plan_hardening` or `plan_unhardening`.
        reload: have the running sshd take it; if no new process answers, all is taken back.
        services: what manages sshd; looked for when None.
        pid_file: where the running sshd has noted its process id.

    Raises:
        FidokitError: the plan's obstacle; a file was changed meanwhile; sshd judges the files
            otherwise than the trial; or the new process does not answer.
    """
    if plan.obstacle is not None:
        raise plan.obstacle
    target = plan.target
    with trial.bench() as bench:
        sshd = Sshd(find_sshd(target.sshd), (), lambda: str(bench.host_key))
        running = find_running(sshd, target.config, services, pid_file) if reload else None
        early = [edit for edit in plan.edits if edit not in plan.late]
        Applying(sshd, target.config, early, plan.directives, plan.late).run(running)


def _resolved(target: HardeningTarget | None) -> HardeningTarget:
    """With a path of the configuration that has no symbolic links."""
    target = target or HardeningTarget()
    return replace(target, config=target.config.expanduser().resolve())


@dataclass(frozen=True)
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
    sshd: Sshd, config: Path, manager: Services | None, pid_file: Path | None
) -> Running:
    """The sshd that runs with a configuration.

    Args:
        manager: what manages it; looked for when None.
        pid_file: see `services.find_services`.

    Raises:
        FidokitError: none answers.
    """
    settings = sshd.with_config(config).settings()
    found = manager or services.find_services(settings, [sshd.program, "-f", str(config)], pid_file)
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
        edits: what is to be in place before sshd is reloaded.
        late: what is to change once no sshd relies on it any more.
        directives: what must hold afterwards.
    """

    sshd: Sshd
    config: Path
    edits: Sequence[Edit]
    directives: Sequence[Directive]
    late: Sequence[Edit] = ()
    _done: list[PreparedEdit] = field(default_factory=list, init=False)

    def run(self, running: Running | None) -> None:
        """Carry them out.

        Raises:
            FidokitError: a file was changed meanwhile, sshd refuses the files, or no new process
                answers; then everything is as it was before.
        """
        early, late = ([x for x in some if not x.is_empty] for some in (self.edits, self.late))
        with only_one(), drop_in.prepared([*early, *late]) as ready, self._taken_back():
            for prepared in ready:
                drop_in.check_current(prepared.edit)
            for prepared in ready[: len(early)]:
                self._carry_out(prepared)
            self._check()
            if running:
                self._reload(running)
            for prepared in ready[len(early) :]:
                self._carry_out(prepared)

    def _carry_out(self, prepared: PreparedEdit) -> None:
        self._done.append(prepared)  # first: whatever comes in between, it is taken back
        prepared.carry_out()

    def _check(self) -> None:
        """Ask sshd about the files where they are now: the trial's stood elsewhere."""
        sshd = self.sshd.with_config(self.config)
        sshd.check()
        overruled = unmet(self.directives, sshd.settings())
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
        for prepared in reversed(self._done):
            with suppress(FidokitError):  # the first error says more, and the others must go on
                prepared.take_back()
        self._done.clear()
