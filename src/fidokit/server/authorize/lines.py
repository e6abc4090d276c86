"""Changing the text of an authorized_keys file: keys added, given options, or taken out.

Pure: text in, text out. Lines that are not meant stay byte for byte, whatever is in them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Union

from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import (
    AuthorizedKey,
    BadLine,
    Line,
    OtherLine,
    encode_line,
    parse_file,
)
from fidokit.server.authorize import blobs
from fidokit.server.authorize.wishes import WantedKey, merged

MAX_FILE: Final = 1 << 26
"""Bytes of a file that is changed; 100,000 lines have a quarter of that."""

Named = Union[PublicLine, AuthorizedKey, WantedKey, BadLine]  # noqa: UP007  3.9 evaluates it


@dataclass(frozen=True)
class Change:
    """What a change does to a file.

    Attributes:
        before, after: the whole text.
        added: keys that were not there.
        changed: keys of which lines got other options.
        present: lines that were there as wanted, or with options that nobody asked to change.
        removed: lines taken out; one may be a `BadLine` that sshd might still read.
        unreadable: lines that sshd passes over as far as we can tell, which were left alone.
        doubtful: those of them that may be lines of a key that is meant.
    """

    before: bytes
    after: bytes
    added: tuple[WantedKey, ...] = ()
    changed: tuple[WantedKey, ...] = ()
    present: tuple[AuthorizedKey, ...] = ()
    removed: tuple[AuthorizedKey | BadLine, ...] = ()
    unreadable: tuple[BadLine, ...] = ()
    doubtful: tuple[BadLine, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the file stays as it is."""
        return self.before == self.after


def line_name(line: Named) -> str:
    """Fingerprint, comment and type of a line, as ssh-keygen -l has them; hostile text."""
    if isinstance(line, BadLine):
        for blob in blobs.blobs_in(line.raw):
            return f"{blobs.fingerprint_of(blob)} ({blobs.type_name(blob)})"
        return f"line {line.line_number}"
    comment = f" {line.comment}" if line.comment else ""
    return f"{fingerprint.sha256(line.key.blob())}{comment} ({line.key.short_type})"


def lines_of(text: bytes) -> Iterator[Line]:
    """The lines of a file's text."""
    return parse_file(io.BytesIO(text))


def keys_of(text: bytes) -> Iterator[AuthorizedKey]:
    """The lines of keys in a file's text."""
    return (line for line in lines_of(text) if isinstance(line, AuthorizedKey))


@dataclass
class _Editor:
    """The lines of a file while they are changed."""

    lines: list[Line]
    changed: list[WantedKey] = field(default_factory=list)
    present: list[AuthorizedKey] = field(default_factory=list)
    added: list[WantedKey] = field(default_factory=list)
    texts: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = [line.raw for line in self.lines]

    def put(self, wanted: WantedKey, *, elsewhere: bool) -> None:
        """Have one key in the file; every line of it gets the options that are wished."""
        places = [place for place, line in enumerate(self.lines) if is_of(line, wanted)]
        if not places and not elsewhere:
            self._append(wanted)
        for place in places:  # sshd goes on to the next one where it refuses the first
            self._give(place, wanted)

    def _append(self, wanted: WantedKey) -> None:
        if self.texts and not self.texts[-1].endswith(b"\n"):
            self.texts[-1] += b"\n"
        self.texts.append(encode_line(wanted.key, wanted.options, wanted.comment))
        self.added.append(wanted)

    def _give(self, place: int, wanted: WantedKey) -> None:
        line = self.lines[place]
        assert isinstance(line, AuthorizedKey)  # noqa: S101  `is_of` said so
        options = merged(line.options, wanted.options)
        if options == line.options:
            self.present.append(line)
            return
        self.texts[place] = encode_line(line.key, options, line.comment)
        self.changed.append(WantedKey(line.key, line.comment, options, wanted.source))


def is_of(line: Line, wanted: WantedKey) -> bool:
    """Whether a line is for this very key; a certificate authority's is for others."""
    return (
        isinstance(line, AuthorizedKey)
        and line.key == wanted.key
        and line.is_authority == wanted.is_authority
    )


def authorize(
    before: bytes, keys: Iterable[WantedKey], elsewhere: Iterable[WantedKey] = ()
) -> Change:
    """Let keys in.

    Keys are compared, not text: one that is there, with whatever comment, is not added again. Where
    options are wished and a line lacks them, it gets them, as does every other line of the key;
    options of other names stay, since they restrict it.

    Args:
        before: the file's text; empty if there is none.
        keys: what to let in.
        elsewhere: those that stand in another file of the user's: their lines here are changed, and
            none is added.

    Raises:
        MalformedFile: an option that sshd would not take.
        UsageError: an option's value or a comment that would forge another line.
    """
    editor = _Editor(list(lines_of(before)))
    wanted = list({(key.key.blob(), key.is_authority): key for key in keys}.values())
    not_here = {(key.key.blob(), key.is_authority) for key in elsewhere}
    for key in wanted:
        editor.put(key, elsewhere=(key.key.blob(), key.is_authority) in not_here)
    meant = {key.key.blob() for key in wanted}
    unreadable = _unreadable(editor.lines)
    return Change(
        before,
        b"".join(editor.texts),
        added=tuple(editor.added),
        changed=tuple(editor.changed),
        present=tuple(editor.present),
        unreadable=unreadable,
        doubtful=tuple(line for line in unreadable if meant & set(blobs.blobs_in(line.raw))),
    )


def revoke(before: bytes, fingerprints: Iterable[str]) -> Change:
    """Take out every line of these keys, certificate authorities' too.

    A line that only sshd may be able to read goes as well where the key can be made out in it.

    Args:
        before: the file's text.
        fingerprints: `SHA256:...`, as ssh-keygen -l prints them.
    """
    wanted = frozenset(fingerprints)
    return _without(before, lambda line: holds_any(line, wanted))


def holds_any(line: Line, fingerprints: frozenset[str]) -> bool:
    """Whether a line has one of the keys, as far as any sshd could make it out."""
    if isinstance(line, OtherLine):
        return False
    return any(blobs.fingerprint_of(blob) in fingerprints for blob in blobs.blobs_in(line.raw))


def keep_only(before: bytes, keys: Iterable[WantedKey]) -> Change:
    """Take out every line but those of these keys, and comments.

    What cannot be read goes, too: sshd may read it.
    """
    kept = {(key.key.blob(), key.is_authority) for key in keys}

    def is_other(line: Line) -> bool:
        if isinstance(line, AuthorizedKey):
            return (line.key.blob(), line.is_authority) not in kept
        return isinstance(line, BadLine)

    return _without(before, is_other)


def _without(before: bytes, is_out: Callable[[Line], bool]) -> Change:
    lines = list(lines_of(before))
    out = [line for line in lines if not isinstance(line, OtherLine) and is_out(line)]
    gone = {id(line) for line in out}
    left = [line for line in lines if id(line) not in gone]
    after = b"".join(line.raw for line in left)
    return Change(before, after, removed=tuple(out), unreadable=_unreadable(left))


def _unreadable(lines: Iterable[Line]) -> tuple[BadLine, ...]:
    return tuple(line for line in lines if isinstance(line, BadLine))
