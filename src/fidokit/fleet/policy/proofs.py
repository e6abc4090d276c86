"""Which keys of a policy are proved to be on which model of token, by their attestations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError
from fidokit.files.disk_errors import explained
from fidokit.files.scan import read_key
from fidokit.fleet.policy.reading import read_policy
from fidokit.fleet.policy.values import (
    AttestedKeys,
    FleetPerson,
    FleetPolicy,
    HostRules,
    PolicyKey,
)
from fidokit.keys.attestation import Origin, available_metadata, verify_made
from fidokit.metadata.certification import CertificationLevel, certified_level
from fidokit.metadata.model import parse_aaguid
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import parse_public_line

if TYPE_CHECKING:
    from fidokit.metadata.catalog import Catalog

_MOST_FILES: Final = 100_000


@dataclass(frozen=True, slots=True)
class ProvedKey:
    """What the FIDO metadata says of the token that made a key.

    Attributes:
        aaguid: of the model, with dashes.
        model: its description.
        level: that it is certified for; None if it is not.
        untrusted: some report says that the model was broken or revoked.
    """

    aaguid: str
    model: str
    level: CertificationLevel | None
    untrusted: bool


@dataclass(frozen=True, slots=True)
class KeyProofs:
    """Proofs by the fingerprints of keys.

    Attributes:
        proved: keys of which a certified model's roots vouch for the token.
        unproved: why not, for keys with an attestation that proves nothing.
    """

    proved: Mapping[str, ProvedKey] = field(default_factory=dict)
    unproved: Mapping[str, str] = field(default_factory=dict)

    def fault(self, key: PolicyKey, rules: HostRules) -> tuple[str, bool]:
        """Why the model of a key's token does not let it in, and whether that is in doubt.

        Returns:
            An empty reason if it does, or if the rules name neither models nor a level.
        """
        if rules.models is None and rules.level is None and not key.models:
            return "", False
        found = self.proved.get(key.fingerprint)
        if found is None:
            why = self.unproved.get(key.fingerprint, "the policy has no attestation of the key")
            return f"the model of its token is not proved: {why}", True
        if found.untrusted:
            return (
                f"the FIDO metadata reports its model, {found.model}, as broken or revoked",
                False,
            )
        allowed = (rules.models, key.models or None)
        if any(models is not None and found.aaguid not in models for models in allowed):
            return f"its model, {found.model}, is not among those allowed", False
        if rules.level and (found.level is None or found.level.rank < rules.level.rank):
            return f"its model, {found.model}, is certified for {found.level or 'no level'}", False
        return "", False


def prove_keys(
    policy: FleetPolicy, folder: Path, catalog: Catalog | None, today: str
) -> tuple[FleetPolicy, KeyProofs]:
    """Verify the attestations that a policy names.

    Args:
        policy: as it was read.
        folder: of the policy's file, which its paths start from.
        catalog: the FIDO metadata; None if it is not installed, and then nothing is proved.
        today: an ISO 8601 date.

    Returns:
        The policy, with the keys in the folders of `attested`, and the proofs.

    Raises:
        FidokitError: a folder, or a public key in it, cannot be read.
    """
    bench = _ProofBench(folder, catalog, today)
    people = {name: bench.person(person) for name, person in policy.people.items()}
    if people != policy.people:
        policy = replace(policy, people=people)
    return policy, KeyProofs(bench.proved, bench.unproved)


@dataclass
class _ProofBench:
    """Verifies one attestation after the other."""

    folder: Path
    catalog: Catalog | None
    today: str
    proved: dict[str, ProvedKey] = field(default_factory=dict)
    unproved: dict[str, str] = field(default_factory=dict)

    def person(self, person: FleetPerson) -> FleetPerson:
        for key in person.keys:
            if key.attestation:
                self._prove(key)
        if person.attested is None:
            return person
        known = {key.fingerprint for key in person.keys}
        more = [key for key in self._attested(person.attested) if key.fingerprint not in known]
        return replace(person, keys=(*person.keys, *more))

    def _attested(self, attested: AttestedKeys) -> Iterator[PolicyKey]:
        """The keys of a folder; whether they are proved is judged with each use of one."""
        place = self.folder / attested.folder
        with explained(place):
            names = sorted(entry.name for entry in place.iterdir() if entry.suffix == ".pub")
        for name in names[:_MOST_FILES]:
            line, _ = read_key(place / name)
            stem = f"{attested.folder}/{name.removesuffix('.pub')}"
            key = PolicyKey(
                fingerprint.sha256(line.key.blob()),
                line.encode(),
                attestation=f"{stem}.attestation",
                challenge=f"{stem}.challenge",
                models=attested.models,
            )
            self._prove(key)
            yield key

    def _prove(self, key: PolicyKey) -> None:
        found = prove_key(key, self.folder, self.catalog, self.today)
        if isinstance(found, ProvedKey):
            self.proved[key.fingerprint] = found
        else:
            self.unproved[key.fingerprint] = found


def prove_key(key: PolicyKey, folder: Path, catalog: Catalog | None, today: str) -> ProvedKey | str:
    """What the attestation of a key proves, or why it proves nothing.

    Args:
        key: with its public line, attestation and challenge.
        folder: that the paths start from.
        catalog: the FIDO metadata; None if it is not installed.
        today: an ISO 8601 date.
    """
    if not key.hardware:
        return "the policy has to give the public line of a key on a token"
    if catalog is None:
        return "the FIDO metadata is not installed (pip install 'fidokit[mds]')"
    public = parse_public_line(key.public_line).key
    try:
        found = verify_made(folder / key.attestation, public, folder / key.challenge, catalog)
    except FidokitError as error:
        return error.message
    if found.origin is not Origin.MODEL or not found.shown.aaguid:
        return "no certified model's roots vouch for the token that made it"
    model = catalog.by_aaguid(parse_aaguid(found.shown.aaguid))
    if model is None:
        return "the FIDO metadata does not have its model"
    return ProvedKey(model.name, model.description, certified_level(model, today), model.untrusted)


def without_unproved(policy: FleetPolicy, proofs: KeyProofs) -> FleetPolicy:
    """A policy with only those keys in folders of `attested` that are proved.

    Args:
        policy: from `prove_keys`.
        proofs: from the same call.
    """
    anywhere = HostRules(("*",))
    people = {
        name: replace(
            person,
            keys=tuple(
                key
                for key in person.keys
                if key.token or not key.models or not proofs.fault(key, anywhere)[0]
            ),
        )
        if person.attested
        else person
        for name, person in policy.people.items()
    }
    return replace(policy, people=people)


def read_proved_policy(path: Path, today: str) -> tuple[FleetPolicy, KeyProofs]:
    """A policy, with what the attestations beside it prove.

    Args:
        path: of the policy.
        today: an ISO 8601 date.

    Raises:
        FidokitError: as `read_policy` and `prove_keys`.
    """
    policy = read_policy(path)
    keys = (key for person in policy.people.values() for key in person.keys)
    folders = any(person.attested for person in policy.people.values())
    if not folders and not any(key.attestation for key in keys):
        return policy, KeyProofs()
    return prove_keys(policy, path.parent, available_metadata(), today)
