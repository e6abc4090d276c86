"""A plan carried out on many hosts: a canary first, and no further host after one that fails.

Each host is audited, planned, changed, and audited again by a new login, all in one turn: what the
plan rests on is a few seconds old, and a host that nobody could log in to any more takes its steps
back by itself.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from fidokit.errors import FidokitError
from fidokit.fleet.applying.journal import ChangedHost, Journal, RunRecord
from fidokit.fleet.applying.steps import (
    FileMembers,
    StepsRequest,
    carry_out_steps,
    steps_of,
    take_back_files,
)
from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.conversation import AuditRequest, audit_host
from fidokit.fleet.hosts.destinations import FleetHost, host_name
from fidokit.fleet.planning.actions import ActionKind, HostPlan, PlanAction
from fidokit.fleet.planning.host_plan import HostPlanner
from fidokit.server.check.policy import BREAK_GLASS
from fidokit.server.host_steps import HostStep

_NEW_LOGIN: Final = ("-o", "ControlMaster=no", "-o", "ControlPath=none")
_REMARKS: Final = frozenset({ActionKind.CONFLICT, ActionKind.DOUBT})
_RISKY: Final = frozenset({ActionKind.REVOKE, ActionKind.HARDEN})
_PAUSE_S: Final = 0.2


class RolloutState(StrEnum):
    """What became of a host."""

    DONE = "done"
    """Its steps are done, and proved by a new login."""
    NOTHING = "nothing"
    """It needs no step."""
    PLANNED = "planned"
    """It would get its steps; nothing was changed."""
    UNDONE = "undone"
    """It is what it was before the run."""
    REFUSED = "refused"
    """Its steps may not be done."""
    UNKNOWN = "unknown"
    """It could not be audited, and nothing was changed."""
    FAILED = "failed"
    """A step or its proof failed."""
    NOT_TRIED = "not-tried"
    """The run stopped before it."""

    @property
    def good(self) -> bool:
        """Whether nothing is left to be done."""
        return self in {RolloutState.DONE, RolloutState.NOTHING, RolloutState.UNDONE}


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A host, and what became of it; texts of the host are hostile.

    Attributes:
        host: its name.
        state: see `RolloutState`.
        actions: its steps.
        remarks: what no step brings about, and what is in doubt; of a host that is done, what is
            left of it.
        problem: why it is not done; else empty.
    """

    host: str
    state: RolloutState
    actions: tuple[PlanAction, ...] = ()
    remarks: tuple[PlanAction, ...] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing is left to be done, and nothing in doubt."""
        return self.state.good and not self.remarks


Turn = Callable[[FleetHost], RolloutRow]


@dataclass
class Rollout:
    """Hosts that get what a policy demands.

    Attributes:
        hosts: the canary first.
        planner: plans each host.
        audit: what is asked of each, besides what the policy demands of it.
        steps: how steps are carried out.
        journal: notes what is changed.
        parallel: how many hosts at a time, once the canary is done.
        dry_run: plan, and change nothing.
        unproved: harden also where no key is proved, if nothing speaks against it.
    """

    hosts: Sequence[FleetHost]
    planner: HostPlanner
    audit: AuditRequest
    steps: StepsRequest
    journal: Journal
    parallel: int = 8
    dry_run: bool = False
    unproved: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Generator[RolloutRow]:
        """Carry out the plan, and yield each host as it ends.

        Closing the iterator, as an exception in the loop over it does, has hosts take back what is
        not proved yet.

        Raises:
            FidokitError: the journal cannot be written; then hosts take their steps back.
        """
        run = self.journal.begin()
        good = True
        turns = _Turns(lambda at: self._turn(run, at), self.parallel, self._stop)
        for row in turns.rows(self.hosts, careful=not self.dry_run):
            good = good and row.state.good
            yield row
        if good and run.hosts and not self.dry_run:
            self.journal.note_end(run)

    def undo(self, run: RunRecord, names: Collection[str] = ()) -> Generator[RolloutRow]:
        """Make hosts what they were before a run, and yield each as it ends.

        Args:
            run: of the journal.
            names: of hosts; all that the run changed if empty.

        Raises:
            FidokitError: the journal cannot be written.
        """
        changed = [one for one in run.hosts.values() if not names or one.at.name in names]
        by_name = {one.at.name: one for one in changed}
        turns = _Turns(lambda at: self._undone(run, by_name[at.name]), self.parallel, self._stop)
        yield from turns.rows([one.at for one in reversed(changed)], careful=False)

    # --- one host ----------------------------------------------------------------------------

    def _turn(self, run: RunRecord, at: FleetHost) -> RolloutRow:
        plan, audit = self._planned(at)
        steps_wanted = tuple(one for one in plan.actions if one.kind not in _REMARKS)
        row = RolloutRow(
            at.name, RolloutState.PLANNED, steps_wanted, _remarks(plan), self._refusal(plan)
        )
        if audit.state is not HostState.CHECKED:
            return replace(row, state=RolloutState.UNKNOWN, problem=_why(audit))
        steps = steps_of(plan, unproved=self.unproved)
        if row.problem:
            return replace(row, state=RolloutState.REFUSED)
        if not steps:
            return replace(row, state=RolloutState.NOTHING)
        if self.dry_run:
            return row

        return self._changed(run, at, row, plan, steps)

    def _changed(
        self,
        run: RunRecord,
        at: FleetHost,
        row: RolloutRow,
        plan: HostPlan,
        steps: Sequence[HostStep],
    ) -> RolloutRow:
        noted, after = 0, plan

        def proof(files: list[FileMembers]) -> str:
            nonlocal noted, after
            self.journal.note(run, at, files)
            noted = len(files)
            after, audit = self._planned(at, anew=True)
            return _unproved(plan, after, audit)

        done = carry_out_steps(at, steps, self.steps, proof, self._stop)
        if not done.problem:
            return replace(row, state=RolloutState.DONE, remarks=_remarks(after))
        if done.restored and noted:
            self.journal.note_taken_back(run, at, noted)
        ending = "; everything was taken back" if done.restored else ""
        return replace(row, state=RolloutState.FAILED, problem=done.problem + ending)

    def _planned(self, at: FleetHost, *, anew: bool = False) -> tuple[HostPlan, HostAudit]:
        """The plan of a host by an audit of it.

        Args:
            at: the host.
            anew: log in anew, even if there is a connection that could be shared.
        """
        options = (*_NEW_LOGIN, *at.options) if anew else at.options
        rules = self.planner.policy.rules_for(host_name(at.name))
        wanted = (*map(str, rules.require), *map(str, rules.break_glass)) if rules else ()
        audit = audit_host(replace(at, options=options, rules=wanted), self.audit, self._stop)
        return self.planner.plan(replace(audit, host=host_name(at.name))), audit

    def _refusal(self, plan: HostPlan) -> str:
        """Why steps may not be done; empty if they may."""
        if plan.refused:
            return plan.refused
        keyless = [one for one in plan.of(ActionKind.AUTHORIZE) if not one.public_line]
        if keyless:
            return f"the policy has the fingerprint of {keyless[0].fingerprint} alone: add its line"
        glass = _of_break_glass(plan)
        if glass and any(one.kind in _RISKY for one in plan.actions):
            return f"the break-glass key does not get in: {glass[0].why}"
        return ""

    def _undone(self, run: RunRecord, changed: ChangedHost) -> RolloutRow:
        done = take_back_files(changed.at, changed.files, self.steps, self._stop)
        if done.problem:
            return RolloutRow(changed.at.name, RolloutState.FAILED, problem=done.problem)
        self.journal.note_taken_back(run, changed.at, len(changed.files))
        return RolloutRow(changed.at.name, RolloutState.UNDONE)


def _unproved(before: HostPlan, after: HostPlan, audit: HostAudit) -> str:
    """Why a host is not what its plan promised; empty if a new login finds that it is."""
    if audit.state is not HostState.CHECKED:
        return f"a new login did not work: {_why(audit)}"
    left = [one for one in after.actions if one.kind not in _REMARKS]
    if left:
        return f"the host still differs from the policy: {left[0].why}"
    if glass := _of_break_glass(after):
        return f"the break-glass key does not get in: {glass[0].why}"
    known = {_remark(one) for one in before.actions}
    news = [one for one in after.actions if _remark(one) not in known]
    return f"what was not so before: {news[0].why}" if news else ""


def _why(audit: HostAudit) -> str:
    return f"{audit.state.meaning}: {audit.problem}" if audit.problem else audit.state.meaning


def _remarks(plan: HostPlan) -> tuple[PlanAction, ...]:
    return tuple(one for one in plan.actions if one.kind in _REMARKS)


def _of_break_glass(plan: HostPlan) -> list[PlanAction]:
    """Why a break-glass key does not get in; what only a login can show does not count."""
    return [one for one in plan.of(ActionKind.CONFLICT) if BREAK_GLASS in one.why]


def _remark(action: PlanAction) -> tuple[object, ...]:
    """A remark, whatever the numbers of lines in it, which steps change."""
    said = re.sub(r"[0-9]+", "#", action.why)
    return action.kind, said, action.account, action.fingerprint


# --- many hosts ------------------------------------------------------------------------------


@dataclass
class _Turns:
    """Hosts that have their turns: one first, then several at a time, and none after a failure.

    Attributes:
        turn: has one host's.
        parallel: how many at a time.
        stop: ends those that run.
    """

    turn: Turn
    parallel: int
    stop: threading.Event

    def rows(self, hosts: Iterable[FleetHost], *, careful: bool) -> Iterator[RolloutRow]:
        """Yield each host as it ends.

        Args:
            hosts: in their order.
            careful: the first one alone, and none is begun after one that failed.
        """
        left, running = deque(hosts), set[Future[RolloutRow]]()
        width, go_on = 1 if careful else self.parallel, True
        pool = ThreadPoolExecutor(max(self.parallel, 1))
        try:
            while (go_on and left) or running:
                while go_on and left and len(running) < width:
                    running.add(pool.submit(self._bounded, left.popleft()))
                done, running = wait(running, _PAUSE_S, FIRST_COMPLETED)
                for one in done:
                    row = one.result()
                    is_canary = careful and width == 1
                    go_on = go_on and not (careful and _halts(row, is_canary=is_canary))
                    width = self.parallel
                    yield row
        finally:
            self.stop.set()
            pool.shutdown(cancel_futures=True)
        for at in left:
            yield RolloutRow(at.name, RolloutState.NOT_TRIED)

    def _bounded(self, at: FleetHost) -> RolloutRow:
        try:
            return self.turn(at)
        except FidokitError:  # of the journal: without it nothing could be undone
            raise
        except Exception as error:  # noqa: BLE001  the boundary: one host's defect is not another's
            why = f"fidokit failed on it: {type(error).__name__}"
            return RolloutRow(at.name, RolloutState.FAILED, problem=why)


def _halts(row: RolloutRow, *, is_canary: bool) -> bool:
    return not row.state.good if is_canary else row.state is RolloutState.FAILED
