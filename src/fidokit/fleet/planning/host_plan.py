"""The plan of one host: its audit held against the rules for it.

Two things are never planned: to take out a break-glass key, and steps after which nobody is known
to get in. What an audit doubts is in doubt here, too, and nothing is planned on the strength of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.destinations import host_name
from fidokit.fleet.planning.actions import ActionKind, HostPlan, PlanAction
from fidokit.fleet.planning.audited import AuditedAccount, AuditedKey, audited_accounts, unseen_keys
from fidokit.fleet.planning.hardening import RuleJudge
from fidokit.fleet.policy.proofs import KeyProofs
from fidokit.fleet.policy.values import FleetPolicy, HostRules, PolicyKey
from fidokit.server.check.policy import BreakGlass, CheckRule
from fidokit.server.harden.levels import Level

_ORDER: Final = tuple(ActionKind)
_FILE_KEYS_OUT: Final = frozenset({CheckRule.HARDWARE, CheckRule.VERIFY})
_MOST_KEPT: Final = 4096
"""Accounts of hosts with the same rules, whose keys are kept in mind."""

NOBODY: Final = "nobody would be known to get in afterwards"


@dataclass(frozen=True, slots=True)
class LetInKeys:
    """The keys that a policy lets into an account of hosts with the same rules.

    Attributes:
        keys: those let in, by fingerprint.
        doubtful: why it cannot be known whether these are let in, by fingerprint.
        refused: why these are not let in, although their owners are, by fingerprint.
    """

    keys: dict[str, PolicyKey] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class HostPlanner:
    """Plans one host after the other; what hosts share is worked out once.

    Attributes:
        policy: the policy.
        proofs: which keys are proved to be on which model.
        today: for what expires.
    """

    policy: FleetPolicy
    proofs: KeyProofs
    today: date
    _admittances: dict[tuple[int, str], LetInKeys] = field(default_factory=dict)

    def plan(self, audit: HostAudit) -> HostPlan:
        """The plan of one host."""
        rules = self.policy.rules_for(host_name(audit.host))
        if rules is None:
            why = "no block of the policy matches this host"
            return HostPlan(audit.host, (PlanAction(ActionKind.DOUBT, why),))
        if audit.state is not HostState.CHECKED or audit.document is None:
            said = f": {audit.problem}" if audit.problem else ""
            why = f"the host was not audited: {audit.state.meaning}{said}"
            return HostPlan(audit.host, (PlanAction(ActionKind.DOUBT, why),))
        return _HostBench(self, rules, audit.document).plan(audit.host)

    def admittance(self, rules: HostRules, account: str) -> LetInKeys:
        """Who gets in as an account."""
        place = (id(rules), account)  # the policy keeps joined rules for as long as it lives
        if place not in self._admittances:
            if len(self._admittances) >= _MOST_KEPT:
                self._admittances.clear()
            self._admittances[place] = self._admittance(rules, account)
        return self._admittances[place]

    def _admittance(self, rules: HostRules, account: str) -> LetInKeys:
        found = LetInKeys()
        people = (
            one for word in rules.let_in.get(account, ()) for one in self.policy.members(word)
        )
        for key in (key for person in people for key in person.keys):
            why, doubt = self._fault(rules, key)
            if not why:
                found.keys[key.fingerprint] = key
            elif doubt:
                found.doubtful[key.fingerprint] = why
            else:
                found.refused[key.fingerprint] = why
        return found

    def _fault(self, rules: HostRules, key: PolicyKey) -> tuple[str, bool]:
        """Why rules do not let a key in whose owner they let in, and whether that is in doubt."""
        ends = self.expiry(rules, key)
        if ends and ends <= self.today:
            return f"its time ended on {ends}", False
        if key.hardware is False and not _FILE_KEYS_OUT.isdisjoint(rules.require):
            return "it is in a file, and a key on a token is required", False
        return self.proofs.fault(key, rules)

    @staticmethod
    def expiry(rules: HostRules, key: PolicyKey) -> date | None:
        """The first day on which a key no longer gets in."""
        return min((day for day in (rules.expires, key.expires) if day), default=None)

    def owner(self, fingerprint: str) -> str:
        """Whose key it is; empty if nobody's."""
        person = self.policy.owner(fingerprint)
        return person.name if person else ""


@dataclass
class _HostBench:
    """Works on one host."""

    planner: HostPlanner
    rules: HostRules
    document: Any
    accounts: dict[str, AuditedAccount] = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = audited_accounts(self.document)

    def plan(self, host: str) -> HostPlan:
        steps = [*self._let_in(), *self._break_glass(), *self._others(), *self._unseen()]
        revoked = {(one.path, one.line) for one in steps if one.kind is ActionKind.REVOKE}
        steps += RuleJudge(self.rules, self.document, revoked, self._all_on_tokens()).judge()
        steps = list(dict.fromkeys(steps))
        steps.sort(key=lambda step: _ORDER.index(step.kind))
        return HostPlan(host, tuple(steps), self._refusal(steps))

    # --- who is to get in --------------------------------------------------------------------

    def _let_in(self) -> Iterator[PlanAction]:
        for name in self.rules.let_in:
            admittance = self.planner.admittance(self.rules, name)
            account = self.accounts.get(name)
            if account is None or account.hidden:
                if admittance.keys or admittance.doubtful:
                    yield from self._unknown_account(name, account)
                continue
            lines: dict[str, list[AuditedKey]] = {}
            for line in account.keys:
                if not line.authority:
                    lines.setdefault(line.fingerprint, []).append(line)
            for fingerprint, why in admittance.doubtful.items():
                yield self._about(ActionKind.DOUBT, why, name, fingerprint)
            for fingerprint, key in admittance.keys.items():
                yield from self._wanted(name, key, lines.get(fingerprint, []))

    def _unknown_account(self, name: str, account: AuditedAccount | None) -> Iterator[PlanAction]:
        """Doubt about an account, unless the audit itself has a finding that says so."""
        doubted = {one["user"] for one in self.document["findings"] if one["doubt"]}
        if account is None or name not in doubted:
            why = account.hidden if account else "the audit does not show this account"
            how = "audit the host as root, without --user"
            yield PlanAction(ActionKind.DOUBT, why, name, find_out=how)

    def _wanted(
        self, account: str, key: PolicyKey, lines: list[AuditedKey]
    ) -> Iterator[PlanAction]:
        ends = self.planner.expiry(self.rules, key)
        taken = [line for line in lines if not line.refused]
        if lines and not taken:
            why = f"sshd does not take this key: {lines[0].refused}"
            yield self._about(ActionKind.CONFLICT, why, account, key.fingerprint)
        elif not lines:
            yield self._authorize("the key is not there", account, key, ends)
        elif ends and not all(_ends_by(line, ends) for line in taken):
            why = f"its line has no expiry-time of {ends} or before"
            yield self._authorize(why, account, key, ends)

    def _authorize(
        self, why: str, account: str, key: PolicyKey, ends: date | None = None
    ) -> PlanAction:
        whole = bool(key.public_line)
        return PlanAction(
            ActionKind.AUTHORIZE,
            why if whole else f"{why}, and the policy has its fingerprint alone",
            account,
            key.fingerprint,
            self.planner.owner(key.fingerprint),
            key.public_line,
            ends,
            find_out="" if whole else "put its public line into the policy, in place of that",
        )

    def _about(self, kind: ActionKind, why: str, account: str, fingerprint: str) -> PlanAction:
        owner = self.planner.owner(fingerprint)
        return PlanAction(kind, why, account, fingerprint, owner)

    # --- who must get in, and who must not -----------------------------------------------------

    def _break_glass(self) -> Iterator[PlanAction]:
        """Keys that must be there, and are not; whether they get in is a rule of the audit."""
        for glass in self.rules.break_glass:
            if any(
                line.fingerprint == glass.fingerprint
                for account in self._of_glass(glass)
                for line in account.keys
            ):
                continue
            key = self.planner.policy.key(glass.fingerprint) or PolicyKey(glass.fingerprint)
            if not glass.user:
                why = "the break-glass key is in no account, and the policy names none"
                yield self._about(ActionKind.CONFLICT, why, "", key.fingerprint)
            elif glass.user in self.accounts and not self.accounts[glass.user].hidden:
                yield self._authorize("the break-glass key is not there", glass.user, key)
            else:
                yield from self._unknown_account(glass.user, self.accounts.get(glass.user))

    def _of_glass(self, glass: BreakGlass) -> list[AuditedAccount]:
        if glass.user:
            return [self.accounts[glass.user]] if glass.user in self.accounts else []
        return list(self.accounts.values())

    def _is_break_glass(self, account: str, fingerprint: str) -> bool:
        return any(
            glass.fingerprint == fingerprint and glass.user in {"", account}
            for glass in self.rules.break_glass
        )

    def _others(self) -> Iterator[PlanAction]:
        kept, unwanted = set(), []
        for account in self.accounts.values():
            admittance = self.planner.admittance(self.rules, account.name)
            for line in account.keys:
                why = self._unwanted(account.name, line, admittance)
                if not why or self._is_break_glass(account.name, line.fingerprint):
                    kept.add((line.path, line.line))
                else:
                    unwanted.append((account.name, line, why))
        for name, line, why in unwanted:
            shared = (line.path, line.line) in kept  # a file that several accounts read
            yield PlanAction(
                ActionKind.CONFLICT if shared else ActionKind.REVOKE,
                f"{why}, and its line lets another account in" if shared else why,
                name,
                line.fingerprint,
                self.planner.owner(line.fingerprint),
                path=line.path,
                line=line.line,
            )

    def _unwanted(self, account: str, line: AuditedKey, admittance: LetInKeys) -> str:
        """Why a line must go; empty if it may stay."""
        if line.authority:
            stays = line.fingerprint in self.rules.authorities or not self.rules.exclusive
            return "" if stays else "the policy does not name this authority"
        if line.fingerprint in admittance.keys or line.fingerprint in admittance.doubtful:
            return ""
        if line.refused and not self.rules.exclusive:
            return ""  # nobody gets in by it
        if line.fingerprint in admittance.refused:
            return admittance.refused[line.fingerprint]
        owner = self.planner.owner(line.fingerprint)
        if owner and (self.rules.exclusive or account in self.rules.let_in):
            return f"the policy does not let {owner} in here"
        return "nobody in the policy has this key" if self.rules.exclusive else ""

    def _unseen(self) -> Iterator[PlanAction]:
        if self.rules.exclusive:
            how = "name in the policy who gets in, and let sshd read keys from files alone"
            for why in unseen_keys(self.document):
                yield PlanAction(ActionKind.DOUBT, why, find_out=how)

    # --- what must never happen ----------------------------------------------------------------

    def _all_on_tokens(self) -> bool:
        """Whether each key that the policy wants here is known to be on a token."""
        known = {
            line.fingerprint: line.hardware
            for account in self.accounts.values()
            for line in account.keys
        }
        wanted = [
            key
            for name in self.rules.let_in
            for key in self.planner.admittance(self.rules, name).keys.values()
        ]
        glass = [PolicyKey(one.fingerprint) for one in self.rules.break_glass]
        return all(
            (self.planner.policy.key(key.fingerprint) or key).hardware or known.get(key.fingerprint)
            for key in (*wanted, *glass)
        )

    def _refusal(self, steps: list[PlanAction]) -> str:
        """Why the steps may not be done: because nobody would be known to get in."""
        risky = [one for one in steps if one.kind in {ActionKind.REVOKE, ActionKind.HARDEN}]
        if not risky:
            return ""
        revoked = {(one.path, one.line) for one in risky if one.kind is ActionKind.REVOKE}
        tokens_only = any(Level.HARDWARE_ONLY in one.levels.split() for one in risky)
        for account in self.accounts.values():
            for line in account.keys:
                gets_in = not line.refused and (line.hardware or not tokens_only)
                if gets_in and not line.authority and (line.path, line.line) not in revoked:
                    return ""
        added = [one for one in steps if one.kind is ActionKind.AUTHORIZE and one.public_line]
        return "" if added else NOBODY


def _ends_by(line: AuditedKey, ends: date) -> bool:
    return bool(line.expires) and line.expires <= ends.strftime("%Y%m%d")
