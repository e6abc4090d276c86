"""What `fleet apply` changed on which host: kept on disk, so that a run can be undone.

One JSON object a line, each on the disk before the host is told to keep its steps. A last line that
was cut is left out. A run that stopped is continued by the next one; a run that ended is not.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fidokit.errors import MalformedFile
from fidokit.files.disk_errors import explained
from fidokit.fleet.applying.steps import FileMembers
from fidokit.fleet.hosts.destinations import FleetHost
from fidokit.system.host import Host

MOST_BYTES: Final = 1 << 30
_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


@dataclass(slots=True)
class ChangedHost:
    """A host, and its files that are changed.

    Attributes:
        at: the host.
        files: in the order in which they were changed.
    """

    at: FleetHost
    files: list[FileMembers]


@dataclass(slots=True)
class RunRecord:
    """One run.

    Attributes:
        number: from 1.
        ended: whether all of its hosts were done.
        hosts: those with files that are changed, by name.
    """

    number: int
    ended: bool = False
    hosts: dict[str, ChangedHost] = field(default_factory=dict)


def journal_file() -> Path:
    """Return the path of the journal: `$XDG_STATE_HOME/fidokit/fleet/apply.jsonl`."""
    return Host().state_folder / "fleet" / "apply.jsonl"


class Journal:
    """The journal; several threads may note at once.

    Args:
        path: made where it is missing, readable for its owner alone.

    Raises:
        MalformedFile: it is another file, or damaged; with the number of the line.
        FidokitError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.runs: dict[int, RunRecord] = {}
        for number, members in self._lines():
            try:
                self._take(members)
            except (ValueError, KeyError, TypeError, AttributeError):
                message = f"{path}:{number}: this is not an entry of the journal of fleet apply"
                raise MalformedFile(message) from None

    def begin(self) -> RunRecord:
        """The run that stopped last, or a new one."""
        last = self.runs.get(max(self.runs, default=0))
        if last is None or last.ended:
            last = RunRecord(max(self.runs, default=0) + 1)
            self.runs[last.number] = last
        return last

    def last_changed(self) -> RunRecord | None:
        """The last run of which something is not taken back; None if there is none."""
        found = [one for one in self.runs.values() if one.hosts]
        return max(found, key=lambda one: one.number, default=None)

    def note(self, run: RunRecord, at: FleetHost, files: list[FileMembers]) -> None:
        """Note changed files of a host; they are on the disk when this returns.

        Raises:
            FidokitError: the disk refused.
        """
        self._append({"run": run.number, "host": _host_members(at), "files": files})

    def note_taken_back(self, run: RunRecord, at: FleetHost, number: int) -> None:
        """Note that the last files of a host are what they were.

        Args:
            number: how many of them.

        Raises:
            FidokitError: the disk refused.
        """
        self._append({"run": run.number, "host": _host_members(at), "taken-back": number})

    def note_end(self, run: RunRecord) -> None:
        """Note that all hosts of a run are done.

        Raises:
            FidokitError: the disk refused.
        """
        self._append({"run": run.number, "ended": True})

    def _append(self, members: Mapping[str, Any]) -> None:
        line = json.dumps(members).encode() + b"\n"
        with self._lock, explained(self._path):
            self._path.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            with os.fdopen(os.open(self._path, flags, _PRIVATE), "r+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                cut = bool(end) and os.pread(file.fileno(), 1, end - 1) != b"\n"
                file.write(b"\n" + line if cut else line)
                os.fsync(file.fileno())
            self._take(members)

    def _take(self, members: Mapping[str, Any]) -> None:
        number = int(members["run"])
        run = self.runs.setdefault(number, RunRecord(number))
        if members.get("ended"):
            run.ended = True
            return
        at = _host(members["host"])
        changed = run.hosts.setdefault(at.name, ChangedHost(at, []))
        if "taken-back" in members:
            del changed.files[max(0, len(changed.files) - int(members["taken-back"])) :]
        else:
            changed.files += [{**one} for one in members["files"]]
        if not changed.files:
            del run.hosts[at.name]

    def _lines(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        with explained(self._path):
            if not self._path.exists():
                return
            with self._path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise MalformedFile(f"{self._path} is too long for a journal")
        for number, line in enumerate(data.splitlines(), 1):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line that was cut, which nobody was told to rely on
            yield number, found


def _host_members(at: FleetHost) -> Mapping[str, Any]:
    return {
        "name": at.name,
        "address": at.address,
        "options": list(at.options),
        "python": at.python,
    }


def _host(members: Mapping[str, Any]) -> FleetHost:
    at = FleetHost(members["name"], members["address"], (*members["options"],), members["python"])
    if not all(isinstance(text, str) for text in (at.name, at.address, at.python, *at.options)):
        raise TypeError
    return at
