"""What docs/json.md says of each command's JSON, and what a command printed beyond that.

The examples under a heading name every member of the commands in the heading, and a member `...`
allows any others beside it. An object under `error` is what docs/errors.md shows.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from fidokit.cli.app import GROUPS, TOP

DOCS = Path(__file__).parents[2] / "docs"
OPEN = "..."


@dataclass
class Shape:
    """The members that objects at one place may have; lists count as their elements."""

    members: dict[str, Shape] = field(default_factory=dict)
    is_open: bool = False

    def learn(self, example: object) -> None:
        """Take in what an example shows."""
        if isinstance(example, list):
            for element in example:
                self.learn(element)
        elif isinstance(example, dict):
            for name, value in example.items():
                if name == OPEN:
                    self.is_open = True
                else:
                    self.members.setdefault(name, Shape()).learn(value)

    def unknown(self, printed: object, place: str = "") -> Iterator[str]:
        """The places of members that no example shows."""
        if isinstance(printed, list):
            for element in printed:
                yield from self.unknown(element, f"{place}[]")
        elif isinstance(printed, dict):
            for name, value in printed.items():
                yield from self._of(name, value, f"{place}.{name}".removeprefix("."))

    def _of(self, name: str, value: object, place: str) -> Iterator[str]:
        known = self.members.get(name)
        if name == "error" and isinstance(value, dict):
            known = error_shape()
        if known is not None:
            yield from known.unknown(value, place)
        elif not self.is_open:
            yield place


def examples(page: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands of each heading of the third level, with an example below it."""
    for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        body = re.split(r"^## ", body, flags=re.MULTILINE)[0]
        commands = tuple(re.findall(r"`([^`]+)`", heading))
        for block in re.findall(r"```json\n(.*?)```", body, re.DOTALL):
            yield commands, json.loads(block)


@cache
def documented() -> Mapping[str, Shape]:
    """The shape of each command's document, by its words."""
    shapes: dict[str, Shape] = {}
    for commands, example in examples((DOCS / "json.md").read_text()):
        for command in commands:
            shapes.setdefault(command, Shape()).learn(example)
    return shapes


@cache
def error_shape() -> Shape:
    """An error's members, as docs/errors.md shows them."""
    shape = Shape()
    for block in re.findall(r"```json\n(.*?)```", (DOCS / "errors.md").read_text(), re.DOTALL):
        shape.learn(json.loads(block)["error"])
    return shape


def commands() -> list[str]:
    """The words of every verb."""
    return [f"{group} {verb}" for group, found in GROUPS.items() for verb in found.verbs] + [*TOP]


def command_of(arguments: Sequence[str]) -> str | None:
    """Which verb a command line calls."""
    for at, word in enumerate(arguments):
        if word in TOP:
            return word
        if word in GROUPS:
            verbs = GROUPS[word].verbs
            following = [other for other in arguments[at + 1 :] if not other.startswith("-")]
            return f"{word} {following[0]}" if following and following[0] in verbs else None
    return None


def documents(printed: str) -> Iterator[Any]:
    """The JSON documents that begin a text: a result, an error, or the one and then the other."""
    rest = printed.lstrip()
    while rest.startswith("{"):
        document, end = json.JSONDecoder().raw_decode(rest)
        yield document
        rest = rest[end:].lstrip()


def require_documented(arguments: Sequence[str], printed: str) -> None:
    """Check a command's standard output, where it was to be JSON, against the page.

    Raises:
        AssertionError: docs/json.md does not know a member.
    """
    if "--json" not in arguments:
        return
    command = command_of(arguments)
    shape = documented().get(command or "", Shape({"schema": Shape()}))
    for document in documents(printed):
        unknown = sorted(set(shape.unknown(document)))
        assert not unknown, (
            f"`fidokit {command}` prints members that docs/json.md does not know: "
            f"{', '.join(unknown)}; add them to an example under ### `{command}`"
        )


class Heard(io.TextIOBase):
    """A stream that also keeps what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.kept: list[str] = []

    def write(self, text: str) -> int:
        written = self._stream.write(text)  # refuses bytes, with which click finds out what it is
        self.kept.append(text)
        return written

    def flush(self) -> None:
        if not self._stream.closed:  # garbage collection flushes, which 3.13 reports
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def buffer(self) -> Any:
        """The bytes beneath, which are passed by."""
        return self._stream.buffer


def held_to_the_page(run: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Run a command in this process, and check the JSON that it prints."""
    if "--json" not in arguments:
        return run(arguments)
    heard = Heard(sys.stdout)
    with redirect_stdout(heard):
        code = run(arguments)
    require_documented(arguments, "".join(heard.kept))
    return code
