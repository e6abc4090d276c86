"""Hardening sshd: planned and proved on throw-away servers first, then written, or undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fidokit.server.harden.plan import HardeningPlan, HardeningRequest, HardeningTarget
    from fidokit.server.sshd.services import Services

__all__ = ["HARDENING_LEVELS", "apply_hardening", "plan_hardening", "plan_unhardening"]

HARDENING_LEVELS: Final = ("touch", "verify", "hardware-only", "second-factor")
"""What `plan_hardening` knows, as `fidokit.server.harden.levels.Level` has them."""


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
    from fidokit.server.harden import proof
    from fidokit.server.harden.plan import Planner
    from fidokit.server.sshd.program import SshdProgram, find_sshd

    path = find_sshd(_resolved(target).sshd)
    with proof.bench() as bench:
        sshd = SshdProgram(path, bench.host_key)
        environment = proof.environment(environ)
        return Planner(request, _resolved(target), sshd, bench, environment).plan()


def plan_unhardening(target: HardeningTarget | None = None) -> HardeningPlan:
    """Find out what takes every hardening back; changes nothing.

    Raises:
        MalformedFile: a block of ours has lost its end.
        NoPermission, FidokitError: a file cannot be read.
    """
    from fidokit.server.harden import plan as planning

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
    from fidokit.server.harden import application, proof
    from fidokit.server.sshd.program import SshdProgram, find_sshd

    if plan.obstacle is not None:
        raise plan.obstacle
    target = plan.target
    with proof.bench() as bench:
        sshd = SshdProgram(find_sshd(target.sshd), bench.host_key)
        running = (
            application.find_running(sshd, target.config, services, pid_file) if reload else None
        )
        application.Applying(sshd, target.config, plan.edits, plan.directives).run(running)


def _resolved(target: HardeningTarget | None) -> HardeningTarget:
    """With a path of the configuration that has no symbolic links."""
    from fidokit.server.harden.plan import HardeningTarget

    target = target or HardeningTarget()
    return replace(target, config=target.config.expanduser().resolve())
