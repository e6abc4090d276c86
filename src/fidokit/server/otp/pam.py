"""Where the PAM module looks for secrets, and as whom: what its line in a PAM service says.

Sources: pam.conf(5), pam_google_authenticator(8), and how the module reads its options.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.server.accounts import Account, account

MODULE: Final = "pam_google_authenticator.so"
FOLDER: Final = Path("/etc/pam.d")
SSHD: Final = FOLDER / "sshd"
NAME: Final = ".google_authenticator"

_MAX_FILE: Final = 1 << 20
_MAX_DEPTH: Final = 16
_INCLUDES: Final = ("include", "substack")
_WORD: Final = re.compile(r"\[((?:[^\]\\]|\\.)*)\]|(\S+)")
_USUAL_MODE: Final = 0o600
_SUPERUSER: Final = "root"


@dataclass(frozen=True)
class SecretPlace:
    """Which file the module reads for a user, whose rights it has then, and what it refuses.

    Attributes:
        pattern: a path with `~`, `${HOME}` and `${USER}` (the option `secret=`).
        reader: a user's name or number that it reads as (`user=`); None for who logs in.
        allowed_mode: bits that the file's mode may have (`allowed_perm=`).
        strict_owner: whether the file must belong to the one whose rights it has.
        must_write: whether it refuses a login that it cannot note down.
    """

    pattern: str = f"~/{NAME}"
    reader: str | None = None
    allowed_mode: int = _USUAL_MODE
    strict_owner: bool = True
    must_write: bool = True

    @classmethod
    def of_root(cls, pattern: str) -> SecretPlace:
        """Files that root keeps, out of the users' reach.

        Raises:
            UsageError: the pattern does not lead to one file for each user.
        """
        if (
            not pattern.startswith("/")
            or "${USER}" not in pattern
            or re.search(r"[\s\]\\#]", pattern)
        ):
            raise UsageError(
                f"{pattern!r} is not one file for each user",
                hint="name it from / on, with ${USER} in it: '/var/lib/otp/${USER}'",
            )
        return cls(pattern, _SUPERUSER)

    @property
    def options(self) -> tuple[str, ...]:
        """The module's options that say so."""
        found = [] if self.pattern == SecretPlace.pattern else [f"secret={self.pattern}"]
        return (*found, *([f"user={self.reader}"] if self.reader else []))

    def path(self, user: Account) -> Path:
        """Where a user's secret is."""
        text = re.sub(r"\A~|\$\{HOME\}", lambda _: str(user.home), self.pattern)
        return Path(text.replace("${USER}", user.name))

    def actor(self, user: Account) -> Account:
        """The user whose rights the module has.

        Raises:
            UsageError: there is none of that name.
        """
        if self.reader is None:
            return user
        if not self.reader.isdecimal():
            return account(self.reader)
        import pwd

        try:
            return account(pwd.getpwuid(int(self.reader)).pw_name)
        except (KeyError, OverflowError):
            raise UsageError(f"PAM's user={self.reader} is not a user of this machine") from None


HOME: Final = SecretPlace()
"""The module's own place, in the home of who logs in."""


@dataclass(frozen=True)
class PamLine:
    """A line of a PAM service.

    Attributes:
        path: the file that it stands in.
        kind: `auth`, `account`, `password` or `session`.
        control: such as `required` or `[success=1 default=ignore]`.
        words: the module, and its arguments.
    """

    path: Path
    kind: str
    control: str
    words: tuple[str, ...]
    text: str

    @property
    def module(self) -> str:
        """The module's file name."""
        return Path(self.words[0]).name if self.words else ""


def read_service(path: Path) -> list[PamLine]:
    """The lines of a PAM service and of what it includes, in order.

    Raises:
        NoPermission, FidokitError: a file cannot be read.
    """
    return list(_lines(path, _MAX_DEPTH))


def _lines(path: Path, depth: int, only: str = "") -> Iterator[PamLine]:
    for raw in _text_of(path).splitlines():
        words = [found[0] for found in _WORD.finditer(raw.partition("#")[0])]
        if len(words) < 2:
            continue
        if words[0] == "@include":
            yield from _included(path, words[1], depth, only)
            continue
        kind, control, *rest = words
        kind = kind.lstrip("-").lower()
        if only and kind != only:
            continue
        if control in _INCLUDES and rest:
            yield from _included(path, rest[0], depth, kind)
        else:
            yield PamLine(path, kind, control, tuple(map(_bare, rest)), raw)


def _text_of(path: Path) -> str:
    """A file's text; a line that ends in a backslash goes on in the next one."""
    text = read_bounded(path, _MAX_FILE).decode("utf-8", "surrogateescape")
    return text.replace("\\\n", " ")


def _included(path: Path, name: str, depth: int, only: str) -> Iterator[PamLine]:
    if not depth:
        raise FidokitError(f"{path} includes itself")
    other = _beside(path, name)
    if other is not None:
        yield from _lines(other, depth - 1, only)


def _beside(path: Path, name: str) -> Path | None:
    """The file that a service includes; None if it is not there, which PAM itself refuses."""
    places = (path.parent / name, FOLDER / name)  # / starts anew
    return next((place for place in places if place.exists()), None)


def _bare(word: str) -> str:
    """An argument without the brackets that hold its spaces together."""
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith("[") else word


def bracketed(word: str) -> str:
    """An argument as it stands in a line: blanks are held together by brackets."""
    if not re.search(r"[\s\[\]]", word):
        return word
    return "[" + re.sub(r"([\]\\])", r"\\\1", word) + "]"


def lines_of_module(lines: Sequence[PamLine]) -> list[PamLine]:
    """The lines that have the module ask for a code."""
    return [line for line in lines if line.kind == "auth" and line.module == MODULE]


def place_of(service: Path = SSHD) -> SecretPlace:
    """Where the module looks, by the service's first line for it; its own place if there is none.

    Raises:
        NoPermission: the service's files cannot be read.
        FidokitError: they include each other without end.
    """
    if not os.path.lexists(service):
        return HOME
    with suppress(StopIteration):
        return parse_options(next(iter(lines_of_module(read_service(service)))).words[1:])
    return HOME


def parse_options(options: Sequence[str]) -> SecretPlace:
    """What the module's options come to; those of other things are passed over."""
    values = dict(word.partition("=")[::2] for word in options)
    mode = values.get("allowed_perm", "")
    return SecretPlace(
        values.get("secret") or SecretPlace.pattern,
        values.get("user"),
        int(mode, 8) if re.fullmatch("[0-7]{1,6}", mode) else _USUAL_MODE,
        "no_strict_owner" not in values,
        "allow_readonly" not in values,
    )


# --- a stack to try things on ----------------------------------------------------------------

_ASKS: Final = ("auth", "account")
_OWN_OPTIONS: Final = re.compile(r"\s+secret=\S+")


def service_text(text: bytes, path: Path, place: SecretPlace) -> bytes:
    """A PAM service for trials: it judges as another one, and opens no session.

    Args:
        text: the service.
        path: where it stands, or is to stand: what it includes is beside it.
        place: where the module is to look; whose rights it has then stays.
    """
    lines = _judging(text.decode("utf-8", "surrogateescape"), path, _MAX_DEPTH)
    kept = [_elsewhere(line, place) for line in lines]
    whole = "".join(f"{line}\n" for line in [*kept, "session required pam_permit.so"])
    return whole.encode("utf-8", "surrogateescape")


def _judging(text: str, path: Path, depth: int) -> Iterator[str]:
    """The lines that say who gets in; what is included by kind stays as it is."""
    for raw in text.replace("\\\n", " ").splitlines():
        words = raw.split()
        if len(words) > 1 and words[0] == "@include" and depth:
            other = _beside(path, words[1])
            yield from _judging(_text_of(other), other, depth - 1) if other else (raw,)
        elif words and words[0].lstrip("-").lower() in _ASKS:
            yield raw


def _elsewhere(line: str, place: SecretPlace) -> str:
    if MODULE not in line:
        return line
    bare = _OWN_OPTIONS.sub("", line)
    return bare.replace(MODULE, f"{MODULE} secret={place.pattern}", 1)
