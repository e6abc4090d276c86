"""What belongs at the cursor: a command, an option, or the value of one parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import click

from fidokit.cli.settings import PROGRAM

_REST: Final = -1


class Cursor(NamedTuple):
    """Where the cursor is.

    Args:
        command: the group or verb to which the word at the cursor belongs.
        path: its name in words, without the program's.
        param: whose value the word is; None for the name of a command or an option.
        prefix: the part of the word before the value, such as `--token=`.
        incomplete: the part of the value that is there.
        given: the values of parameters that are complete, by the parameters' names.
    """

    command: click.Command
    path: tuple[str, ...]
    param: click.Parameter | None
    prefix: str
    incomplete: str
    given: Mapping[str, Sequence[str]]


def locate(root: click.Group, words: Sequence[str], current: str) -> Cursor | None:
    """Find what the word at the cursor belongs to; None behind a word that is not a command.

    Args:
        root: the command that all others are in.
        words: those before the cursor, with the program's name.
        current: the word at the cursor, as far as it is typed.
    """
    walk = _Walk(root)
    for word in words[_start(words) + 1 :]:
        if not walk.take(word):
            return None
    return walk.cursor(current)


def _start(words: Sequence[str]) -> int:
    """The program's own place: variables, or words such as `sudo`, may stand before it."""
    names = [word.rpartition("/")[2] for word in words]
    return names.index(PROGRAM) if PROGRAM in names else 0


class _Walk:
    """Follows the words from the left, as the parser will."""

    def __init__(self, root: click.Group) -> None:
        self.command: click.Command = root
        self.path: tuple[str, ...] = ()
        self.given: dict[str, list[str]] = {}
        self.pending: click.Option | None = None
        self.literal = False

    def take(self, word: str) -> bool:
        """Go past a word; False if nothing can follow it."""
        if self.pending is not None and not _looks_like_option(word):
            self._keep(self.pending, word)
            self.pending = None
            return True
        self.pending = None
        if not self.literal and word == "--":
            self.literal = True
        elif not self.literal and _looks_like_option(word):
            self._take_option(word)
        elif isinstance(self.command, click.Group):
            below = self.command.get_command(click.Context(self.command), word)
            if below is None:
                return False
            self.command, self.path = below, (*self.path, word)
        else:
            self._keep(self._argument(), word)
            mixed = self.command.context_settings.get("allow_interspersed_args", True)
            self.literal = self.literal or not mixed
        return True

    def _keep(self, param: click.Parameter | None, word: str) -> None:
        if param is not None and param.name:
            self.given.setdefault(param.name, []).append(word)

    def _take_option(self, word: str) -> None:
        name, equals, value = word.partition("=")
        option = self._option(name if word.startswith("--") else word[:2])
        if option is None or option.name is None:
            return
        self.given.setdefault(option.name, [])
        if not _takes_value(option):
            return
        attached = value if word.startswith("--") else word[2:]
        if attached or equals:
            self._keep(option, attached)
        else:
            self.pending = option

    def _option(self, name: str) -> click.Option | None:
        for param in self.command.params:
            if isinstance(param, click.Option) and name in (*param.opts, *param.secondary_opts):
                return param
        return None

    def _argument(self) -> click.Argument | None:
        """The positional parameter that takes the next word."""
        for param in self.command.params:
            if isinstance(param, click.Argument):
                taken = len(self.given.get(param.name or "", ()))
                if param.nargs == _REST or taken < param.nargs:
                    return param
        return None

    def cursor(self, current: str) -> Cursor:
        """What the word at the cursor belongs to."""
        param: click.Parameter | None = None if current.startswith("-") else self.pending
        prefix, value = "", current
        if param is None and not self.literal and current.startswith("-"):
            name, equals, rest = current.partition("=")
            short = current[:2]
            if current.startswith("--") and equals:
                param, prefix, value = self._option(name), f"{name}=", rest
            elif len(current) > 2 and not current.startswith("--"):
                param, prefix, value = self._option(short), short, current[2:]
            if param is not None and not _takes_value(param):
                param, prefix, value = None, "", current
        elif param is None and not isinstance(self.command, click.Group):
            param = self._argument()
        return Cursor(self.command, self.path, param, prefix, value, self.given)


def _takes_value(param: click.Parameter) -> bool:
    if not isinstance(param, click.Option):
        return True
    return not param.is_flag and not param.count


def _looks_like_option(word: str) -> bool:
    """An option whose value may be left out, such as --usbip, does not take it for one."""
    return len(word) > 1 and word.startswith("-")
