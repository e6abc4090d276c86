"""What to do next about a finding: commands for root that can be pasted, or a sentence.

Each is executed by a test in the state that gives it, and the finding is gone afterwards.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from fidokit import findings as kinds
from fidokit.server.check.findings.finding import CheckFinding, DecidingSetting

_UNITS: Final = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_SSHDS: Final = ("/usr/sbin/sshd", "/usr/local/sbin/sshd")
PROGRAM: Final = "fidokit"
"""Stands for this program as the first word of a command."""


class NextStep(NamedTuple):
    """What to do: a sentence, a command for root, or the one before the other."""

    text: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Advice:
    """What the advice depends on besides the finding.

    Attributes:
        by_token, by_key: users who get in by a key on a token, and by any key.
        named: the options that this report was given for the server (`--config`, `--sshd`).
        again: the arguments of this very command, for root to repeat.
        program: what starts fidokit.
    """

    by_token: Collection[str] = ()
    by_key: Collection[str] = ()
    named: tuple[str, ...] = ()
    again: tuple[str, ...] = ("server", "check")
    program: tuple[str, ...] = (PROGRAM,)

    def of(self, finding: CheckFinding) -> tuple[NextStep, ...]:
        """The steps, in order; empty if nothing has to be done."""
        if finding.fix:
            return (NextStep("", finding.fix),)
        steps = _STEPS.get(finding.kind.id)
        found = tuple(steps(self, finding)) if steps else ()
        return (NextStep(f"find out: {finding.find_out}"), *found) if finding.find_out else found

    def words(self, step: NextStep) -> list[str]:
        """A step's command for a shell; `sudo` stands before it unless root runs this."""
        words = list(step.command)
        if words[:1] == [PROGRAM]:
            words = [*self.program, *words[1:]]
        return words if not words or os.geteuid() == 0 else ["sudo", *words]

    def lines(self, finding: CheckFinding) -> list[str]:
        """The steps, one line each."""
        shown = [(step.text, shlex.join(self.words(step))) for step in self.of(finding)]
        return [": ".join(part for part in parts if part) for parts in shown]

    def _harden(self, level: str) -> NextStep:
        command = (PROGRAM, "server", "harden", level, "--dry-run", *self.named)
        return NextStep("see who could still log in, then repeat it without --dry-run", command)

    def _without_key(self, finding: CheckFinding) -> Iterator[NextStep]:
        if finding.user not in self.by_token:
            yield self._add_key(finding.user, "on a token")
        command = (PROGRAM, "server", "authorize", "--user", finding.user)
        path = ("--path", finding.path) if self.named else ()
        yield NextStep("", (*command, *path, "--revoke", finding.key))

    def _add_key(self, user: str, which: str) -> NextStep:
        words = [*self.program, "server", "authorize", "FILE.pub", "--user", user]
        command = shlex.join(words if os.geteuid() == 0 else ["sudo", *words])
        what = f"a key {which}" if which else "a key"
        return NextStep(f"first give {user} {what} that gets in: {command}")

    def _key_in_file(self, finding: CheckFinding) -> Iterator[NextStep]:
        if finding.key:
            yield from self._without_key(finding)
        else:
            yield self._harden("hardware-only")

    def _no_pin(self, finding: CheckFinding) -> Iterator[NextStep]:  # noqa: ARG002
        yield self._harden("verify")

    def _no_touch(self, finding: CheckFinding) -> Iterator[NextStep]:  # noqa: ARG002
        yield self._harden("touch")

    def _unseen(self, finding: CheckFinding) -> Iterator[NextStep]:
        yield from self._as_root(finding)
        if finding.rules:
            yield self._harden("hardware-only")

    def _password(self, finding: CheckFinding) -> Iterator[NextStep]:
        if finding.user not in self.by_key:
            yield self._add_key(finding.user, "")
        yield from self._settings(finding)

    def _doubtful_password(self, finding: CheckFinding) -> Iterator[NextStep]:
        yield from self._as_root(finding)
        if finding.rules:
            yield from self._password(finding)

    def _settings(self, finding: CheckFinding) -> Iterator[NextStep]:
        yield from (NextStep(_edit(setting)) for setting in finding.settings)
        if finding.settings:
            yield NextStep("make sshd reload its configuration", _reload())

    def _break_glass(self, finding: CheckFinding) -> Iterator[NextStep]:
        if finding.doubt and os.geteuid() != 0:
            yield from self._as_root(finding)
        elif finding.doubt:
            yield NextStep(f"log in with it once: ssh -i KEY_FILE {finding.user}@HOST")
        elif finding.path:
            yield NextStep("fix this, then check again", (PROGRAM, *self.again))
        else:
            yield self._add_key(finding.user or "USER", "of the kind that you keep safe")

    def _ignored_file(self, finding: CheckFinding) -> Iterator[NextStep]:
        yield NextStep(
            f"if its keys should count, make sure that only root and {finding.user} may write to it"
            " and to the folders above it"
        )

    def _as_root(self, finding: CheckFinding) -> Iterator[NextStep]:  # noqa: ARG002
        if os.geteuid() != 0:
            yield NextStep("root can look", (PROGRAM, *self.again))

    def _unknown_user(self, finding: CheckFinding) -> Iterator[NextStep]:
        yield from self._as_root(finding)
        options = dict(zip(self.named[::2], self.named[1::2]))  # noqa: B905  Python 3.9
        sshd = options.get("--sshd") or next(filter(os.path.exists, _SSHDS), "sshd")
        config = ("-f", options["--config"]) if "--config" in options else ()
        command = (sshd, *config, "-T", "-C", f"user={finding.user}")
        yield NextStep("see what sshd says of this user, and fix what it names", command)

    def _doubtful_line(self, finding: CheckFinding) -> Iterator[NextStep]:
        if finding.doubt:
            yield from self._as_root(finding)
        yield NextStep(f"remove {finding.path}:{finding.line}, or write the key anew in its place")


def _reload() -> tuple[str, ...]:
    """How, where systemd runs and knows the service by one of its usual names."""
    if Path("/run/systemd/system").is_dir():
        for unit in ("ssh", "sshd"):
            if any(Path(folder, f"{unit}.service").exists() for folder in _UNITS):
                return ("systemctl", "reload", unit)
    return ()


def _edit(setting: DecidingSetting) -> str:
    """How to turn a switch off where it is decided."""
    wanted = f"{setting.keyword} no"
    if setting.path and setting.line:
        return f"replace {setting.path}:{setting.line} with `{wanted}`"
    if setting.path:
        return f"remove {setting.keyword} from {setting.path}, or set it to no there"
    if setting.config:
        return f"put the line `{wanted}` at the top of {setting.config}"
    return f"set `{wanted}` in sshd's configuration"


_STEPS: Final[Mapping[str, Callable[[Advice, CheckFinding], Iterator[NextStep]]]] = {
    kinds.KEY_IN_FILE.id: Advice._key_in_file,
    kinds.WEAK_KEY.id: Advice._without_key,
    kinds.NO_PIN.id: Advice._no_pin,
    kinds.NO_TOUCH.id: Advice._no_touch,
    kinds.UNSEEN_KEY.id: Advice._unseen,
    kinds.UNSEEN_CERTIFICATE.id: Advice._unseen,
    kinds.PASSWORD.id: Advice._password,
    kinds.EMPTY_PASSWORD.id: Advice._settings,
    kinds.HOST_BASED.id: Advice._settings,
    kinds.KERBEROS.id: Advice._settings,
    kinds.IGNORED_KEY_FILE.id: Advice._ignored_file,
    kinds.UNKNOWN_USER.id: Advice._unknown_user,
    kinds.DOUBTFUL_LINE.id: Advice._doubtful_line,
    kinds.HIDDEN_FILE.id: Advice._as_root,
    kinds.HIDDEN_MODES.id: Advice._as_root,
    kinds.DOUBTFUL_PASSWORD.id: Advice._doubtful_password,
    kinds.BREAK_GLASS.id: Advice._break_glass,
}
