"""What is done about lost keys at one account: the backup is let in, then the key is taken out.

The backup gets the options of the lost key's line, and comes first, so that nobody is locked out in
between. What is proved differs for this machine and for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fidokit.errors import FidokitError
from fidokit.fleet.loss.accounts import HostAccount, public_file
from fidokit.fleet.loss.subject import LostKey
from fidokit.fleet.loss.verdict import LossRow, NewKey, OldKey
from fidokit.inventory.kept import KnownKey, KnownPlace, PlaceKind
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import AuthorizedKey
from fidokit.openssh.lines.options import Option
from fidokit.server.authorize.authorization import AuthorizeTarget, authorize_keys, revoke_keys
from fidokit.server.authorize.outcome import Authorized

Certificates = Mapping[str, Sequence[str]]
"""Public lines of certificates, by the fingerprint of their key."""


@dataclass(frozen=True, slots=True)
class HostSettled:
    """What became of an account.

    Attributes:
        rows: one for each lost key.
        certificates: what the sshd there says of each certificate: True if it takes it, None
            where it could not be asked.
        places: that know a backup now.
        keys: lost ones of which only the fingerprint was known, with the line that was found.
    """

    rows: tuple[LossRow, ...]
    certificates: Mapping[str, bool | None] = field(default_factory=dict)
    places: tuple[KnownPlace, ...] = ()
    keys: tuple[KnownKey, ...] = ()


class Judge(Protocol):
    """Says what is proved of a key; notes doubts and deeds in the work."""

    def old(self, lost: LostKey) -> OldKey:
        """What is proved of a lost key."""

    def new(self, lost: LostKey, standby: KnownKey) -> NewKey:
        """What is proved of the key that takes its place."""


@dataclass
class AccountWork:
    """The work at one account.

    Attributes:
        at: the account.
        folder: for files of public keys.
        done, why: words for each lost key, by fingerprint.
        taken: what became of the lines, once `change` ran.
        found: lines of lost keys of which only the fingerprint was known, by fingerprint.
        listed: the keys are on the list of revoked keys that sshd there reads.
    """

    at: HostAccount
    folder: Path
    done: dict[str, list[str]] = field(default_factory=dict)
    why: dict[str, list[str]] = field(default_factory=dict)
    taken: list[Authorized] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)
    listed: bool = False

    def change(self, targets: Sequence[AuthorizeTarget]) -> None:
        """Let the backups in and take the lost keys out.

        Raises:
            FidokitError: the account cannot be reached or changed.
        """
        names = [self._named(lost.key) for lost in self.at.keys]
        for target in targets:
            there = revoke_keys(names, target, dry_run=True)
            self._learn(there)
            for lost in self.at.keys:
                for options in _options_of(lost, there):
                    self._let_in(lost, target, options)
            self.taken.append(revoke_keys(names, target))
        for lost in self.at.keys:
            if any(True for one in self.taken for _ in _options_of(lost, one)):
                self.say(lost, "taken out")

    def line_of(self, lost: LostKey) -> str:
        """The public line of a lost key; empty if only its fingerprint is known."""
        return lost.key.line or self.found.get(lost.key.fingerprint, "")

    def _learn(self, there: Authorized) -> None:
        """Take the keys from lines, of which only the fingerprint was known."""
        unknown = {one.key.fingerprint for one in self.at.keys if not one.key.line}
        for line in there.change.removed:
            if isinstance(line, AuthorizedKey) and sha256(line.key.blob()) in unknown:
                self.found[sha256(line.key.blob())] = PublicLine(line.key, "").encode()

    def say(self, lost: LostKey, words: str) -> None:
        """Note what was done."""
        _add(self.done, lost.key.fingerprint, words)

    def doubt(self, lost: LostKey, sentence: str) -> None:
        """Note what is in the way, or not known."""
        _add(self.why, lost.key.fingerprint, sentence)

    def settled(self, judge: Judge, certificates: Mapping[str, bool | None]) -> HostSettled:
        """One row for each lost key, by what a judge says of it.

        Args:
            judge: says what is proved.
            certificates: what sshd said of the certificates, by their public lines.
        """
        rows = []
        for lost in self.at.keys:
            old = judge.old(lost)
            new = judge.new(lost, lost.standby) if lost.standby else NewKey.NONE
            rows.append(self._row(lost, old, new))
        where = self.at.logins[0] if self.at.logins else ""
        at = (where, self.at.account, "", self.at.ssh)
        places = [KnownPlace(PlaceKind.HOST, one.fingerprint, *at) for one in self.at.standbys]
        keys = [KnownKey(print_, line) for print_, line in self.found.items()]
        return HostSettled(tuple(rows), certificates, tuple(places), tuple(keys))

    def public_file(self, key: KnownKey) -> str:
        """The public file of a key, or one that is made for the work."""
        return public_file(key) or self._written(key)

    def _row(self, lost: LostKey, old: OldKey, new: NewKey) -> LossRow:
        print_ = lost.key.fingerprint
        done, why = (tuple(said.get(print_, ())) for said in (self.done, self.why))
        row = LossRow("host", self.at.name, print_, old, new, done, why)
        return row if row.proved else row.also(by_hand=[*self.at.commands()])

    def _named(self, key: KnownKey) -> str:
        """A file of a lost key; the fingerprint of one of which no more is known."""
        return self._written(key) if key.line else key.fingerprint

    def _written(self, key: KnownKey) -> str:
        path = self.folder / f"{key.fingerprint[7:].replace('/', '_')}.pub"
        path.write_text(f"{key.line}\n", "utf-8", "surrogateescape")
        return str(path)

    def _let_in(self, lost: LostKey, target: AuthorizeTarget, options: Sequence[Option]) -> None:
        if lost.standby is None:
            return
        file = self.public_file(lost.standby)
        try:
            made = authorize_keys([file], target, options=options, backups=False)
        except FidokitError as error:
            self.doubt(lost, f"the backup was not let in: {error.message}")
            return
        if made.change.added or made.change.changed:
            self.say(lost, "backup let in")


def _add(said: dict[str, list[str]], print_: str, words: str) -> None:
    known = said.setdefault(print_, [])
    if words not in known:
        known.append(words)


def _options_of(lost: LostKey, done: Authorized) -> Iterator[tuple[Option, ...]]:
    """The options of the lines of a key that were taken out, or would be."""
    for line in done.change.removed:
        if isinstance(line, AuthorizedKey) and sha256(line.key.blob()) == lost.key.fingerprint:
            yield line.options


def unreached(at: HostAccount, why: str, certificates: Certificates) -> HostSettled:
    """The outcome for an account that cannot be reached: nothing is known."""
    commands = tuple(at.commands())
    rows = [
        LossRow(
            "host",
            at.name,
            lost.key.fingerprint,
            backup=NewKey.UNKNOWN if lost.standby else NewKey.NONE,
            why=(why,),
            by_hand=commands,
        )
        for lost in at.keys
    ]
    lines = [line for lost in at.keys for line in certificates.get(lost.key.fingerprint, ())]
    return HostSettled(tuple(rows), dict.fromkeys(lines))


Lists = Callable[[bytes], bytes]
"""Puts the lost keys on a list of revoked keys: gets its content, and gives the new one."""
