"""The hosts of a policy, and the rules for tokens, from their tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fidokit.errors import UsageError
from fidokit.fleet.policy.checked import CheckedTable, Placed, PolicyFaults, near, shown
from fidokit.fleet.policy.members import FINGERPRINT, MemberReader
from fidokit.fleet.policy.toml_lines import TomlPath
from fidokit.fleet.policy.values import FleetPerson, HostRules, PolicyKey, TokenRules
from fidokit.metadata.certification import CertificationLevel
from fidokit.openssh.lines.patterns import MAX_PATTERN
from fidokit.server.check.policy import BREAK_GLASS, BreakGlass, CheckRule

BLOCK: Final = (
    "match",
    "let-in",
    "require",
    "break-glass",
    "models",
    "level",
    "expires",
    "exclusive",
    "authorities",
)
TOKEN_RULES: Final = (
    "min-pin-length",
    "always-uv",
    "enterprise-attestation",
    "no-advisories",
    "models",
    "level",
)
ACCOUNT: Final = re.compile(r"[^\s:/,@*?!\x00-\x1f-][^\s:/,\x00-\x1f]{0,255}")
_SHORTEST_PIN, _LONGEST_PIN = 4, 63
"""Code points; CTAP 2.3 section 6.5."""


@dataclass
class BlockReader:
    """Reads the tables `hosts` and `token-rules`.

    Attributes:
        faults: takes what is wrong.
        names: reads the names of people, groups and models.
        people, groups: those of the policy.
    """

    faults: PolicyFaults
    names: MemberReader
    people: Mapping[str, FleetPerson]
    groups: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        """Index the keys, for what is said about one of them."""
        self._keys = {
            key.fingerprint: key for person in self.people.values() for key in person.keys
        }

    def blocks(self, top: CheckedTable) -> tuple[HostRules, ...]:
        """The blocks, in the order of the file."""
        return tuple(map(self._block, top.list("hosts")))

    def _block(self, placed: Placed) -> HostRules:
        table = CheckedTable.of(placed, self.faults, BLOCK)
        rules = HostRules(
            patterns=self._patterns(table),
            let_in=dict(self._let_in(table)),
            require=tuple(sorted(self._require(table))),
            break_glass=tuple(self._break_glass(table)),
            models=self.names.models(table),
            level=self._level(table),
            expires=table.day("expires"),
            exclusive=bool(table.flag("exclusive")),
            authorities=tuple(self._authorities(table)),
        )
        self._contradictions(rules, table)
        return rules

    def _patterns(self, table: CheckedTable) -> tuple[str, ...]:
        found = []
        for word, path in table.texts("match"):
            bare = word.removeprefix("!")
            if not bare or len(bare) > MAX_PATTERN or any(c.isspace() or c == "," for c in bare):
                self.faults.add(path, f"{shown(word)} is not a pattern of hosts")
            found.append(word.lower())
        if "match" not in table.members:
            self.faults.add(table.path, 'there is no `match`: patterns of hosts, such as ["web*"]')
        elif not any(word[:1] != "!" for word in found):
            table.fault("match", "no pattern says which hosts are meant")
        return tuple(found)

    def _let_in(self, table: CheckedTable) -> Iterator[tuple[str, tuple[str, ...]]]:
        if "let-in" not in table.members:
            return
        accounts = CheckedTable.of(table.placed("let-in"), self.faults)
        for account in accounts.members:
            if not ACCOUNT.fullmatch(account):
                accounts.fault(account, f"{shown(account)} is not the name of an account")
            words = [
                word
                for word, path in accounts.texts(account)
                if self.names.is_known(word, self.people, self.groups, path)
            ]
            yield account, tuple(words)

    def _require(self, table: CheckedTable) -> Iterator[CheckRule]:
        for word, path in table.texts("require"):
            try:
                yield CheckRule(word)
            except ValueError:
                self.faults.add(path, f"there is no rule {shown(word)}{self._rule_hint(word)}")

    @staticmethod
    def _rule_hint(word: str) -> str:
        if word.partition("=")[0] == BREAK_GLASS:
            return "; break-glass is a setting of its own"
        known = list(map(str, CheckRule))
        return near(word, known) or f"; the rules are {', '.join(known)}"

    def _break_glass(self, table: CheckedTable) -> Iterator[BreakGlass]:
        for word, path in table.texts("break-glass"):
            try:
                found = BreakGlass.parse(word)
            except UsageError:
                said = "is not [USER:]SHA256:..., which `ssh-keygen -lf FILE.pub` prints"
                self.faults.add(path, f"{shown(word)} {said}")
                continue
            key = self._keys.get(found.fingerprint)
            if key and key.expires:
                self.faults.add(path, f"the break-glass key expires on {key.expires}")
            yield found

    def _authorities(self, table: CheckedTable) -> Iterator[str]:
        for word, path in table.texts("authorities"):
            if not FINGERPRINT.fullmatch(word):
                self.faults.add(path, f"{shown(word)} is not a fingerprint: SHA256:...")
            yield word.rstrip("=")

    def _level(self, table: CheckedTable) -> CertificationLevel | None:
        word = table.text("level")
        try:
            return CertificationLevel(word) if word else None
        except ValueError:
            known = ", ".join(CertificationLevel)
            table.fault("level", f"there is no level {shown(word)}; the levels are {known}")
            return None

    def _contradictions(self, rules: HostRules, table: CheckedTable) -> None:
        """Settings of one block that cannot hold together."""
        both = {CheckRule.HARDWARE, CheckRule.HARDWARE_OR_CERTIFIED}
        if both <= set(rules.require):
            table.fault("require", "hardware and hardware-or-certified contradict each other")
        if rules.exclusive and not any(rules.let_in.values()) and not rules.break_glass:
            table.fault("exclusive", "exclusive lets nobody in: there is nobody in let-in")
        if CheckRule.HARDWARE in rules.require:
            for at, glass in enumerate(rules.break_glass):
                key = self._keys.get(glass.fingerprint)
                if key and key.hardware is False:
                    path: TomlPath = (*table.path, "break-glass", at)
                    self.faults.add(path, "this key is in a file, and hardware is required")

    # --- tokens and the log --------------------------------------------------------------------

    def token_rules(self, top: CheckedTable) -> TokenRules:
        """The rules for each token."""
        if "token-rules" not in top.members:
            return TokenRules()
        table = CheckedTable.of(top.placed("token-rules"), self.faults, TOKEN_RULES)
        return TokenRules(
            min_pin_length=table.number("min-pin-length", _SHORTEST_PIN, _LONGEST_PIN),
            always_uv=table.flag("always-uv"),
            enterprise_attestation=table.flag("enterprise-attestation"),
            no_advisories=bool(table.flag("no-advisories")),
            models=self.names.models(table),
            level=self._level(table),
        )

    def signers(self, top: CheckedTable) -> Sequence[PolicyKey]:
        """The keys that sign the log of `token audit`."""
        if "audit-log" not in top.members:
            return ()
        table = CheckedTable.of(top.placed("audit-log"), self.faults, ("signers",))
        found = [self.names.key(placed) for placed in table.list("signers")]
        if not found:
            table.fault("signers", "signers names no key that signs the log")
        return tuple(key for key in found if key)
