"""On which line of a TOML text each of its values stands, which `tomllib` does not tell.

Called only where something is to be reported, and only for text that `tomllib` has read: what
follows takes the syntax for granted, and does not look at values.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

TomlPath = tuple[str | int, ...]
"""Names of tables and members, and places in arrays from 0, from the outermost inward."""

_BETWEEN: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_DOT: Final = re.compile(r"[ \t]*(\.?)[ \t]*")
_TEXT: Final = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}|\'\'\'(?:[^\']|\'{1,2}(?!\'))*\'{3,5}'
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''
)
_BARE: Final = re.compile(r"[^,\]}#\n]*")


@dataclass
class TomlLines:
    """The lines of a text's values.

    Args:
        text: valid TOML, with line ends as in the file.
    """

    text: str
    _at: int = field(default=0, init=False)
    _ends: list[int] = field(default_factory=list, init=False)
    _found: dict[TomlPath, int] = field(default_factory=dict, init=False)
    _elements: dict[TomlPath, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Walk through the text once."""
        self._ends = [match.start() for match in re.finditer("\n", self.text)]
        table: TomlPath = ()
        while self._skip() < len(self.text):
            if self.text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def line(self, path: TomlPath) -> int:
        """The line, from 1, of a value; of what it would stand in if it is not there."""
        while path and path not in self._found:
            path = path[:-1]
        return self._found.get(path, 1)

    # --- steps -----------------------------------------------------------------------------

    def _skip(self) -> int:
        match = _BETWEEN.match(self.text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self._at)
        if match is None:
            raise ValueError(f"no valid TOML at {self._at}")
        self._at = match.end()
        return match[0]

    def _names(self) -> Iterator[str]:
        """The parts of a dotted key."""
        while True:
            yield _unquoted(self._take(_KEY))
            if "." not in self._take(_DOT):
                return

    def _note(self, path: TomlPath, at: int) -> None:
        self._found.setdefault(path, bisect_left(self._ends, at) + 1)

    def _header(self) -> TomlPath:
        start = self._at
        repeated = self.text.startswith("[[", start)
        self._at += 2 if repeated else 1
        self._skip()
        path: TomlPath = ()
        for name in list(self._names()):
            path = self._last_of((*path, name))
            self._note(path, start)
        if repeated:
            own = path[:-1] if isinstance(path[-1], int) else path
            self._elements[own] = self._elements.get(own, -1) + 1
            path = (*own, self._elements[own])
            self._note(path, start)
        self._skip()
        self._at += 2 if repeated else 1
        return path

    def _last_of(self, path: TomlPath) -> TomlPath:
        """The last element so far, for an array of tables."""
        return (*path, self._elements[path]) if path in self._elements else path

    def _pair(self, table: TomlPath) -> None:
        start = self._at
        path = table
        for name in list(self._names()):
            path = (*path, name)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip()
        self._value(path)

    def _value(self, path: TomlPath) -> None:
        self._note(path, self._at)
        sign = self.text[self._at]
        if sign == "[":
            self._at += 1
            self._inside("]", path)
        elif sign == "{":
            self._at += 1
            self._inside("}", path)
        else:
            self._take(_TEXT if sign in "\"'" else _BARE)

    def _inside(self, end: str, path: TomlPath) -> None:
        """The elements of an array, or the members of an inline table."""
        number = 0
        while self.text[self._skip()] != end:
            if end == "]":
                self._value((*path, number))
            else:
                self._pair(path)
            number += 1
            if self.text[self._skip()] == ",":
                self._at += 1
        self._at += 1


def _unquoted(key: str) -> str:
    if key[:1] == "'":
        return key[1:-1]
    if key[:1] != '"':
        return key
    import tomllib

    return str(tomllib.loads(f"key = {key}")["key"])
