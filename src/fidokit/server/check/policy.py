"""Policies that a server's logins can be held to, and what breaks them."""

from __future__ import annotations

from dataclasses import dataclass

from fidokit.server.words import Word


class CheckRule(Word):
    """A policy, by the word that `--require` takes."""

    HARDWARE = "hardware"
    """Every key that gets in is on a token."""
    VERIFY = "verify"
    """Every key that gets in is on a token that asks for PIN or fingerprint each time."""
    NO_PASSWORD = "no-password"  # noqa: S105  a policy's name
    """Nobody gets in by a password alone."""


@dataclass(frozen=True)
class Violation:
    """One thing that breaks a rule.

    Attributes:
        user: whose account; hostile text, as `path`.
        path, line: where, if it is a key's line.
        why: half a sentence.
    """

    rule: CheckRule
    user: str
    why: str
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Claim:
    """What a key, or something that stands for unseen keys, promises about each login.

    Attributes:
        hardware, verify: it is so; it is not, or nobody can tell.
        doubt: why nobody can tell; else empty.
    """

    hardware: bool
    verify: bool
    doubt: str = ""

    def broken(self, rules: frozenset[CheckRule]) -> tuple[tuple[CheckRule, str], ...]:
        """The rules that such a login breaks, and why."""
        found = []
        if CheckRule.HARDWARE in rules and not self.hardware:
            found.append((CheckRule.HARDWARE, self.doubt or "the key is on no token"))
        if CheckRule.VERIFY in rules and not self.verify:
            found.append((CheckRule.VERIFY, self.doubt or self._unverified()))
        return tuple(found)

    def _unverified(self) -> str:
        if not self.hardware:
            return "the key is on no token, so nothing asks for a PIN"
        return "neither PubkeyAuthOptions nor the line has verify-required"
