"""A level of hardening as somebody wants it: in the files, and in the sshd that runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fidokit.server.check.scope.running import differences
from fidokit.server.harden.application import apply_hardening, plan_hardening, plan_unhardening
from fidokit.server.harden.plan import HardeningPlan, HardeningRequest, HardeningTarget
from fidokit.server.harden.running import instances_of
from fidokit.server.sshd.drop_in import Edit
from fidokit.server.sshd.query import Sshd, find_sshd


@dataclass(frozen=True)
class DesiredHardening:
    """What sshd is to demand.

    Attributes:
        request: the level and the users; None for no hardening at all.
        target: which sshd.
        reload: have the sshds that run take it.
    """

    request: HardeningRequest | None
    target: HardeningTarget = field(default_factory=HardeningTarget)
    reload: bool = True


@dataclass(frozen=True)
class HardeningReached:
    """What was done, or would be.

    Attributes:
        plan: what is known of users and files.
        stale: why the sshds that run did otherwise than the files say before, a sentence each.
        left: why they still do.
        reload: whether they were to take it.
    """

    plan: HardeningPlan
    stale: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    reload: bool = True

    @property
    def is_changed(self) -> bool:
        """Whether a file changes, or an sshd takes what it did not know."""
        return not self.plan.is_empty or (self.reload and bool(self.stale))

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The files that change."""
        return self.plan.edits

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not known, or not in force, a sentence each."""
        return (*self.plan.warnings, *self.left)


def harden_as_desired(wish: DesiredHardening, *, dry_run: bool = False) -> HardeningReached:
    """Bring sshd to a level, or back.

    Raises:
        FidokitError: what stands against it, see `HardeningPlan.obstacle`; or as
            `application.apply_hardening`: then all is as it was.
    """
    if wish.request is None:
        plan = plan_unhardening(wish.target)
    else:
        plan = plan_hardening(wish.request, wish.target)
    if plan.obstacle is not None:
        raise plan.obstacle
    stale = tuple(stale_sshds(plan.target))
    reached = HardeningReached(plan, stale, reload=wish.reload)
    if dry_run or not reached.is_changed:
        left = () if wish.reload else stale
        return HardeningReached(plan, stale, left, reload=wish.reload)
    apply_hardening(plan, reload=wish.reload)
    left = tuple(stale_sshds(plan.target))
    return HardeningReached(plan, stale, left, reload=wish.reload)


def stale_sshds(target: HardeningTarget) -> Iterator[str]:
    """Why the sshds that run with a configuration do otherwise than its files say, if they do.

    Args:
        target: with a path of the configuration without symbolic links.
    """
    for instance in instances_of(Sshd(find_sshd(target.sshd)), target.config):
        yield from differences(instance, instance.sshd.explained())
