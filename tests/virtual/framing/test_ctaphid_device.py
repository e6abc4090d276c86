"""The token's machine, report by report, on a clock that only these tests move."""

from __future__ import annotations

import pickle

import pytest
from tests.support.hid_bench import CHANNELS, Bench

from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import (
    BROADCAST,
    LONGEST,
    MAX_MESSAGE,
    REPORT_SIZE,
    HidCommand,
    Message,
)
from fidokit.virtual.framing.ctaphid_device import Cancel, HidDevice, RunCommand

A, B = CHANNELS
NONCE = bytes(range(8))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def error(channel: int, status: CtapStatus) -> list[Message]:
    return [Message(channel, HidCommand.ERROR, bytes([status]))]


# --- INIT and channels -------------------------------------------------------------------------


@pytest.mark.check("HID-03")
def test_init_gives_a_channel() -> None:
    (reply,) = Bench(0x0D).send(Message(BROADCAST, HidCommand.INIT, NONCE))
    assert isinstance(reply, Message)
    assert (reply.channel, reply.command, len(reply.payload)) == (BROADCAST, HidCommand.INIT, 17)
    assert reply.payload == NONCE + bytes([0, 0, 0, 3]) + bytes([2, 1, 0, 0, 0x0D])


@pytest.mark.check("HID-04")
def test_channels_have_no_limit_and_take_no_memory() -> None:
    device = HidDevice(5)
    (init,) = Message(BROADCAST, HidCommand.INIT, NONCE).reports()
    given, size = set(), len(pickle.dumps(device))
    for _ in range(100_000):
        (reply,) = device.receive(init, 0)
        assert isinstance(reply, Message)
        given.add(reply.payload[8:12])
    assert len(given) == 100_000
    assert len(pickle.dumps(device)) < size + 32  # all that it remembers: two numbers are longer
    assert {bytes(4), b"\xff" * 4}.isdisjoint(given)
    ping = Message(1, HidCommand.PING, b"the first one still holds")
    assert device.receive(next(ping.reports()), 0) == [ping]


def test_after_the_last_number_comes_the_first_again() -> None:
    bench = Bench(channels=0, last_channel=BROADCAST - 2)
    assert bench.open() == BROADCAST - 1
    assert bench.open() == 1
    assert bench.open() == 2
    ping = Message(BROADCAST - 1, HidCommand.PING, b"old")
    assert bench.send(ping) == [ping]


@pytest.mark.check("HID-05")
@pytest.mark.parametrize("size", [0, 7, 9, 57, 100])
@pytest.mark.parametrize("channel", [BROADCAST, A])
def test_a_nonce_has_eight_bytes(bench: Bench, channel: int, size: int) -> None:
    said = bench.send(Message(channel, HidCommand.INIT, bytes(size)))
    assert said == error(channel, CtapStatus.INVALID_LENGTH)


@pytest.mark.check("HID-16", "HID-17", "HID-21")
@pytest.mark.parametrize("command", [*HidCommand, 0x40])
@pytest.mark.parametrize("channel", [0, B + 1, BROADCAST])
def test_channels_that_were_never_given(bench: Bench, channel: int, command: int) -> None:
    if (channel, command) == (BROADCAST, HidCommand.INIT):
        return
    said = bench.send(Message(channel, command, NONCE))
    unheard = command == HidCommand.CANCEL
    assert said == ([] if unheard else error(channel, CtapStatus.INVALID_CHANNEL))


@pytest.mark.check("HID-17")
def test_an_unknown_channel_blocks_nobody(bench: Bench) -> None:
    first, *rest = Message(0xDEADBEEF, HidCommand.PING, bytes(500)).reports()
    assert bench.write(first) == error(0xDEADBEEF, CtapStatus.INVALID_CHANNEL)
    assert [bench.write(report) for report in rest] == [[]] * len(rest)
    ping = Message(A, HidCommand.PING, b"mine")
    assert bench.send(ping) == [ping]


@pytest.mark.check("HID-06")
def test_init_on_a_channel_resynchronizes(bench: Bench) -> None:
    ticket = bench.begin(A)
    cancel, reply = bench.send(Message(A, HidCommand.INIT, NONCE))
    assert cancel == Cancel(ticket)
    assert isinstance(reply, Message)
    assert (reply.channel, reply.payload[:12]) == (A, NONCE + A.to_bytes(4))
    assert bench.device.finish(ticket, b"\0late") == []
    assert bench.device.working(ticket, 2, bench.now_ms) == []
    assert bench.device.deadline_ms is None
    ping = Message(A, HidCommand.PING, b"again")
    assert bench.send(ping) == [ping]


# --- messages ----------------------------------------------------------------------------------


@pytest.mark.check("HID-01")
def test_an_idle_token_is_silent(bench: Bench) -> None:
    assert bench.device.deadline_ms is None
    for _ in range(30):
        assert bench.wait(100) == []


@pytest.mark.check("HID-02")
def test_continuations_of_nothing(bench: Bench) -> None:
    for channel in (0, A, 77, BROADCAST):
        for sequence in (0, 1, 127):
            assert bench.write(channel.to_bytes(4) + bytes([sequence]) + bytes(59)) == []


@pytest.mark.check("HID-07", "HID-08")
@pytest.mark.parametrize("size", [0, 1, 57, 58, 1024, MAX_MESSAGE])
def test_ping(bench: Bench, size: int) -> None:
    ping = Message(A, HidCommand.PING, bytes(at % 251 for at in range(size)))
    assert bench.send(ping) == [ping]


@pytest.mark.check("HID-08")
@pytest.mark.parametrize("size", [MAX_MESSAGE + 1, LONGEST])
def test_too_long(bench: Bench, size: int) -> None:
    report = A.to_bytes(4) + bytes([0x81]) + size.to_bytes(2) + bytes(57)
    assert bench.write(report) == error(A, CtapStatus.INVALID_LENGTH)
    assert bench.device.deadline_ms is None


@pytest.mark.check("HID-09")
def test_init_forgets_half_a_ping(bench: Bench) -> None:
    *most, last = Message(A, HidCommand.PING, bytes(512)).reports()
    assert [bench.write(report) for report in most] == [[]] * len(most)
    (reply,) = bench.send(Message(A, HidCommand.INIT, NONCE))
    assert isinstance(reply, Message)
    assert reply.command == HidCommand.INIT
    assert bench.write(last) == []
    assert bench.wait(1000) == []


@pytest.mark.check("HID-10")
@pytest.mark.parametrize("sequence", [0, 2, 127])
def test_one_report_out_of_order(bench: Bench, sequence: int) -> None:
    first, second, third, *_ = Message(A, HidCommand.PING, bytes(1024)).reports()
    bench.write(first)
    bench.write(second)
    wrong = third[:4] + bytes([sequence]) + third[5:]
    assert bench.write(wrong) == error(A, CtapStatus.INVALID_SEQ)
    assert bench.write(third) == []
    assert bench.device.deadline_ms is None


@pytest.mark.check("HID-11")
@pytest.mark.parametrize("command", [HidCommand.PING, HidCommand.CBOR])
def test_a_command_inside_a_message(bench: Bench, command: HidCommand) -> None:
    bench.write(next(Message(A, HidCommand.PING, bytes(512)).reports()))
    assert bench.send(Message(A, command, b"\4")) == error(A, CtapStatus.INVALID_SEQ)


@pytest.mark.check("HID-12")
def test_a_half_sent_message_is_given_up(bench: Bench) -> None:
    first, second, *rest = Message(A, HidCommand.PING, bytes(512)).reports()
    bench.write(first)
    assert bench.wait(499) == []
    bench.write(second)
    assert bench.device.deadline_ms == bench.now_ms + 500
    assert bench.wait(499) == []
    assert bench.wait(1) == error(A, CtapStatus.TIMEOUT)
    assert bench.device.deadline_ms is None
    assert bench.wait(5000) == []
    assert [bench.write(report) for report in rest] == [[]] * len(rest)
    ping = Message(B, HidCommand.PING, b"idle again")
    assert bench.send(ping) == [ping]


@pytest.mark.check("HID-12")
def test_a_report_that_comes_when_it_is_too_late(bench: Bench) -> None:
    first, second, *_ = Message(A, HidCommand.PING, bytes(512)).reports()
    bench.write(first)
    bench.now_ms += 500
    assert bench.write(second) == error(A, CtapStatus.TIMEOUT)


@pytest.mark.check("HID-12", "HID-13")
def test_others_do_not_keep_a_message_alive(bench: Bench) -> None:
    first, second, *_ = Message(A, HidCommand.PING, bytes(512)).reports()
    bench.write(first)
    for _ in range(4):
        assert bench.wait(100) == []
        assert bench.send(Message(B, HidCommand.PING)) == error(B, CtapStatus.CHANNEL_BUSY)
        assert bench.write(B.to_bytes(4) + second[4:]) == []
    assert bench.wait(100) == error(A, CtapStatus.TIMEOUT)


@pytest.mark.check("HID-13", "HID-14")
@pytest.mark.parametrize("channel", [B, BROADCAST])
def test_others_wait_while_a_message_comes_in(bench: Bench, channel: int) -> None:
    ping = Message(A, HidCommand.PING, bytes(512))
    *most, last = ping.reports()
    for report in most:
        bench.write(report)
    init = Message(channel, HidCommand.INIT, NONCE)
    assert bench.send(init) == error(channel, CtapStatus.CHANNEL_BUSY)
    assert bench.write(last) == [ping]


@pytest.mark.check("HID-13", "HID-15")
def test_a_refused_message_is_refused_once(bench: Bench) -> None:
    bench.begin(A)
    long = Message(B, HidCommand.CBOR, bytes(1000))
    assert bench.send(long) == error(B, CtapStatus.CHANNEL_BUSY)


@pytest.mark.check("HID-18")
@pytest.mark.parametrize("command", [0, 2, 5, HidCommand.KEEPALIVE, HidCommand.ERROR, 0x40, 0x7F])
def test_unknown_commands(bench: Bench, command: int) -> None:
    assert bench.send(Message(A, command)) == error(A, CtapStatus.INVALID_COMMAND)


# --- commands ----------------------------------------------------------------------------------


def test_a_command_goes_to_the_token(bench: Bench) -> None:
    assert bench.send(Message(A, HidCommand.CBOR, b"\4")) == [
        RunCommand(1, A, HidCommand.CBOR, b"\4")
    ]
    assert bench.device.wants(1)
    assert bench.device.finish(1, b"\0\xa0") == [Message(A, HidCommand.CBOR, b"\0\xa0")]
    assert not bench.device.wants(1)
    assert bench.device.finish(1, b"\0\xa0") == []
    assert bench.device.deadline_ms is None


@pytest.mark.check("HID-28")
@pytest.mark.parametrize("size", [1, 57, 58, 116, 117, 1024, MAX_MESSAGE])
def test_the_form_of_replies(bench: Bench, size: int) -> None:
    reply = bytes(at % 251 for at in range(size))
    (message,) = bench.device.finish(bench.begin(B), reply)
    assert isinstance(message, Message)
    first, *rest = message.reports()
    assert first[:7] == B.to_bytes(4) + b"\x90" + size.to_bytes(2)
    assert {len(report) for report in (first, *rest)} == {REPORT_SIZE}
    assert [report[:5] for report in rest] == [
        B.to_bytes(4) + bytes([number]) for number in range(len(rest))
    ]
    carried = first[7:] + b"".join(report[5:] for report in rest)
    assert carried[:size] == reply
    assert not any(carried[size:])


@pytest.mark.check("HID-26")
@pytest.mark.parametrize(
    ("capabilities", "command", "payload", "status"),
    [
        (0x05, HidCommand.CBOR, b"", CtapStatus.INVALID_LENGTH),
        (0x05, HidCommand.MSG, b"", CtapStatus.INVALID_LENGTH),
        (0x05, HidCommand.MSG, bytes(3), CtapStatus.INVALID_LENGTH),
        (0x0D, HidCommand.MSG, bytes(7), CtapStatus.INVALID_COMMAND),
        (0x01, HidCommand.CBOR, b"\4", CtapStatus.INVALID_COMMAND),
        (0x04, HidCommand.WINK, b"", CtapStatus.INVALID_COMMAND),
        (0x05, HidCommand.WINK, b"x", CtapStatus.INVALID_LENGTH),
    ],
)
@pytest.mark.check("HID-22")
def test_commands_that_make_no_sense(
    capabilities: int, command: HidCommand, payload: bytes, status: CtapStatus
) -> None:
    bench = Bench(capabilities)
    assert bench.send(Message(A, command, payload)) == error(A, status)


@pytest.mark.check("HID-22")
def test_wink(bench: Bench) -> None:
    ticket = bench.begin(A, HidCommand.WINK, b"")
    assert bench.device.finish(ticket, b"") == [Message(A, HidCommand.WINK)]


@pytest.mark.check("HID-19")
def test_keepalives_while_the_token_works(bench: Bench) -> None:
    ticket = bench.begin(A)
    processing = [Message(A, HidCommand.KEEPALIVE, b"\1")]
    assert bench.device.deadline_ms == bench.now_ms + 100
    assert bench.wait(99) == []
    assert bench.wait(1) == processing
    assert bench.wait(99) == []
    assert bench.wait(1) == processing
    needed = [Message(A, HidCommand.KEEPALIVE, b"\2")]
    bench.now_ms += 30
    assert bench.device.working(ticket, 2, bench.now_ms) == needed  # a change is told at once
    assert bench.device.working(ticket, 2, bench.now_ms) == []
    assert bench.wait(99) == []
    assert bench.wait(1) == needed
    bench.device.finish(ticket, b"\0")
    assert bench.wait(1000) == []


@pytest.mark.check("HID-19")
def test_a_touch_that_is_wanted_at_once(bench: Bench) -> None:
    ticket = bench.begin(A)
    needed = [Message(A, HidCommand.KEEPALIVE, b"\2")]
    assert bench.device.working(ticket, 2, bench.now_ms) == needed


@pytest.mark.parametrize("command", [HidCommand.MSG, HidCommand.WINK])
def test_only_cbor_has_keepalives(bench: Bench, command: HidCommand) -> None:
    ticket = bench.begin(A, command, b"" if command is HidCommand.WINK else bytes(7))
    assert bench.device.working(ticket, 2, bench.now_ms) == []
    assert bench.wait(1000) == []


@pytest.mark.check("HID-20")
def test_cancel_once_and_twice(bench: Bench) -> None:
    ticket = bench.begin(A)
    cancel = Message(A, HidCommand.CANCEL)
    assert bench.send(cancel) == [Cancel(ticket)]
    assert bench.send(cancel) == []
    reply = bytes([CtapStatus.KEEPALIVE_CANCEL])
    assert bench.device.finish(ticket, reply) == [Message(A, HidCommand.CBOR, reply)]
    assert bench.send(cancel) == []


@pytest.mark.check("HID-21")
def test_cancel_of_nothing(bench: Bench) -> None:
    assert bench.send(Message(A, HidCommand.CANCEL)) == []
    ticket = bench.begin(A)
    assert bench.send(Message(B, HidCommand.CANCEL)) == []
    assert bench.send(Message(B, HidCommand.CANCEL, b"with a payload")) == []
    assert bench.device.wants(ticket)
    bench.device.finish(ticket, b"\0")
    ticket = bench.begin(A, HidCommand.MSG, bytes(7))
    assert bench.send(Message(A, HidCommand.CANCEL)) == []
    assert bench.device.wants(ticket)


@pytest.mark.check("HID-21")
@pytest.mark.parametrize("channel", [A, B, B + 1])
def test_cancel_inside_a_message(bench: Bench, channel: int) -> None:
    """Only a CBOR command that runs can be canceled; a half received message goes on."""
    ping = Message(A, HidCommand.PING, bytes(100))
    first, second = ping.reports()
    bench.write(first)
    assert bench.send(Message(channel, HidCommand.CANCEL)) == []
    assert bench.write(second) == [ping]


@pytest.mark.check("HID-15")
@pytest.mark.parametrize(
    "command", [HidCommand.PING, HidCommand.CBOR, HidCommand.MSG, HidCommand.LOCK, HidCommand.WINK]
)
@pytest.mark.parametrize("channel", [A, B])
def test_one_command_at_a_time(bench: Bench, channel: int, command: HidCommand) -> None:
    ticket = bench.begin(A)
    assert bench.send(Message(channel, command, bytes(7))) == error(
        channel, CtapStatus.CHANNEL_BUSY
    )
    assert bench.device.finish(ticket, b"\0") == [Message(A, HidCommand.CBOR, b"\0")]


@pytest.mark.check("HID-14")
@pytest.mark.parametrize("channel", [B, BROADCAST])
def test_init_from_elsewhere_waits_for_the_touch(bench: Bench, channel: int) -> None:
    ticket = bench.begin(A)
    bench.device.working(ticket, 2, bench.now_ms)
    said = bench.send(Message(channel, HidCommand.INIT, NONCE))
    assert said == error(channel, CtapStatus.CHANNEL_BUSY)
    assert bench.device.wants(ticket)


def test_busy_elsewhere_is_said_in_the_framing(bench: Bench) -> None:
    ticket = bench.begin(A)
    busy = bytes([CtapStatus.CHANNEL_BUSY])
    assert bench.device.finish(ticket, busy) == error(A, CtapStatus.CHANNEL_BUSY)
    ticket = bench.begin(A, HidCommand.MSG, bytes(7))
    assert bench.device.finish(ticket, busy) == [Message(A, HidCommand.MSG, busy)]


def test_failing_commands(bench: Bench) -> None:
    assert bench.device.fail(bench.begin(A), CtapStatus.OTHER) == error(A, CtapStatus.OTHER)
    assert bench.device.fail(bench.begin(A), None) == []
    assert bench.device.fail(77, CtapStatus.OTHER) == []
    assert bench.wait(1000) == []


def test_an_answer_that_no_honest_token_gives(bench: Bench) -> None:
    (message,) = bench.device.finish(bench.begin(A), bytes(100_000))
    assert isinstance(message, Message)
    assert len(message.payload) == LONGEST


# --- LOCK --------------------------------------------------------------------------------------


@pytest.mark.check("HID-23")
@pytest.mark.parametrize("seconds", range(11))
def test_lock_takes_up_to_ten_seconds(bench: Bench, seconds: int) -> None:
    said = bench.send(Message(A, HidCommand.LOCK, bytes([seconds])))
    assert said == [Message(A, HidCommand.LOCK)]


@pytest.mark.check("HID-23")
@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b"", CtapStatus.INVALID_LENGTH),
        (b"\1\1", CtapStatus.INVALID_LENGTH),
        (b"\x0b", CtapStatus.INVALID_PARAMETER),
        (b"\xff", CtapStatus.INVALID_PARAMETER),
    ],
)
def test_lock_refuses(bench: Bench, payload: bytes, status: CtapStatus) -> None:
    assert bench.send(Message(A, HidCommand.LOCK, payload)) == error(A, status)
    ping = Message(B, HidCommand.PING)
    assert bench.send(ping) == [ping]


@pytest.mark.check("HID-24")
@pytest.mark.parametrize("channel", [B, BROADCAST])
def test_a_lock_keeps_others_out_until_it_is_given_up(bench: Bench, channel: int) -> None:
    bench.send(Message(A, HidCommand.LOCK, b"\x08"))
    init = Message(channel, HidCommand.INIT, NONCE)
    assert bench.send(init) == error(channel, CtapStatus.CHANNEL_BUSY)
    ping = Message(A, HidCommand.PING, b"mine")
    assert bench.send(ping) == [ping]
    assert bench.send(Message(A, HidCommand.LOCK, b"\0")) == [Message(A, HidCommand.LOCK)]
    (reply,) = bench.send(init)
    assert isinstance(reply, Message)
    assert len(reply.payload) == 17


@pytest.mark.check("HID-25")
@pytest.mark.parametrize("seconds", [1, 10])
def test_a_lock_ends_by_itself(bench: Bench, seconds: int) -> None:
    bench.send(Message(A, HidCommand.LOCK, bytes([seconds])))
    assert bench.wait(1000 * seconds - 1) == []
    other = Message(B, HidCommand.LOCK, b"\1")
    assert bench.send(other) == error(B, CtapStatus.CHANNEL_BUSY)
    bench.now_ms += 1
    assert bench.send(other) == [Message(B, HidCommand.LOCK)]
    assert bench.send(Message(A, HidCommand.PING)) == error(A, CtapStatus.CHANNEL_BUSY)


def test_a_lock_can_be_made_longer_and_outlives_init(bench: Bench) -> None:
    bench.send(Message(A, HidCommand.LOCK, b"\1"))
    bench.now_ms += 900
    bench.send(Message(A, HidCommand.LOCK, b"\1"))
    bench.send(Message(A, HidCommand.INIT, NONCE))
    bench.now_ms += 900
    assert bench.send(Message(B, HidCommand.PING)) == error(B, CtapStatus.CHANNEL_BUSY)


# --- bus reset ---------------------------------------------------------------------------------


def test_reset_forgets_all_but_channels(bench: Bench) -> None:
    bench.send(Message(A, HidCommand.LOCK, b"\x0a"))
    ticket = bench.begin(A)
    assert bench.device.reset() == [Cancel(ticket)]
    assert bench.device.reset() == []
    bench.write(next(Message(B, HidCommand.PING, bytes(512)).reports()))
    assert bench.device.reset() == []
    assert bench.device.deadline_ms is None
    ping = Message(A, HidCommand.PING, b"still a channel")
    assert bench.send(ping) == [ping]
