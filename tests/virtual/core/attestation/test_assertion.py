"""Attestation of assertions, on request alone (GA-20)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.virtual.core.client import EDDSA, ES256, GA, GNA, HASH, Bench, S, get_request, param

from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_1, CTAP_2_3, CTAP_2_3_ENTERPRISE

USUAL = {1, 2, 3, 4}


def verify(statement: Any, message: bytes) -> x509.Certificate:
    (der,) = statement["x5c"]
    leaf = x509.load_der_x509_certificate(der)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(statement["sig"], message, ec.ECDSA(hashes.SHA256()))
    return leaf


def with_key(model: Any = CTAP_2_3, alg: int = ES256) -> Bench:
    bench = Bench(model)
    bench.make({4: [param(alg)]}, rk=True)
    bench.touches()
    return bench


@pytest.mark.check("GA-20")
@pytest.mark.parametrize("model", [CTAP_2_0, CTAP_2_1])
@pytest.mark.parametrize(
    "patch", [{8: 1}, {8: "x"}, {9: ["packed"]}, {9: 7}, {8: 2, 9: ["packed"]}]
)
def test_older_tokens_ignore_both_members(model: Any, patch: dict[int, Any]) -> None:
    assert set(Bench(model).profile.versions).isdisjoint({"FIDO_2_3"})
    bench = Bench(model)
    bench.make(rk=True)
    assert set(bench.get(patch)) == USUAL


@pytest.mark.check("GA-20")
@pytest.mark.parametrize("alg", [ES256, EDDSA])
@pytest.mark.parametrize("preference", [["packed"], ["tpm", 7, "packed"], ["packed", "none"]])
def test_a_statement_by_the_batch(alg: int, preference: list[Any]) -> None:
    bench = with_key(alg=alg)
    reply = bench.get({9: preference})
    assert set(reply) == USUAL | {0x0A}
    verify(reply[0x0A], reply[2] + HASH)
    assert len(reply[2]) == 37


@pytest.mark.check("GA-20")
@pytest.mark.parametrize(
    "preference", [[], ["none"], ["none", "packed"], ["tpm"], ["fido-u2f"], [None, {}]]
)
def test_who_names_no_format_that_fits_gets_none(preference: list[Any]) -> None:
    assert set(with_key().get({9: preference})) == USUAL


@pytest.mark.check("GA-20")
def test_a_model_that_does_not_list_packed_gives_none() -> None:
    bench = with_key(replace(CTAP_2_3, attestation_formats=("fido-u2f",)))
    assert set(bench.get({9: ["packed"]})) == USUAL


@pytest.mark.check("GA-20", "ATT-07", "ATT-09")
@pytest.mark.parametrize(
    ("patch", "on", "expected"),
    [
        ({8: 1}, False, S.INVALID_PARAMETER),
        ({8: 3}, False, S.INVALID_PARAMETER),
        ({8: 3}, True, S.INVALID_OPTION),
        ({8: "1"}, True, S.CBOR_UNEXPECTED_TYPE),
        ({9: "packed"}, True, S.CBOR_UNEXPECTED_TYPE),
        ({9: None}, True, S.CBOR_UNEXPECTED_TYPE),
    ],
)
def test_faults_before_any_touch(patch: dict[int, Any], on: bool, expected: int) -> None:
    bench = with_key(CTAP_2_3_ENTERPRISE)
    bench.authenticator.token.save(enterprise_attestation=on)
    assert bench.status(GA, get_request(patch)) == expected
    assert bench.touches() == 0


@pytest.mark.check("GA-20", "ATT-08")
@pytest.mark.parametrize(("kind", "listed"), [(1, True), (2, True), (2, False)])
def test_a_statement_by_the_token_itself(kind: int, listed: bool) -> None:
    rps = ("ssh:work",) if listed else ()
    bench = with_key(replace(CTAP_2_3_ENTERPRISE, enterprise_rp_ids=rps))
    bench.ok(0x0D, {1: 1})
    reply = bench.get({8: kind})
    assert set(reply) == USUAL | {9, 0x0A}
    assert reply[9] is True
    leaf = verify(reply[0x0A], reply[2] + HASH)
    assert leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.2"))


@pytest.mark.check("GA-20", "ATT-08")
def test_other_relying_parties_get_the_ordinary_assertion() -> None:
    bench = with_key(CTAP_2_3_ENTERPRISE)
    bench.ok(0x0D, {1: 1})
    assert set(bench.get({8: 1})) == USUAL
    assert set(bench.get({8: 1, 9: ["packed"]})) == USUAL | {0x0A}


@pytest.mark.check("GA-20", "GN-05")
def test_each_next_assertion_is_attested() -> None:
    bench = with_key()
    bench.make({3: {"id": b"grace"}}, rk=True)
    first = bench.get({9: ["packed"]})
    second = bench.ok(GNA)
    for reply in (first, second):
        verify(reply[0x0A], reply[2] + HASH)
    assert first[0x0A]["sig"] != second[0x0A]["sig"]


@pytest.mark.check("GA-20")
def test_a_model_with_self_attestation_signs_by_the_credential() -> None:
    bench = with_key(replace(CTAP_2_3, self_attestation=True), EDDSA)
    statement = bench.get({9: ["packed"]})[0x0A]
    assert set(statement) == {"alg", "sig"}
    assert statement["alg"] == EDDSA
