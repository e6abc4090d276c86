"""Reports and messages: what goes out comes in again, and what makes no sense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import (
    MAX_MESSAGE,
    REPORT_SIZE,
    Assembler,
    FramingRejection,
    HidCommand,
    Message,
    error,
)

CHANNEL, OTHER = 0x11223344, 0x55667788

messages = st.builds(
    Message,
    channel=st.integers(0, 0xFFFFFFFF),
    command=st.integers(0, 0x7F),
    payload=st.binary(max_size=400),
)


def assembled(assembler: Assembler, reports: list[bytes]) -> list[Message | None]:
    return [assembler.feed(report) for report in reports]


def reports_of(payload: bytes, channel: int = CHANNEL, command: int = 0x10) -> list[bytes]:
    return list(Message(channel, command, payload).reports())


def refused(assembler: Assembler, report: bytes) -> tuple[int, CtapStatus]:
    with pytest.raises(FramingRejection) as caught:
        assembler.feed(report)
    return caught.value.channel, caught.value.status


def test_the_reports_of_an_init_request() -> None:
    nonce = bytes(range(8))
    (report,) = Message(0xFFFFFFFF, HidCommand.INIT, nonce).reports()
    assert report == b"\xff\xff\xff\xff\x86\x00\x08" + nonce + bytes(49)


def test_continuations_are_numbered_from_zero() -> None:
    first, second, third = reports_of(bytes(57) + b"a" * 59 + b"b")
    assert first[4:7] == b"\x90\x00\x75"
    assert second == bytes.fromhex("1122334400") + b"a" * 59
    assert third == bytes.fromhex("1122334401") + b"b" + bytes(58)


@given(messages)
def test_round_trip(message: Message) -> None:
    reports = list(message.reports())
    assert {len(report) for report in reports} == {REPORT_SIZE}
    *early, last = assembled(Assembler(), reports)
    assert last == message
    assert not any(early)


@pytest.mark.check("HID-08")
@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 116, 117, MAX_MESSAGE])
def test_sizes_at_the_seams(size: int) -> None:
    payload = bytes(at % 251 for at in range(size))
    assert assembled(Assembler(), reports_of(payload))[-1] == Message(CHANNEL, 0x10, payload)


@pytest.mark.check("HID-08")
@pytest.mark.parametrize("length", [MAX_MESSAGE + 1, 0xFFFF])
def test_longer_than_sequence_numbers_reach(length: int) -> None:
    report = bytes.fromhex("1122334490") + length.to_bytes(2) + bytes(57)
    assembler = Assembler()
    assert refused(assembler, report) == (CHANNEL, CtapStatus.INVALID_LENGTH)
    assert assembler.feed(reports_of(b"next")[0]) == Message(CHANNEL, 0x10, b"next")


def test_a_message_that_no_honest_token_sends() -> None:
    reports = reports_of(bytes(0xFFFF))
    assert reports[0][5:7] == b"\xff\xff"
    assert [report[4] for report in reports[128:131]] == [127, 0, 1]


@pytest.mark.check("HID-27")
def test_what_fills_the_last_report_is_ignored() -> None:
    (report,) = reports_of(b"ping")
    assert Assembler().feed(report[:11] + b"\xff" * 53) == Message(CHANNEL, 0x10, b"ping")


@pytest.mark.check("HID-02")
def test_a_continuation_of_nothing_is_ignored() -> None:
    assert Assembler().feed(bytes.fromhex("1122334400") + bytes(59)) is None


@pytest.mark.check("HID-10")
@pytest.mark.parametrize("kept", range(1, 18))
def test_a_gap_in_the_sequence(kept: int) -> None:
    reports = reports_of(bytes(1024))
    assembler = Assembler()
    assembled(assembler, reports[:kept])
    wrong = reports[kept][:4] + bytes([kept]) + reports[kept][5:]
    assert refused(assembler, wrong) == (CHANNEL, CtapStatus.INVALID_SEQ)
    assert assembler.feed(reports[kept]) is None


@pytest.mark.check("HID-09")
def test_init_forgets_what_was_half_sent() -> None:
    assembler = Assembler()
    assembled(assembler, reports_of(bytes(512))[:-1])
    init = Message(CHANNEL, HidCommand.INIT, bytes(8))
    assert assembled(assembler, list(init.reports())) == [init]
    assert assembler.feed(reports_of(bytes(512))[-1]) is None


def test_forgetting_what_was_half_sent() -> None:
    assembler = Assembler()
    assert assembler.channel is None
    *most, last = reports_of(bytes(512))
    assembled(assembler, most)
    assert assembler.channel == CHANNEL
    assembler.forget()
    assert assembler.channel is None
    assert assembler.feed(last) is None


@pytest.mark.check("HID-11")
def test_another_command_in_the_middle() -> None:
    assembler = Assembler()
    assembled(assembler, reports_of(bytes(512))[:-1])
    assert refused(assembler, reports_of(b"")[0]) == (CHANNEL, CtapStatus.INVALID_SEQ)


@pytest.mark.check("HID-13", "HID-14")
@pytest.mark.parametrize("command", [HidCommand.PING, HidCommand.INIT])
def test_others_wait_for_their_turn(command: HidCommand) -> None:
    assembler = Assembler()
    *most, last = reports_of(bytes(512))
    assembled(assembler, most)
    (report,) = Message(OTHER, command, bytes(8)).reports()
    assert refused(assembler, report) == (OTHER, CtapStatus.CHANNEL_BUSY)
    assert assembler.feed(OTHER.to_bytes(4) + last[4:]) is None  # refused once is enough
    assert assembler.channel == CHANNEL
    assert assembler.feed(last) == Message(CHANNEL, 0x10, bytes(512))


def test_an_error_is_a_message_of_one_byte() -> None:
    (report,) = error(CHANNEL, CtapStatus.INVALID_SEQ).reports()
    assert report[:8] == bytes.fromhex("11223344bf000104")


@given(st.lists(st.binary(min_size=REPORT_SIZE, max_size=REPORT_SIZE), max_size=20))
def test_any_reports(reports: list[bytes]) -> None:
    assembler = Assembler()
    for report in reports:
        try:
            message = assembler.feed(report)
        except FramingRejection as rejection:
            told, message = rejection.channel, None
        else:
            told = int.from_bytes(report[:4])
        assert told == int.from_bytes(report[:4])
        assert message is None or len(message.payload) <= MAX_MESSAGE
