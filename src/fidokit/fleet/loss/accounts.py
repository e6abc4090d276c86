"""The accounts of hosts that know lost keys, and how each is reached."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.fleet.loss.subject import LostKey
from fidokit.inventory.kept import Inventory, KnownKey, KnownPlace, PlaceKind

_SCHEME: Final = "ssh://"


@dataclass(frozen=True, slots=True)
class HostAccount:
    """An account that knows lost keys.

    Attributes:
        host: as ssh takes it, without a user; empty for this machine.
        account: the user there; empty for the one that ssh logs in as.
        ssh: the words that reach it.
        logins: destinations, the best first.
        paths: files that are known to have had a key.
        keys: the lost ones.
    """

    host: str
    account: str
    ssh: tuple[str, ...]
    logins: tuple[str, ...]
    paths: tuple[str, ...]
    keys: tuple[LostKey, ...]

    @property
    def name(self) -> str:
        """What a user calls it; hostile text."""
        user = f"{self.account}@" if self.account else ""
        if self.host.startswith(_SCHEME):
            return user + self.host.removeprefix(_SCHEME)
        return f"{user}{self.host or 'this machine'}{_port(self.ssh)}"

    @property
    def destination(self) -> str:
        """Whose login proves something."""
        if not self.account:
            return self.host
        if self.host.startswith(_SCHEME):
            return f"{_SCHEME}{self.account}@{self.host.removeprefix(_SCHEME)}"
        return f"{self.account}@{self.host}"

    @property
    def standbys(self) -> list[KnownKey]:
        """The keys that take the place of the lost ones."""
        found = {one.standby.fingerprint: one.standby for one in self.keys if one.standby}
        return list(found.values())

    def commands(self) -> Iterator[str]:
        """The commands that do by hand what is to be done there."""
        place = self._words()
        for standby in self.standbys:
            if file := public_file(standby):
                yield shlex.join(["fidokit", "server", "authorize", file, "--no-backup", *place])
        prints = [lost.key.fingerprint for lost in self.keys]
        yield shlex.join(["fidokit", "server", "authorize", "--revoke", *prints, *place])

    def _words(self) -> list[str]:
        if not self.host:
            own = ["--user", self.account] if self.account else []
            return [*own, "--path", self.paths[0]] if self.paths else own
        words = ["--host", self.logins[0]]
        if parted(self.logins[0])[0] != self.account and self.paths:
            words += ["--path", self.paths[0]]
        return words if list(self.ssh) == ["ssh"] else [*words, "-e", shlex.join(self.ssh)]


def _port(words: Sequence[str]) -> str:
    given = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-p"]
    given += [word.removeprefix("-oPort=") for word in words if word.startswith("-oPort=")]
    return f":{given[0]}" if given else ""


def parted(destination: str) -> tuple[str, str]:
    """User and host of `[user@]host` or `ssh://[user@]host[:port]`; an address keeps its scheme."""
    if not destination.startswith(_SCHEME):
        user, _, host = destination.rpartition("@")
        return user, host
    user, _, host = destination.removeprefix(_SCHEME).rstrip("/").rpartition("@")
    return user, _SCHEME + host


def accounts_of(inventory: Inventory, keys: Sequence[LostKey]) -> list[HostAccount]:
    """The accounts that know any of these keys, in the order in which they were seen first."""
    by_print = {one.key.fingerprint: one for one in keys}
    groups: dict[tuple[object, ...], list[KnownPlace]] = {}
    for place in inventory.places_of(by_print):
        if place.kind is PlaceKind.HOST:
            host = parted(place.where)[1]
            groups.setdefault((host, place.account, place.ssh), []).append(place)
    return [
        HostAccount(
            parted(places[0].where)[1],
            places[0].account,
            places[0].ssh,
            _logins(places),
            tuple(dict.fromkeys(place.path for place in places if place.path)),
            tuple(by_print[print_] for print_ in dict.fromkeys(place.key for place in places)),
        )
        for places in groups.values()
    ]


def _logins(places: Sequence[KnownPlace]) -> tuple[str, ...]:
    """The destinations, those first that log in as the user whose account it is."""
    account = places[0].account
    found = {place.where for place in places}
    return tuple(sorted(found, key=lambda where: (parted(where)[0] != account, where)))


def public_file(key: KnownKey) -> str:
    """The public file of a key; empty if there is none."""
    beside = f"{key.file}.pub" if key.file and not key.file.endswith(".pub") else key.file
    return beside if beside and Path(beside).is_file() else ""
