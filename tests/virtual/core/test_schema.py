"""Request forms: types before absence, at every depth (CBR-07..09, CBR-13)."""

from __future__ import annotations

from typing import Any

import pytest

from fidokit.types import CtapStatus
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.schema import (
    ARRAY,
    BOOL,
    BYTES,
    INT,
    MAP,
    TEXT,
    UINT,
    WRONG,
    Kind,
    ListOf,
    Member,
    Record,
    check,
)

INNER = Record({"id": Member("id", BYTES, required=True), "note": Member("note", TEXT)})
OUTER = Record(
    {
        1: Member("first", UINT, required=True),
        2: Member("inner", INNER),
        3: Member("list", ListOf(INNER)),
        4: Member("flag", BOOL),
    }
)
SAMPLES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus": -1,
    "bytes": b"",
    "text": "",
    "list": [],
    "map": {},
}


@pytest.mark.check("CBR-07")
@pytest.mark.parametrize(
    ("kind", "fitting"),
    [
        (BYTES, {"bytes"}),
        (TEXT, {"text"}),
        (BOOL, {"true"}),
        (INT, {"zero", "minus"}),
        (UINT, {"zero"}),
        (ARRAY, {"list"}),
        (MAP, {"map"}),
        (ListOf(BYTES), {"list"}),
        (INNER, {"map"}),
    ],
)
def test_exact_types(kind: Kind, fitting: set[str]) -> None:
    assert {name for name, value in SAMPLES.items() if kind.judge(value) != WRONG} == fitting


@pytest.mark.check("CBR-08")
def test_named_and_unknown_members() -> None:
    value = {1: 7, 2: {"id": b"x", "more": None}, 77: [None], "text": 1}
    assert check(OUTER, value) == {"first": 7, "inner": {"id": b"x", "more": None}}


@pytest.mark.check("CBR-09", "CBR-13")
@pytest.mark.parametrize(
    ("value", "status"),
    [
        ([], CtapStatus.CBOR_UNEXPECTED_TYPE),
        ({1: True}, CtapStatus.CBOR_UNEXPECTED_TYPE),
        ({2: {"id": "x"}}, CtapStatus.CBOR_UNEXPECTED_TYPE),
        ({3: [{}, {"note": b"x"}]}, CtapStatus.CBOR_UNEXPECTED_TYPE),
        ({4: 1}, CtapStatus.CBOR_UNEXPECTED_TYPE),
        ({}, CtapStatus.MISSING_PARAMETER),
        ({1: 1, 2: {}}, CtapStatus.MISSING_PARAMETER),
        ({1: 1, 3: [{"id": b""}, {}]}, CtapStatus.MISSING_PARAMETER),
    ],
)
def test_faults(value: Any, status: CtapStatus) -> None:
    with pytest.raises(CtapRejection) as refused:
        check(OUTER, value)
    assert refused.value.status == status
