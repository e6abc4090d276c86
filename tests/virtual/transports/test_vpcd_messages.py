"""The messages between a virtual card and its reader."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.virtual.transports.vpcd import LONGEST, Control, Said, VpcdReader, framed, whole

APDU = bytes.fromhex("00a4040008a0000006472f000100")
STREAM = b"\0\x01\x01" + b"\0\x01\x04" + framed(APDU) + b"\0\x01\x02" + b"\0\x01\0"
MEANT: list[Said] = [
    Control.POWER_ON,
    Control.GET_ATR,
    APDU,
    Control.RESET,
    Control.POWER_OFF,
]


def test_controls_and_apdus() -> None:
    assert VpcdReader().receive(STREAM) == MEANT


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_cut_at_every_byte(cut: int) -> None:
    reader = VpcdReader()
    assert reader.receive(STREAM[:cut]) + reader.receive(STREAM[cut:]) == MEANT


def test_byte_by_byte() -> None:
    reader = VpcdReader()
    assert [said for byte in STREAM for said in reader.receive(bytes([byte]))] == MEANT


@pytest.mark.parametrize("noise", [b"\0\0", b"\0\x01\x03", b"\0\x01\xff"])
def test_what_is_not_known_is_passed_over(noise: bytes) -> None:
    assert VpcdReader().receive(noise + framed(APDU) + noise) == [APDU]


def test_nothing_of_a_message_is_said_before_its_end() -> None:
    reader = VpcdReader()
    longest = bytes(range(256)) * 256
    message = framed(longest[:LONGEST])
    assert reader.receive(message[:-1]) == []
    assert reader.receive(message[-1:]) == [longest[:LONGEST]]


def test_too_long() -> None:
    with pytest.raises(ValueError, match="too long"):
        framed(bytes(LONGEST + 1))
    assert whole(bytes(LONGEST - 2), 0x9000)[-2:] == b"\x90\0"
    assert whole(bytes(LONGEST - 1), 0x9000) == b"\0\x02\x6f\0"


def test_a_response() -> None:
    assert whole(b"U2F_V2", 0x9000) == b"\0\x08U2F_V2\x90\0"
    assert whole(b"", 0x6A82) == b"\0\x02\x6a\x82"


@given(st.lists(st.binary(min_size=2, max_size=300)), st.lists(st.integers(1, 50)))
def test_any_messages_in_any_pieces(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(framed, messages))
    reader = VpcdReader()
    found: list[Said] = []
    for cut in cuts:
        found += reader.receive(stream[:cut])
        stream = stream[cut:]
    assert found + reader.receive(stream) == messages


def test_fuzz_noise_never_breaks_it() -> None:
    dice = random.Random(7)  # seeded
    for _ in range(300):
        reader = VpcdReader()
        for _ in range(20):
            for said in reader.receive(dice.randbytes(dice.randrange(60))):
                assert isinstance(said, Control) or len(said) > 1
        assert len(reader._held) < LONGEST + 2
