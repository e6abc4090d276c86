"""The files besides authorized_keys that decide who logs in: can the wrong user change them?

sshd looks at the modes of few of them. Source: sshd_config(5).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from fidokit import findings as kinds
from fidokit.findings import FindingKind
from fidokit.server.accounts import Account
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.findings.loose_files import LooseFiles
from fidokit.server.key_paths import path_of
from fidokit.server.sshd.settings import SshdSettings

_FILES: Final = (
    ("hostkey", kinds.LOOSE_HOST_KEY),
    ("trustedusercakeys", kinds.LOOSE_AUTHORITIES),
    ("revokedkeys", kinds.LOOSE_REVOCATIONS),
)
_COMMANDS: Final = ("authorizedkeyscommand", "authorizedprincipalscommand")
_PRINCIPALS: Final = "authorizedprincipalsfile"
_NONE: Final = frozenset({"", "none"})
_WILD: Final = re.compile(r"[*?\[]")


@dataclass
class ServerFiles:
    """Judges such files, each place once.

    Attributes:
        trusted: user ids that may own and change them.
    """

    trusted: frozenset[int]
    _loose: LooseFiles = field(init=False, repr=False)
    _reported: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False)
    _settings: set[tuple[tuple[str, ...], ...]] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        self._loose = LooseFiles(self.trusted)

    def of_configuration(
        self, files: Iterable[str], patterns: Iterable[str] = ()
    ) -> Iterator[CheckFinding]:
        """sshd_config, what it includes, and the folders above them.

        Args:
            patterns: of Include lines; a folder may be empty today.
        """
        for path in files:
            yield from self._judged(kinds.LOOSE_CONFIGURATION, path)
        for pattern in patterns:
            yield from self._judged(kinds.LOOSE_CONFIGURATION, _folder_of(pattern))

    def of_settings(self, settings: SshdSettings) -> Iterator[CheckFinding]:
        """What settings name, in general or for a user."""
        names = [*(name for name, _ in _FILES), *_COMMANDS]
        values = tuple(settings.all(name) for name in names)
        if values in self._settings:
            return
        self._settings.add(values)
        for name, kind in _FILES:
            for path in settings.all(name):
                yield from self._judged(kind, path, secret=name == "hostkey")
        for name in _COMMANDS:
            yield from self._judged(kinds.LOOSE_COMMAND, _program(settings.first(name)))

    def of_user(self, account: Account, settings: SshdSettings) -> Iterator[CheckFinding]:
        """The user's principals file, which the user may own."""
        for pattern in settings.all(_PRINCIPALS):
            if pattern.lower() not in _NONE:
                path = str(path_of(account, pattern))
                yield from self._judged(kinds.LOOSE_PRINCIPALS, path, account)

    def of_keys(self, account: Account, path: str) -> Iterator[CheckFinding]:
        """A key file that sshd reads without a look at its modes."""
        yield from self._judged(kinds.LOOSE_KEY_FILE, path, account)

    def _judged(
        self, kind: FindingKind, path: str, account: Account | None = None, *, secret: bool = False
    ) -> Iterator[CheckFinding]:
        if path.lower() in _NONE or not path.startswith("/"):
            return
        owners = (account.uid,) if account else ()
        for loose in self._loose.judge(path, owners, secret=secret):
            if (kind.id, loose.path) in self._reported:
                continue
            self._reported.add((kind.id, loose.path))
            about = "" if loose.path == path else f", on the way to {path}"
            yield CheckFinding(
                kinds.HIDDEN_MODES if loose.doubt else kind,
                f"{loose.why}{about}",
                account.name if account else "",
                loose.path,
                doubt=loose.doubt,
                fix=loose.fix,
            )


def _folder_of(pattern: str) -> str:
    """The longest folder above a pattern that has no wildcard in it."""
    fixed = _WILD.split(pattern, maxsplit=1)[0]
    return fixed if fixed == pattern else fixed.rpartition("/")[0]


def _program(command: str) -> str:
    """The first word of a command; sshd splits it as a shell does."""
    try:
        return next(iter(shlex.split(command)), "")
    except ValueError:
        return command.split(" ", maxsplit=1)[0]
