"""Authenticator data, attestation statements, the batch certificate (ATT-*), assertions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    GA,
    GNA,
    HASH,
    AuthData,
    Bench,
    Made,
    S,
    check_signature,
    get_request,
    param,
)

from fidokit.virtual.core.attestation import statements
from fidokit.virtual.core.attestation.statements import FORMATS
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_1, CTAP_2_3, CTAP_2_3_ENTERPRISE, PROFILES

RP_HASH = bytes(range(32))
KEY: dict[int, int | bytes] = {1: 1, 3: -8, -1: 6, -2: bytes(32)}


@pytest.mark.check("GA-16", "MC-34", "EXT-01")
@pytest.mark.parametrize("attested", [True, False])
@pytest.mark.parametrize("outputs", [{}, {"credProtect": 2}])
@pytest.mark.parametrize("flags", [0, statements.UP, statements.UP | statements.UV])
def test_round_trip(attested: bool, outputs: dict[str, int], flags: int) -> None:
    credential = statements.attested_credential(b"a" * 16, b"id", KEY) if attested else b""
    built = statements.authenticator_data(RP_HASH, flags, 0xFFFFFFFF, outputs, credential)
    parsed = AuthData.parse(built)
    assert (parsed.rp_id_hash, parsed.counter) == (RP_HASH, 0xFFFFFFFF)
    assert parsed.flags == flags | (0x40 if attested else 0) | (0x80 if outputs else 0)
    assert (parsed.extensions or {}) == outputs
    if attested:
        assert (parsed.aaguid, parsed.credential_id, parsed.key) == (b"a" * 16, b"id", KEY)
    else:
        assert len(built) == 37 or outputs


SELF = replace(CTAP_2_3, self_attestation=True)


def leaf_of(made: Made) -> x509.Certificate:
    (der,) = made.statement["x5c"]
    return x509.load_der_x509_certificate(der)


def verify_by(leaf: x509.Certificate, signature: bytes, message: bytes) -> None:
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


@pytest.mark.check("ATT-01")
@pytest.mark.parametrize("alg", [ES256, EDDSA])
def test_packed_self(alg: int) -> None:
    made = Bench(SELF).make({4: [param(alg)]})
    assert (made.fmt, set(made.statement), made.statement["alg"]) == ("packed", {"alg", "sig"}, alg)
    check_signature(made.data.key, made.statement["sig"], made.raw_data + HASH)


@pytest.mark.check("ATT-02")
@pytest.mark.parametrize("alg", [ES256, EDDSA])
def test_packed_basic(bench: Bench, alg: int) -> None:
    made = bench.make({4: [param(alg)]})
    assert (made.fmt, set(made.statement)) == ("packed", {"alg", "sig", "x5c"})
    assert made.statement["alg"] == ES256
    verify_by(leaf_of(made), made.statement["sig"], made.raw_data + HASH)


@pytest.mark.check("ATT-02")
def test_the_leaf(bench: Bench) -> None:
    leaf = leaf_of(bench.make())
    assert leaf.version is x509.Version.v3
    names = {attribute.oid: attribute for attribute in leaf.subject}
    assert len(names[NameOID.COUNTRY_NAME].value) == 2
    assert names[NameOID.ORGANIZATIONAL_UNIT_NAME].value == "Authenticator Attestation"
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME):
        assert names[oid].value
        assert names[oid]._type is _ASN1Type.UTF8String
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca is False
    now = datetime.now(UTC)
    assert (
        leaf.not_valid_before_utc < now < now + timedelta(days=5 * 366) < leaf.not_valid_after_utc
    )
    leaf.verify_directly_issued_by(leaf)


@pytest.mark.check("ATT-03", "RST-05")
def test_the_leaf_names_the_model(bench: Bench) -> None:
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
    made = bench.make()
    extension = leaf_of(made).extensions.get_extension_for_oid(oid)
    assert extension.critical is False
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    assert extension.value.value == b"\x04\x10" + bench.info()[3]
    bench.ok(0x07)
    assert bench.make().statement["x5c"] == made.statement["x5c"]


@pytest.mark.check("ATT-04", "ATT-05")
@pytest.mark.parametrize(
    ("preference", "fmt"),
    [
        ([], "packed"),
        (["packed"], "packed"),
        (["fido-u2f"], "fido-u2f"),
        (["fido-u2f", "packed"], "fido-u2f"),
        (["packed", "fido-u2f"], "packed"),
        (["none"], "none"),
        (["none", "packed"], "none"),
        (["tpm", "android-key"], "packed"),
        (["tpm", "fido-u2f"], "fido-u2f"),
        ([7, None, b"none", "none"], "none"),
        ([7, [], {}], "packed"),
    ],
)
def test_preference(bench: Bench, preference: list[Any], fmt: str) -> None:
    made = bench.make({11: preference})
    assert made.fmt == fmt
    assert fmt != "none" or made.statement == {}


@pytest.mark.check("ATT-04")
@pytest.mark.parametrize("model", ["ctap2.0", "ctap2.1"])
def test_older_tokens_ignore_a_preference(model: str) -> None:
    assert Bench(model).make({11: ["none"]}).fmt == "packed"


@pytest.mark.check("ATT-06")
def test_fido_u2f(bench: Bench) -> None:
    made = bench.make({11: ["fido-u2f"]})
    assert made.data.aaguid == bytes(16)
    assert set(made.statement) == {"sig", "x5c"}
    point = b"\x04" + made.data.key[-2] + made.data.key[-3]
    message = b"\0" + made.data.rp_id_hash + HASH + made.id + point
    verify_by(leaf_of(made), made.statement["sig"], message)


@pytest.mark.check("ATT-06")
def test_fido_u2f_is_for_es256_alone(bench: Bench) -> None:
    made = bench.make({4: [param(EDDSA)], 11: ["fido-u2f"]})
    assert made.fmt == "packed"
    assert made.data.aaguid == bench.info()[3]


def test_profiles_list_known_formats() -> None:
    for model in PROFILES.values():
        assert set(model.attestation_formats) <= set(FORMATS) - {"none"}


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
