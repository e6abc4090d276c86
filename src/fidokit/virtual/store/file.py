"""Opening a virtual token's SQLite file with care, and saying in words what is wrong with one."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedCbor, NoPermission, StateUnusable, TokenNotFound
from fidokit.virtual.store.schema import APPLICATION_ID, MIGRATIONS, VERSION

_HEADER_SIZE: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
_VERSION_AT: Final = slice(60, 64)
_APPLICATION_AT: Final = slice(68, 72)

_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077

_LOCK_WAIT_S: Final = 2.0

_FREE_SPACE: Final = (
    "free some space on its disk and repeat the command; nothing acknowledged is lost"
)
_WRITABLE: Final = "make the file and its folder writable (chmod u+w), or work on a copy"
_RESTORE: Final = (
    "the file was left as it is: restore a copy, or delete the token and make a new one"
)

_WHAT_IS_WRONG: Final[Mapping[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("does not fit on its disk", _FREE_SPACE),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", _FREE_SPACE),
    sqlite3.SQLITE_READONLY: ("is read-only", _WRITABLE),
    sqlite3.SQLITE_PERM: ("is not open to you", _WRITABLE),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _WRITABLE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: ("is damaged", _RESTORE),
    sqlite3.SQLITE_BUSY: ("is held by another program", "close the program that reads the file"),
}


def unusable(path: Path, error: sqlite3.Error) -> StateUnusable:
    """The error for what SQLite reported about the file at `path`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    what, hint = _WHAT_IS_WRONG.get(code, (f"cannot be used: {error}", _RESTORE))
    return StateUnusable(f"the virtual token's file {path} {what}", hint=hint)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and rows that mean nothing, into `StateUnusable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    except (ValueError, MalformedCbor) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, detail: str) -> StateUnusable:
    """The error for a file whose content has no meaning."""
    return StateUnusable(f"the virtual token's file {path} is damaged: {detail}", hint=_RESTORE)


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that holds a token of this version, after looking at it from outside.

    The write-ahead log with synchronous=FULL makes each commit durable by one flush: a rollback
    journal needs three, and its commit may still be undone if power fails at once, because the
    journal's removal is not flushed.

    Raises:
        TokenNotFound: there is no such file.
        NoPermission: this user may not read it.
        StateUnusable: it is no token, damaged, read-only, or of a newer version.
    """
    inspect(path)
    with translated(path):
        connection = _existing(path)
        try:
            _configure(connection)
            _migrate(connection, path)
            _require_sound(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def build(path: Path) -> sqlite3.Connection:
    """Make an empty file of the present version, readable by its owner alone.

    Raises:
        StateUnusable: the folder is read-only or its disk is full.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE))
    except OSError as error:
        raise StateUnusable(
            f"the virtual token's file {path} cannot be made: {error.strerror}",
            hint="free some space, or choose a writable folder with XDG_STATE_HOME",
        ) from error
    with translated(path):
        connection = _existing(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _configure(connection)
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_a_look(path: Path) -> sqlite3.Connection:
    """Open a file, which another process may own, for reading what never changes.

    `immutable` takes no locks and leaves no files; it may miss what still waits in the log, so
    only rows that were there from the file's making may be read.
    """
    inspect(path)
    with translated(path):
        return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)


def make_private(path: Path) -> None:
    """Take a file that a copy or a restore left open to other users away from them.

    Raises:
        NoPermission: it belongs to another user.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            path.chmod(_PRIVATE)
    except OSError as error:
        raise NoPermission(
            f"the virtual token's file {path} is open to other users: {error.strerror}",
            hint=f"give it to your user alone: chmod 600 {path}",
        ) from error


def _existing(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_LOCK_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in (
        "synchronous = FULL",
        "secure_delete = ON",  # a reset erases keys, not only the way to them
        "trusted_schema = OFF",
        "cell_size_check = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise _newer(path, version)
    for step in range(version, VERSION):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;"
        )


def _require_sound(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, " ".join(str(verdict).split()))


def inspect(path: Path) -> None:
    """Judge a file by its header, without SQLite, which would write to what it opens.

    Raises:
        TokenNotFound, NoPermission, StateUnusable: as `connect`.
    """
    header = _header(path)
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise damaged(path, "it is no SQLite file")
    if int.from_bytes(header[_APPLICATION_AT]) != APPLICATION_ID:
        raise StateUnusable(f"the file {path} is not a virtual token's", hint="name another file")
    version = int.from_bytes(header[_VERSION_AT])
    if version > VERSION:
        raise _newer(path, version)


def _header(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise StateUnusable(f"{path} is not a file", hint="name a virtual token's file")
        # The bits are asked, not only the system: root may write where the owner said no.
        if not (mode & stat.S_IWUSR and os.access(path, os.W_OK)):
            raise StateUnusable(f"the virtual token's file {path} is read-only", hint=_WRITABLE)
        return os.read(descriptor, _HEADER_SIZE)
    finally:
        os.close(descriptor)


def _cannot_open(path: Path, error: OSError) -> FidokitError:
    if isinstance(error, FileNotFoundError):
        return TokenNotFound(
            f"there is no virtual token in {path}", hint="`fidokit virtual create NAME` makes one"
        )
    if isinstance(error, PermissionError):
        return NoPermission(f"the virtual token's file {path} is not open to you", hint=_WRITABLE)
    return StateUnusable(
        f"the virtual token's file {path} cannot be opened: {error.strerror}", hint=_RESTORE
    )


def _newer(path: Path, version: int) -> StateUnusable:
    return StateUnusable(
        f"the virtual token's file {path} has format {version}, newer than ours, {VERSION}",
        hint="use the newer fidokit that wrote it; the file was left as it is",
    )
