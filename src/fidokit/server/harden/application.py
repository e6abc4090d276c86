"""Hardening sshd: planned and proved on throw-away servers first, then written, or undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from fidokit.errors import FidokitError
from fidokit.server.harden import authorities
from fidokit.server.harden import plan as planning
from fidokit.server.harden.authorities import TrustRequest
from fidokit.server.harden.files import HardenedFiles
from fidokit.server.harden.inquiry import Planner
from fidokit.server.harden.levels import Directive, Level, Levels, unmet
from fidokit.server.harden.plan import HardeningPlan, HardeningRequest, HardeningTarget
from fidokit.server.harden.running import Running, find_running, instances_of
from fidokit.server.locks import only_one
from fidokit.server.sshd import drop_in, trial
from fidokit.server.sshd.drop_in import Edit, PreparedEdit
from fidokit.server.sshd.query import Sshd, find_sshd
from fidokit.server.sshd.services import Services


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
        request: the level, the users, the available keys.
        target: which sshd; this machine's when None.
        environ: for ssh; this process's when None.

    Raises:
        MalformedFile: sshd refuses its configuration as it is, or as it would be.
        UsageError: no such user or level, a user has no key, or an available key is nobody's.
        NoPermission, FidokitError: a file cannot be read, or a throw-away sshd does not run.
    """
    found = _resolved(target)
    with trial.bench() as bench:
        sshd = Sshd(find_sshd(found.sshd), (), lambda: str(bench.host_key))
        return Planner(request, found, sshd, bench, trial.environment(environ)).plan()


def plan_unhardening(target: HardeningTarget | None = None) -> HardeningPlan:
    """Find out what takes every hardening back; changes nothing.

    Raises:
        MalformedFile: a block of ours has lost its end.
        NoPermission, FidokitError: a file cannot be read.
    """
    found = _resolved(target)
    with trial.bench() as bench:
        return planning.undo(found, Sshd(find_sshd(found.sshd), (), lambda: str(bench.host_key)))


def plan_trust(
    request: TrustRequest | None, target: HardeningTarget | None = None
) -> HardeningPlan:
    """Find out what has sshd take certificates of authorities, or none of ours any more.

    Args:
        request: whom to trust; None takes back what was trusted.
        target: which sshd; this machine's when None.

    Raises:
        As `authorities.plan_trust`.
    """
    found = _resolved(target)
    with trial.bench() as bench:
        sshd = Sshd(find_sshd(found.sshd), (), lambda: str(bench.host_key))
        if request is None:
            return authorities.plan_distrust(found, sshd)
        return authorities.plan_trust(request, found, sshd)


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
        if plan.late and not reload:
            _refuse_without_reload(sshd, target)
        early = [edit for edit in plan.edits if edit not in plan.late]
        Applying(sshd, target.config, early, plan.directives, plan.late).run(running)


def levels_now(target: HardeningTarget | None = None) -> tuple[Level, ...]:
    """The levels that an earlier hardening left; none if there was none.

    Raises:
        MalformedFile: a block of ours has lost its end.
        NoPermission, FidokitError: a file cannot be read.
    """
    files = HardenedFiles.find(_resolved(target).config, ())
    return Levels.of_title(files.title()).levels


def restore(
    edits: Sequence[Edit], target: HardeningTarget | None = None, *, reload: bool = False
) -> None:
    """Put files back as they were before a hardening; sshd judges them before it reads them.

    Args:
        edits: from what each file is now to what it was before, in the order of writing.
        target: which sshd; this machine's when None.
        reload: have the running sshd take it.

    Raises:
        FidokitError: a file was changed since, sshd refuses the files, or does not answer; then
            every file is as it is now.
    """
    found = _resolved(target)
    with trial.bench() as bench:
        sshd = Sshd(find_sshd(found.sshd), (), lambda: str(bench.host_key))
        running = find_running(sshd, found.config, None, None) if reload else None
        Applying(sshd, found.config, edits, ()).run(running)


def how_to_reload(target: HardeningTarget | None = None) -> list[str]:
    """The commands that have the sshds take what was written; none where nothing is needed.

    Raises:
        FidokitError: no sshd runs, or none that can be seen.
    """
    found = _resolved(target)
    with trial.bench() as bench:
        sshd = Sshd(find_sshd(found.sshd), (), lambda: str(bench.host_key))
        running = find_running(sshd, found.config, None, None)
        return [one.services.command for one in running.members if one.services.command]


def _refuse_without_reload(sshd: Sshd, target: HardeningTarget) -> None:
    """PAM's lines must not go while an sshd runs that asks for codes: it would ask for passwords.

    Raises:
        FidokitError: one runs.
    """
    if instances_of(sshd, target.config):
        raise FidokitError(
            "sshd still asks for codes until it is reloaded, and PAM would then ask for passwords",
            hint="add --reload, so that PAM's lines are removed after sshd reloads",
        )


def _resolved(target: HardeningTarget | None) -> HardeningTarget:
    """With a path of the configuration that has no symbolic links."""
    target = target or HardeningTarget()
    return replace(target, config=target.config.expanduser().resolve())


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
                f"{overruled[0]} has no effect once it is in place; everything was restored",
                hint="look for files that include others, with `sshd -T -ddd`",
            )

    def _reload(self, running: Running) -> None:
        if not running.reload():
            self._take_back()
            running.restore()
            raise FidokitError(
                "sshd does not answer after the reload; everything was restored",
                hint="check its log, such as `journalctl -u ssh`",
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
