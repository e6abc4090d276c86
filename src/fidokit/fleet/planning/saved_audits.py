"""Audits that were saved: files with the JSON of `server check`, one for each host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.files.disk_errors import explained
from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.document import read_document

SUFFIX: Final = ".json"
MAX_AUDIT: Final = 1 << 24
"""Bytes of one audit."""


@dataclass(frozen=True, slots=True)
class SavedAudits:
    """Files with audits, which are read one after the other, as often as they are iterated.

    Attributes:
        places: hosts, and the file of each.
    """

    places: tuple[tuple[str, Path], ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> SavedAudits:
        """The audits that words name.

        Args:
            words: a folder with files `HOST.json`, such a file, or `HOST=FILE`.

        Raises:
            UsageError: a host is named twice, or a folder has no audit in it.
            FidokitError: a folder cannot be read.
        """
        found: dict[str, Path] = {}
        for host, path in (place for word in words for place in _places(word)):
            if host in found:
                raise UsageError(
                    f"there are two audits of {host}: {found[host]} and {path}",
                    hint="name another host with HOST=FILE",
                )
            found[host] = path
        return cls(tuple(found.items()))

    def __iter__(self) -> Iterator[HostAudit]:
        return (_read(host, path) for host, path in self.places)

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class GatheredAudits:
    """Saved audits, and new ones that are in memory; they can be iterated more than once.

    Attributes:
        saved: files.
        new: of hosts that were just checked.
    """

    saved: SavedAudits
    new: Sequence[HostAudit] = ()

    def __iter__(self) -> Iterator[HostAudit]:
        yield from self.saved
        yield from self.new


def _places(word: str) -> Iterator[tuple[str, Path]]:
    host, equals, rest = word.partition("=")
    path = Path(word)
    if equals and host and rest and not path.exists():
        yield host, Path(rest)
    elif path.is_dir():
        with explained(path):
            files = sorted(one for one in path.iterdir() if one.suffix == SUFFIX)
        if not files:
            raise UsageError(
                f"there is no file HOST{SUFFIX} in {path}",
                hint=f"save audits there: fidokit server check --json > {path}/HOST{SUFFIX}",
            )
        yield from ((file.stem, file) for file in files)
    else:
        yield path.name.removesuffix(SUFFIX), path


def _read(host: str, path: Path) -> HostAudit:
    """One audit; what cannot be read is a value, since one file of many must not end all."""
    try:
        with explained(path), path.open("rb") as file:
            data = file.read(MAX_AUDIT + 1)
        if len(data) > MAX_AUDIT:
            return HostAudit(host, HostState.HOSTILE, problem=f"{path} has more than 16 MiB")
        return HostAudit(host, HostState.CHECKED, read_document(data, None))
    except FidokitError as error:
        return HostAudit(host, HostState.FAILED, problem=f"{path}: {error.message}")
