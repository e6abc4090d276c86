"""TOML values read with their types checked; all that is wrong is collected, for one report."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from fidokit.errors import MalformedFile
from fidokit.fleet.policy.toml_lines import TomlLines, TomlPath

MAX_FAULTS: Final = 20
"""How many faults one error names."""

V = TypeVar("V")

_HINT: Final = "docs/fleet.md describes every setting"
_SHOWN: Final = 60
_COMPARED: Final = 1000
"""With how many words a wrong one is compared: a policy may name 100,000 people."""


@dataclass
class PolicyFaults:
    """What is wrong with a policy, by where it stands.

    Attributes:
        found: the first of them, in the order of finding.
        count: how many there are.
    """

    found: list[tuple[TomlPath, str]] = field(default_factory=list)
    count: int = 0

    def add(self, path: TomlPath, text: str) -> None:
        """Note one; `text` is a sentence without a full stop."""
        self.count += 1
        if len(self.found) < MAX_FAULTS:
            self.found.append((path, text))

    def check(self, name: str, text: str) -> None:
        """End the reading if something was wrong.

        Args:
            name: of the file, for the message.
            text: the whole file, to find the lines in.

        Raises:
            MalformedFile: the first fault; the hint has a line for each other, and how many are
                left out.
        """
        if not self.count:
            return
        lines = TomlLines(text)
        located = sorted((lines.line(path), said) for path, said in self.found)
        first, *others = [f"{name}:{line}: {said}" for line, said in located]
        if self.count > len(located):
            others.append(f"and {self.count - len(located):,} more")
        raise MalformedFile(first, hint="\n".join([*others, _HINT]))


class Placed(NamedTuple):
    """A value and where it stands."""

    value: object
    path: TomlPath


@dataclass(frozen=True)
class CheckedTable:
    """A table whose members are fetched by name and type; a wrong type is noted as a fault.

    Attributes:
        members: the table.
        path: where it stands.
        faults: takes what is wrong.
    """

    members: Mapping[str, object]
    path: TomlPath
    faults: PolicyFaults

    @classmethod
    def of(cls, placed: Placed, faults: PolicyFaults, known: Iterable[str] = ()) -> CheckedTable:
        """A table from a value; empty if it is not one.

        Args:
            known: the names that it may have; any where empty.
        """
        value = placed.value
        if not isinstance(value, dict):
            faults.add(placed.path, f"{_name(placed.path)} is {_kind(value)}, not a table")
            value = {}
        table = cls(value, placed.path, faults)
        words = list(known)
        for name in value if words else ():
            if name not in words:
                faults.add(
                    (*placed.path, name), f"there is no setting {shown(name)}{near(name, words)}"
                )
        return table

    def fault(self, name: str, text: str) -> None:
        """Note what is wrong with a member."""
        self.faults.add((*self.path, name), text)

    def placed(self, name: str) -> Placed:
        """A member and where it stands; None if it is missing."""
        return Placed(self.members.get(name), (*self.path, name))

    def text(self, name: str) -> str:
        """A text; empty if it is missing."""
        return self._of(name, str, "text in quotes") or ""

    def flag(self, name: str) -> bool | None:
        """True or false; None if it is missing."""
        return self._of(name, bool, "true or false")

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number from `least` to `most`."""
        value = self._of(name, int, "a whole number")
        if value is not None and not least <= value <= most:
            self.fault(name, f"{name} is {shown(value)}, not a number from {least} to {most}")
            return None
        return value

    def day(self, name: str) -> date | None:
        """A date, without a time."""
        value = self._of(name, date, "a date such as 2027-06-30")
        if isinstance(value, datetime):
            self.fault(name, f"{name} is a date with a time, not a date such as 2027-06-30")
            return None
        return value

    def list(self, name: str) -> Iterator[Placed]:
        """The elements of an array."""
        value = self._of(name, list, 'a list such as ["..."]')
        for at, one in enumerate(value or ()):
            yield Placed(one, (*self.path, name, at))

    def texts(self, name: str) -> Iterator[tuple[str, TomlPath]]:
        """The elements of an array of texts; a second one that is the same is a fault."""
        seen = set()
        for value, path in self.list(name):
            if not isinstance(value, str) or not value:
                self.faults.add(path, f"{name} has {_kind(value)} in it, not text in quotes")
            elif value in seen:
                self.faults.add(path, f"{shown(value)} is in {name} twice")
            else:
                seen.add(value)
                yield value, path

    def tables(self, name: str) -> Iterator[tuple[str, Placed]]:
        """The members of a table, by name."""
        value = self._of(name, dict, "a table")
        for key, one in (value or {}).items():
            yield key, Placed(one, (*self.path, name, key))

    def _of(self, name: str, kind: type[V], wanted: str) -> V | None:
        value = self.members.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.fault(name, f"{name} is {_kind(value)}, not {wanted}")
            return None
        return value


def near(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence; empty if nothing is like it."""
    found = difflib.get_close_matches(word[:_SHOWN], list(islice(known, _COMPARED)), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def shown(value: object) -> str:
    """A value in a message: quoted, and cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]}...{text[-1]}"


def _name(path: TomlPath) -> str:
    names = [one for one in path if isinstance(one, str)]
    if not names:
        return "the policy"
    return shown(names[-1]) if path[-1] == names[-1] else f"an element of {names[-1]}"


def _kind(value: object) -> str:
    if value == "":
        return "empty text"
    kinds = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list"}
    return "a table" if isinstance(value, dict) else kinds.get(type(value), "a date or time")
