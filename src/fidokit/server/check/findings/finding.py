"""What a report of `server check` comes to: findings with stable ids, and where each comes from."""

from __future__ import annotations

from typing import Final, NamedTuple

from fidokit.findings import KEY_IN_FILE, FindingKind, Severity

NO_TOKEN: Final = "the key is not on a token"  # noqa: S105  a sentence


class DecidingSetting(NamedTuple):
    """A setting of sshd's that a finding comes from.

    `keyword` is spelled as in sshd_config(5); `value` is the effective one. `path` and `line` are
    the deciding line, as sshd named it; `why` says why there is none, and is empty if there is.
    `config` is the main configuration file, if it is known.
    """

    keyword: str
    value: str
    path: str = ""
    line: int | None = None
    why: str = ""
    config: str = ""


class CheckFinding(NamedTuple):
    """One thing that was found.

    `why` is a sentence without its full stop; hostile text, as `user`, `path` and `about`. `path`
    and `line` say where it is, `settings` which lines of sshd's configuration decide. `rules` are
    those that it breaks. With `doubt` it is not known, which breaks a rule as well. `key` is the
    fingerprint of a key that it is about, `about` names that key for a reader. `fix` is the command
    that fixes it for good, for root; `find_out` says how to find out about a doubt.
    """

    kind: FindingKind
    why: str
    user: str = ""
    path: str = ""
    line: int | None = None
    rules: tuple[str, ...] = ()
    doubt: bool = False
    settings: tuple[DecidingSetting, ...] = ()
    key: str = ""
    about: str = ""
    fix: tuple[str, ...] = ()
    find_out: str = ""

    @property
    def message(self) -> str:
        """What it is about and why, without what the title of its kind says already."""
        if not self.about:
            return self.why
        said = self.kind is KEY_IN_FILE and self.why.startswith(NO_TOKEN)
        return self.about if said else f"{self.about}: {self.why}"

    @property
    def severity(self) -> Severity:
        """How much it matters: what breaks a rule is an error."""
        return Severity.ERROR if self.rules else self.kind.severity

    @property
    def is_problem(self) -> bool:
        """Whether it breaks something or is doubtful."""
        return self.doubt or self.severity is Severity.ERROR

    @property
    def places(self) -> tuple[tuple[str, int | None], ...]:
        """Every file and line that it comes from, its own first."""
        own = ((self.path, self.line),) if self.path else ()
        return (*own, *((s.path, s.line) for s in self.settings if s.path))
