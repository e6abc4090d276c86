"""Enterprise attestation (ATT-07 to ATT-09, GI-16) and the certificate that has a serial."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    HASH,
    MC,
    RESET,
    Bench,
    Made,
    S,
    case,
    make_request,
    param,
)

from fidokit.virtual.core.attestation import certificates
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3_ENTERPRISE

CONFIG = 0x0D
LISTED = "enterprisetest.certinfra.fidoalliance.org"
MODEL_OID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
SERIAL_OID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.2")


def enabled(seed: int = 1, **changes: Any) -> Bench:
    """A token whose owner switched enterprise attestation on."""
    bench = Bench(replace(CTAP_2_3_ENTERPRISE, **changes), seed=seed)
    bench.ok(CONFIG, {1: 1})
    return bench


def make(bench: Bench, kind: int, rp: str = LISTED, **more: Any) -> Made:
    return bench.make({2: {"id": rp}, 10: kind, **{int(k[1:]): v for k, v in more.items()}})


def leaf_of(made: Made) -> x509.Certificate:
    (der,) = made.statement["x5c"]
    return x509.load_der_x509_certificate(der)


def serial_of(leaf: x509.Certificate) -> bytes:
    extension = leaf.extensions.get_extension_for_oid(SERIAL_OID)
    assert extension.critical is False
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    return extension.value.value


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        case("ATT-09", 0, S.INVALID_OPTION),
        case("ATT-09", 3, S.INVALID_OPTION),
        case("ATT-09", 2**60, S.INVALID_OPTION),
        case("ATT-09", -1, S.CBOR_UNEXPECTED_TYPE),
        case("ATT-09", True, S.CBOR_UNEXPECTED_TYPE),
        case("ATT-09", "1", S.CBOR_UNEXPECTED_TYPE),
        case("ATT-09", b"1", S.CBOR_UNEXPECTED_TYPE),
    ],
)
def test_odd_kinds_before_any_touch(kind: Any, expected: int) -> None:
    bench = enabled()
    assert bench.status(MC, make_request({10: kind})) == expected
    assert bench.touches() == 0


@pytest.mark.check("ATT-07")
@pytest.mark.parametrize("model", [CTAP_2_3_ENTERPRISE, CTAP_2_1])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_it_must_be_switched_on(model: Any, kind: int) -> None:
    bench = Bench(model)
    assert bench.status(MC, make_request({10: kind})) == S.INVALID_PARAMETER
    assert bench.touches() == 0


@pytest.mark.check("ATT-08", "ATT-09")
@pytest.mark.parametrize(("kind", "rp"), [(1, LISTED), (2, LISTED), (2, "ssh:work")])
@pytest.mark.parametrize("alg", [ES256, EDDSA])
@pytest.mark.parametrize("preference", [["packed"], ["none"], ["fido-u2f"], []])
def test_who_gets_it(kind: int, rp: str, alg: int, preference: list[str]) -> None:
    bench = enabled()
    made = make(bench, kind, rp, _4=[param(alg)], _11=preference)
    assert (made.fmt, made.body[4]) == ("packed", True)
    assert made.statement["alg"] == ES256
    leaf = leaf_of(made)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(made.statement["sig"], made.raw_data + HASH, ec.ECDSA(hashes.SHA256()))
    assert made.data.aaguid == bench.info()[3]
    aaguid = leaf.extensions.get_extension_for_oid(MODEL_OID).value
    assert aaguid == x509.UnrecognizedExtension(MODEL_OID, b"\x04\x10" + made.data.aaguid)


@pytest.mark.check("ATT-08")
@pytest.mark.parametrize("rp", ["ssh:work", LISTED.upper(), "x." + LISTED, LISTED + "."])
def test_other_relying_parties_get_the_ordinary_one(rp: str) -> None:
    bench = enabled()
    made = make(bench, 1, rp)
    assert 4 not in made.body
    ordinary = bench.make()
    assert made.statement["x5c"] == ordinary.statement["x5c"]
    with pytest.raises(x509.ExtensionNotFound):
        serial_of(leaf_of(made))


@pytest.mark.check("ATT-08", "ATT-02", "RST-05")
def test_the_certificate_singles_the_token_out_for_ever() -> None:
    bench = enabled()
    before = leaf_of(make(bench, 2))
    subject = {attribute.oid: attribute.value for attribute in before.subject}
    serial = serial_of(before)
    assert serial[:2] == b"\x04\x08"
    assert subject[NameOID.ORGANIZATIONAL_UNIT_NAME] == "Authenticator Attestation"
    constraints = before.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca is False
    before.verify_directly_issued_by(before)
    bench.ok(RESET)
    bench.power_up()
    bench.ok(CONFIG, {1: 1})
    assert leaf_of(make(bench, 2)) == before
    assert serial_of(leaf_of(make(enabled(seed=2), 2))) != serial


@pytest.mark.check("ATT-08")
def test_its_key_is_not_the_batchs() -> None:
    bench = enabled()
    batch = leaf_of(bench.make())
    assert leaf_of(make(bench, 2)).public_key() != batch.public_key()


@pytest.mark.check("ATT-08")
def test_a_model_with_self_attestation_has_it_too() -> None:
    made = make(enabled(self_attestation=True), 2)
    assert serial_of(leaf_of(made))
    assert made.body[4] is True


@pytest.mark.check("GI-16")
def test_the_enterprise_profile_knows_ep() -> None:
    bench = Bench(CTAP_2_3_ENTERPRISE)
    assert bench.info()[4]["ep"] is False
    bench.ok(CONFIG, {1: 1})
    assert bench.info()[4]["ep"] is True


@pytest.mark.check("ATT-07")
def test_a_model_with_ep_from_the_factory_keeps_it_over_resets() -> None:
    bench = Bench(CTAP_2_3_ENTERPRISE.with_options(ep=True))
    assert make(bench, 2).body[4] is True
    bench.ok(RESET)
    assert bench.info()[4]["ep"] is True


def test_the_identity_follows_from_the_state_alone() -> None:
    bench = enabled()
    one, two = (
        certificates.enterprise_identity(bench.state),
        certificates.enterprise_identity(bench.state),
    )
    assert one.certificate == two.certificate
