"""Files of what is kept, in the user's state folder: locked, replaced in one step, mode 0600."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from fidokit.errors import FidokitError, MalformedFile
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.inventory.counters import CounterHistory, encode_counters, parse_counters
from fidokit.inventory.kept import Inventory, encode_inventory, parse_inventory
from fidokit.system.host import Host

FOLDER: Final = "inventory"
MAX_FILE: Final = 1 << 26
"""Bytes of one file."""

PATIENCE_S: Final = 5.0
"""Seconds to wait for another process: each holds the lock for milliseconds."""

_STEP_S: Final = 0.02
_PRIVATE_FOLDER: Final = 0o700
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class KeptFile(Generic[V]):
    """A value in a file, which one process at a time changes.

    Args:
        path: the file; it and its folder need not exist.
        empty: what a missing file stands for.
        parse: reads it; raises MalformedFile.
        encode: writes it.
    """

    path: Path
    empty: V
    parse: Callable[[bytes], V]
    encode: Callable[[V], bytes]

    def read(self) -> V:
        """What is kept; a reader needs no lock, as the file is replaced in one step.

        Raises:
            MalformedFile: the file is not one of ours; the hint says how to begin anew.
            NoPermission, FidokitError: it cannot be read.
        """
        if not os.path.lexists(self.path):
            return self.empty
        try:
            return self.parse(read_bounded(self.path, MAX_FILE))
        except MalformedFile as error:
            raise MalformedFile(
                f"{self.path} cannot be used: {error.message}",
                hint=f"to begin anew: mv {self.path} {self.path}.odd",
            ) from None

    def change(self, change: Callable[[V], V]) -> V:
        """Change what is kept, and return it; nothing is written if nothing changes.

        Raises:
            MalformedFile: the file is not one of ours, and stays as it is.
            NoPermission, FidokitError: it cannot be written, or another process holds the lock.
        """
        with explained(self.path.parent):
            self.path.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
        with _locked(self.path.with_suffix(".lock")):
            before = self.read()
            after = change(before)
            if after != before:
                atomic.replace(self.path, self.encode(after))
        return after


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be the only process of this user that changes a file; the lock ends with its process."""
    if sys.platform == "win32":  # there, the last of two writers at a time wins
        yield
        return
    import fcntl

    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > until:
                raise FidokitError(
                    f"another process holds the lock {path}", hint="wait for it, or end it"
                )
            time.sleep(_STEP_S)
        yield
    finally:
        os.close(descriptor)


def kept_inventory(folder: Path | None = None) -> KeptFile[Inventory]:
    """The inventory of this user: `$XDG_STATE_HOME/fidokit/inventory/inventory.json`.

    Args:
        folder: another folder than this user's.
    """
    path = (folder or _folder()) / "inventory.json"
    return KeptFile(path, Inventory(), parse_inventory, encode_inventory)


def kept_counters(folder: Path | None = None) -> KeptFile[CounterHistory]:
    """The signature counters of this user: `$XDG_STATE_HOME/fidokit/inventory/counters.json`.

    They have a file of their own, since each signature changes them.

    Args:
        folder: another folder than this user's.
    """
    path = (folder or _folder()) / "counters.json"
    return KeptFile(path, CounterHistory(), parse_counters, encode_counters)


def _folder() -> Path:
    return Host().state_folder / FOLDER
