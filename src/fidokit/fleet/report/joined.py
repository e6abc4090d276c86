"""All hosts joined: each key with the places that it opens, and who would be locked out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.fleet.hosts.audit import HostState
from fidokit.fleet.hosts.destinations import host_name
from fidokit.fleet.report.drift import FleetDrift
from fidokit.fleet.report.rows import EntryWay, FleetLogin, HostRow

if TYPE_CHECKING:
    from fidokit.fleet.policy.values import FleetPolicy

_MOST_ACCOUNTS: Final = 50
KEY_WAYS: Final = (EntryWay.TOKEN, EntryWay.FILE, EntryWay.CERTIFICATE)


@dataclass(slots=True)
class KeyUse:
    """A key or an authority, and what it opens.

    Attributes:
        fingerprint, type, comment: as a host shows it; hostile text.
        way: how it lets in.
        owner: whose it is by the policy; empty if no policy knows it.
        token: the token that it is on by the policy; empty if not known.
        backup: it is on a token that is another one's backup.
        known: whether a policy knows it; None without a policy.
        hosts: how many it opens.
        places: how many accounts of hosts it opens.
        accounts: their names, the first 50.
        example: one of the hosts; one where no policy knows it, if there is one.
    """

    fingerprint: str
    type: str
    comment: str
    way: EntryWay
    owner: str = ""
    token: str = ""
    backup: bool = False
    known: bool | None = None
    hosts: int = 0
    places: int = 0
    accounts: list[str] = field(default_factory=list)
    example: str = ""


class BackupGap(NamedTuple):
    """Somebody whose lost token locks out.

    Attributes:
        person: by the policy.
        places: how many accounts of hosts a first token of theirs opens.
        open: at how many of them no backup gets in.
        example: one of these, `ACCOUNT@HOST`.
    """

    person: str
    places: int
    open: int
    example: str


class WayCount(NamedTuple):
    """How many hosts, accounts of hosts, and keys there are of a way in."""

    hosts: int = 0
    accounts: int = 0
    keys: int = 0


@dataclass(frozen=True, slots=True)
class FleetReport:
    """Many hosts in one report.

    Attributes:
        rows: the hosts, sorted by name.
        keys: every key and authority that gets in, the most used first.
        gaps: people without a backup, by the policy; empty without a policy.
        lonely: how many accounts of hosts one key on a token opens, and nothing else does.
        ways: how many of what there are.
        states: how many hosts of each state.
        drift: what changed.
        rules: those that were stated for every host.
        by_policy: whether a policy was given.
    """

    rows: Sequence[HostRow]
    keys: Sequence[KeyUse]
    gaps: Sequence[BackupGap]
    lonely: int
    ways: Mapping[EntryWay, WayCount]
    states: Mapping[HostState, int]
    drift: FleetDrift
    rules: tuple[str, ...] = ()
    by_policy: bool = False

    @property
    def unknown_keys(self) -> list[KeyUse]:
        """Keys that the policy does not know."""
        return [key for key in self.keys if key.known is False]

    @property
    def checked(self) -> int:
        """How many hosts were checked."""
        return self.states.get(HostState.CHECKED, 0)

    @property
    def stated(self) -> bool:
        """Whether anything was demanded, so that the exit status tells whether it holds."""
        return bool(self.rules) or self.by_policy

    @property
    def holds(self) -> bool:
        """Whether all that was demanded holds on every host.

        A host that is not known counts against it, as a key that the policy does not know does.
        """
        return all(row.holds for row in self.rows) and not self.unknown_keys


def join(
    rows: Iterable[HostRow],
    policy: FleetPolicy | None,
    drift: FleetDrift,
    rules: Iterable[str] = (),
) -> FleetReport:
    """Join hosts to one report.

    Args:
        rows: in any order.
        policy: names the keys; None if there is none.
        drift: what changed.
        rules: those that were stated for every host.
    """
    ordered = sorted(rows, key=lambda row: row.host)
    joint = _Joint(policy)
    for row in ordered:
        joint.add(row)
    keys = sorted(joint.keys.values(), key=lambda key: (-key.places, key.owner, key.fingerprint))
    return FleetReport(
        ordered,
        keys,
        joint.gaps(),
        joint.lonely,
        joint.ways(),
        Counter(row.state for row in ordered),
        drift,
        tuple(rules),
        policy is not None,
    )


class _Joint:
    def __init__(self, policy: FleetPolicy | None) -> None:
        self._policy = policy
        self.keys: dict[tuple[str, EntryWay], KeyUse] = {}
        self.lonely = 0
        self._hosts: Counter[EntryWay] = Counter()
        self._places: Counter[EntryWay] = Counter()
        self._firsts: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, row: HostRow) -> None:
        """Count the ways into one host."""
        by_account: dict[str, list[FleetLogin]] = {}
        seen = set()
        for login in row.logins:
            by_account.setdefault(login.account, []).append(login)
            if login.way in KEY_WAYS:
                use = self._use(row.host, login)
                use.places += 1
                use.hosts += (login.fingerprint, login.way) not in seen
                seen.add((login.fingerprint, login.way))
        self._hosts.update({login.way for login in row.logins})
        for account, logins in by_account.items():
            self._places.update({login.way for login in logins})
            self.lonely += len(logins) == 1 and logins[0].way is EntryWay.TOKEN
            if self._policy is not None:
                self._owned(f"{account}@{row.host}", logins)

    def _use(self, host: str, login: FleetLogin) -> KeyUse:
        name = login.fingerprint, login.way
        use = self.keys.get(name)
        if use is None:
            use = KeyUse(login.fingerprint, login.type, login.comment, login.way, example=host)
            self.keys[name] = use
            self._name(use)
        if self._policy is not None and not _vouched(self._policy, host, login):
            use.known, use.example = False, host
        if login.account not in use.accounts and len(use.accounts) < _MOST_ACCOUNTS:
            use.accounts.append(login.account)
        return use

    def _name(self, use: KeyUse) -> None:
        if self._policy is None:
            return
        owner, key = self._policy.owner(use.fingerprint), self._policy.key(use.fingerprint)
        use.known = True
        if owner is not None and key is not None:
            use.owner, use.token, use.backup = owner.name, key.token, key.backup

    def _owned(self, place: str, logins: Sequence[FleetLogin]) -> None:
        """Count whose first token opens an account, and whether a backup of theirs does, too."""
        uses = [self.keys[login.fingerprint, login.way] for login in logins if login.fingerprint]
        mine = [use for use in uses if use.owner and use.way is EntryWay.TOKEN]
        firsts = {use.owner for use in mine if not use.backup}
        backed = {use.owner for use in mine if use.backup}
        for person in firsts:
            self._firsts[person] += 1
        for person in firsts - backed:
            self._open[person] += 1
            self._examples.setdefault(person, place)

    def gaps(self) -> list[BackupGap]:
        """Who would be locked out, the most places first."""
        found = self._open.most_common()
        return [BackupGap(who, self._firsts[who], n, self._examples[who]) for who, n in found]

    def ways(self) -> dict[EntryWay, WayCount]:
        """How many of what there are."""
        keys = Counter(use.way for use in self.keys.values())
        return {way: WayCount(self._hosts[way], self._places[way], keys[way]) for way in EntryWay}


def _vouched(policy: FleetPolicy, host: str, login: FleetLogin) -> bool:
    """Whether the policy knows a key: as somebody's, or for this host."""
    rules = policy.rules_for(host_name(host))
    if login.way is EntryWay.CERTIFICATE:
        return rules is not None and login.fingerprint in rules.authorities
    if policy.owner(login.fingerprint) is not None:
        return True
    keys = rules.break_glass if rules is not None else ()
    return any(k.fingerprint == login.fingerprint and k.user in ("", login.account) for k in keys)
