"""Asking sshd for its effective configuration, and saying why it gave none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fidokit.errors import FidokitError, MalformedFile, NoPermission, Unsupported, UsageError
from fidokit.server.sshd.settings import PROGRAMS, Run, Settings, parse

_ORIGIN_KEYS: Final = ("host", "addr", "laddr", "lport", "rdomain")
_ALWAYS_PRINTED: Final = "pubkeyauthentication"
_MAX_WORDS: Final = 400
"""Characters of sshd's own words in a sentence of ours."""


@dataclass(frozen=True, slots=True)
class Origin:
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
    def parse(cls, given: str) -> Origin:
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


@dataclass(frozen=True, slots=True)
class Sshd:
    """A server program and its configuration, which can be asked.

    Attributes:
        run: runs it.
        program: its path; found where None.
        config: its configuration file; its own where None.
        origin: see `Origin`.
        spare_key: makes a host key, for users who may not read the machine's own.
    """

    run: Run
    program: str | None = None
    config: str | None = None
    origin: Origin = Origin()
    spare_key: Callable[[], str | None] = lambda: None

    def settings(self, user: str | None = None) -> Settings:
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

    def _parsed(self, program: str, printed: str, spec: str) -> Settings:
        settings = parse(printed)
        others = self._other_ways(program, printed, spec)
        while _ALWAYS_PRINTED not in settings.values:
            command = next(others, None)
            if command is None:
                raise _failure(printed)
            settings = parse(self.run(command) or "")
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
