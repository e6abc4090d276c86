"""What a policy adds to the inventory: whose tokens hold which keys, what stands in, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fidokit.fleet.policy.values import FleetPerson, FleetPolicy
from fidokit.inventory.kept import Inventory, KnownKey, KnownPlace, KnownToken, PlaceKind


def with_policy(kept: Inventory, policy: FleetPolicy) -> Inventory:
    """The inventory with the tokens and keys of a policy; what was seen wins.

    A token is called as in the policy. Keys of a backup token stand in, in their order, for those
    of the token that it is the backup of.

    Args:
        kept: what was seen.
        policy: see `fleet.policy.reading.read_policy`.
    """
    tokens, keys = [], []
    for person in policy.people.values():
        names = {}
        for token in person.tokens:
            seen = (kept.key(key.fingerprint) for key in token.keys)
            known = next((one.token for one in seen if one and one.token), "")
            names[token.name] = known or (f"usb:{token.serial}" if token.serial else token.name)
            model = next(iter(token.models), "").replace("-", "")
            tokens.append(KnownToken(names[token.name], model, token.name))
        stands_for = dict(_pairs(person))
        keys += [
            KnownKey(
                key.fingerprint,
                key.public_line,
                token=names.get(key.token, ""),
                backup_of=stands_for.get(key.fingerprint, ""),
            )
            for key in person.keys
        ]
    return (
        Inventory()
        .with_facts(tokens, keys)
        .with_facts(kept.tokens, kept.keys, kept.places, kept.losses)
        .with_facts(tokens)
    )


def _pairs(person: FleetPerson) -> Iterator[tuple[str, str]]:
    """Keys of backup tokens, and the keys that they stand in for."""
    by_name = {token.name: token for token in person.tokens}
    for token in person.tokens:
        first = by_name.get(token.backup_of)
        for backup, key in zip(token.keys, first.keys if first else (), strict=False):
            yield backup.fingerprint, key.fingerprint


def policy_places(
    kept: Inventory, policy: FleetPolicy, prints: Iterable[str], ssh: tuple[str, ...]
) -> Iterator[KnownPlace]:
    """The accounts of hosts that a policy names where keys may log in, and nobody saw them yet.

    Hosts that the policy knows by a pattern alone are not among them.

    Args:
        kept: what was seen.
        policy: the policy.
        prints: fingerprints of keys.
        ssh: the words that reach the hosts.
    """
    owners = {print_: policy.owner(print_) for print_ in prints}
    seen = {
        (place.key, place.account, place.where.rpartition("@")[2])
        for place in kept.places_of(owners)
        if place.kind is PlaceKind.HOST
    }
    for host in policy.named_hosts:
        rules = policy.rules_for(host)
        for account, words in rules.let_in.items() if rules else ():
            people = {person.name for word in words for person in policy.members(word)}
            for print_, owner in owners.items():
                if owner and owner.name in people and (print_, account, host) not in seen:
                    where = f"{account}@{host}"
                    yield KnownPlace(PlaceKind.HOST, print_, where, account, "", ssh)
