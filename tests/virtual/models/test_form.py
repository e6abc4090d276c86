"""Documents of models are judged member by member, and kept as text."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.models.model_samples import AAGUID, INFO, document

from fidokit.errors import Malformed
from fidokit.virtual.models.form import (
    LARGEST_DOCUMENT,
    MEMBERS,
    check_document,
    from_text,
    to_text,
)


def test_numbers_are_those_of_ctap_and_each_once() -> None:
    assert [member.number for member in MEMBERS.values()] == list(range(0x01, 0x20))


def test_a_whole_document() -> None:
    checked = check_document({**document(), "algorithms": [-7], "selfAttestation": True})
    assert checked.aaguid == bytes.fromhex(AAGUID.replace("-", ""))
    assert checked.description == "Example Key One"
    assert checked.info == INFO
    assert (checked.unknown, checked.algorithms, checked.self_attestation) == ((), (-7,), True)


def test_unknown_members_are_named_and_empty_lists_are_absent() -> None:
    checked = check_document(document(invented=1, extensions=[], certifications={}))
    assert checked.unknown == ("invented",)
    assert "extensions" not in checked.info
    assert "certifications" not in checked.info


WRONG: list[tuple[str, Any]] = [
    ("versions", []),
    ("versions", "FIDO_2_0"),
    ("versions", ["x"] * 65),
    ("extensions", [1]),
    ("extensions", ["x" * 1025]),
    ("options", {"rk": 1}),
    ("options", ["rk"]),
    ("maxMsgSize", -1),
    ("maxMsgSize", 255),
    ("maxCredentialCountInList", 0),
    ("maxCredentialIdLength", 15),
    ("maxMsgSize", True),
    ("maxMsgSize", 1 << 32),
    ("maxMsgSize", 1.5),
    ("pinUvAuthProtocols", [True]),
    ("algorithms", [-7]),
    ("algorithms", [{"type": "public-key"}]),
    ("algorithms", [{"type": "public-key", "alg": "ES256"}]),
    ("algorithms", [{"alg": -7}]),
    ("certifications", {"FIDO": "L1"}),
    ("forcePINChange", 0),
    ("encIdentifier", "zz"),
    ("pinComplexityPolicyURL", 5),
    ("transports", {"usb": True}),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_member_of_a_wrong_form_is_named(name: str, value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        check_document(document(**{name: value}))
    assert name in caught.value.message
    assert "Example Key One" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"description": None},
        {"description": 5},
        {"aaguid": "0011"},
        {"aaguid": None},
        {"getInfo": None},
        {"getInfo": []},
        {"getInfo": {5: 5}},
        {"algorithms": "ES256"},
        {"algorithms": [1.5]},
    ],
)
def test_a_document_of_a_wrong_form(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        check_document({**document(), **changes})


def test_a_document_comes_back_as_it_was_kept() -> None:
    assert from_text(to_text(document())) == document()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 50_000, " " * LARGEST_DOCUMENT + "{}"])
def test_texts_that_are_no_document(text: str) -> None:
    with pytest.raises(Malformed):
        from_text(text)


def test_every_cut_of_a_kept_text_is_refused() -> None:
    text = to_text(document())
    for cut in range(len(text)):
        with pytest.raises(Malformed):
            from_text(text[:cut])


@pytest.mark.parametrize("value", [{"x": {1, 2}}, {"x": float("nan")}, {"x": "y" * 70_000}])
def test_what_cannot_be_kept(value: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        to_text(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(MEMBERS)), value=JSON)
def test_any_value_is_kept_as_it_is_or_refused(name: str, value: Any) -> None:
    with suppress(Malformed):
        checked = check_document(document(**{name: value}))
        assert checked.info.get(name, value) == value
