"""Frames between processes: their bytes, and every way in which a stream of them can be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit import cbor
from fidokit.errors import (
    FidokitError,
    Malformed,
    PinWrong,
    StateUnusable,
    TokenBusy,
    TokenGone,
)
from fidokit.virtual.transports.socket import (
    COMMANDS,
    FROM_CLIENT,
    FROM_OWNER,
    LONGEST_MESSAGE,
    Frame,
    FrameKind,
    SocketFrameReader,
    error_of,
    failure,
    hello,
)

ALL = frozenset(FrameKind)
VECTORS = [
    (hello(0x05), "00000007 00 00000000 0105"),
    (Frame(FrameKind.CBOR, 1, b"\x04"), "00000006 01 00000001 04"),
    (Frame(FrameKind.MSG, 2, b"\x00\x03\x00\x00"), "00000009 02 00000002 00030000"),
    (Frame(FrameKind.WINK, 3), "00000005 03 00000003"),
    (Frame(FrameKind.CANCEL, 2**32 - 1), "00000005 04 ffffffff"),
    (Frame(FrameKind.ALIVE, 1), "00000005 10 00000001"),
    (Frame(FrameKind.KEEPALIVE, 1, b"\x02"), "00000006 11 00000001 02"),
    (Frame(FrameKind.ANSWER, 1, b"\x2d"), "00000006 12 00000001 2d"),
]


def read(data: bytes, expected: frozenset[FrameKind] = ALL) -> list[Frame]:
    return list(SocketFrameReader(expected).feed(data))


@pytest.mark.parametrize(("frame", "encoded"), VECTORS)
def test_vectors(frame: Frame, encoded: str) -> None:
    assert frame.encode() == bytes.fromhex(encoded)
    assert read(bytes.fromhex(encoded)) == [frame]


@pytest.mark.parametrize(("frame", "_"), VECTORS)
def test_cut_at_every_byte_it_waits_for_the_rest(frame: Frame, _: str) -> None:
    whole = frame.encode()
    for cut in range(len(whole)):
        reader = SocketFrameReader(ALL)
        assert list(reader.feed(whole[:cut])) == []
        assert list(reader.feed(whole[cut:])) == [frame]


def test_byte_by_byte_and_all_at_once() -> None:
    frames = [frame for frame, _ in VECTORS]
    stream = b"".join(frame.encode() for frame in frames)
    reader = SocketFrameReader(ALL)
    assert [f for at in range(len(stream)) for f in reader.feed(stream[at : at + 1])] == frames
    assert read(stream) == frames


def test_a_byte_behind_belongs_to_the_next_frame() -> None:
    reader = SocketFrameReader(ALL)
    assert list(reader.feed(Frame(FrameKind.WINK, 1).encode() + b"\0")) == [
        Frame(FrameKind.WINK, 1)
    ]
    assert list(reader.feed(Frame(FrameKind.WINK, 2).encode()[1:])) == [Frame(FrameKind.WINK, 2)]


@given(
    st.sampled_from([FrameKind.CBOR, FrameKind.MSG, FrameKind.ANSWER]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=500),
)
def test_round_trip(kind: FrameKind, number: int, body: bytes) -> None:
    frame = Frame(kind, number, body)
    assert read(frame.encode()) == [frame]


@given(st.binary(max_size=200))
def test_fuzz_any_bytes_are_frames_or_malformed(data: bytes) -> None:
    for expected in (FROM_CLIENT, FROM_OWNER):
        try:
            frames = read(data, expected)
        except Malformed:
            continue
        assert b"".join(f.encode() for f in frames) == data[: sum(len(f.encode()) for f in frames)]


@pytest.mark.parametrize(
    "head",
    [
        "00000004 01",  # shorter than its own number
        "00000000 01",
        "ffffffff 01",
        "0001000e 01",  # one byte more than the longest message
        "00000006 03",  # a wink with a body
        "00000006 04",
        "00000006 00",  # a hello of one byte
        "00000007 11",  # a keep-alive of two
        "00000005 13",  # a failure without reasons
        "00000bbe 13",  # one with too many
        "00000005 05",  # no such kind
        "00000005 ff",
    ],
)
def test_an_impossible_length_is_refused_before_the_body_comes(head: str) -> None:
    with pytest.raises(Malformed):
        read(bytes.fromhex(head))


def test_the_longest_message_passes() -> None:
    frame = Frame(FrameKind.CBOR, 1, bytes(LONGEST_MESSAGE))
    assert read(frame.encode()) == [frame]


@pytest.mark.parametrize(("expected", "kinds"), [(FROM_CLIENT, FROM_OWNER), (FROM_OWNER, COMMANDS)])
def test_each_side_may_say_its_own_frames_only(
    expected: frozenset[FrameKind], kinds: frozenset[FrameKind]
) -> None:
    for kind in kinds:
        with pytest.raises(Malformed, match="has no place here"):
            read(Frame(kind, 1).encode(), expected)


# --- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TokenGone, TokenBusy, StateUnusable])
def test_an_error_arrives_as_it_was(kind: type[FidokitError]) -> None:
    frame = failure(7, kind("what happened", hint="what to do"))
    assert read(frame.encode(), FROM_OWNER) == [frame]
    told = error_of(frame)
    assert type(told) is kind
    assert (told.message, told.hint, frame.number) == ("what happened", "what to do", 7)


def test_an_unforeseen_error_arrives_as_a_plain_one() -> None:
    told = error_of(failure(1, PinWrong("wrong", retries=3)))
    assert type(told) is FidokitError
    assert told.message == "wrong"


def test_a_long_story_is_cut() -> None:
    frame = failure(1, TokenGone("\N{BOMB}" * 10_000, hint="x" * 10_000))
    assert read(frame.encode()) == [frame]
    assert error_of(frame).message == "\N{BOMB}" * 250


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        cbor.encode(["TokenGone", "x"]),
        cbor.encode(["TokenGone", "x", "y", "z"]),
        cbor.encode(["TokenGone", "x", 1]),
        cbor.encode(["TokenGone", 1, "x", "y"]),
        cbor.encode({1: "x"}),
        cbor.encode("TokenGone"),
        cbor.encode([["TokenGone"], "x", "y"]),
    ],
)
def test_a_failure_that_tells_nothing_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        error_of(Frame(FrameKind.FAILURE, 1, body))


def test_a_failure_cut_anywhere_is_malformed() -> None:
    body = failure(1, TokenGone("gone", hint="come back")).body
    for cut in range(len(body)):
        with pytest.raises(Malformed):
            error_of(Frame(FrameKind.FAILURE, 1, body[:cut]))
    with pytest.raises(Malformed):
        error_of(Frame(FrameKind.FAILURE, 1, body + b"\0"))
