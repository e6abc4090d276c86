"""What sshd's configuration comes to: its effective settings, and asking sshd for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Optional

from fidokit.errors import FidokitError, MalformedFile, NoPermission, Unsupported, UsageError

Run = Callable[[Sequence[str]], Optional[str]]  # noqa: UP045  Python 3.9 evaluates it
"""Runs a program: what it printed, None where it is not installed."""

PROGRAMS: Final = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "sshd")
"""sshd is run by its whole path: it starts itself again for each connection."""

_NONE: Final = "none"


@dataclass(frozen=True)
class SshdSettings:
    """The effective settings, by lower-case keyword; repeated ones in order.

    Source: `sshd -T`, one `keyword value` a line.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def first(self, keyword: str, default: str = "") -> str:
        """The value of a keyword that is there once."""
        return self.values.get(keyword, (default,))[0]

    def is_on(self, keyword: str) -> bool:
        """Whether a switch says yes."""
        return self.first(keyword).lower() == "yes"

    def listed(self, keyword: str) -> tuple[str, ...]:
        """A value that is a list with commas."""
        text = self.first(keyword)
        return tuple(text.split(",")) if text else ()

    @property
    def key_files(self) -> tuple[str, ...]:
        """AuthorizedKeysFile's patterns; empty where no file lets anybody in."""
        text = self.first("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2")
        return tuple(name for name in text.split() if name.lower() != _NONE)  # each, as in sshd


def parse_settings(text: str) -> SshdSettings:
    """The settings in what `sshd -T` printed; other lines (warnings) are passed over."""
    values: dict[str, list[str]] = {}
    for keyword, value in _pairs(text):
        values.setdefault(keyword, []).append(value)
    return SshdSettings(MappingProxyType({name: tuple(said) for name, said in values.items()}))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword.isalnum() and keyword.islower():
            yield keyword, value.strip()


def read_settings(
    run: Run, user: str | None = None, config: str | None = None
) -> SshdSettings | None:
    """Ask sshd itself; None where it is not installed, or this user may not ask it.

    Args:
        run: runs sshd.
        user: whose `Match User` blocks count, for a login from this machine.
        config: another configuration file than the system's.
    """
    conditions = ["-C", f"user={user},host=localhost,addr=127.0.0.1"] if user else []
    chosen = ["-f", config] if config else []
    for program in PROGRAMS:
        printed = run([program, "-T", *chosen, *conditions])
        if printed is not None:
            settings = parse_settings(printed)
            return settings if "pubkeyauthentication" in settings.values else None
    return None


_ORIGIN_KEYS: Final = ("host", "addr", "laddr", "lport", "rdomain")
_ALWAYS_PRINTED: Final = "pubkeyauthentication"
_MAX_WORDS: Final = 400
"""Characters of sshd's own words in a sentence of ours."""


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
        if user is not None and ("," in user or "\n" in user):
            raise UsageError(f"sshd -T cannot be asked about a user called {user!r}")
        named = {"user": user or "", **{key: getattr(self, key) for key in _ORIGIN_KEYS}}
        return ",".join(f"{key}={value}" for key, value in named.items() if value)


@dataclass(frozen=True)
class Sshd:
    """A server program and its configuration, which can be asked.

    Attributes:
        run: runs it.
        program: its path; found where None.
        config: its configuration file; its own where None.
        origin: see `LoginOrigin`.
        spare_key: makes a host key, for users who may not read the machine's own.
    """

    run: Run
    program: str | None = None
    config: str | None = None
    origin: LoginOrigin = LoginOrigin()
    spare_key: Callable[[], str | None] = lambda: None

    def settings(self, user: str | None = None) -> SshdSettings:
        """The effective settings, for a user where one is named.

        Raises:
            Unsupported: there is no sshd.
            MalformedFile: sshd does not take the configuration; says what sshd says.
            NoPermission: sshd does not tell this user.
            FidokitError: it lacks a folder, or does not answer.
            UsageError: no such user's name can be asked about.
        """
        spec = self.origin.spec(user)
        for program in (self.program,) if self.program else PROGRAMS:
            printed = self.run(self._command(program, "-T", spec))
            if printed is not None:
                return self._parsed(program, printed, spec)
        raise Unsupported(
            f"{self.program} does not exist" if self.program else "no sshd was found here",
            hint="install OpenSSH's server, or name the program with --sshd",
        )

    def _parsed(self, program: str, printed: str, spec: str) -> SshdSettings:
        settings = parse_settings(printed)
        others = self._other_ways(program, printed, spec)
        while _ALWAYS_PRINTED not in settings.values:
            command = next(others, None)
            if command is None:
                raise _failure(printed)
            settings = parse_settings(self.run(command) or "")
        return settings

    def _other_ways(self, program: str, printed: str, spec: str) -> Iterator[list[str]]:
        """How else to ask, where nothing but the machine is in the way of an answer."""
        if any(words in printed for words in _ABOUT_THE_MACHINE):
            # From OpenSSH 9.3 on, -G reads the configuration and wants nothing else.
            yield self._command(program, "-G", spec)
        if _NO_HOST_KEY in printed and (key := self.spare_key()):
            yield [*self._command(program, "-T", spec), "-h", key]

    def _command(self, program: str, what: str, spec: str) -> list[str]:
        chosen = ["-f", self.config] if self.config else []
        return [program, what, *chosen, "-C", spec]


_NO_FOLDER: Final = "Missing privilege separation directory"
_NO_HOST_KEY: Final = "no hostkeys available"
_ABOUT_THE_MACHINE: Final[Mapping[str, FidokitError]] = {
    _NO_FOLDER: FidokitError(
        "sshd says nothing before its folder /run/sshd is there",
        hint="starting the service makes it; or: sudo mkdir -m 0755 /run/sshd",
    ),
    _NO_HOST_KEY: NoPermission(
        "sshd tells its settings only to who may read its host keys",
        hint="repeat it with sudo; where there are no host keys: sudo ssh-keygen -A",
    ),
}


def _failure(printed: str) -> FidokitError:
    for words, error in _ABOUT_THE_MACHINE.items():
        if words in printed:
            return type(error)(error.message, hint=error.hint)
    said = "; ".join(line.strip() for line in printed.splitlines() if line.strip())
    if not said:
        return FidokitError("sshd gave no answer", hint="try it yourself: sudo sshd -T")
    return MalformedFile(
        f"sshd does not take its configuration: {said[:_MAX_WORDS]}",
        hint="mend it first; `sudo sshd -t` says whether it is",
    )


# --- a program that is about to serve ----------------------------------------------------


TIMEOUT_S: Final = 30.0
LOOPBACK: Final = LoginOrigin("localhost", "127.0.0.1", "127.0.0.1", "22")
"""Where logins to a throw-away server come from."""


def find_sshd(named: str | None = None) -> str:
    """sshd's whole path: it starts itself again for each connection and asks for no less.

    Raises:
        FidokitError: it is not installed.
    """
    for name in [named] if named else PROGRAMS:
        found = shutil.which(name)
        if found:
            return os.path.abspath(found)  # noqa: PTH100  its name may matter: links stay
    raise FidokitError(
        f"{named or 'sshd'} is not installed here",
        hint="install openssh-server, or name the program with --sshd",
    )


@dataclass(frozen=True)
class SshdProgram:
    """An sshd.

    Attributes:
        path: of the program.
        host_key: a key of ours for it, where this user may not read the machine's own.
    """

    path: str
    host_key: Path | None = None

    def check(self, config: Path) -> None:
        """`sshd -t`.

        Raises:
            MalformedFile: sshd would not start with this configuration; says why.
        """
        self._run(["-t", *self._of(config)], config)

    def effective(self, config: Path, user: str | None = None) -> SshdSettings:
        """`sshd -T`: what a configuration comes to, for a login of a user from this machine.

        Args:
            user: whose Match blocks count; None for the settings outside of any.

        Raises:
            MalformedFile: as `check`.
            UsageError: a user's name that sshd cannot be asked about.
        """
        where = ["-C", LOOPBACK.spec(user)] if user is not None else []
        return parse_settings(self._run(["-T", *self._of(config), *where], config))

    def _of(self, config: Path) -> list[str]:
        key = ["-h", str(self.host_key)] if self.host_key and os.geteuid() != 0 else []
        return ["-f", str(config), *key]

    def _run(self, arguments: Sequence[str], config: Path) -> str:
        try:
            done = subprocess.run(  # noqa: S603  the program that the person or PATH names
                [self.path, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FidokitError(f"{self.path} cannot be run: {error}") from None
        if done.returncode != 0:
            raise MalformedFile(
                f"sshd refuses {config}: {_reason(done.stderr)}", hint=_hint(done.stderr)
            )
        return done.stdout.decode("utf-8", "replace")


def _reason(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(lines[-3:]) or "it says nothing"


def _hint(said: bytes) -> str:
    if b"privilege separation directory" in said:
        return "sshd wants that folder: sudo mkdir -m 755 /run/sshd"
    if b"no hostkeys available" in said:
        return "only root reads the host keys: repeat it with sudo"
    return "mend it, and check with: sshd -t"
