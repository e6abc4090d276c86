"""APDUs: every case of ISO 7816-4, chains, and replies fetched in pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.virtual.framing.apdu import (
    Apdu,
    ApduRejection,
    Chain,
    Remainder,
    StatusWord,
    parse,
)

SELECT = bytes.fromhex("00a4040008a0000006472f0001")


def refusal(raw: bytes) -> StatusWord:
    with pytest.raises(ApduRejection) as caught:
        parse(raw)
    return caught.value.status


@pytest.mark.parametrize(
    ("raw", "data", "limit"),
    [
        ("80100000", "", 256),
        ("8010000000", "", 256),
        ("8010000010", "", 16),
        ("801000000104", "04", 256),
        ("80100000010400", "04", 256),
        ("80100000010408", "04", 8),
        ("80100000000000", "", 65536),
        ("80100000000200", "", 512),
        ("8010000000000104", "04", 65536),
        ("80100000000001040000", "04", 65536),
        ("80100000000001040400", "04", 1024),
    ],
)
def test_every_case(raw: str, data: str, limit: int) -> None:
    assert parse(bytes.fromhex(raw)) == Apdu(0x80, 0x10, 0, 0, bytes.fromhex(data), limit)


@pytest.mark.check("NFC-06")
@pytest.mark.parametrize("cut", [0, 1, 2, 3, *range(6, len(SELECT))])
def test_cut_short(cut: int) -> None:
    assert refusal(SELECT[:cut]) is StatusWord.WRONG_LENGTH


@pytest.mark.check("NFC-06")
@pytest.mark.parametrize(
    "raw", [SELECT + b"\0\0", "8010000000000204", "80100000000001040000ff", "801000000000"]
)
def test_lengths_that_disagree(raw: bytes | str) -> None:
    whole = raw if isinstance(raw, bytes) else bytes.fromhex(raw)
    assert refusal(whole) is StatusWord.WRONG_LENGTH


@given(st.binary(max_size=300), st.integers(0, 256), st.booleans())
def test_round_trip(data: bytes, limit: int, extended: bool) -> None:
    if extended or len(data) > 255:
        body = b"\0" + len(data).to_bytes(2) + data + limit.to_bytes(2) if data else b""
        expected = limit or 65536
    else:
        body = bytes([len(data)]) + data + bytes([limit % 256]) if data else b""
        expected = limit % 256 or 256
    found = parse(bytes([0x90, 0x10, 1, 2]) + body)
    assert found == Apdu(0x90, 0x10, 1, 2, data, expected if data else 256)
    assert found.chained
    assert found.plain_cla == 0x80


@given(st.binary(max_size=600))
def test_any_bytes(raw: bytes) -> None:
    try:
        found = parse(raw)
    except ApduRejection:
        return
    assert bytes([found.cla, found.ins, found.p1, found.p2]) == raw[:4]
    assert found.data in raw
    assert 1 <= found.limit <= 65536


def link(data: bytes, *, last: bool = False, ins: int = 0x10) -> Apdu:
    return Apdu(0x80 if last else 0x90, ins, 0, 0, data)


@pytest.mark.check("NFC-04")
@given(st.lists(st.binary(min_size=1, max_size=255), min_size=1, max_size=8))
def test_links_of_any_size(pieces: list[bytes]) -> None:
    chain = Chain(limit=4096)
    for piece in pieces[:-1]:
        assert chain.add(link(piece)) is None
    assert chain.add(link(pieces[-1], last=True)) == Apdu(0x80, 0x10, 0, 0, b"".join(pieces))


@pytest.mark.check("NFC-12")
def test_another_command_breaks_a_chain_and_all_of_its_rest_is_refused() -> None:
    chain = Chain(limit=4096)
    chain.add(link(b"half"))
    assert refused(chain, link(b"other", last=True, ins=0x11)) is StatusWord.LAST_LINK_EXPECTED
    assert refused(chain, link(b"more")) is StatusWord.NOT_ALLOWED
    assert refused(chain, link(b"rest", last=True)) is StatusWord.NOT_ALLOWED
    chain.admit(link(b"new", last=True))
    assert chain.add(link(b"new", last=True)) == link(b"new", last=True)


@pytest.mark.check("NFC-03", "NFC-12")
def test_the_last_link_alone_may_say_that_its_sender_can_poll() -> None:
    chain = Chain(limit=4096)
    chain.add(link(b"half"))
    last = replace(link(b"rest", last=True), p1=0x80)
    chain.admit(last)
    assert chain.add(last) == replace(last, data=b"halfrest")


def refused(chain: Chain, apdu: Apdu) -> StatusWord:
    with pytest.raises(ApduRejection) as caught:
        chain.admit(apdu)
    return caught.value.status


def test_a_dropped_chain_starts_anew() -> None:
    chain = Chain(limit=4096)
    chain.add(link(b"half"))
    chain.drop()
    assert chain.add(link(b"rest", last=True)) == link(b"rest", last=True)


def test_a_chain_without_end_is_refused() -> None:
    chain = Chain(limit=1000)
    for _ in range(3):
        chain.add(link(bytes(255)))
    with pytest.raises(ApduRejection) as caught:
        chain.add(link(bytes(255)))
    assert caught.value.status is StatusWord.WRONG_LENGTH
    assert refused(chain, link(b"rest", last=True)) is StatusWord.NOT_ALLOWED
    chain.admit(link(b"new", last=True))
    assert chain.add(link(b"new", last=True)) == link(b"new", last=True)


@pytest.mark.check("NFC-08")
@given(st.binary(max_size=1200), st.integers(1, 256))
def test_replies_in_pieces(data: bytes, limit: int) -> None:
    rest = Remainder()
    piece, status = rest.begin(data, StatusWord.OK, limit)
    whole = piece
    while status & 0xFF00 == StatusWord.MORE:
        assert len(piece) == limit
        piece, status = rest.go_on(min(limit, status & 0xFF))
        whole += piece
        assert piece
    assert (whole, status) == (data, StatusWord.OK)


def test_nothing_is_left_after_a_drop() -> None:
    rest = Remainder()
    rest.begin(bytes(300), StatusWord.OK, 256)
    rest.drop()
    assert rest.go_on(256) == (b"", StatusWord.NOT_ALLOWED)
