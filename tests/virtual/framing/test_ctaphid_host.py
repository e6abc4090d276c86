"""The program's machine: by itself here, against the token's machine in test_ctaphid_together."""

from __future__ import annotations

import pytest
from tests.support.ctaphid_host import (
    Answer,
    HidHost,
    HostEvent,
    Opened,
    Refused,
    Waiting,
)

from fidokit.errors import TokenMisbehaved, TokenSilent
from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message

NONCE = bytes(range(8))
MINE, OTHERS = 0x0A0B0C0D, 0x01020304
OPENED = MINE.to_bytes(4) + bytes([2, 5, 6, 7, 0x05])


def hear(host: HidHost, message: Message, now_ms: int = 0) -> list[HostEvent]:
    events = [host.receive(report, now_ms) for report in message.reports()]
    return [event for event in events if event is not None]


@pytest.fixture
def host() -> HidHost:
    host = HidHost()
    host.open(NONCE, 0)
    hear(host, Message(BROADCAST, HidCommand.INIT, NONCE + OPENED))
    return host


def test_opening() -> None:
    host = HidHost()
    assert (host.channel, host.deadline_ms) == (BROADCAST, None)
    assert list(host.open(NONCE, 5)) == list(Message(BROADCAST, HidCommand.INIT, NONCE).reports())
    assert host.deadline_ms == 3005
    said = hear(host, Message(BROADCAST, HidCommand.INIT, NONCE + OPENED))
    assert said == [Opened(MINE, 2, (5, 6, 7), 0x05)]
    assert (host.channel, host.deadline_ms) == (MINE, None)


def test_the_channel_that_another_program_got_is_not_ours() -> None:
    host = HidHost()
    host.open(NONCE, 0)
    theirs = Message(BROADCAST, HidCommand.INIT, NONCE[::-1] + OPENED)
    assert hear(host, theirs) == []
    assert host.channel == BROADCAST
    assert hear(host, Message(BROADCAST, HidCommand.INIT, NONCE + OPENED)) != []


@pytest.mark.parametrize(
    "body", [NONCE, NONCE + OPENED[:-1], NONCE + bytes(9), NONCE + b"\xff" * 9]
)
def test_answers_that_give_no_channel(body: bytes) -> None:
    host = HidHost()
    host.open(NONCE, 0)
    with pytest.raises(TokenMisbehaved, match="no channel"):
        hear(host, Message(BROADCAST, HidCommand.INIT, body))


def test_later_versions_may_say_more() -> None:
    host = HidHost()
    host.open(NONCE, 0)
    assert hear(host, Message(BROADCAST, HidCommand.INIT, NONCE + OPENED + b"more")) != []


@pytest.mark.parametrize("size", [0, 1, 57, 58, 7609])
def test_a_request_and_its_answer(host: HidHost, size: int) -> None:
    sent = list(host.send(HidCommand.PING, bytes(size), 0))
    assert sent == list(Message(MINE, HidCommand.PING, bytes(size)).reports())
    assert hear(host, Message(MINE, HidCommand.PING, bytes(size))) == [Answer(bytes(size))]
    assert host.deadline_ms is None


def test_keepalives_prolong_the_wait(host: HidHost) -> None:
    host.send(HidCommand.CBOR, b"\x0b", 0)
    assert hear(host, Message(MINE, HidCommand.KEEPALIVE, b"\2"), 2999) == [Waiting(2)]
    assert host.deadline_ms == 5999
    assert list(host.tick(5998)) == []
    with pytest.raises(TokenSilent, match="nothing for 3 s"):
        host.tick(5999)
    assert host.deadline_ms is None


def test_other_programs_prolong_nothing(host: HidHost) -> None:
    host.send(HidCommand.CBOR, b"\x0b", 0)
    assert hear(host, Message(OTHERS, HidCommand.KEEPALIVE, b"\2"), 2999) == []
    assert host.deadline_ms == 3000


def test_busy_tokens_are_asked_again(host: HidHost) -> None:
    sent = list(host.send(HidCommand.PING, b"x" * 100, 0))
    assert hear(host, Message(MINE, HidCommand.ERROR, b"\6"), 10) == []
    assert host.deadline_ms == 110
    assert list(host.tick(109)) == []
    assert list(host.tick(110)) == sent
    assert host.deadline_ms == 3110
    assert hear(host, Message(MINE, HidCommand.PING, b"x")) == [Answer(b"x")]


def test_refusals(host: HidHost) -> None:
    host.send(HidCommand.PING, b"", 0)
    refusal = Message(MINE, HidCommand.ERROR, bytes([CtapStatus.INVALID_COMMAND]))
    assert hear(host, refusal) == [Refused(CtapStatus.INVALID_COMMAND)]
    assert host.deadline_ms is None


def test_canceling(host: HidHost) -> None:
    assert list(host.cancel()) == []
    host.send(HidCommand.PING, b"", 0)
    assert list(host.cancel()) == []
    host.send(HidCommand.CBOR, b"\x0b", 0)
    assert list(host.cancel()) == list(Message(MINE, HidCommand.CANCEL).reports())
    assert hear(host, Message(MINE, HidCommand.CBOR, b"\x2d")) == [Answer(b"\x2d")]


def test_starting_over_on_the_channel(host: HidHost) -> None:
    host.send(HidCommand.CBOR, b"\x0b", 0)
    first, *_ = Message(MINE, HidCommand.CBOR, bytes(200)).reports()
    host.receive(first, 0)
    assert list(host.open(NONCE, 0)) == list(Message(MINE, HidCommand.INIT, NONCE).reports())
    assert hear(host, Message(MINE, HidCommand.CBOR, b"\0")) == []  # was under way already
    assert hear(host, Message(MINE, HidCommand.INIT, NONCE + OPENED)) == [
        Opened(MINE, 2, (5, 6, 7), 5)
    ]


def test_what_nobody_asked_for_is_passed_over(host: HidHost) -> None:
    assert hear(host, Message(MINE, HidCommand.CBOR, bytes(100))) == []
    assert list(host.tick(10**9)) == []


def test_an_answer_to_another_command(host: HidHost) -> None:
    host.send(HidCommand.CBOR, b"\4", 0)
    with pytest.raises(TokenMisbehaved, match="command 03"):
        hear(host, Message(MINE, HidCommand.MSG, b""))


@pytest.mark.parametrize("command", [HidCommand.KEEPALIVE, HidCommand.ERROR])
@pytest.mark.parametrize("payload", [b"", b"\1\1"])
def test_statuses_have_one_byte(host: HidHost, command: HidCommand, payload: bytes) -> None:
    host.send(HidCommand.CBOR, b"\4", 0)
    with pytest.raises(TokenMisbehaved, match="status"):
        hear(host, Message(MINE, command, payload))


@pytest.mark.check("HID-28")
@pytest.mark.parametrize("sequence", [0, 2, 0x7F])
def test_a_gap_in_an_answer_is_fatal(host: HidHost, sequence: int) -> None:
    host.send(HidCommand.CBOR, b"\4", 0)
    first, second, third, *_ = Message(MINE, HidCommand.CBOR, bytes(500)).reports()
    host.receive(first, 0)
    host.receive(second, 0)
    with pytest.raises(TokenMisbehaved, match="out of place"):
        host.receive(third[:4] + bytes([sequence]) + third[5:], 0)


def test_an_answer_that_is_too_long(host: HidHost) -> None:
    host.send(HidCommand.CBOR, b"\4", 0)
    first, *_ = Message(MINE, HidCommand.CBOR, bytes(7610)).reports()
    with pytest.raises(TokenMisbehaved, match="out of place"):
        host.receive(first, 0)
