"""What a model says of itself."""

from __future__ import annotations

import json

import pytest
from tests.metadata.samples import ENTRY, U2F_ENTRY, entry

from fidokit.metadata.entry import parse_entry
from fidokit.metadata.model import COSE_OF, Model, StatusReport

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
