"""Whether this machine's user database lists everybody it knows (nsswitch.conf(5)).

`getent passwd` shows what its sources list. A directory usually lists nobody, and finds a user who
is asked for by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.keyfile import read_bounded

_SWITCH: Final = "etc/nsswitch.conf"
_MAX: Final = 1 << 24
_COMPAT: Final = "compat"  # also what older C libraries do where nothing is said
_RECORDS: Final = ("etc/userdb", "run/userdb", "run/host/userdb", "usr/lib/userdb")
_HOMES: Final = ("var/lib/systemd/home/*.identity", "run/systemd/userdb/io.systemd.Home")


@dataclass(frozen=True)
class UserSources:
    """The sources of a machine's users.

    Attributes:
        root: the folder that stands for /.
    """

    root: Path = Path("/")

    def unlisted(self, database: str = "passwd") -> tuple[str, ...]:
        """Why there may be users, or passwords, that are not seen; empty if all are.

        Args:
            database: `passwd`, or `shadow` for the passwords.
        """
        return tuple(self._reasons(database))

    def files_first(self, database: str) -> bool:
        """Whether a line in the machine's own file counts before all else."""
        words = self._words(database)
        return words[:1] == ["files"] and not any("[" in word for word in words)

    def _reasons(self, database: str) -> Iterator[str]:
        for source in self._sources(database):
            if source == "systemd":
                yield from self._of_systemd()
            elif source == _COMPAT:
                yield from self._of_compat(database)
            elif source != "files":
                yield f"/{_SWITCH} names {source} for {database}, which need not list its users"

    def _sources(self, database: str) -> list[str]:
        return re.sub(r"\[[^\]]*\]", " ", " ".join(self._words(database))).split()

    def _words(self, database: str) -> list[str]:
        try:
            text = read_bounded(self.root / _SWITCH, _MAX).decode("utf-8", "replace")
        except FidokitError:
            text = ""
        for line in text.split("\n"):
            name, colon, rest = line.partition("#")[0].partition(":")
            if colon and name.strip() == database:
                return rest.split()
        # Who does not say where passwords are has them where the users are.
        return self._words("passwd") if database != "passwd" else [_COMPAT]

    def _of_systemd(self) -> Iterator[str]:
        patterns = [*(f"{folder}/*" for folder in _RECORDS), *_HOMES]
        for pattern in patterns:
            if next(self.root.glob(pattern), None) is not None:
                yield f"systemd may know users by /{pattern.rstrip('/*')}"

    def _of_compat(self, database: str) -> Iterator[str]:
        path = self.root / "etc" / database
        try:
            lines = read_bounded(path, _MAX).split(b"\n")
        except FidokitError:
            yield f"/etc/{database} cannot be read"
            return
        if any(line.lstrip().startswith((b"+", b"-")) for line in lines):
            yield f"/etc/{database} has lines that begin with + or -, which stand for a directory"
