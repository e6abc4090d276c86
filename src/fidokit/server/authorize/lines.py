"""Changing the text of an authorized_keys file: keys added, given options, or taken out.

Pure: text in, text out. Lines that are not meant stay byte for byte, whatever is in them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import (
    AuthorizedKey,
    BadLine,
    Line,
    encode_line,
    parse_file,
)
from fidokit.openssh.lines.options import Option

MAX_FILE: Final = 1 << 26
"""Bytes of a file that is changed; 100,000 lines have a quarter of that."""


@dataclass(frozen=True)
class Change:
    """What a change does to a file.

    Attributes:
        before, after: the whole text.
        added: keys that were not there.
        changed: keys whose line got other options.
        present: keys that were there as wanted, or with options that nobody asked to change.
        removed: lines taken out.
        unreadable: lines that sshd passes over, which were left alone.
    """

    before: bytes
    after: bytes
    added: tuple[PublicLine, ...] = ()
    changed: tuple[PublicLine, ...] = ()
    present: tuple[AuthorizedKey, ...] = ()
    removed: tuple[AuthorizedKey, ...] = ()
    unreadable: tuple[BadLine, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the file stays as it is."""
        return self.before == self.after


def line_name(line: PublicLine | AuthorizedKey) -> str:
    """Fingerprint, comment and type of a line, as ssh-keygen -l has them; hostile text."""
    comment = f" {line.comment}" if line.comment else ""
    return f"{fingerprint.sha256(line.key.blob())}{comment} ({line.key.short_type})"


def lines_of(text: bytes) -> Iterator[Line]:
    """The lines of a file's text."""
    return parse_file(io.BytesIO(text))


@dataclass
class _Editor:
    """The lines of a file while they are changed."""

    lines: list[Line]
    changed: list[PublicLine] = field(default_factory=list)
    present: list[AuthorizedKey] = field(default_factory=list)
    added: list[PublicLine] = field(default_factory=list)
    texts: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = [line.raw for line in self.lines]

    def put(self, wanted: PublicLine, options: Sequence[Option]) -> None:
        """Have one key in the file, once."""
        places = [place for place, line in enumerate(self.lines) if _logs_in(line, wanted)]
        if not places:
            self._append(wanted, options)
        for place in places[:1]:  # sshd takes the first line that fits, so that one counts
            self._give(place, options)

    def _append(self, wanted: PublicLine, options: Sequence[Option]) -> None:
        if self.texts and not self.texts[-1].endswith(b"\n"):
            self.texts[-1] += b"\n"
        self.texts.append(encode_line(wanted.key, options, wanted.comment))
        self.added.append(wanted)

    def _give(self, place: int, options: Sequence[Option]) -> None:
        line = self.lines[place]
        assert isinstance(line, AuthorizedKey)  # noqa: S101  `_logs_in` said so
        if not options or set(options) <= set(line.options):
            self.present.append(line)
            return
        kept = [old for old in line.options if old.name not in {new.name for new in options}]
        key = PublicLine(line.key, line.comment)
        self.texts[place] = encode_line(line.key, [*kept, *options], line.comment)
        self.changed.append(key)


def _logs_in(line: Line, wanted: PublicLine) -> bool:
    """Whether a line is for this very key; a certificate authority's is for others."""
    return isinstance(line, AuthorizedKey) and line.key == wanted.key and not line.is_authority


def authorize(before: bytes, keys: Iterable[PublicLine], options: Sequence[Option] = ()) -> Change:
    """Let keys in.

    Keys are compared, not text: one that is there, with whatever comment, is not added again. Where
    options are given and its line lacks them, it gets them; options of other names stay, since
    they restrict it.

    Args:
        before: the file's text; empty where there is none.
        keys: what to let in.
        options: for each of them.

    Raises:
        MalformedFile: an option that sshd would not take.
        UsageError: an option's value or a comment that would forge another line.
    """
    editor = _Editor(list(lines_of(before)))
    for key in {line.key.blob(): line for line in keys}.values():
        editor.put(key, options)
    return Change(
        before,
        b"".join(editor.texts),
        added=tuple(editor.added),
        changed=tuple(editor.changed),
        present=tuple(editor.present),
        unreadable=_unreadable(editor.lines),
    )


def revoke(before: bytes, fingerprints: Iterable[str]) -> Change:
    """Take out every line of these keys, certificate authorities' too.

    Args:
        before: the file's text.
        fingerprints: `SHA256:...`, as ssh-keygen -l prints them.
    """
    wanted = frozenset(fingerprints)
    lines = list(lines_of(before))
    out = [
        line
        for line in lines
        if isinstance(line, AuthorizedKey) and fingerprint.sha256(line.key.blob()) in wanted
    ]
    gone = {id(line) for line in out}
    after = b"".join(line.raw for line in lines if id(line) not in gone)
    return Change(before, after, removed=tuple(out), unreadable=_unreadable(lines))


def _unreadable(lines: Iterable[Line]) -> tuple[BadLine, ...]:
    return tuple(line for line in lines if isinstance(line, BadLine))
