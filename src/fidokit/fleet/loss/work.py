"""A loss from the plan to the verdict: what knows the lost keys, what is done, what is proved.

Each part can be repeated: what was done already is found so, and proved again. So a run that was
broken off, or could not reach a host, is finished by the next one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fidokit.fleet.loss import revocations
from fidokit.fleet.loss.account_work import HostSettled
from fidokit.fleet.loss.accounts import HostAccount, accounts_of, parted
from fidokit.fleet.loss.forges import ForgeKey, forge_keys, settle_forge
from fidokit.fleet.loss.hosts import settle_far
from fidokit.fleet.loss.policy_facts import policy_places, with_policy
from fidokit.fleet.loss.revocations import LostCertificate, Revocations, certificates_of
from fidokit.fleet.loss.signer_files import SignerFile, settle_signers, signer_files
from fidokit.fleet.loss.subject import LossSubject, LostKey, find_subject
from fidokit.fleet.loss.this_machine import own_uses, rows_of, settle_here
from fidokit.fleet.loss.verdict import LossRow
from fidokit.fleet.policy.values import FleetPolicy
from fidokit.inventory.counters import CounterHistory
from fidokit.inventory.kept import KnownKey as KnownKey  # noqa: PLC0414  the command shows it
from fidokit.inventory.kept import KnownLoss, KnownPlace, PlaceKind
from fidokit.inventory.store import kept_counters, kept_inventory
from fidokit.keys.bookkeeping import note_facts
from fidokit.signing.git_config import Git

Progress = Callable[[int, int], None]
"""Called with how many places were settled, of how many."""


@dataclass(frozen=True, slots=True)
class LossRequest:
    """What `fidokit lost` is asked for.

    Attributes:
        words: name the lost tokens and keys.
        hosts: further destinations that let the keys in, as ssh takes them.
        ssh: the words that reach these.
        since: signatures count until then, seconds since 1970; None for now.
        krl: the file of the revocation list; None for the usual one.
        log_in: prove the backups by logins, which ask for PIN and touch.
        policy: names people, their tokens and keys, and the hosts that let them in; None for none.
    """

    words: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ("ssh",)
    since: int | None = None
    krl: Path | None = None
    log_in: bool = False
    policy: FleetPolicy | None = None


@dataclass(frozen=True, slots=True)
class LossPlan:
    """What is lost, and who knows it.

    Attributes:
        subject: the tokens and keys.
        accounts: of hosts.
        forges: accounts of GitHub and GitLab.
        certificates: of the keys.
        signers: files of allowed signers.
        own: where this machine itself uses the keys, by fingerprint, a few words each.
        since: until when signatures count, by fingerprint.
        krl: the file of the revocation list.
    """

    subject: LossSubject
    accounts: tuple[HostAccount, ...]
    forges: tuple[ForgeKey, ...]
    certificates: tuple[LostCertificate, ...]
    signers: tuple[SignerFile, ...]
    own: dict[str, tuple[str, ...]]
    since: dict[str, int]
    krl: Path

    @property
    def keys(self) -> tuple[LostKey, ...]:
        """The keys that are lost, each with the one that takes its place."""
        return self.subject.keys


def plan_loss(request: LossRequest, git: Git | None = None) -> LossPlan:
    """Find out what is lost, and who knows it. Changes nothing.

    Args:
        request: what is asked for.
        git: whose settings may name a lost key.

    Raises:
        CredentialNotFound, UsageError: the words name no key, or several.
        MalformedFile, NoPermission: the inventory cannot be read.
    """
    kept = kept_inventory().read()
    if request.policy:
        kept = with_policy(kept, request.policy)
    subject = find_subject(kept, request.words)
    places = [*_named_hosts(request, subject)]
    if request.policy:
        prints = [one.key.fingerprint for one in subject.keys]
        places += policy_places(kept, request.policy, prints, request.ssh)
    known = kept.with_facts(keys=[one.key for one in subject.keys], places=places)
    now = int(time.time()) if request.since is None else request.since
    losses = {one.key.fingerprint: kept.loss(one.key.fingerprint) for one in subject.keys}
    asked = git or Git()
    own = {one.key.fingerprint: tuple(own_uses(one, asked)) for one in subject.keys}
    return LossPlan(
        subject,
        tuple(accounts_of(known, subject.keys)),
        tuple(forge_keys(known, subject.keys)),
        tuple(certificates_of(known, subject.keys)),
        tuple(signer_files(known, subject.keys)),
        own,
        {print_: loss.since if loss else now for print_, loss in losses.items()},
        request.krl or revocations.usual_list(),
    )


def _named_hosts(request: LossRequest, subject: LossSubject) -> Iterator[KnownPlace]:
    for host in request.hosts:
        user, _ = parted(host)
        for one in subject.keys:
            yield KnownPlace(PlaceKind.HOST, one.key.fingerprint, host, user, "", request.ssh)


@dataclass
class _Carried:
    rows: list[LossRow] = field(default_factory=list)
    places: list[KnownPlace] = field(default_factory=list)
    keys: list[KnownKey] = field(default_factory=list)
    said: dict[str, list[tuple[str, bool | None]]] = field(default_factory=dict)


def carry_out(
    plan: LossPlan,
    request: LossRequest,
    say: Callable[[str], None],
    *,
    progress: Progress = lambda _done, _all: None,
    git: Git | None = None,
) -> list[LossRow]:
    """Revoke the lost keys, promote their backups, and prove both; returns the verdict.

    Args:
        plan: of `plan_loss`.
        request: what was asked for.
        say: takes a warning.
        progress: see `Progress`.
        git: whose settings may name a lost key.
    """
    _note_loss(plan, request, say)
    carried = _Carried()
    lists = Revocations.of(plan.keys, plan.certificates)
    carried.rows += revocations.list_rows(plan.krl, plan.keys, lists)
    total = len(plan.accounts) + len(plan.forges)
    certificates: dict[str, list[str]] = {}
    for one in plan.certificates:
        if not one.is_over:
            certificates.setdefault(one.place.key, []).append(one.place.line)
    for number, at in enumerate(plan.accounts):
        progress(number, total)
        done = (
            settle_far(at, lists.put, certificates, log_in=request.log_in)
            if at.host
            else settle_here(at, certificates)
        )
        _take(carried, at, done)
    for number, forge in enumerate(plan.forges, len(plan.accounts)):
        progress(number, total)
        row, place = settle_forge(forge)
        carried.rows.append(row)
        carried.places += [place] if place else []
    now = int(time.time())
    for file in plan.signers:
        carried.rows += settle_signers(file, plan.since, now)
    carried.rows += revocations.certificate_rows(plan.certificates, carried.said, plan.krl)
    carried.rows += rows_of(plan.keys, git or Git())
    note_facts(say, keys=carried.keys, places=carried.places)
    return carried.rows


def _take(carried: _Carried, at: HostAccount, done: HostSettled) -> None:
    carried.rows += done.rows
    carried.places += done.places
    carried.keys += done.keys
    for line, answer in done.certificates.items():
        carried.said.setdefault(line, []).append((at.name, answer))


def _note_loss(plan: LossPlan, request: LossRequest, say: Callable[[str], None]) -> None:
    """Note that the keys are lost, and the hosts that were named, before anything is done."""
    losses = [KnownLoss(print_, since) for print_, since in plan.since.items()]
    note_facts(
        say,
        keys=[one.key for one in plan.keys],
        places=[*_named_hosts(request, plan.subject)],
        losses=losses,
    )


# --- the inventory ---------------------------------------------------------------------------


def known_keys() -> list[tuple[KnownKey, str, int]]:
    """Each key of the inventory, the fingerprint of its backup or first key, and its places.

    Raises:
        MalformedFile, NoPermission: the inventory cannot be read.
    """
    kept = kept_inventory().read()
    backups = {key.backup_of: key.fingerprint for key in kept.keys if key.backup_of}
    counts = Counter(place.key for place in kept.places)
    return [
        (key, key.backup_of or backups.get(key.fingerprint, ""), counts[key.fingerprint])
        for key in kept.keys
    ]


# --- alarms ----------------------------------------------------------------------------------


def dismiss_alarm(words: Sequence[str]) -> list[KnownKey]:
    """Begin the signature counters of keys anew, whose token was not cloned; returns the keys.

    Args:
        words: name the keys, or their tokens.

    Raises:
        CredentialNotFound, UsageError: the words name no key, or several.
        MalformedFile, NoPermission, FidokitError: a file cannot be read or written.
    """
    keys = [one.key for one in find_subject(kept_inventory().read(), words).keys]

    def change(history: CounterHistory) -> CounterHistory:
        for key in keys:
            history = history.without_alarm(key.fingerprint)
        return history

    kept_counters().change(change)
    return keys
