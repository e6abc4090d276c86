from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.client.answer import Answer
from fidokit.errors import TokenMisbehaved

Read = Callable[[Answer], object]

READERS: dict[str, Read] = {
    "integer": lambda a: a.integer(1),
    "optional_int": lambda a: a.optional_int(1),
    "uint": lambda a: a.uint(1),
    "optional_uint": lambda a: a.optional_uint(1),
    "flag": lambda a: a.flag(1),
    "optional_flag": lambda a: a.optional_flag(1),
    "octets": lambda a: a.octets(1, longest=4),
    "exactly": lambda a: a.exactly(1, 4),
    "optional_bytes": lambda a: a.optional_bytes(1, longest=4),
    "text": lambda a: a.text(1),
    "optional_text": lambda a: a.optional_text(1),
    "member": lambda a: a.member(1),
    "optional_map": lambda a: a.optional_map(1),
    "raw_map": lambda a: a.raw_map(1),
    "texts": lambda a: a.texts(1),
    "ints": lambda a: a.ints(1),
    "octet_lists": lambda a: a.octet_lists(1, longest=4),
    "maps": lambda a: a.maps(1),
    "flags": lambda a: a.flags(1),
}
FITTING: dict[str, object] = {
    "integer": -7, "optional_int": -7, "uint": 7, "optional_uint": 7, "flag": True,
    "optional_flag": True, "octets": b"abcd", "exactly": b"abcd", "optional_bytes": b"abcd",
    "text": "t", "optional_text": "t", "member": {}, "optional_map": {}, "raw_map": {},
    "texts": ["t"], "ints": [1], "octet_lists": [b"a"], "maps": [{}], "flags": {"rk": True},
}  # fmt: skip
REQUIRED = {"integer", "uint", "octets", "exactly", "text", "member", "raw_map"}
STRANGE: list[object] = [
    7, -7, True, 2**40, -(2**40), 1.5, float("nan"), b"", b"abcd", b"x" * 5000, "t", "x" * 2000,
    [], ["t"], [1], [True], [b"a"], [b"x" * 9], [{}], ["x" * 200], list(range(100)), {},
    {"rk": True}, {"rk": 1}, {1: True}, object(),
]  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_what_fits_is_read(name: str) -> None:
    READERS[name](Answer({1: FITTING[name]}, "answer"))


@pytest.mark.parametrize("name", READERS)
def test_missing(name: str) -> None:
    if name in REQUIRED:
        with pytest.raises(TokenMisbehaved, match="is missing"):
            READERS[name](Answer({}, "answer"))
    else:
        assert not READERS[name](Answer({}, "answer"))


@pytest.mark.parametrize("name", READERS)
def test_everything_else_is_misbehavior(name: str) -> None:
    refused = 0
    for value in STRANGE:
        try:
            READERS[name](Answer({1: value}, "answer"))
        except TokenMisbehaved as error:
            refused += bool(error.hint)
    assert refused >= len(STRANGE) // 2


@pytest.mark.parametrize("name", ["integer", "uint", "ints", "optional_int", "optional_uint"])
def test_true_is_no_number(name: str) -> None:
    value = [True] if name == "ints" else True
    with pytest.raises(TokenMisbehaved):
        READERS[name](Answer({1: value}, "answer"))


@given(st.sampled_from(sorted(READERS)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
))  # fmt: skip
def test_readers_are_total(name: str, value: object) -> None:
    with suppress(TokenMisbehaved):
        READERS[name](Answer({1: value}, "answer"))


@pytest.mark.parametrize("value", [None, 1, b"", [], "map"])
def test_an_answer_is_a_map(value: object) -> None:
    with pytest.raises(TokenMisbehaved, match="not a map"):
        Answer.of(value, "answer")


def test_members_can_be_looked_for() -> None:
    assert 1 in Answer({1: 2}, "answer")
    assert 2 not in Answer({1: 2}, "answer")


def test_defaults_and_required_lists() -> None:
    assert Answer({}, "answer").uint(1, default=5) == 5
    with pytest.raises(TokenMisbehaved):
        Answer({}, "answer").texts(1, required=True)
