"""What was done to the keys of accounts, and what is proved of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fidokit.errors import UsageError
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.sources import Fetched
from fidokit.server.authorize.standing import Admittance, KeyStanding

_PARTS: Final = ("added", "changed", "present", "removed", "unreadable", "doubtful")


@dataclass(frozen=True)
class How:
    """How keys are let in.

    Attributes:
        exclusive: take every other key out, once one of the keys is proved to get in.
        unproved: do so without proof.
        login: log in with each key whose private file is available.
        dry_run: find out and write nothing.
    """

    exclusive: bool = False
    unproved: bool = False
    login: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class FileChange:
    """What was done to one file.

    Attributes:
        where: the file, as a user would name it.
        change: see `lines.Change`.
        user: whose logins it is about.
    """

    where: str
    change: Change
    user: str = ""


@dataclass(frozen=True)
class Authorized:
    """What was done.

    Attributes:
        files: what became of each file that was looked at for a change; the one that keys are
            added to first.
        sources: what each account or address gave.
        warnings: sentences: why a key may still not get in, what was left out, what else
            may know a key that is gone.
        standings: what is proved of each key now; empty for a dry run.
        failures: sentences: which keys may still get in, though they were to go.
        proved: users as whom the installed sshd takes none of the keys that were to go.
    """

    files: tuple[FileChange, ...]
    sources: tuple[Fetched, ...] = ()
    warnings: tuple[str, ...] = ()
    standings: tuple[KeyStanding, ...] = ()
    failures: tuple[str, ...] = ()
    proved: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The first file, as a user would name it; empty if none was looked at."""
        return self.files[0].where if self.files else ""

    @property
    def change(self) -> Change:
        """All files' changes in one; its texts are those of the first file."""
        changes = [file.change for file in self.files]
        if not changes:
            return Change(b"", b"")
        parts: dict[str, Any] = {
            name: tuple(item for change in changes for item in getattr(change, name))
            for name in _PARTS
        }
        return Change(changes[0].before, changes[0].after, **parts)


def require_one_that_gets_in(standings: Sequence[KeyStanding], how: How) -> None:
    """Return where other keys may go: one of those that stay gets in.

    Raises:
        UsageError: none is proved to.
    """
    if how.dry_run or how.unproved:
        return
    good = {Admittance.LETS_IN, Admittance.ACCEPTED}
    if any(one.standing in good for one in standings):
        return
    why = standings[0].why if standings else "none was asked about"
    raise UsageError(
        f"the keys are written, and the others stay: none of these is proved to get in ({why})",
        hint="log in with one of them, then repeat this with --yes-unproved",
    )
