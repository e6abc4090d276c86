"""A token's rules hold only where the token, or its maker's attestation, shows that they do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.client.credentials import attestation
from fidokit.fleet.policy.values import TokenRules
from fidokit.fleet.token_audit.audit import TokenAudit, TokenVerdict, audit_token
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.metadata.catalog import Catalog
from fidokit.metadata.certification import CertificationLevel
from fidokit.metadata.model import Model, StatusReport
from fidokit.openssh.signatures.attestation import parse_attestation
from fidokit.tokens.owner import always_uv, enterprise_attestation, set_min_pin_length, set_pin
from fidokit.types import KeyType
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")
TODAY = "2026-12-01"
HOLDS, BROKEN, UNKNOWN = TokenVerdict


def audited(desk: Desk, rules: TokenRules, catalog: Catalog | None = None) -> TokenAudit:
    with desk.open() as session:
        return audit_token(session, rules, catalog=catalog, today=TODAY)


def verdicts(found: TokenAudit) -> Mapping[str, TokenVerdict]:
    return {check.rule: check.verdict for check in found.checks}


def catalog(desk: Desk, folder: Path, *reports: StatusReport) -> Catalog:
    """A catalog in which the token's own certificate is the root of its model."""
    request = GenerateRequest(
        KeyType.ECDSA_SK, path=folder / "probe", attestation_file=folder / "proof"
    )
    with desk.open() as session:
        generate_key(session, request)
    proof = parse_attestation((folder / "proof").read_bytes())
    named = attestation.aaguid_of(attestation.read_auth_data(proof))
    return Catalog(
        (
            Model(
                named,
                "Maker Key",
                "fido2",
                attestation_roots=(proof.leaf_der,),
                status_reports=reports,
            ),
        )
    )


def test_the_length_of_the_pin(bare_desk: Desk) -> None:
    short, long_ = TokenRules(min_pin_length=4), TokenRules(min_pin_length=8)
    assert verdicts(audited(bare_desk, short)) == {"min-pin-length": BROKEN}
    with bare_desk.open() as session:
        set_pin(session)
    assert verdicts(audited(bare_desk, short)) == {"min-pin-length": HOLDS}
    unknown = audited(bare_desk, long_)
    assert verdicts(unknown) == {"min-pin-length": UNKNOWN}
    assert unknown.checks[0].find_out == "make the token demand it: fidokit pin min-length 8"
    with bare_desk.open() as session:
        set_min_pin_length(session, 8)
    broken = audited(bare_desk, long_)
    assert verdicts(broken) == {"min-pin-length": BROKEN}, "the PIN of 4 must be changed first"
    assert broken.checks[0].find_out == "fidokit pin change"
    assert not broken.holds


def test_always_uv(desk: Desk) -> None:
    on, off = TokenRules(always_uv=True), TokenRules(always_uv=False)
    assert verdicts(audited(desk, on)) == {"always-uv": BROKEN}
    assert verdicts(audited(desk, off)) == {"always-uv": HOLDS}
    with desk.open() as session:
        always_uv(session, on=True)
    assert audited(desk, on).holds
    assert verdicts(audited(desk, off)) == {"always-uv": BROKEN}


def test_enterprise_attestation(bare_desk: Desk) -> None:
    desk = bare_desk
    desk.plugged.clear()
    desk.plug("E", VirtualToken(profile="ctap2.3-enterprise"))
    with desk.open() as session:
        set_pin(session)
    on, off = TokenRules(enterprise_attestation=True), TokenRules(enterprise_attestation=False)
    assert verdicts(audited(desk, on)) == {"enterprise-attestation": BROKEN}
    assert audited(desk, off).holds
    with desk.open() as session:
        enterprise_attestation(session, enable=True)
    assert audited(desk, on).holds
    broken = audited(desk, off)
    assert "only a reset" in broken.checks[0].why


def test_a_proved_model(desk: Desk, folder: Path) -> None:
    known = catalog(desk, folder, StatusReport("FIDO_CERTIFIED_L1", "2026-01-01"))
    name = known.models[0].name
    rules = TokenRules(models=frozenset({name}), level=CertificationLevel.L1, no_advisories=True)
    found = audited(desk, rules, known)
    assert verdicts(found) == {"models": HOLDS, "level": HOLDS, "no-advisories": HOLDS}
    assert found.proved
    assert found.proved.aaguid == name
    other = TokenRules(models=frozenset({"x"}), level=CertificationLevel.L2)
    assert verdicts(audited(desk, other, known)) == {"models": BROKEN, "level": BROKEN}


def test_the_key_that_proves_it_is_not_kept(desk: Desk, folder: Path, tmp_path: Path) -> None:
    known = catalog(desk, folder)
    before = sorted(tmp_path.rglob("*"))
    audited(desk, TokenRules(no_advisories=True), known)
    assert sorted(tmp_path.rglob("*")) == before
    assert desk.person.touches


def test_a_model_that_nobody_vouches_for_is_unknown(desk: Desk) -> None:
    rules = TokenRules(models=frozenset({"x"}), level=CertificationLevel.L1, no_advisories=True)
    for known in (None, Catalog(())):
        found = audited(desk, rules, known)
        assert set(verdicts(found).values()) == {UNKNOWN}
        assert not found.holds


def test_without_a_touch_the_model_is_unknown(desk: Desk, folder: Path) -> None:
    known = catalog(desk, folder, StatusReport("FIDO_CERTIFIED_L1", "2026-01-01"))
    touches = len(desk.person.touches)
    with desk.open() as session:
        rules = TokenRules(level=CertificationLevel.L1)
        found = audit_token(session, rules, catalog=known, today=TODAY, prove=False)
    assert verdicts(found) == {"level": UNKNOWN}
    assert len(desk.person.touches) == touches


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (StatusReport("REVOKED", "2026-01-01"), BROKEN),
        (StatusReport("USER_VERIFICATION_BYPASS", "2026-01-01"), BROKEN),
        (StatusReport("UPDATE_AVAILABLE", "2026-01-01", 1 << 30), BROKEN),
        (StatusReport("UPDATE_AVAILABLE", "2026-01-01", 1), HOLDS),
        (StatusReport("UPDATE_AVAILABLE", "2026-01-01"), UNKNOWN),
        (StatusReport("REVOKED", "2027-01-01"), HOLDS),
    ],
)
def test_advisories(desk: Desk, folder: Path, report: StatusReport, verdict: TokenVerdict) -> None:
    found = audited(desk, TokenRules(no_advisories=True), catalog(desk, folder, report))
    assert verdicts(found) == {"no-advisories": verdict}
