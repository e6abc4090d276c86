"""Rules of a host held against what its audit says of them, and the levels that would help."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fidokit.fleet.planning.actions import ActionKind, PlanAction
from fidokit.fleet.policy.values import HostRules
from fidokit.server.check.policy import BREAK_GLASS, CheckRule
from fidokit.server.harden.levels import Level

_LEVELS: Final[Mapping[CheckRule, Level]] = {
    CheckRule.HARDWARE: Level.HARDWARE_ONLY,
    CheckRule.NO_PASSWORD: Level.HARDWARE_ONLY,
    CheckRule.VERIFY: Level.VERIFY,
}
_FUTILE: Final[Mapping[Level, str]] = {
    Level.HARDWARE_ONLY: "hardware-only would lock out keys that are not known to be on tokens",
    Level.VERIFY: "verify asks nothing of keys that are not known to be on tokens",
}
_MOST_SHOWN: Final = 20
"""Remarks about one host; a hostile one could have any number."""


@dataclass(frozen=True)
class RuleJudge:
    """Judges the rules of one host.

    Attributes:
        rules: what must hold.
        document: of the audit.
        revoked: lines, by path and number, that other steps take out.
        all_on_tokens: every key that the policy wants here is known to be on a token.
    """

    rules: HostRules
    document: Any
    revoked: Collection[tuple[str, int]]
    all_on_tokens: bool

    def judge(self) -> list[PlanAction]:
        """What is to be hardened, what contradicts, and what is in doubt."""
        asked = set(self.document["policy"]["require"])
        wanted = [*map(str, self.rules.require), *map(str, self.rules.break_glass)]
        steps = [self._not_asked(rule) for rule in wanted if rule not in asked]
        broken: dict[str, str] = {}
        for finding in self.document["findings"]:
            rules = [rule for rule in finding["rules"] if rule in wanted]
            if finding["doubt"] and (rules or not finding["rules"]):
                steps.append(self._doubt(finding, rules))
            elif rules and (finding["path"], finding["line"]) not in self.revoked:
                for rule in rules:
                    broken.setdefault(rule, _said(finding))
        steps += self._hardened(broken)
        return _bounded(steps)

    @staticmethod
    def _not_asked(rule: str) -> PlanAction:
        why = f"the audit was not asked whether {rule} holds"
        how = f"audit it with --require {rule}"
        return PlanAction(ActionKind.DOUBT, why, find_out=how)

    @staticmethod
    def _doubt(finding: Mapping[str, Any], rules: list[str]) -> PlanAction:
        why = f"{', '.join(rules)}: {finding['message']}" if rules else str(finding["message"])
        return PlanAction(
            ActionKind.DOUBT,
            why,
            finding["user"] or "",
            finding["key"] or "",
            path=finding["path"] or "",
            line=finding["line"] or 0,
            find_out=next(iter(finding["next"]), ""),
        )

    def _hardened(self, broken: Mapping[str, str]) -> Iterator[PlanAction]:
        levels: dict[Level, str] = {}
        for rule, why in broken.items():
            said = f"{rule} does not hold: {why}"
            level = None if rule.startswith(BREAK_GLASS) else _LEVELS.get(CheckRule(rule))
            if level is None:
                yield PlanAction(ActionKind.CONFLICT, said)
            elif not self.all_on_tokens:
                yield PlanAction(ActionKind.CONFLICT, f"{said}; {_FUTILE[level]}")
            else:
                levels.setdefault(level, said)
        if levels:
            words = " ".join(level for level in Level if level in levels)
            yield PlanAction(ActionKind.HARDEN, "; ".join(levels.values()), levels=words)


def _said(finding: Mapping[str, Any]) -> str:
    who = f" ({finding['user']})" if finding["user"] else ""
    return f"{finding['message']}{who}"


def _bounded(steps: list[PlanAction]) -> list[PlanAction]:
    """The first remarks, and how many there are beside them."""
    more = len(steps) - _MOST_SHOWN
    if more <= 0:
        return steps
    kept = [one for one in steps if one.kind is ActionKind.HARDEN]
    others = [one for one in steps if one.kind is not ActionKind.HARDEN]
    rest = PlanAction(ActionKind.DOUBT, f"there are {len(others) - _MOST_SHOWN} further remarks")
    return [*kept, *others[:_MOST_SHOWN], rest]
