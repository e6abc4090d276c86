"""Asking an installed sshd what its configuration comes to: the one way of doing so.

`sshd -T -C user=...,addr=...` prints the settings that hold for a login. An answer that does not
come is `SshdNotAsked`, never a default.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Optional, TypeVar, Union

from fidokit.errors import (
    FidokitError,
    SshdConfigRefused,
    SshdHidesSettings,
    SshdMissing,
    SshdNotAsked,
    UsageError,
)
from fidokit.server.sshd.explanation import parse_debug
from fidokit.server.sshd.settings import SshdSettings, parse_settings

PROGRAMS: Final = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "sshd")
"""sshd is run by its whole path: it starts itself again for each connection."""

TIMEOUT_S: Final = 30.0


class Ran(NamedTuple):
    """How a program ended, and what it printed; `status` is None if it could not be run."""

    status: int | None
    out: str
    err: str


Run = Callable[[Sequence[str]], Ran]


def run_sshd(argv: Sequence[str]) -> Ran:
    """Run a program that ends at once; its output and its errors apart."""
    try:
        done = subprocess.run(  # noqa: S603  the program that the user or PATH names
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError) as error:
        return Ran(None, "", str(error))
    except subprocess.TimeoutExpired:
        return Ran(None, "", f"no answer in {TIMEOUT_S:.0f} seconds")
    return Ran(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def find_sshd(named: str | None = None) -> str:
    """sshd's whole path: it starts itself again for each connection and asks for no less.

    Raises:
        SshdMissing: it is not installed.
    """
    for name in [named] if named else PROGRAMS:
        found = shutil.which(name)
        if found:
            return os.path.abspath(found)  # noqa: PTH100  its name may matter: links stay
    raise SshdMissing(
        f"{named or 'sshd'} is not installed here",
        hint="install openssh-server, or name the program with --sshd",
    )


# --- where a login comes from ----------------------------------------------------------------

_ORIGIN_KEYS: Final = ("host", "addr", "laddr", "lport", "rdomain")


@dataclass(frozen=True)
class LoginOrigin:
    """Where a login comes from, as `Match` sees it; see sshd(8), -C.

    The defaults are a stranger's: an address that nobody has (RFC 5737), whose name is not known.

    Attributes:
        host, addr: the client.
        laddr, lport: the server's own address and port.
        rdomain: the routing domain, where one is meant.
    """

    host: str = "192.0.2.1"
    addr: str = "192.0.2.1"
    laddr: str = "192.0.2.2"
    lport: str = "22"
    rdomain: str = ""

    @classmethod
    def parse(cls, given: str) -> LoginOrigin:
        """`host=NAME,addr=ADDRESS,laddr=...,lport=...,rdomain=...`, any of them.

        Raises:
            UsageError: something else.
        """
        values = {}
        for part in given.split(","):
            name, equals, value = part.partition("=")
            if name not in _ORIGIN_KEYS or not equals or not value:
                raise UsageError(
                    f"{part!r} says nothing about a connection",
                    hint=f"say NAME=VALUE, with commas between; names: {', '.join(_ORIGIN_KEYS)}",
                )
            values[name] = value
        if "addr" in values:
            values.setdefault("host", values["addr"])  # what sshd has where UseDNS is off
        return cls(**values)

    def spec(self, user: str | None) -> str:
        """The conditions, for -C.

        Raises:
            UsageError: a user's name that cannot stand there.
        """
        if user is not None and any(sign in user for sign in ",\n\0"):
            raise UsageError(f"sshd -T cannot be asked about a user called {user!r}")
        named = {"user": user or "", **{key: getattr(self, key) for key in _ORIGIN_KEYS}}
        return ",".join(f"{key}={value}" for key, value in named.items() if value)


LOOPBACK: Final = LoginOrigin("127.0.0.1", "127.0.0.1", "127.0.0.1", "22")
"""Where logins to a throw-away server come from."""


# --- asking ----------------------------------------------------------------------------------

_ALWAYS_PRINTED: Final = "pubkeyauthentication"
_MAX_WORDS: Final = 400
"""Characters of sshd's own words in a sentence of ours."""

_NO_FOLDER: Final = "Missing privilege separation directory"
_NO_HOST_KEY: Final = "no hostkeys available"
_ABOUT_THE_MACHINE: Final[Mapping[str, SshdNotAsked]] = {
    _NO_FOLDER: SshdNotAsked(
        "sshd says nothing before its folder /run/sshd is there",
        hint="starting the service makes it; or: sudo mkdir -m 0755 /run/sshd",
    ),
    _NO_HOST_KEY: SshdHidesSettings(
        "sshd tells its settings only to who may read its host keys",
        hint="repeat it with sudo; if there are no host keys: sudo ssh-keygen -A",
    ),
}

_Asked = TypeVar("_Asked")
_Said = TypeVar("_Said")
Question = tuple[Optional[str], LoginOrigin]  # noqa: UP045  Python 3.9 evaluates it
Answer = Union[SshdSettings, FidokitError]  # noqa: UP007  Python 3.9 evaluates it


@dataclass(frozen=True)
class Sshd:
    """A server program, how it is started, and what it says when it is asked.

    Attributes:
        program: its whole path; see `find_sshd`.
        arguments: those it is started with that decide its settings (`-f FILE`, `-o NAME=VALUE`,
            `-p PORT`, `-h KEY`, ...); `instances.decisive` picks them from a command line. Without
            `-f` the program takes its own default, wherever that was compiled to lie.
        spare_key: makes a host key, for users who may not read the machine's own.
        run: runs the program; a test's own.
    """

    program: str
    arguments: tuple[str, ...] = ()
    spare_key: Callable[[], str | None] = lambda: None
    run: Run = run_sshd

    def with_config(self, config: Path | str) -> Sshd:
        """This sshd with another main configuration file, and its other arguments."""
        kept = without_option(self.arguments, "-f")
        return replace(self, arguments=("-f", str(config), *kept))

    @property
    def named_config(self) -> str | None:
        """The configuration file that its arguments name; None for its own default."""
        return option_value(self.arguments, "-f")

    def check(self) -> None:
        """`sshd -t`: whether it would start.

        Raises:
            SshdNotAsked: it would not, or cannot be asked; says why.
        """
        ran = self._try(["-t", *self.arguments])
        if ran.status != 0 and _NO_HOST_KEY in ran.err and (key := self.spare_key()):
            ran = self._try(["-t", *self.arguments, "-h", key])
        if ran.status != 0:
            raise _failure(ran, self.named_config)

    def settings(
        self, user: str | None = None, origin: LoginOrigin = LoginOrigin()
    ) -> SshdSettings:
        """The effective settings for a login.

        Args:
            user: whose login; None for what holds outside of all Match blocks about users.
            origin: where it comes from.

        Raises:
            SshdNotAsked: sshd gave no settings (`SshdMissing`, `SshdConfigRefused`,
                `SshdHidesSettings` say why); never taken for defaults.
            UsageError: sshd cannot be asked about such a name.
        """
        return parse_settings(self._asked(origin.spec(user)).out)

    def explained(
        self, user: str | None = None, origin: LoginOrigin = LoginOrigin()
    ) -> SshdSettings:
        """The same settings, with the files that sshd read and the lines that decide.

        Raises:
            As `settings`.
        """
        ran = self._asked(origin.spec(user), "-ddd")
        return replace(
            parse_settings(ran.out),
            reading=parse_debug(ran.err, option_values(self.arguments, "-o")),
        )

    def each(
        self, questions: Iterable[Question], workers: int | None = None
    ) -> Iterator[tuple[Question, Answer]]:
        """Ask many questions, several at a time; answers come in the order of the questions.

        An answer that is an error (`SshdNotAsked`, `UsageError`) is handed over, not raised.

        Args:
            questions: user and origin, as `settings` takes them; read as they are needed.
            workers: how many processes at once; as the machine has processors if None.
        """
        workers = workers or min(16, (os.cpu_count() or 1) + 2)
        yield from in_order(questions, self._answer, workers)

    def _answer(self, question: Question) -> Answer:
        try:
            return self.settings(*question)
        except FidokitError as error:
            return error

    def _asked(self, spec: str, *more: str) -> Ran:
        command = ["-T", *more, *self.arguments, "-C", spec]
        ran = self._try(command)
        others = self._other_ways(ran, [*more, *self.arguments, "-C", spec])
        while not _is_answer(ran):
            other = next(others, None)
            if other is None:
                raise _failure(ran, self.named_config)
            tried = self._try(other)
            ran = _without_host_key(tried, other[-1]) if _is_answer(tried) else ran
        return ran

    def _other_ways(self, ran: Ran, rest: list[str]) -> Iterator[list[str]]:
        """How else to ask, where nothing but the machine is in the way of an answer."""
        if any(words in ran.err for words in _ABOUT_THE_MACHINE):
            # From OpenSSH 9.3 on, -G reads the configuration and wants nothing else.
            yield ["-G", *rest]
        if _NO_HOST_KEY in ran.err and (key := self.spare_key()):
            yield ["-T", *rest, "-h", key]

    def _try(self, arguments: Sequence[str]) -> Ran:
        ran = self.run([self.program, *arguments])
        if ran.status is None:
            raise SshdMissing(
                f"{self.program} cannot be run: {ran.err or 'it does not exist'}",
                hint="install OpenSSH's server, or name the program with --sshd",
            )
        return ran


def _is_answer(ran: Ran) -> bool:
    return _ALWAYS_PRINTED in ran.out.lower()


def _without_host_key(ran: Ran, spare: str) -> Ran:
    """An answer without the host key that it was asked with: it is none of this machine's."""
    own = [line for line in ran.out.splitlines(True) if line.partition(" ")[2].rstrip() != spare]
    return ran._replace(out="".join(own))


def _failure(ran: Ran, config: str | None) -> SshdNotAsked:
    for words, error in _ABOUT_THE_MACHINE.items():
        if words in ran.err:
            return type(error)(error.message, hint=error.hint)
    lines = [line.strip() for line in (ran.err + ran.out).splitlines()]
    said = "; ".join(line for line in lines if line and not line.startswith("debug"))
    if not said:
        return SshdNotAsked("sshd gave no answer", hint="try it yourself: sudo sshd -T")
    return SshdConfigRefused(
        f"sshd does not take {config or 'its configuration'}: {said[-_MAX_WORDS:]}",
        hint="fix it first; `sudo sshd -t` checks it",
    )


def option_values(arguments: Sequence[str], option: str) -> list[str]:
    """Every value of an option in arguments that are option and value in turn."""
    pairs = zip(arguments, arguments[1:])  # noqa: B905, RUF007  Python 3.9
    return [value for name, value in pairs if name == option]


def option_value(arguments: Sequence[str], option: str) -> str | None:
    """The last value of an option in arguments that are option and value in turn."""
    found = option_values(arguments, option)
    return found[-1] if found else None


def without_option(arguments: Sequence[str], option: str) -> tuple[str, ...]:
    """Arguments without an option and its values."""
    at = [index for index, name in enumerate(arguments) if name == option]
    gone = {*at, *(index + 1 for index in at)}
    return tuple(word for index, word in enumerate(arguments) if index not in gone)


def in_order(
    questions: Iterable[_Asked], answer: Callable[[_Asked], _Said], workers: int
) -> Iterator[tuple[_Asked, _Said]]:
    """Run a function over many, a few at a time; results in order, not all at once in memory.

    While one is handed over, others run: whoever takes on another user's rights in between
    (`accounts.acting_as`) takes them on for all threads. See `in_batches`.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[tuple[_Asked, Future[_Said]]] = []
        try:
            for question in questions:
                waiting.append((question, pool.submit(answer, question)))
                if len(waiting) > 2 * workers:
                    asked, future = waiting.pop(0)
                    yield asked, future.result()
            for asked, future in waiting:
                yield asked, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def in_batches(
    questions: Iterable[_Asked], answer: Callable[[_Asked], _Said], workers: int
) -> Iterator[tuple[_Asked, _Said]]:
    """As `in_order`, but nothing runs while a result is handed over."""
    asked = iter(questions)
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(asked, 16 * workers)):
            yield from zip(batch, list(pool.map(answer, batch)))  # noqa: B905  Python 3.9
