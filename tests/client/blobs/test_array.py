from __future__ import annotations

import hashlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import PATIENT
from tests.client.owner.test_proofs import KEY
from tests.support.blob_token import EMPTY, BlobToken, with_checksum
from tests.support.fake_link import GET_INFO, FakeLink, Person, info, ok, session_on
from tests.support.spy import members

from fidokit.client.blobs.array import (
    BlobArray,
    capacity,
    parse_array,
    read_array,
    serialize,
    write_array,
)
from fidokit.client.fido2_device import Secret
from fidokit.client.owner.proofs import PinToken
from fidokit.errors import MalformedCbor, StoreFull, TokenMisbehaved, Unsupported

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
