"""A policy as values: what policy.toml says, checked and resolved (docs/fleet.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeVar

from fidokit.metadata.certification import CertificationLevel
from fidokit.openssh.lines.patterns import match_pattern
from fidokit.server.check.policy import BreakGlass, CheckRule

T = TypeVar("T")

GROUP_SIGN: Final = "@"
"""What stands before the name of a group where somebody could be named as well."""

_NAME_SIGNS: Final = frozenset("*?!")
_WILD: Final = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """A key that a policy knows.

    Attributes:
        fingerprint: `SHA256:...`, without padding.
        public_line: `type base64 comment`; empty if the policy gives the fingerprint alone.
        token: the token that it is on; empty for a key in no named token.
        backup: it is on a token that is another one's backup.
        expires: the first day on which it no longer gets in.
        attestation, challenge: files that prove on which model the key was made, relative to the
            policy's folder; empty if there are none.
        models: AAGUIDs with dashes, one of which the attestation has to prove; empty: any.
    """

    fingerprint: str
    public_line: str = ""
    token: str = ""
    backup: bool = False
    expires: date | None = None
    attestation: str = ""
    challenge: str = ""
    models: frozenset[str] = frozenset()

    @property
    def hardware(self) -> bool | None:
        """Whether the key is on a token; None if only its fingerprint is known."""
        if not self.public_line:
            return None
        return self.public_line.startswith(("sk-ssh-ed25519", "sk-ecdsa-sha2"))

    @property
    def comment(self) -> str:
        """The comment of the public line; hostile text, and empty if there is none."""
        return self.public_line.partition(" ")[2].partition(" ")[2]


@dataclass(frozen=True, slots=True)
class PolicyToken:
    """A token that a policy names.

    Attributes:
        name: unique in the policy.
        owner: whose it is.
        serial: as `token list` shows it; empty if not given.
        models: AAGUIDs with dashes, one of which its keys have to prove; empty if not given.
        backup_of: the token of the same owner that it stands in for; empty if none.
        keys: those on it.
    """

    name: str
    owner: str
    serial: str = ""
    models: frozenset[str] = frozenset()
    backup_of: str = ""
    keys: tuple[PolicyKey, ...] = ()


@dataclass(frozen=True, slots=True)
class AttestedKeys:
    """Keys that are not listed one by one: whatever a folder has proofs for.

    Attributes:
        folder: relative to the policy's; each `NAME.pub` in it stands beside `NAME.attestation` and
            `NAME.challenge`.
        models: AAGUIDs with dashes, one of which a proof has to show.
    """

    folder: str
    models: frozenset[str]


@dataclass(frozen=True, slots=True)
class FleetPerson:
    """Somebody who logs in.

    Attributes:
        name: unique in the policy.
        keys: all of them, those on named tokens included.
        tokens: the named ones.
        groups: all that name this owner of keys, directly or by another group; sorted.
        attested: where further keys are proved; None if nowhere.
    """

    name: str
    keys: tuple[PolicyKey, ...] = ()
    tokens: tuple[PolicyToken, ...] = ()
    groups: tuple[str, ...] = ()
    attested: AttestedKeys | None = None


@dataclass(frozen=True, slots=True)
class HostRules:
    """What must hold on hosts: one block of a policy, or all blocks that match a host, joined.

    Attributes:
        patterns: as in ssh_config's Host, those with `!` included.
        let_in: by account, the names of people, and of groups with `@` before them.
        require: rules of `server check`, sorted.
        break_glass: keys that must get in, whatever happens to others.
        models: AAGUIDs with dashes; only keys that are proved to be on one of these models get in.
            None: any model.
        level: the lowest certification level of those models; None: any.
        expires: the first day on which nobody named here gets in any longer.
        exclusive: nobody but those named here gets in.
        authorities: fingerprints of keys that may stand in authorized_keys with cert-authority.
    """

    patterns: tuple[str, ...]
    let_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    require: tuple[CheckRule, ...] = ()
    break_glass: tuple[BreakGlass, ...] = ()
    models: frozenset[str] | None = None
    level: CertificationLevel | None = None
    expires: date | None = None
    exclusive: bool = False
    authorities: tuple[str, ...] = ()

    def fits(self, host: str) -> bool:
        """Whether some pattern fits a host, and none with `!` does."""
        name = host.lower()
        if any(match_pattern(name, one[1:]) for one in self.patterns if one[:1] == "!"):
            return False
        return any(match_pattern(name, one) for one in self.patterns if one[:1] != "!")

    def __and__(self, other: HostRules) -> HostRules:
        """Both blocks at once: everybody whom one lets in, and everything that one demands."""
        accounts = dict.fromkeys([*self.let_in, *other.let_in])
        return HostRules(
            patterns=_union(self.patterns, other.patterns),
            let_in={
                account: _union(self.let_in.get(account, ()), other.let_in.get(account, ()))
                for account in accounts
            },
            require=tuple(sorted({*self.require, *other.require})),
            break_glass=_union(self.break_glass, other.break_glass),
            models=_narrower(self.models, other.models),
            level=_stricter(self.level, other.level),
            expires=min((d for d in (self.expires, other.expires) if d), default=None),
            exclusive=self.exclusive or other.exclusive,
            authorities=_union(self.authorities, other.authorities),
        )


def _beginning(pattern: str) -> str:
    """What a host has to begin with to fit a pattern; `!` for one that lets none in."""
    return pattern if pattern[:1] == "!" else _WILD.split(pattern, maxsplit=1)[0]


def _union(first: Iterable[T], second: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys([*first, *second]))


def _narrower(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other


def _stricter(
    one: CertificationLevel | None, other: CertificationLevel | None
) -> CertificationLevel | None:
    known = [level for level in (one, other) if level is not None]
    return max(known, key=lambda level: level.rank, default=None)


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What must hold of each token that is audited; None: nothing is said about it.

    Attributes:
        min_pin_length: the least length that the token accepts for a PIN, code points.
        always_uv: the token asks for PIN or fingerprint at each use.
        enterprise_attestation: it is switched on, or it is off.
        no_advisories: the FIDO metadata reports nothing against the firmware.
        models: AAGUIDs with dashes, of which the token has one.
        level: the lowest certification level.
    """

    min_pin_length: int | None = None
    always_uv: bool | None = None
    enterprise_attestation: bool | None = None
    no_advisories: bool = False
    models: frozenset[str] | None = None
    level: CertificationLevel | None = None


@dataclass(frozen=True, slots=True)
class FleetPolicy:
    """A whole policy.

    Attributes:
        people: by name.
        groups: the names of all their members, sorted, by the name of the group.
        hosts: the blocks, in the order of the file.
        token_rules: for `token audit`.
        signers: keys that sign the log of `token audit`.
    """

    people: Mapping[str, FleetPerson] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: tuple[HostRules, ...] = ()
    token_rules: TokenRules = field(default_factory=TokenRules)
    signers: tuple[PolicyKey, ...] = ()
    _owners: dict[str, tuple[FleetPerson, PolicyKey]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _joined: dict[tuple[int, ...], HostRules] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _by_name: dict[str, list[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _by_pattern: list[tuple[int, tuple[str, ...]]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Index keys and hosts: a policy may have 100,000 keys, and a block for each host."""
        for person in self.people.values():
            for key in person.keys:
                self._owners.setdefault(key.fingerprint, (person, key))
        for at, block in enumerate(self.hosts):
            if any(not _NAME_SIGNS.isdisjoint(pattern) for pattern in block.patterns):
                self._by_pattern.append((at, tuple(map(_beginning, block.patterns))))
            else:
                for name in block.patterns:
                    self._by_name.setdefault(name, []).append(at)

    @property
    def tokens(self) -> Iterator[PolicyToken]:
        """The named tokens of everybody."""
        return (token for person in self.people.values() for token in person.tokens)

    @property
    def named_hosts(self) -> tuple[str, ...]:
        """The hosts that blocks name without a pattern, sorted."""
        names = {name for block in self.hosts for name in block.patterns}
        return tuple(sorted(name for name in names if _NAME_SIGNS.isdisjoint(name)))

    def token(self, name: str) -> PolicyToken | None:
        """The token of that name."""
        return next((token for token in self.tokens if token.name == name), None)

    def owner(self, fingerprint: str) -> FleetPerson | None:
        """Whose key it is; None for one that the policy does not know."""
        found = self._owners.get(fingerprint.rstrip("="))
        return found[0] if found else None

    def key(self, fingerprint: str) -> PolicyKey | None:
        """A key of somebody in the policy, by its fingerprint."""
        found = self._owners.get(fingerprint.rstrip("="))
        return found[1] if found else None

    def members(self, name: str) -> tuple[FleetPerson, ...]:
        """The people that a word of `let-in` names: one by name, or all of `@` and a group."""
        if name[:1] == GROUP_SIGN:
            return tuple(self.people[member] for member in self.groups.get(name[1:], ()))
        return (self.people[name],) if name in self.people else ()

    def rules_for(self, host: str) -> HostRules | None:
        """All blocks that match a host, joined; None if none does.

        Hosts that the same blocks match share one value.
        """
        name = host.lower()
        named = self._by_name.get(name, [])
        matched = [
            at
            for at, beginnings in self._by_pattern
            if name.startswith(beginnings) and self.hosts[at].fits(name)
        ]
        fitting = tuple(sorted([*named, *matched]))
        if not fitting:
            return None
        if fitting not in self._joined:
            joined = self.hosts[fitting[0]]
            for at in fitting[1:]:
                joined = joined & self.hosts[at]
            self._joined[fitting] = joined
        return self._joined[fitting]
