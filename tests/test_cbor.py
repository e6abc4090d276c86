"""The strict codec: canonical in and out, total on any input (checks CBR-03 to CBR-06)."""

from __future__ import annotations

import enum
import os
import random
import tracemalloc
from types import MappingProxyType
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fidokit import cbor
from fidokit.cbor import CborFloat
from fidokit.errors import MalformedCbor

GET_ASSERTION: dict[Any, Any] = {
    1: "ssh:",
    2: bytes(range(32)),
    3: [{"id": b"\x55" * 64, "type": "public-key"}],
    5: {"up": True},
    6: bytes(32),
    7: 2,
}
ENCODED = cbor.encode(GET_ASSERTION)
FUZZ = int(os.environ.get("FIDOKIT_FUZZ", "100000"))

VECTORS: list[tuple[Any, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (255, "18ff"),
    (256, "190100"),
    (65535, "19ffff"),
    (65536, "1a00010000"),
    (2**32 - 1, "1affffffff"),
    (2**32, "1b0000000100000000"),
    (2**64 - 1, "1bffffffffffffffff"),
    (-1, "20"),
    (-24, "37"),
    (-25, "3818"),
    (-256, "38ff"),
    (-257, "390100"),
    (-(2**63), "3b7fffffffffffffff"),
    (b"", "40"),
    (b"\x01\x02", "420102"),
    (b"\x07" * 24, "5818" + "07" * 24),
    ("", "60"),
    ("ssh:", "647373683a"),
    ("ü水", "65c3bce6b0b4"),
    ([], "80"),
    ([1, [2, 3]], "8201820203"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    (
        {"id": b"", "type": "public-key"},
        "a262696440647479706 56a7075626c69632d6b6579".replace(" ", ""),
    ),
    (True, "f5"),
    (False, "f4"),
    (None, "f6"),
    # Widths of floating-point numbers are not changed (CTAP 2.3 section 8).
    (CborFloat(bytes.fromhex("f93e00")), "f93e00"),
    (CborFloat(bytes.fromhex("fa3fc00000")), "fa3fc00000"),
    ({1: CborFloat(bytes.fromhex("fb3ff8000000000000"))}, "a101fb3ff8000000000000"),
    # RFC 9052 key maps: positive keys before negative ones.
    ({1: 2, 3: -7, -1: 1, -2: b"x", -3: b"y"}, "a501020326200121417822 4179".replace(" ", "")),
]

REFUSED = {
    "empty": "",
    "trailing byte": "0000",
    "int 0 in two bytes": "1800",
    "int 23 in two bytes": "1817",
    "int 255 in three bytes": "1900ff",
    "int 65535 in five bytes": "1a0000ffff",
    "int 2^32-1 in nine bytes": "1b00000000ffffffff",
    "negative not shortest": "3817",
    "below -2^63": "3b8000000000000000",
    "lowest of RFC 8949": "3bffffffffffffffff",
    "byte string length not shortest": "580101",
    "text length not shortest": "780161",
    "array length not shortest": "980101",
    "map length not shortest": "b8010102",
    "indefinite bytes": "5f4101ff",
    "indefinite text": "7f6161ff",
    "indefinite array": "9f01ff",
    "indefinite map": "bf0102ff",
    "lone break": "ff",
    "reserved info 28": "1c",
    "reserved info 30": "5e",
    "float cut short": "f93c",
    "double cut short": "fb3ff19999999999",
    "key float": "a1f93c0001",
    "undefined": "f7",
    "simple 16": "f0",
    "simple 32": "f820",
    "true in two bytes": "f815",
    "tag 0": "c074323031332d30332d32315432303a30343a30305a",
    "tag 2, bignum": "c249010000000000000000",
    "tag 258, set": "d9010280",
    "self-described": "d9d9f700",
    "repeated key": "a201020103",
    "repeated key in a nested map": "a101a2616101616102",
    "keys out of order": "a203040102",
    "-1 before 24": "a220001818 00".replace(" ", ""),
    "text before integer": "a261610101 02".replace(" ", ""),
    "longer text first": "a262616101616202",
    "key true": "a1f501",
    "key null": "a1f601",
    "key array": "a18001",
    "key map": "a1a001",
    "text cut inside a character": "61c3",
    "overlong UTF-8": "62c080",
    "surrogate in UTF-8": "63eda080",
    "five levels": "8181818180",
    "five levels of maps": "a101a101a101a101a0",
    "byte string longer than the data": "5affffffff00",
    "array longer than the data": "9b7fffffffffffffff",
    "map longer than the data": "bbffffffffffffffff",
    "map with half an entry": "a101",
}


@pytest.mark.parametrize(("value", "encoded"), VECTORS, ids=lambda case: repr(case)[:24])
def test_vectors_both_ways(value: Any, encoded: str) -> None:
    assert cbor.encode(value).hex() == encoded
    decoded = cbor.decode(bytes.fromhex(encoded))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.check("CBR-03", "CBR-04", "CBR-05", "CBR-06")
@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_an_offset_and_a_hint(encoded: str) -> None:
    with pytest.raises(MalformedCbor, match=r"^CBOR: .* at offset \d+$") as caught:
        cbor.decode(bytes.fromhex(encoded))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("encoded", "offset"),
    [("a2010201 03", 3), ("82 01 1800", 2), ("62 c328", 1), ("00 ff", 1), ("81 81 81 81 80", 4)],
)
def test_the_offset_is_that_of_the_fault(encoded: str, offset: int) -> None:
    with pytest.raises(MalformedCbor, match=rf"at offset {offset}$"):
        cbor.decode(bytes.fromhex(encoded))


@pytest.mark.check("CBR-03")
@pytest.mark.parametrize("cut", range(len(ENCODED)))
def test_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(MalformedCbor):
        cbor.decode(ENCODED[:cut])


def test_a_byte_behind_is_refused() -> None:
    with pytest.raises(MalformedCbor, match="1 bytes follow the value"):
        cbor.decode(ENCODED + b"\x00")


@pytest.mark.check("CBR-06")
def test_four_levels_pass_and_the_limit_is_the_callers() -> None:
    assert cbor.decode(bytes.fromhex("8181818101")) == [[[[1]]]]
    assert cbor.decode(bytes.fromhex("818181818101"), max_depth=5) == [[[[[1]]]]]
    assert cbor.decode(b"\x01", max_depth=0) == 1
    with pytest.raises(MalformedCbor, match="nested too deep"):
        cbor.decode(b"\x80", max_depth=0)


@pytest.mark.check("CBR-04", "CBR-11")
def test_map_order_is_major_type_then_length_then_bytes() -> None:
    shuffled = {"b": 0, "aa": 0, "a": 0, -1: 0, 24: 0, 256: 0, 1: 0, b"\xff": 0, -25: 0, b"": 0}
    decoded = cbor.decode(cbor.encode(shuffled))
    assert isinstance(decoded, dict)
    assert list(decoded) == [1, 24, 256, -1, -25, b"", b"\xff", "a", "b", "aa"]


def test_decode_prefix_says_where_the_value_ends() -> None:
    key: dict[Any, Any] = {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}
    encoded = cbor.encode(key)
    data = b"\xff" * 7 + encoded + b"\xf9rest"
    assert cbor.decode_prefix(data, 7) == (key, 7 + len(encoded))


@pytest.mark.parametrize("start", [1, 100])
def test_decode_prefix_behind_the_end(start: int) -> None:
    with pytest.raises(MalformedCbor, match=f"at offset {start}$"):
        cbor.decode_prefix(b"\x00", start)


class Number(enum.IntEnum):
    ES256 = -7


class Word(enum.StrEnum):
    TYPE = "public-key"


def test_relatives_of_the_plain_types_are_written_as_those() -> None:
    value = MappingProxyType({Number.ES256: Word.TYPE, 1: (bytearray(b"a"), memoryview(b"b"))})
    assert cbor.decode(cbor.encode(value)) == {-7: "public-key", 1: [b"a", b"b"]}


@pytest.mark.parametrize("value", [1.5, {1}, object(), [1.5], {1: 2.5}])
def test_values_of_other_types_are_a_programming_error(value: Any) -> None:
    with pytest.raises(TypeError, match="has no form for a"):
        cbor.encode(value)


@pytest.mark.parametrize("key", [True, None, 1.5, (1,)])
def test_keys_of_other_types_are_a_programming_error(key: Any) -> None:
    with pytest.raises(TypeError, match="map key cannot be a"):
        cbor.encode({key: 1})


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", ["ok", "\udcff"]])
def test_values_without_an_encoding(value: Any) -> None:
    with pytest.raises(MalformedCbor):
        cbor.encode(value)


# A busy machine is not a failure of ours.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

INTEGERS = st.integers(-(2**63), 2**64 - 1)
SCALARS = INTEGERS | st.binary(max_size=300) | st.text(max_size=80) | st.booleans() | st.none()
KEYS = INTEGERS | st.text(max_size=30) | st.binary(max_size=30)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return inner | st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5)


VALUES = nested(nested(nested(nested(SCALARS))))


@RELAXED
@given(VALUES)
def test_round_trip_and_agreement_with_cbor2(value: Any) -> None:
    encoded = cbor.encode(value)
    assert cbor.decode(encoded) == value
    # cbor2 reads what we wrote and agrees on the size; only its order of keys is another.
    assert cbor2.loads(encoded) == value
    assert len(cbor2.dumps(value)) == len(encoded)


@RELAXED
@given(st.dictionaries(st.integers(0, 2**64 - 1), SCALARS) | st.dictionaries(st.text(), SCALARS))
def test_byte_for_byte_as_cbor2_canonical_where_keys_are_of_one_type(value: Any) -> None:
    assert cbor.encode(value) == cbor2.dumps(value, canonical=True)


@RELAXED
@given(st.binary(max_size=64))
def test_what_is_accepted_is_canonical(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except MalformedCbor:
        return
    assert cbor.encode(value) == data


def _mutated(rng: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data.insert(at, rng.randrange(256))
            case 2:
                del data[at : at + rng.randint(1, 8)]
            case _:
                data[at:at] = data[: rng.randint(0, 16)]
    return bytes(data)


def test_fuzz_mutations_end_in_a_value_or_our_error() -> None:
    rng = random.Random(20261122)
    seeds = [ENCODED, cbor.encode({1: [[{"a": [-1, 2**40]}]], -1: None, "x": False})]
    refused = 0
    for turn in range(FUZZ):
        data = _mutated(rng, seeds[turn % 2])
        try:
            assert cbor.encode(cbor.decode(data)) == data
        except MalformedCbor:
            refused += 1
    assert FUZZ // 2 < refused < FUZZ


@pytest.mark.parametrize("head", ["5b", "7b", "9b", "bb"])
def test_an_announced_length_allocates_nothing(head: str) -> None:
    data = bytes.fromhex(head) + (2**40).to_bytes(8) + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedCbor):
            cbor.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
