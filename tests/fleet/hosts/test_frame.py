"""Frames, in pieces of any size."""

from __future__ import annotations

import pytest

from fidokit.fleet.hosts.frame import MOST_NOISE, AnswerKind, Flooded, frame_reader

BODY = b'{"a": "b"}\nabc end of it'
WHOLE = b"Welcome!\nabc says\n\nabc document\n" + BODY + b"\nabc end\nand more\n"


@pytest.mark.parametrize("size", [*range(1, 40), len(WHOLE)])
def test_pieces(size: int) -> None:
    with frame_reader("abc", 100) as reader:
        for at in range(0, len(WHOLE), size):
            reader.feed(WHOLE[at : at + size])
        assert (reader.kind, reader.complete) == (AnswerKind.DOCUMENT, True)
        assert reader.read() == BODY
        assert reader.noise == b"Welcome!\nabc says\n"


def test_cut_at_every_byte() -> None:
    ends = WHOLE.index(b"\nabc end\n") + len(b"\nabc end\n")
    for cut in range(ends):
        with frame_reader("abc", 100) as reader:
            reader.feed(WHOLE[:cut])
            assert not reader.complete


def test_the_nonce_of_another_run_is_noise() -> None:
    with frame_reader("abd", 100) as reader:
        reader.feed(WHOLE)
        assert reader.kind is None


def test_limits() -> None:
    with frame_reader("abc", len(BODY)) as reader:
        reader.feed(WHOLE)
        assert reader.read() == BODY
    with frame_reader("abc", len(BODY) - 1) as reader, pytest.raises(Flooded):
        reader.feed(WHOLE)
    with frame_reader("abc", 100) as reader:
        reader.feed(b"x" * MOST_NOISE)
        with pytest.raises(Flooded):
            reader.feed(b"x")
