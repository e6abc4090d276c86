"""What setup asks: each question has a name, by which a file of answers gives the answer.

The names are those of a TOML file, such as `resident` in `[key]`. Secrets are not among them: they
come from --pin-file, --new-pin-file and --passphrase-file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from fidokit.errors import Malformed, MalformedFile
from fidokit.files.keyfile import read_bounded

MAX_ANSWERS: Final = 1 << 16
"""Bytes of a file of answers."""

QUESTIONS: Final[Mapping[str, type]] = {
    "token": str,
    "set_pin": bool,
    "key.use": str,
    "key.file": str,
    "key.type": str,
    "key.comment": str,
    "key.resident": bool,
    "key.application": str,
    "key.verify_required": bool,
    "key.backup": str,
    "login.servers": list,
    "login.ssh": str,
    "login.ssh_config": bool,
    "login.test": bool,
    "publish.github": bool,
    "publish.gitlab": bool,
    "publish.signing": bool,
    "git.sign": bool,
    "git.email": str,
    "git.every_commit": bool,
    "git.test": bool,
    "test": bool,
}
"""The type of each answer. A list is one of texts."""

_WORDS: Final = {str: "a text", bool: "true or false", list: "a list of texts"}
_SECRETS: Final = ("pin", "passphrase", "password")


class Asker(Protocol):
    """Whoever answers the questions of setup."""

    @property
    def is_person(self) -> bool:
        """Whether an answer that does not do can be asked for again."""

    def yes(self, name: str, question: str, *, default: bool) -> bool:
        """Whether to do something."""

    def text(self, name: str, question: str, default: str = "") -> str:
        """A text; the default for Enter."""

    def texts(self, name: str, question: str) -> Iterator[str]:
        """Texts, one after the other; none for Enter at once."""

    def choice(self, name: str, question: str, options: Sequence[str], default: int = 0) -> int:
        """The number of one of the options, from 0."""

    def given(self, name: str) -> object:
        """The answer that is known before anybody is asked; None for none."""

    def wait(self, what: str) -> bool:
        """Wait until the user has done something; False if nobody can do it."""


@dataclass(frozen=True)
class Answers:
    """An Asker that has a file of answers, and nobody to ask beyond it: the rest is the default.

    Attributes:
        values: answers by the names of their questions.
    """

    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_person(self) -> bool:
        """A file gives no second answer."""
        return False

    def yes(self, name: str, question: str, *, default: bool) -> bool:  # noqa: ARG002
        """The answer, else the default."""
        return bool(self.values.get(name, default))

    def text(self, name: str, question: str, default: str = "") -> str:  # noqa: ARG002
        """The answer, else the default."""
        return str(self.values.get(name, default))

    def texts(self, name: str, question: str) -> Iterator[str]:  # noqa: ARG002
        """The answers, else none."""
        found = self.values.get(name, [])
        return iter(found if isinstance(found, list) else [])

    def choice(
        self,
        name: str,  # noqa: ARG002
        question: str,  # noqa: ARG002
        options: Sequence[str],  # noqa: ARG002
        default: int = 0,
    ) -> int:
        """The default: files name what they mean in answers of their own."""
        return default

    def given(self, name: str) -> object:
        """The answer in the file; None if it has none."""
        return self.values.get(name)

    def wait(self, what: str) -> bool:  # noqa: ARG002
        """Nobody can do it."""
        return False


def read_answers(path: Path) -> Answers:
    """The answers in a TOML file.

    Raises:
        MalformedFile: it is not TOML, or has a name or a value that no question has.
        NoPermission, FidokitError: it cannot be read.
    """
    try:
        found = tomllib.loads(read_bounded(path, MAX_ANSWERS).decode("utf-8"))
    except Malformed:
        raise MalformedFile(f"{path} is larger than {MAX_ANSWERS} bytes", hint=_HINT) from None
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"{path} is not a TOML file: {error}", hint=_HINT) from None
    values = dict(_flat(found))
    for name, value in values.items():
        _check(path, name, value)
    return Answers(values)


_HINT: Final = "`fidokit setup --help` shows one"


def _flat(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict) and not before:
            yield from _flat(value, f"{name}.")
        else:
            yield f"{before}{name}", value


def _check(path: Path, name: str, value: object) -> None:
    wanted = QUESTIONS.get(name)
    if wanted is None:
        if any(word in name for word in _SECRETS):
            raise MalformedFile(
                f"{path}: {name!r} has no place in a file of answers",
                hint="say --pin-file, --new-pin-file or --passphrase-file, each with a file",
            )
        raise MalformedFile(
            f"{path}: setup has no question {name!r}", hint=f"it has {', '.join(QUESTIONS)}"
        )
    texts = not isinstance(value, list) or all(isinstance(one, str) for one in value)
    if type(value) is not wanted or not texts:
        raise MalformedFile(f"{path}: {name!r} is not {_WORDS[wanted]}", hint=f"{name} = ...")
