"""What sshd's configuration comes to for one user: the settings that `sshd -T` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

Run = Callable[[Sequence[str]], str | None]
"""Runs a program: what it printed, None where it is not installed."""

PROGRAMS: Final = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "sshd")
"""sshd is run by its whole path: it starts itself again for each connection."""

_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Settings:
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

    def accepts(self, key_type: str) -> bool:
        """Whether signatures by keys of a type are taken (PubkeyAcceptedAlgorithms)."""
        accepted = self.listed("pubkeyacceptedalgorithms")
        return not accepted or key_type in accepted


def parse(text: str) -> Settings:
    """The settings in what `sshd -T` printed; other lines (warnings) are passed over."""
    values: dict[str, list[str]] = {}
    for keyword, value in _pairs(text):
        values.setdefault(keyword, []).append(value)
    return Settings(MappingProxyType({name: tuple(said) for name, said in values.items()}))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword.isalnum() and keyword.islower():
            yield keyword, value.strip()


def read(run: Run, user: str | None = None, config: str | None = None) -> Settings | None:
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
            settings = parse(printed)
            return settings if "pubkeyauthentication" in settings.values else None
    return None
