"""Models of the metadata, and reading an entry of it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metadata.samples import ENTRY, ROOT, U2F_ENTRY, entry

from fidokit.errors import MalformedFile
from fidokit.metadata.model import (
    COSE_OF,
    Model,
    StatusReport,
    is_aaguid,
    parse_aaguid,
    parse_entry,
)

ONE = parse_entry(ENTRY)
U2F = parse_entry(U2F_ENTRY)


def test_names() -> None:
    assert ONE.name == "00112233-4455-6677-8899-aabbccddeeff"
    assert U2F.name == ""


def test_algorithms_are_cose_numbers_without_repetition() -> None:
    assert ONE.algorithms == (-8, -7)
    assert U2F.algorithms == ()
    assert len(set(COSE_OF.values())) == 8


@pytest.mark.parametrize(
    ("reports", "certification", "untrusted"),
    [
        ([], "", False),
        ([("FIDO_CERTIFIED_L1", "2024-01-01")], "FIDO_CERTIFIED_L1", False),
        ([("FIDO_CERTIFIED_L1", ""), ("FIDO_CERTIFIED", "2020-01-01")], "FIDO_CERTIFIED", False),
        ([("REVOKED", "2026-01-01"), ("FIDO_CERTIFIED", "2020-01-01")], "REVOKED", True),
        (
            [("USER_KEY_PHYSICAL_COMPROMISE", "2021-01-01"), ("FIDO_CERTIFIED_L1", "2025-01-01")],
            "FIDO_CERTIFIED_L1",
            True,
        ),
    ],
)
def test_the_most_recent_report_counts_and_no_compromise_is_forgotten(
    reports: list[tuple[str, str]], certification: str, untrusted: bool
) -> None:
    model = Model(None, "m", "u2f", status_reports=tuple(StatusReport(*r) for r in reports))
    assert (model.certification, model.untrusted) == (certification, untrusted)


def test_the_document_is_plain_json() -> None:
    document = ONE.document()
    assert json.loads(json.dumps(document)) == document
    assert document == {
        "aaguid": "00112233-4455-6677-8899-aabbccddeeff",
        "description": "Example Key One",
        "getInfo": ENTRY["metadataStatement"]["authenticatorGetInfo"],
        "algorithms": [-8, -7],
        "selfAttestation": False,
    }
    assert U2F.document()["getInfo"] == {}


@pytest.mark.parametrize(
    ("types", "own"),
    [(["basic_surrogate"], True), (["basic_full", "basic_surrogate"], False), ([], False)],
)
def test_self_attestation_is_that_of_models_which_have_nothing_else(
    types: list[str], own: bool
) -> None:
    model = parse_entry(entry(metadataStatement__attestationTypes=types))
    assert model.document()["selfAttestation"] is own


AAGUID = bytes.fromhex("00112233445566778899aabbccddeeff")


def test_a_whole_entry() -> None:
    model = parse_entry(ENTRY)
    assert model.aaguid == AAGUID
    assert model.description == "Example Key One"
    assert model.protocol_family == "fido2"
    assert model.get_info == ENTRY["metadataStatement"]["authenticatorGetInfo"]
    assert model.attestation_types == ("basic_full",)
    assert model.attestation_roots == (ROOT,)
    assert model.status_reports[1] == StatusReport("FIDO_CERTIFIED_L2", "2025-06-01")


def test_an_entry_of_before_fido2() -> None:
    model = parse_entry(U2F_ENTRY)
    assert (model.aaguid, model.get_info) == (None, None)
    assert model.key_identifiers == ("0123456789abcdef0123456789abcdef01234567",)
    assert model.status_reports == (StatusReport("REVOKED"),)


@pytest.mark.parametrize(
    "missing",
    [
        "statusReports",
        "metadataStatement__attestationTypes",
        "metadataStatement__attestationRootCertificates",
        "metadataStatement__authenticatorGetInfo",
        "aaguid",
    ],
)
def test_what_may_be_missing(missing: str) -> None:
    assert parse_entry(entry(**{missing: None})).description == "Example Key One"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metadataStatement": None}, "metadataStatement is not an object"),
        ({"metadataStatement": []}, "metadataStatement is not an object"),
        ({"metadataStatement__description": None}, "description is not text"),
        ({"metadataStatement__description": ""}, "description is not text"),
        ({"metadataStatement__description": "x" * 1025}, "description is not text"),
        ({"metadataStatement__protocolFamily": 2}, "protocolFamily is not text"),
        ({"metadataStatement__attestationTypes": "basic_full"}, "attestationTypes is not a list"),
        ({"metadataStatement__attestationTypes": [1]}, "attestationTypes is not text"),
        ({"metadataStatement__attestationRootCertificates": ["?"]}, "is not Base64"),
        ({"metadataStatement__attestationRootCertificates": ["é"]}, "is not Base64"),
        ({"metadataStatement__authenticatorGetInfo": []}, "authenticatorGetInfo is not an object"),
        ({"metadataStatement__authenticatorGetInfo": {}}, "names no versions"),
        ({"metadataStatement__authenticatorGetInfo__versions": [2]}, "versions is not text"),
        ({"statusReports": [{}]}, "status is not text"),
        ({"statusReports": ["FIDO_CERTIFIED"]}, "statusReports is not an object"),
        ({"aaguid": 7}, "aaguid is not text"),
        ({"aaguid": "0011"}, "'0011' is not an AAGUID"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        parse_entry(entry(**changes))
    assert said in caught.value.message


def test_aaguids_with_and_without_dashes() -> None:
    text = "00112233-4455-6677-8899-AABBCCDDEEFF"
    assert parse_aaguid(text) == parse_aaguid(text.replace("-", "").lower()) == AAGUID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 31,
        "0" * 33,
        "g" * 32,
        "1_" * 16,
        "{00112233-4455-6677-8899-aabbccddeeff}",
        "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
        "0011-22334455-6677-8899-aabbccddeeff",
        "٣" * 32,
    ],
)
def test_what_is_no_aaguid(text: str) -> None:
    assert not is_aaguid(text)
    with pytest.raises(MalformedFile):
        parse_aaguid(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
PLACES = [
    *(name for name in ENTRY),
    *(f"metadataStatement__{name}" for name in ENTRY["metadataStatement"]),
    "metadataStatement__authenticatorGetInfo__versions",
]


@given(place=st.sampled_from(PLACES), value=JSON.filter(lambda value: value is not None))
def test_any_value_anywhere_gives_a_model_or_our_error(place: str, value: Any) -> None:
    with suppress(MalformedFile):
        assert isinstance(parse_entry(entry(**{place: value})), Model)


@given(JSON)
def test_any_json_is_refused_by_our_error(value: Any) -> None:
    with pytest.raises(MalformedFile):
        parse_entry(value)
