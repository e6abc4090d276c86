"""Attestation statements and the batch certificate (ATT-*)."""

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
from tests.virtual.core.client import EDDSA, ES256, HASH, Bench, Made, check_signature, param

from fidokit.virtual.core.attestation.statements import FORMATS
from fidokit.virtual.core.profile import CTAP_2_3, PROFILES

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
