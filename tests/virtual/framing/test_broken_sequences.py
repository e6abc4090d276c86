"""Fragments are never taken for messages: whatever comes in between, what the token runs is what
somebody sent whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.virtual.framing.apdu import ApduRejection, Chain, parse
from fidokit.virtual.framing.ctaphid import HidCommand, Message
from fidokit.virtual.framing.ctaphid_device import HidDevice, RunCommand

# --- chained APDUs -------------------------------------------------------------------------------

HEADS = [(0x80, 0x10, 0), (0x80, 0x12, 0), (0x00, 0x01, 0), (0x80, 0x10, 1)]


@dataclass
class Reader:
    """A sender that heeds nothing, and what a card that was given its APDUs would run."""

    chain: Chain = field(default_factory=lambda: Chain(600))
    ran: list[tuple[tuple[int, int, int], bytes]] = field(default_factory=list)

    def send(self, apdu: bytes) -> bool:
        """Whether it was accepted."""
        try:
            parsed = parse(apdu)
            self.chain.admit(parsed)
            whole = self.chain.add(parsed)
        except ApduRejection:
            self.chain.break_off(apdu)
            return False
        if whole is not None:
            self.ran.append(((whole.cla, whole.ins, whole.p2), whole.data))
        return True


def apdu(head: tuple[int, int, int], data: bytes, *, last: bool, p1: int = 0) -> bytes:
    cla = head[0] | (0 if last else 0x10)
    return bytes([cla, head[1], p1, head[2], len(data)]) + data


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, int, int], list[bytes]]:
    """A command in links; each byte of it says which command it belongs to and where it stands."""
    number = draw(st.integers(0, 15))
    count = draw(st.integers(1, 4))
    return draw(st.sampled_from(HEADS)), [bytes([number << 4 | i]) for i in range(count)]


@pytest.mark.check("NFC-03", "NFC-12")
@given(st.lists(chains(), min_size=1, max_size=4), st.data())
def test_interleaved_chains(
    sent: list[tuple[tuple[int, int, int], list[bytes]]], data: st.DataObject
) -> None:
    """What runs is a command of which every link was accepted, in order, with none between."""
    reader = Reader()
    queues = [list(enumerate(links)) for _, links in sent]
    accepted: list[tuple[int, int, bool]] = []
    while any(queues):
        which = data.draw(st.sampled_from([i for i, queue in enumerate(queues) if queue]))
        at, piece = queues[which].pop(0)
        last = at == len(sent[which][1]) - 1
        p1 = data.draw(st.sampled_from([0, 0x80])) if last else 0
        accepted.append((which, at, reader.send(apdu(sent[which][0], piece, last=last, p1=p1))))
    assert [(head, body) for head, body in reader.ran] == list(_whole(sent, accepted))


def _whole(
    sent: Sequence[tuple[tuple[int, int, int], list[bytes]]], accepted: list[tuple[int, int, bool]]
) -> list[tuple[tuple[int, int, int], bytes]]:
    """The commands whose links came in one run, or in one that no card can tell from that."""
    found: list[tuple[tuple[int, int, int], bytes]] = []
    run: list[tuple[int, int]] = []
    for which, at, good in accepted:
        if not good:
            run = []
            continue
        run.append((which, at))
        if at == len(sent[which][1]) - 1:
            found.append((sent[which][0], b"".join(sent[w][1][a] for w, a in run)))
            assert {sent[w][0] for w, _ in run} == {sent[which][0]}
            run = []
    return found


@given(st.lists(st.tuples(chains(), st.booleans()), min_size=2, max_size=2))
def test_a_fragment_never_runs_after_an_interruption(
    parts: list[tuple[tuple[tuple[int, int, int], list[bytes]], bool]],
) -> None:
    """A chain of which a link was lost to another command runs neither in part nor later."""
    (victim, _), (other, _) = parts
    head, links = victim
    if len(links) < 2 or other[0] == head:
        return
    reader = Reader()
    reader.send(apdu(head, links[0], last=False))
    assert not reader.send(apdu(other[0], b"interloper", last=True))
    for piece in links[1:-1]:
        assert not reader.send(apdu(head, piece, last=False))
    assert not reader.send(apdu(head, links[-1], last=True))
    assert reader.ran == []
    assert reader.send(apdu(head, b"new", last=True))
    assert reader.ran == [(head, b"new")]


# --- CTAPHID -------------------------------------------------------------------------------------


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, bytes]:
    """A channel, and a message for it that needs several reports."""
    channel = draw(st.integers(1, 3))
    return channel, bytes([channel]) * draw(st.integers(1, 200))


@pytest.mark.check("HID-10", "HID-11", "HID-13")
@given(st.lists(streams(), min_size=1, max_size=3, unique_by=itemgetter(0)), st.data())
def test_interleaved_reports(messages: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """Reports of several channels in any order, some lost or sent twice: what runs was sent.

    One message a channel: nobody can tell which of two that a channel mixes a report belongs to.
    """
    device = HidDevice(0x05, last_channel=3)
    queues = [list(Message(channel, HidCommand.CBOR, body).reports()) for channel, body in messages]
    whole = set(messages)
    now = 0
    while any(queues):
        which = data.draw(st.sampled_from([i for i, queue in enumerate(queues) if queue]))
        report = queues[which][0]
        fate = data.draw(st.sampled_from(["sent", "sent", "sent", "lost", "twice"]))
        if fate != "twice":
            queues[which].pop(0)
        if fate == "lost":
            continue
        now += data.draw(st.sampled_from([1, 1, 1, 600]))
        for action in [*device.tick(now), *device.receive(report, now)]:
            if isinstance(action, RunCommand):
                assert (action.channel, action.payload) in whole
                device.finish(action.ticket, b"\0")
