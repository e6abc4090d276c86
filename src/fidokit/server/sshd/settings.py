"""sshd's effective settings, as `sshd -T` prints them, whichever version it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

_NONE: Final = "none"
_OLDER: Final[Mapping[str, str]] = {
    "pubkeyacceptedalgorithms": "pubkeyacceptedkeytypes",  # before 8.5
    "hostbasedacceptedalgorithms": "hostbasedacceptedkeytypes",
    "kbdinteractiveauthentication": "challengeresponseauthentication",  # before 8.7
    "gssapiauthentication": "gssauthentication",  # as 10.4 prints it
}
_DEFAULT_FILES: Final = ".ssh/authorized_keys .ssh/authorized_keys2"
_MOST_WORDS: Final = 40


class ConfigPlace(NamedTuple):
    """A file and a line in it, from 1; line 0 is the command line that started sshd."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True)
class ConfigReading:
    """How sshd came to its settings.

    Attributes:
        places: by lower-case keyword that some line sets, where the line stands.
        files: what sshd read, the main one first.
        matches: the conditions of the Match lines that it met, as they are written.
        patterns: what its Include lines name, as sshd completes it.
    """

    places: Mapping[str, ConfigPlace]
    files: tuple[str, ...]
    matches: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @property
    def tells_users_apart(self) -> bool:
        """Whether some Match block may; also if the files cannot be read, or hold the word.

        sshd shows the Match lines that it meets, and another look at its files confirms that there
        are none: only then do all users have the same settings.
        """
        return bool(self.matches) or not self.places or any(map(_may_match, self.files or ("",)))

    def includes(self, path: Path) -> bool:
        """Whether sshd reads a file, or would once it is there."""
        return str(path) in self.files or any(map(path.match, self.patterns))


def _may_match(path: str) -> bool:
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError:
        return True
    return any(b"match" in line.lower() for line in lines if not line.lstrip().startswith(b"#"))


@dataclass(frozen=True)
class SshdSettings:
    """The effective settings, by lower-case keyword; repeated ones in order.

    Attributes:
        values: by keyword. Versions before 10.4 print lower case, later ones mixed case.
        reading: where they come from; None unless `Sshd.explained` was asked.

    Source: `sshd -T`, one `keyword value` a line.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    reading: ConfigReading | None = None

    def place(self, keyword: str) -> ConfigPlace | None:
        """Where the line stands that decides a keyword; None for a default, or if not known."""
        return self.reading.places.get(keyword.lower()) if self.reading else None

    def all(self, keyword: str) -> tuple[str, ...]:
        """Every value of a keyword, under the name that this version has for it."""
        keyword = keyword.lower()
        older = _OLDER.get(keyword, keyword)
        return self.values.get(keyword) or self.values.get(older, ())

    def first(self, keyword: str, default: str = "") -> str:
        """The value of a keyword that is there once."""
        return (self.all(keyword) or (default,))[0]

    def is_on(self, keyword: str) -> bool:
        """Whether a switch says yes."""
        return self.first(keyword).lower() == "yes"

    def is_set(self, keyword: str) -> bool:
        """Whether a keyword has a value other than none."""
        return self.first(keyword, _NONE).lower() not in {"", _NONE}

    def listed(self, keyword: str) -> tuple[str, ...]:
        """A value that is a list with commas."""
        text = self.first(keyword)
        return tuple(text.split(",")) if text else ()

    @property
    def key_files(self) -> tuple[str, ...]:
        """AuthorizedKeysFile's patterns; empty if no file lets anybody in.

        sshd prints names without their quotes, so a name with a blank looks like two;
        `possible_key_files` has those too.
        """
        text = self.first("authorizedkeysfile", _DEFAULT_FILES)
        return tuple(name for name in text.split() if name.lower() != _NONE)  # each, as in sshd

    @property
    def possible_key_files(self) -> tuple[str, ...]:
        """Every pattern that AuthorizedKeysFile may name, the likely ones first."""
        return (*self.key_files, *joined(self.first("authorizedkeysfile", _DEFAULT_FILES)))


def joined(text: str) -> tuple[str, ...]:
    """The names with blanks that a printed list may hold: each run of two words or more."""
    ends = _word_bounds(text)
    if len(ends) > _MOST_WORDS:
        return ()
    return tuple(text[a:b] for i, (a, _) in enumerate(ends) for _, b in ends[i + 1 :])


def _word_bounds(text: str) -> list[tuple[int, int]]:
    bounds, at = [], 0
    for word in text.split(" "):
        if word:
            bounds.append((at, at + len(word)))
        at += len(word) + 1
    return bounds


def parse_settings(text: str) -> SshdSettings:
    """The settings in what `sshd -T` printed; lines of another form are passed over."""
    values: dict[str, list[str]] = {}
    for keyword, value in _pairs(text):
        values.setdefault(keyword, []).append(value)
    return SshdSettings(MappingProxyType({name: tuple(said) for name, said in values.items()}))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword.isalnum():
            yield keyword.lower(), value.strip()
