"""A key's model is what its attestation proves by a certified model's roots, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fleet.policy.policies import policy, print_in
from tests.support.desk import Desk

from fidokit.client.credentials import attestation
from fidokit.errors import FidokitError
from fidokit.fleet.policy.proofs import KeyProofs, prove_keys, without_unproved
from fidokit.fleet.policy.values import FleetPolicy, HostRules
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.metadata.catalog import Catalog
from fidokit.metadata.certification import CertificationLevel
from fidokit.metadata.model import Model, StatusReport
from fidokit.openssh.signatures.attestation import parse_attestation
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")
TODAY = "2026-12-01"
OTHER_MODEL = "2fc0579f-8113-47ea-b116-bb5a8db9202a"


@pytest.fixture
def files(bare_desk: Desk, folder: Path) -> Path:
    """The folder of a policy, with a proved key in `proofs`."""
    place = folder / "proofs"
    place.mkdir()
    (place / "blue.challenge").write_bytes(b"what was sent")
    request = GenerateRequest(
        KeyType.ED25519_SK,
        path=place / "blue",
        challenge_file=place / "blue.challenge",
        attestation_file=place / "blue.attestation",
    )
    with bare_desk.open() as session:
        generate_key(session, request)
    return folder


def line(files: Path) -> str:
    return (files / "proofs" / "blue.pub").read_text().strip()


def catalog(files: Path, *statuses: str) -> Catalog:
    """A catalog in which the token's own certificate is the root of its model."""
    proof = parse_attestation((files / "proofs" / "blue.attestation").read_bytes())
    named = attestation.aaguid_of(attestation.read_auth_data(proof))
    reports = tuple(StatusReport(status, "2026-01-01") for status in statuses)
    roots = (proof.leaf_der,)
    model = Model(named, "Maker Key", "fido2", attestation_roots=roots, status_reports=reports)
    return Catalog((model,))


def listed(files: Path) -> FleetPolicy:
    return policy(
        f'[people.al]\nkeys = [{{ key = "{line(files)}", attestation = "proofs/blue.attestation", '
        'challenge = "proofs/blue.challenge" }]\n'
    )


def fault(read: FleetPolicy, proofs: KeyProofs, rules: HostRules) -> tuple[str, bool]:
    (key,) = read.people["al"].keys
    return proofs.fault(key, rules)


L1 = HostRules(("*",), level=CertificationLevel.L1)
L2 = HostRules(("*",), level=CertificationLevel.L2)


def test_a_proved_key_has_its_model_and_level(files: Path) -> None:
    known = catalog(files, "FIDO_CERTIFIED_L1")
    read, proofs = prove_keys(listed(files), files, known, TODAY)
    (found,) = proofs.proved.values()
    aaguid = known.models[0].name
    assert (found.aaguid, found.model, found.level) == (aaguid, "Maker Key", CertificationLevel.L1)
    assert fault(read, proofs, L1) == ("", False)
    assert fault(read, proofs, HostRules(("*",), models=frozenset({aaguid}))) == ("", False)
    assert fault(read, proofs, L2)[1] is False
    assert "certified for L1" in fault(read, proofs, L2)[0]
    other = fault(read, proofs, HostRules(("*",), models=frozenset({OTHER_MODEL})))
    assert "is not among those allowed" in other[0]


def test_a_revoked_model_lets_nobody_in(files: Path) -> None:
    known = catalog(files, "FIDO_CERTIFIED_L1", "REVOKED")
    read, proofs = prove_keys(listed(files), files, known, TODAY)
    why, doubt = fault(read, proofs, L1)
    assert "broken or revoked" in why
    assert not doubt


@pytest.mark.parametrize("missing", ["metadata", "model", "proof", "challenge"])
def test_what_is_not_proved_is_in_doubt(files: Path, missing: str) -> None:
    known: Catalog | None = catalog(files, "FIDO_CERTIFIED_L3")
    if missing == "metadata":
        known = None
    elif missing == "model":
        known = Catalog(())
    elif missing == "proof":
        (files / "proofs" / "blue.attestation").write_bytes(b"not an attestation")
    else:
        (files / "proofs" / "blue.challenge").write_bytes(b"another")
    read, proofs = prove_keys(listed(files), files, known, TODAY)
    assert not proofs.proved
    why, doubt = fault(read, proofs, L1)
    assert doubt
    assert why.startswith("the model of its token is not proved: ")
    assert fault(read, proofs, HostRules(("*",))) == ("", False)


def test_a_folder_of_proofs_has_keys_that_nobody_lists(files: Path) -> None:
    known = catalog(files, "FIDO_CERTIFIED_L1")
    own, other = known.models[0].name, OTHER_MODEL
    for named, expected in ((own, ""), (other, "its model, Maker Key, is not among those allowed")):
        text = f'[people.al]\nattested = {{ folder = "proofs", models = ["{named}"] }}\n'
        read, proofs = prove_keys(policy(text), files, known, TODAY)
        (key,) = read.people["al"].keys
        assert key.fingerprint == print_in(line(files))
        assert read.owner(key.fingerprint) is read.people["al"]
        assert proofs.fault(key, HostRules(("*",)))[0] == expected
        owner = without_unproved(read, proofs).owner(key.fingerprint)
        assert (owner is None) == bool(expected)
        unknown = prove_keys(policy(text), files, None, TODAY)[1]
        assert without_unproved(read, unknown).owner(key.fingerprint) is None
        assert unknown.fault(key, HostRules(("*",)))[1], "without metadata nothing is proved"


def test_a_token_of_stated_models_has_proved_keys(files: Path) -> None:
    known = catalog(files, "FIDO_CERTIFIED_L1")
    key = (
        f'{{ key = "{line(files)}", attestation = "proofs/blue.attestation", '
        'challenge = "proofs/blue.challenge" }'
    )
    for model, expected in ((known.models[0].name, ""), (OTHER_MODEL, "its model, Maker Key, is")):
        text = f'[people.al.tokens.blue]\nmodels = ["{model}"]\nkeys = [{key}]\n'
        read, proofs = prove_keys(policy(text), files, known, TODAY)
        assert fault(read, proofs, HostRules(("*",)))[0].startswith(expected)
        assert bool(fault(read, proofs, HostRules(("*",)))[0]) == bool(expected)
        assert fault(read, KeyProofs(), HostRules(("*",)))[1], "without a proof it is in doubt"
        assert without_unproved(read, KeyProofs()).owner(print_in(line(files)))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    text = f'[people.al]\nattested = {{ folder = "none", models = ["{OTHER_MODEL}"] }}\n'
    with pytest.raises(FidokitError, match="none does not exist"):
        prove_keys(policy(text), tmp_path, None, TODAY)


def test_a_key_in_a_file_proves_nothing(files: Path) -> None:
    from tests.fleet.policy.policies import file_line

    text = (
        f'[people.al]\nkeys = [{{ key = "{file_line(1)}", attestation = "a", challenge = "c" }}]\n'
    )
    read, proofs = prove_keys(policy(text), files, catalog(files), TODAY)
    assert "a key on a token" in fault(read, proofs, L1)[0]
