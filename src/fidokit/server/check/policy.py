"""Policies that a server's logins can be held to, and what breaks them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fidokit.errors import UsageError
from fidokit.types import Word


class CheckRule(Word):
    """A policy, by the word that `--require` takes."""

    HARDWARE = "hardware"
    """Every key that gets in is on a token."""
    HARDWARE_OR_CERTIFIED = "hardware-or-certified"
    """Every key that gets in is on a token, or is certified by one that is, and that a line of
    authorized_keys trusts for named principals and until a set time."""
    VERIFY = "verify"
    """Every key that gets in is on a token that asks for PIN or fingerprint each time."""
    NO_PASSWORD = "no-password"  # noqa: S105  a policy's name
    """Nobody gets in by a password alone."""


BREAK_GLASS: Final = "break-glass"
"""The word before the fingerprint of a key that has to get in."""

_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


@dataclass(frozen=True)
class BreakGlass:
    """A key that has to get in, whatever happens to other ways.

    Attributes:
        fingerprint: `SHA256:...`, as `ssh-keygen -l` prints it.
        user: as whom; anybody who is checked where empty.
    """

    fingerprint: str
    user: str = ""

    @classmethod
    def parse(cls, text: str) -> BreakGlass:
        """`[USER:]SHA256:...`.

        Raises:
            UsageError: another form.
        """
        user, _, rest = text.rpartition("SHA256:")
        found = f"SHA256:{rest}"
        named = not user or (len(user) > 1 and user.endswith(":"))
        if not _FINGERPRINT.fullmatch(found) or not named:
            raise UsageError(
                f"{text!r} is not the fingerprint of a key",
                hint="give break-glass=[USER:]SHA256:..., which `ssh-keygen -lf FILE.pub` prints",
            )
        return cls(found.rstrip("="), user[:-1])

    def __str__(self) -> str:
        """The rule as it is stated."""
        return f"{BREAK_GLASS}={self.user}{':' if self.user else ''}{self.fingerprint}"


def parse_rule(text: str) -> CheckRule | BreakGlass:
    """A rule as `--require` takes it.

    Raises:
        UsageError: there is no such rule.
    """
    word, equals, rest = text.partition("=")
    if word == BREAK_GLASS and equals:
        return BreakGlass.parse(rest)
    try:
        return CheckRule(text)
    except ValueError:
        known = ", ".join([*map(str, CheckRule), f"{BREAK_GLASS}=FINGERPRINT"])
        raise UsageError(f"there is no rule {text!r}", hint=f"rules: {known}") from None


@dataclass(frozen=True)
class Violation:
    """One thing that breaks a rule.

    Attributes:
        user: whose account; hostile text, as `path`.
        path, line: where, if it is a line's.
        why: half a sentence.
        doubt: it may be broken, and nobody here can tell.
        find_out: how to find out, half a sentence; else empty.
    """

    rule: CheckRule
    user: str
    why: str
    path: str | None = None
    line: int | None = None
    doubt: bool = False
    find_out: str = ""


@dataclass(frozen=True)
class Claim:
    """What a key, or something that stands for unseen keys, promises about each login.

    Attributes:
        hardware, verify: it is so; it is not, or nobody can tell.
        doubt: why nobody can tell; else empty.
        uncertified: why no authority on a token, bounded in names and time, stands behind it; None
            if one does, empty if there is no authority.
    """

    hardware: bool
    verify: bool
    doubt: str = ""
    uncertified: str | None = ""

    def broken(self, rules: frozenset[CheckRule]) -> tuple[tuple[CheckRule, str], ...]:
        """The rules that such a login breaks, and why."""
        found = []
        if CheckRule.HARDWARE in rules and not self.hardware:
            found.append((CheckRule.HARDWARE, self.doubt or "the key is not on a token"))
        if CheckRule.HARDWARE_OR_CERTIFIED in rules and not self._certified:
            why = self.uncertified or self.doubt or "the key is not on a token"
            found.append((CheckRule.HARDWARE_OR_CERTIFIED, why))
        if CheckRule.VERIFY in rules and not self.verify:
            found.append((CheckRule.VERIFY, self.doubt or self._unverified()))
        return tuple(found)

    def __and__(self, other: Claim) -> Claim:
        """What both promise."""
        hardware, verify = self.hardware and other.hardware, self.verify and other.verify
        doubt = "" if hardware and verify else self.doubt or other.doubt
        both = self._certified and other._certified
        return Claim(hardware, verify, doubt, None if both else self._why or other._why)

    @property
    def _certified(self) -> bool:
        return self.hardware or self.uncertified is None

    @property
    def _why(self) -> str:
        return "" if self._certified else self.uncertified or ""

    def _unverified(self) -> str:
        if not self.hardware:
            return "the key is not on a token, so nothing asks for a PIN"
        return "neither PubkeyAuthOptions nor the line has verify-required"
