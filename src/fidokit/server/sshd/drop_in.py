"""Our lines in other people's files: a marked block at the top, put in and taken out again.

In a drop-in file the block is all there is. What was there before stays byte for byte below it, and
beside it as a write-protected original; taking the block out gives the old file again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedFile
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.server.sshd.config import MAX_FILE

NAME: Final = "0-fidokit.conf"
"""sshd's first match wins, and it reads the files of a folder in the order of their bytes: `0-`
comes before the `00-` of others."""

ORIGINAL_SUFFIX: Final = ".fidokit-original"

_BEGIN: Final = b"# BEGIN fidokit: "
_END: Final = b"# END fidokit\n"
_KEPT_MODE: Final = 0o400
_NEW_MODE: Final = 0o644
_FOLDER_MODE: Final = 0o755
OWN_FOLDER: Final = "fidokit"
"""How the names of folders begin that are ours alone."""


@dataclass(frozen=True)
class Edit:
    """What becomes of a file.

    Attributes:
        path: without symbolic links.
        before, after: the whole text; None if there is no file.
    """

    path: Path
    before: bytes | None
    after: bytes | None

    @property
    def is_empty(self) -> bool:
        """Whether the file stays as it is."""
        return self.before == self.after

    @property
    def original(self) -> Path:
        """Where what was there before any of our blocks is kept."""
        return self.path.with_name(self.path.name + ORIGINAL_SUFFIX)


def block(title: str, lines: Iterable[str], undo: str = "fidokit server harden --undo") -> bytes:
    """Lines between marks.

    Args:
        title: what they are for; one line.
        undo: the command that takes them out.
    """
    head = _BEGIN + f"{title}; `{undo}` takes this block out\n".encode()
    return head + b"".join(line.encode() + b"\n" for line in lines) + _END


def title(text: bytes) -> str:
    """What our block in a text says it is for; empty if there is none."""
    begin, _ = _span(text)
    head = text[begin:].partition(b"\n")[0]
    if not head.startswith(_BEGIN):
        return ""
    return head.removeprefix(_BEGIN).partition(b";")[0].decode("ascii", "replace")


def without_block(text: bytes, path: Path) -> bytes:
    """The text with our block taken out; itself if there is none.

    Raises:
        MalformedFile: the block has no end any more.
    """
    begin, end = _span(text)
    if end < 0:
        raise MalformedFile(
            f"the block of fidokit in {path} has no end any more",
            hint=f"take it out by hand; {path.name}{ORIGINAL_SUFFIX} is the file without it",
        )
    return text[:begin] + text[end:]


def block_lines(text: bytes) -> range:
    """The numbers of the lines of our block, counted from 1; empty if there is none."""
    begin, end = _span(text)
    first = text.count(b"\n", 0, begin) + 1
    return range(first, first + text.count(b"\n", begin, end)) if end > begin else range(0)


def _span(text: bytes) -> tuple[int, int]:
    """Where our block begins and ends: 0 and 0 for none; the end is -1 if it has lost it."""
    begin = 0 if text.startswith(_BEGIN) else text.find(b"\n" + _BEGIN) + 1
    if not begin and not text.startswith(_BEGIN):
        return 0, 0
    end = text.find(b"\n" + _END, begin)
    return begin, end + 1 + len(_END) if end >= 0 else -1


def plan(path: Path, wanted: bytes | None) -> Edit:
    """What has to change for a file to have a block, or none.

    Args:
        path: the file; if it is missing, it gets made, and unmade.
        wanted: the block; None for no block.

    Raises:
        NoPermission, FidokitError: it cannot be read.
    """
    real = Path(os.path.realpath(path))
    before = _content(real)
    if before is None:
        return Edit(real, None, wanted)
    rest = without_block(before, real)
    if wanted is not None:
        return Edit(real, before, wanted + rest)
    edit = Edit(real, before, rest)
    ours_alone = before != rest and not rest and not edit.original.exists()
    return Edit(real, before, None) if ours_alone else edit


def check_current(edit: Edit) -> None:
    """See that a file still is what the plan was made for.

    Raises:
        FidokitError: it was changed meanwhile.
    """
    if _content(edit.path) != edit.before:
        raise FidokitError(
            f"{edit.path} was changed while the plan was made", hint="run the command again"
        )


@dataclass(frozen=True)
class PreparedEdit:
    """An edit whose every byte is on the disk already: what is left are names.

    Attributes:
        new, old: temporary files with what the file is to be, and with what it was; None for none.
    """

    edit: Edit
    new: Path | None
    old: Path | None

    def carry_out(self) -> None:
        """Put the new file in the place of the old one, in one step.

        Raises:
            NoPermission, FidokitError: the disk refused; then the file is as it was.
        """
        with explained(self.edit.path):
            if self.edit.after is None and self.old is not None:
                _rename(self.edit.path, self.old)  # which takes no space on the disk
            else:
                _rename(self.new, self.edit.path)

    def take_back(self) -> None:
        """Put the old file there again, which takes no space on the disk."""
        with explained(self.edit.path):
            _rename(self.old, self.edit.path)


@contextmanager
def prepared(edits: Iterable[Edit]) -> Iterator[list[PreparedEdit]]:
    """Write down all that edits need, before the first of them is carried out.

    Raises:
        NoPermission, FidokitError: the disk refused; then no file has changed.
    """
    with ExitStack() as stack:
        ready = []
        for edit in edits:
            with explained(edit.path):
                _make_folder(edit.path.parent)
            old, new = _old(stack, edit), _staged(stack, edit.path, edit.after)
            if edit.before is not None and not _has_block(edit.before, edit.path):
                stack.enter_context(_kept(edit))
            ready.append(PreparedEdit(edit, new, old))
        yield ready
        for edit in (done.edit for done in ready):
            if not _has_block(edit.after, edit.path) and _content(edit.path) == edit.after:
                _drop_original(edit)
            if edit.after is None and edit.path.parent.name.startswith(OWN_FOLDER):
                with suppress(OSError):  # others may have put something in
                    edit.path.parent.rmdir()


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir()
        folder.chmod(_FOLDER_MODE)  # whatever the umask: sshd reads with users' rights


def write(edit: Edit) -> None:
    """Carry out one edit: a crash leaves the old file or the new one.

    Raises:
        NoPermission, FidokitError: the disk refused; then the file is as it was.
    """
    if not edit.is_empty:
        with prepared([edit]) as ready:
            ready[0].carry_out()


def _old(stack: ExitStack, edit: Edit) -> Path | None:
    """Where the old text is until all is done; a file that goes is moved there, and not written."""
    if edit.after is None:
        return stack.enter_context(atomic.reserved(edit.path.parent))
    return _staged(stack, edit.path, edit.before)


def _staged(stack: ExitStack, path: Path, text: bytes | None) -> Path | None:
    """A temporary file for a text, with the mode and the owner of the file that is there."""
    if text is None:
        return None
    atomic.refuse_special(path)
    with explained(path):
        found = path.stat() if path.exists() else None
        mode = stat.S_IMODE(found.st_mode) if found else _NEW_MODE
        temporary = stack.enter_context(atomic.staged(path, text, mode))
        if found and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(temporary, found.st_uid, found.st_gid)
            temporary.chmod(mode)  # chown takes special bits away
        return temporary


def _rename(temporary: Path | None, path: Path) -> None:
    if temporary is None:
        path.unlink()
    else:
        temporary.rename(path)
    atomic.sync_folder(path.parent)


@contextmanager
def _kept(edit: Edit) -> Iterator[None]:
    """Put what is without a block aside, for people who want to see or restore it by hand."""
    there = os.path.lexists(edit.original)
    atomic.replace(edit.original, edit.before or b"", _KEPT_MODE)
    try:
        yield
    finally:
        if not there and _content(edit.path) == edit.before:  # nothing came of it
            with suppress(OSError):
                edit.original.unlink()


def _has_block(text: bytes | None, path: Path) -> bool:
    return text is not None and without_block(text, path) != text


def _content(path: Path) -> bytes | None:
    with explained(path):
        try:
            path.lstat()
        except FileNotFoundError:
            return None
    atomic.refuse_special(path)
    return read_bounded(path, MAX_FILE)


def _drop_original(edit: Edit) -> None:
    """Once the file is as it was, the copy says nothing more; where it is not, the copy stays."""
    if _content(edit.original) == edit.after:
        with suppress(OSError):
            edit.original.unlink()
