from __future__ import annotations

import hashlib
import os
import tracemalloc
import zlib

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fido2.ctap2 import blob as fido2_blob
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import PATIENT
from tests.client.owner.test_proofs import KEY
from tests.support.blob_token import EMPTY, BlobToken, with_checksum
from tests.support.fake_link import GET_INFO, FakeLink, Person, info, ok, session_on
from tests.support.spy import members

from fidokit import cbor
from fidokit.client.blobs.array import (
    DEEPEST,
    LARGEST_BLOB,
    BlobArray,
    BlobEntry,
    array_items,
    array_of,
    capacity,
    parse_array,
    read_array,
    read_entry,
    seal,
    serialize,
    write_array,
)
from fidokit.client.owner.proofs import PinToken
from fidokit.client.pin_protocol import Secret
from fidokit.errors import (
    Malformed,
    MalformedCbor,
    StoreFull,
    TokenMisbehaved,
    Unsupported,
    UsageError,
)

FOREIGN = [bytes.fromhex("bf0102ff"), bytes.fromhex("f97e00"), bytes.fromhex("a301410002410303f5")]


def test_the_empty_array() -> None:
    assert serialize([]) == EMPTY
    assert parse_array(EMPTY) == BlobArray()


@given(st.lists(st.binary(max_size=60).map(cbor2.dumps), max_size=40))
def test_round_trip(items: list[bytes]) -> None:
    assert parse_array(serialize(items)) == BlobArray(tuple(items))


WHOLE = serialize(FOREIGN)


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_cut_at_every_byte(cut: int) -> None:
    assert parse_array(WHOLE[:cut]).damaged


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_any_byte_changed(at: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= 0x40
    assert parse_array(bytes(changed)) == BlobArray(damaged=True)


def test_a_trailing_byte() -> None:
    assert parse_array(WHOLE + b"\0").damaged


@pytest.mark.parametrize("content", [b"\xa0", b"\x82\x01", b"\x80\x00", b"\x01"])
def test_something_else_under_a_good_checksum(content: bytes) -> None:
    with pytest.raises(MalformedCbor) as caught:
        parse_array(with_checksum(content))
    assert "delete --all" in caught.value.hint


@pytest.mark.parametrize("size", [17, 959, 960, 961, 1919, 1920, 1921, 4000])
def test_fragments_both_ways(size: int) -> None:
    token = BlobToken(capacity=4096, max_msg_size=1024)
    item = (
        cbor2.dumps(bytes(size - 17 - len(cbor2.dumps(bytes(size))) + size)) if size > 17 else b""
    )
    items = [item] if item else []
    write_array(session_on(token, None, PATIENT), items)
    assert token.array == serialize(items)
    fragments = [request for request in token.requests if 2 in request]
    assert [len(f[2]) for f in fragments[:-1]] == [960] * (len(fragments) - 1)  # type: ignore[arg-type]
    assert [4 in fragment for fragment in fragments] == [True] + [False] * (len(fragments) - 1)
    assert read_array(session_on(token, None, PATIENT)).items == tuple(items)


@pytest.mark.parametrize("total", [959, 960, 961, 1920])
def test_reading_stops_at_a_short_fragment(total: int) -> None:
    array = with_checksum(cbor2.dumps([bytes(total - 20)]))
    assert len(array) == total
    token = BlobToken(capacity=4096, array=array)
    assert read_array(session_on(token, None, PATIENT)).items == (cbor2.dumps(bytes(total - 20)),)
    assert len(token.requests) == total // 960 + 1


def test_a_damaged_array_counts_as_empty() -> None:
    token = BlobToken(array=EMPTY[:-1] + b"\0")
    assert read_array(session_on(token, None, PATIENT)) == BlobArray(damaged=True)


def test_too_large_for_the_token_changes_nothing() -> None:
    token = BlobToken(capacity=1024)
    with pytest.raises(StoreFull, match="1024") as caught:
        write_array(session_on(token, None, PATIENT), [cbor2.dumps(bytes(1100))])
    assert "blob delete" in caught.value.hint
    assert token.requests == []
    assert token.array == EMPTY


def test_as_large_as_the_token_takes() -> None:
    token = BlobToken(capacity=1024)
    item = cbor2.dumps(bytes(1024 - 17 - 3))
    write_array(session_on(token, None, PATIENT), [item])
    assert len(token.array) == 1024


def test_a_token_without_large_blobs() -> None:
    for use in (read_array, capacity, lambda s: write_array(s, [])):
        session = session_on(FakeLink(info()))
        with pytest.raises(Unsupported) as caught:
            use(session)
        assert caught.value.hint
        assert session.round_trips == 1


def blob_info(size: int | None = 1024, **options: bool) -> bytes:
    told = {} if size is None else {11: size}
    return ok({**GET_INFO, 4: {"rk": True, "largeBlobs": True, **options}, **told})


def test_capacity_that_the_token_does_not_tell() -> None:
    assert capacity(session_on(FakeLink(blob_info(None)))) == 1024
    assert capacity(session_on(FakeLink(blob_info(2**32 - 1)))) == 1 << 16


def test_a_token_that_gives_more_than_it_can_have() -> None:
    endless = [ok({1: bytes(1200 - 64)})] * 5
    with pytest.raises(TokenMisbehaved, match="more than the 1024"):
        read_array(session_on(FakeLink(blob_info(), *endless)))


@pytest.mark.parametrize("answer", [{}, {1: "text"}, {1: bytes(1200)}, {1: None}])
def test_answers_that_make_no_sense(answer: dict[object, object]) -> None:
    with pytest.raises(TokenMisbehaved):
        read_array(session_on(FakeLink(blob_info(), ok(answer))))


def test_the_proof_of_each_fragment(monkeypatch: pytest.MonkeyPatch) -> None:
    """CTAP 2.3 section 6.10.2: 32 x FF, 0C 00, offset (little-endian), SHA-256 of the fragment."""
    seen: list[bytes] = []
    monkeypatch.setattr(
        PinToken, "authenticate", lambda _, message: (seen.append(message), b"mac")[1]
    )
    monkeypatch.setattr(Secret, "open_token", lambda *_: bytes(32))
    ready = blob_info(4096, clientPin=True, pinUvAuthToken=True)
    link = FakeLink(ready, ok({3: 8}), ok({1: KEY}), ok({2: bytes(48)}), ok(), ok())
    item = cbor2.dumps(bytes(1500))
    write_array(session_on(link, Person("1234")), [item])
    data, cut = serialize([item]), 1200 - 64
    assert seen == [
        b"\xff" * 32 + b"\x0c\x00" + offset.to_bytes(4, "little") + hashlib.sha256(part).digest()
        for offset, part in ((0, data[:cut]), (cut, data[cut:]))
    ]
    sent = [members(request) for request in link.requests[1:]]
    assert [request.get(9) for request in sent] == [None, None, 0x10, None, None]
    assert [(request[5], request[6]) for request in sent[-2:]] == [(b"mac", 2)] * 2


BLOB_KEY, OTHER_KEY = bytes(range(32)), bytes(32)
TEXT = b"ssh-ed25519-cert-v01@openssh.com AAAA... " * 20


def fixed(size: int) -> bytes:
    return bytes(range(size))


def sealed(compressed: bytes, size: int, key: bytes = BLOB_KEY) -> BlobEntry:
    """An entry as another program might write it."""
    associated = b"blob" + size.to_bytes(8, "little")
    nonce = fixed(12)
    return BlobEntry(AESGCM(key).encrypt(nonce, compressed, associated), nonce, size)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=3000), st.binary(min_size=32, max_size=32))
def test_an_entry_round_trips(blob: bytes, key: bytes) -> None:
    entry = seal(blob, key, os.urandom)
    found = read_entry(entry.encode())
    assert found == entry
    assert found.fits(key)
    assert found.open(key) == blob
    assert entry.size == len(blob)


def test_the_layout() -> None:
    members = cbor.decode(seal(TEXT, BLOB_KEY, fixed).encode())
    assert isinstance(members, dict)
    assert set(members) == {1, 2, 3}
    assert members[2] == fixed(12)
    assert members[3] == len(TEXT)
    associated = b"blob" + len(TEXT).to_bytes(8, "little")
    compressed = AESGCM(BLOB_KEY).decrypt(fixed(12), members[1], associated)  # type: ignore[arg-type]
    assert zlib.decompress(compressed, wbits=-15) == TEXT


def test_another_key_does_not_open_it() -> None:
    entry = seal(TEXT, BLOB_KEY, os.urandom)
    assert entry.open(OTHER_KEY) is None
    assert not entry.fits(OTHER_KEY)


@pytest.mark.parametrize("member", ["sealed", "nonce", "size"])
def test_every_member_is_authenticated(member: str) -> None:
    entry = seal(TEXT, BLOB_KEY, os.urandom)
    changed = {
        "sealed": BlobEntry(entry.sealed[:-1] + bytes([entry.sealed[-1] ^ 1]), entry.nonce, 840),
        "nonce": BlobEntry(entry.sealed, fixed(12), entry.size),
        "size": BlobEntry(entry.sealed, entry.nonce, entry.size + 1),
    }
    assert changed[member].open(BLOB_KEY) is None


def test_python_fido2_reads_what_we_wrote() -> None:
    members = cbor.decode(seal(TEXT, BLOB_KEY, os.urandom).encode())
    compressed, size = fido2_blob._lb_unpack(BLOB_KEY, members)
    assert (fido2_blob._decompress(compressed), size) == (TEXT, len(TEXT))


def test_we_read_what_python_fido2_wrote() -> None:
    entry = read_entry(cbor.encode(fido2_blob._lb_pack(BLOB_KEY, TEXT)))
    assert entry is not None
    assert entry.open(BLOB_KEY) == TEXT


def test_old_libfido2_left_zlib_s_header() -> None:
    assert sealed(zlib.compress(TEXT), len(TEXT)).open(BLOB_KEY) == TEXT


def test_an_empty_blob() -> None:
    assert seal(b"", BLOB_KEY, os.urandom).open(BLOB_KEY) == b""


@pytest.mark.parametrize(
    ("compressed", "size"),
    [
        (b"", 5),
        (b"\xff" * 20, 5),
        (raw_deflate(b"hello"), 4),
        (raw_deflate(b"hello"), 6),
        (raw_deflate(b"hello")[:-1], 5),
        (raw_deflate(b"hello") + b"x", 5),
        (zlib.compress(b"hello")[:-1] + b"x", 5),
    ],
)
def test_what_does_not_unpack(compressed: bytes, size: int) -> None:
    with pytest.raises(Malformed) as caught:
        sealed(compressed, size).open(BLOB_KEY)
    assert caught.value.hint


def test_a_bomb_costs_no_memory() -> None:
    bomb = raw_deflate(bytes(64 << 20))
    tracemalloc.start()
    try:
        for size in (10, LARGEST_BLOB, LARGEST_BLOB + 1, 64 << 20):
            with pytest.raises(Malformed):
                sealed(bomb, size).open(BLOB_KEY)
        assert tracemalloc.get_traced_memory()[1] < 8 * LARGEST_BLOB
    finally:
        tracemalloc.stop()


def test_too_large_to_store() -> None:
    with pytest.raises(UsageError):
        seal(bytes(LARGEST_BLOB + 1), BLOB_KEY, os.urandom)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        cbor.encode(7),
        cbor.encode([1, 2]),
        cbor.encode({1: bytes(40), 2: bytes(12)}),
        cbor.encode({1: bytes(40), 2: bytes(11), 3: 1}),
        cbor.encode({1: bytes(15), 2: bytes(12), 3: 1}),
        cbor.encode({1: "text", 2: bytes(12), 3: 1}),
        cbor.encode({1: bytes(40), 2: bytes(12), 3: -1}),
        cbor.encode({1: bytes(40), 2: bytes(12), 3: True}),
        b"\xa3\x02" + b"\x4c" + bytes(12) + b"\x01\x58\x28" + bytes(40) + b"\x03\x01",  # order
        b"\xf9\x7e\x00",
    ],
)
def test_foreign_entries_are_none_of_ours(raw: bytes) -> None:
    assert read_entry(raw) is None


def test_members_of_a_later_ctap_do_not_hide_the_blob() -> None:
    members = cbor.decode(seal(TEXT, BLOB_KEY, os.urandom).encode())
    assert isinstance(members, dict)
    found = read_entry(cbor.encode({**members, 9: "later"}))
    assert found is not None
    assert found.open(BLOB_KEY) == TEXT


@given(st.binary(max_size=120))
def test_anything_at_all_as_an_entry(raw: bytes) -> None:
    found = read_entry(raw)
    assert found is None or not found.fits(BLOB_KEY)


ENTRY = seal(b"cut me", BLOB_KEY, fixed).encode()


@pytest.mark.parametrize("cut", range(len(ENTRY)))
def test_an_entry_cut_at_every_byte(cut: int) -> None:
    assert read_entry(ENTRY[:cut]) is None


def test_an_entry_and_a_trailing_byte() -> None:
    assert read_entry(ENTRY + b"\0") is None


def test_secrets_do_not_print() -> None:
    assert BLOB_KEY.hex() not in repr(seal(TEXT, BLOB_KEY, os.urandom))


ITEMS = [
    "00",  # 0
    "1bffffffffffffffff",  # 2**64-1
    "390100",
    "4401020304",
    "58020102",  # a string whose length is not in its shortest form
    "6161",
    "83010203",
    "9f0102ff",  # indefinite array
    "a2016161024101",
    "bf0102ff",
    "5f41014102ff",  # string in chunks
    "7f61616162ff",
    "c11a514b67b0",  # tag 1
    "f4",
    "f6",
    "f97e00",  # half a float
    "fb3ff199999999999a",
    "80",
    "a0",
    "40",
]
RAW = [bytes.fromhex(item) for item in ITEMS]
ALL_ITEMS = array_of(RAW)


def test_items_come_out_as_they_went_in() -> None:
    assert array_items(ALL_ITEMS) == RAW


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, 1000])
def test_every_length_of_head(count: int) -> None:
    data = array_of([b"\x00"] * count)
    assert cbor2.loads(data) == [0] * count
    assert array_items(data) == [b"\x00"] * count


def test_an_indefinite_array() -> None:
    assert array_items(b"\x9f" + b"".join(RAW) + b"\xff") == RAW


@pytest.mark.parametrize("cut", range(len(ALL_ITEMS)))
def test_items_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(MalformedCbor):
        array_items(ALL_ITEMS[:cut])


def test_items_and_a_trailing_byte() -> None:
    with pytest.raises(MalformedCbor, match="1 bytes behind"):
        array_items(ALL_ITEMS + b"\0")


@pytest.mark.parametrize(
    "data",
    [
        "a0",  # a map
        "40",
        "9f",  # never ends
        "811c",  # reserved length
        "81ff",  # a break where an item should be
        "811f",  # an indefinite integer
        "81df00ff",  # an indefinite tag
        "815f6161ff",  # a chunk of text in a byte string
        "815f5f4101ffff",  # chunks in chunks
        "81bf01ff",  # a map with half an entry
        "9bffffffffffffffff",  # more items than memory
        "819bffffffffffffffff",
        "81bbffffffffffffffff",
        "815bffffffffffffffff",
    ],
)
def test_what_is_no_array_of_items(data: str) -> None:
    with pytest.raises(MalformedCbor) as caught:
        array_items(bytes.fromhex(data))
    assert caught.value.hint


def test_depth_is_bounded() -> None:
    deepest = b"\x81" * DEEPEST + b"\x00"
    assert array_items(b"\x81" + deepest) == [deepest]
    for opener in (b"\x81", b"\x9f", b"\xc1"):
        with pytest.raises(MalformedCbor, match="too deep"):
            array_items(b"\x81" + opener * 5000)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=300)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=30))
def test_what_another_encoder_wrote(values: list[object]) -> None:
    items = [cbor2.dumps(value) for value in values]
    assert array_items(cbor2.dumps(values)) == items
    assert array_items(array_of(items)) == items


@given(st.binary(max_size=200))
def test_anything_at_all_as_items(data: bytes) -> None:
    for candidate in (data, b"\x84" + data):
        try:
            items = array_items(candidate)
        except MalformedCbor:
            continue
        assert b"".join(items) in candidate
