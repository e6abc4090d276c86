"""Where the text leaves CTAPHID open: what a model may choose (`HidManners`)."""

from __future__ import annotations

import pytest
from tests.support.hid_bench import CHANNELS, Bench

from fidokit.types import CtapStatus
from fidokit.virtual.core.profile import HidManners
from fidokit.virtual.framing.ctaphid import HidCommand, Message

A, B = CHANNELS
NONCE = bytes(range(8))


def error(channel: int, status: CtapStatus) -> list[Message]:
    return [Message(channel, HidCommand.ERROR, bytes([status]))]


@pytest.mark.check("HID-17")
def test_a_model_may_say_busy_before_unknown() -> None:
    bench = Bench(manners=HidManners(busy_before_unknown=True))
    ping = Message(B + 7, HidCommand.PING, b"?")
    assert bench.send(ping) == error(B + 7, CtapStatus.INVALID_CHANNEL)
    bench.begin(A)
    assert bench.send(ping) == error(B + 7, CtapStatus.CHANNEL_BUSY)
    assert bench.send(Message(0, HidCommand.PING, b"?")) == error(0, CtapStatus.INVALID_CHANNEL)
    bench = Bench(manners=HidManners(busy_before_unknown=True))
    bench.send(Message(A, HidCommand.LOCK, b"\x05"))
    assert bench.send(ping) == error(B + 7, CtapStatus.CHANNEL_BUSY)
    bench.wait(5001)
    assert bench.send(ping) == error(B + 7, CtapStatus.INVALID_CHANNEL)


@pytest.mark.check("HID-17")
def test_a_model_may_serve_init_on_a_channel_that_it_never_gave() -> None:
    bench = Bench(manners=HidManners(init_on_unknown=True))
    claimed = B + 7
    ping = Message(claimed, HidCommand.PING, b"mine now")
    assert bench.send(ping) == error(claimed, CtapStatus.INVALID_CHANNEL)
    (reply,) = bench.send(Message(claimed, HidCommand.INIT, NONCE))
    assert isinstance(reply, Message)
    assert (reply.channel, reply.payload[:12]) == (claimed, NONCE + claimed.to_bytes(4))
    assert bench.send(ping) == [ping]
    others = {bench.open() for _ in range(10)}
    assert claimed not in others
    assert bench.send(Message(0, HidCommand.INIT, NONCE)) == error(0, CtapStatus.INVALID_CHANNEL)
    ticket = bench.begin(A)
    busy = bench.send(Message(claimed + 40, HidCommand.INIT, NONCE))
    assert busy == error(claimed + 40, CtapStatus.CHANNEL_BUSY)
    assert ticket
