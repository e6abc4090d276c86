"""Both machines on one bus: programs of any number and in any order, rubbish, and time."""

from __future__ import annotations

import pickle
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ctaphid_host import Answer, HidHost, HostEvent, Opened, Refused
from tests.support.hid_bench import Bench
from tests.support.mutate import fuzz_count, mutants

from fidokit.errors import TokenMisbehaved, TokenSilent
from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import (
    BROADCAST,
    MAX_MESSAGE,
    Assembler,
    HidCommand,
    Message,
)
from fidokit.virtual.framing.ctaphid_device import Action, Cancel, HidDevice, RunCommand

REQUESTS = (HidCommand.PING, HidCommand.CBOR, HidCommand.MSG, HidCommand.WINK, HidCommand.LOCK)


@dataclass
class Program:
    """A program: its machine, and what it still has to write."""

    host: HidHost = field(default_factory=HidHost)
    unsent: deque[bytes] = field(default_factory=deque)
    events: list[HostEvent] = field(default_factory=list)
    asked: tuple[HidCommand, bytes] | None = None


class Bus:
    """One token's machine and several programs', whose reports mix as they please."""

    def __init__(self, programs: int) -> None:
        self.device = HidDevice(0x05)
        self.programs = [Program() for _ in range(programs)]
        self.now_ms = 0
        self.works: deque[RunCommand] = deque()
        for number, program in enumerate(self.programs):
            program.unsent.extend(program.host.open(number.to_bytes(8), 0))

    def write(self, program: Program) -> None:
        """One report of this program reaches the token."""
        if program.unsent:
            self.act(self.device.receive(program.unsent.popleft(), self.now_ms))

    def act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Message):
                self.tell_all(action)
            elif isinstance(action, RunCommand):
                self.works.append(action)
            else:
                assert isinstance(action, Cancel)
                self.finish(bytes([CtapStatus.KEEPALIVE_CANCEL]))

    def tell_all(self, message: Message) -> None:
        for report in message.reports():
            for program in self.programs:
                event = program.host.receive(report, self.now_ms)
                if event is not None:
                    program.events.append(event)

    def finish(self, reply: bytes | None = None) -> None:
        """The token has done its work; its answer says for whom, and what was asked."""
        if self.works:
            work = self.works.popleft()
            answer = work.channel.to_bytes(4) + work.payload if reply is None else reply
            self.act(self.device.finish(work.ticket, answer))

    def pass_time(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.act(self.device.tick(self.now_ms))
        for program in self.programs:
            program.unsent.extend(program.host.tick(self.now_ms))

    def settle(self) -> None:
        """All programs write what they have, the token works, busy ones come again."""
        for _ in range(200):
            for program in self.programs:
                while program.unsent:
                    self.write(program)
                while self.works:
                    self.finish()
            if all(program.host.deadline_ms is None for program in self.programs):
                return
            self.pass_time(100)
        raise AssertionError([program.events for program in self.programs])


requests = st.sampled_from(REQUESTS).flatmap(
    lambda command: st.tuples(
        st.just(command),
        {
            HidCommand.WINK: st.just(b""),
            HidCommand.LOCK: st.just(b"\1") | st.just(b"\0"),
            HidCommand.MSG: st.binary(min_size=4, max_size=300),
            HidCommand.CBOR: st.binary(min_size=1, max_size=300) | st.just(bytes(MAX_MESSAGE - 4)),
        }.get(command, st.binary(max_size=300)),
    )
)


def expected(program: Program) -> HostEvent:
    assert program.asked is not None
    command, payload = program.asked
    if command in {HidCommand.MSG, HidCommand.CBOR, HidCommand.WINK}:
        return Answer(program.host.channel.to_bytes(4) + payload)
    return Answer(payload if command is HidCommand.PING else b"")


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.data())
def test_any_interleaving_of_programs(count: int, data: st.DataObject) -> None:
    """Each gets a channel of its own, and to each request the answer that belongs to it."""
    bus = Bus(count)
    bus.settle()
    channels = [program.host.channel for program in bus.programs]
    assert len(set(channels)) == count
    for program in bus.programs:
        program.events.clear()
        program.asked = data.draw(requests)
        program.unsent.extend(program.host.send(*program.asked, bus.now_ms))
    for _ in range(data.draw(st.integers(0, 40))):
        step = data.draw(st.sampled_from(["write", "write", "write", "finish", "time"]))
        if step == "write":
            bus.write(data.draw(st.sampled_from(bus.programs)))
        elif step == "finish":
            bus.finish()
        else:
            bus.pass_time(data.draw(st.integers(0, 99)))
    bus.settle()
    for program in bus.programs:
        answers = [event for event in program.events if isinstance(event, Answer)]
        refusals = [event for event in program.events if isinstance(event, Refused)]
        assert answers + refusals in ([expected(program)], [Refused(CtapStatus.TIMEOUT)])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_programs_that_start_over(data: st.DataObject) -> None:
    """INIT on the channel at any point: the next request gets its own answer, never an old one."""
    bus = Bus(1)
    bus.settle()
    (program,) = bus.programs
    program.unsent.extend(program.host.send(*data.draw(requests), bus.now_ms))
    for _ in range(data.draw(st.integers(0, 8))):
        bus.write(program)
    program.unsent.clear()
    program.unsent.extend(program.host.open(b"newnonce", bus.now_ms))
    bus.settle()
    assert isinstance(program.events[-1], Opened)
    program.asked = HidCommand.CBOR, b"after"
    program.unsent.extend(program.host.send(*program.asked, bus.now_ms))
    bus.settle()
    assert program.events[-1] == expected(program)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3), st.booleans())
def test_a_cancel_at_any_time(reports: int, early: bool) -> None:
    bus = Bus(2)
    bus.settle()
    program = bus.programs[0]
    program.asked = HidCommand.CBOR, bytes(200)
    program.unsent.extend(program.host.send(*program.asked, bus.now_ms))
    for _ in range(reports if early else 4):
        bus.write(program)
    cancel = list(program.host.cancel())
    assert len(cancel) == 1
    program.unsent.extendleft(cancel)
    bus.settle()
    (answer,) = [e for e in program.events if isinstance(e, Answer | Refused)]
    canceled = Answer(bytes([CtapStatus.KEEPALIVE_CANCEL]))
    assert answer == (expected(program) if early else canceled)


# --- rubbish -----------------------------------------------------------------------------------


def honest_reports() -> list[bytes]:
    messages = [
        Message(BROADCAST, HidCommand.INIT, bytes(8)),
        *(Message(channel, command, bytes(150)) for channel in (1, 2) for command in REQUESTS),
        Message(1, HidCommand.INIT, bytes(8)),
        Message(1, HidCommand.CANCEL),
        Message(2, HidCommand.LOCK, b"\x0a"),
        Message(1, HidCommand.WINK),
    ]
    return [report for message in messages for report in message.reports()]


def require_usable(bench: Bench) -> None:
    """After its work and a lock's longest time, INIT on broadcast gives a channel that works."""
    bench.device.fail(bench.device._tickets, None)
    bench.wait(10_500)
    assert bench.device.deadline_ms is None
    channel = bench.open()
    ping = Message(channel, HidCommand.PING, b"usable")
    assert bench.send(ping) == [ping]


def test_fuzz_reports_at_random_times() -> None:
    """Random and damaged reports at random times: well-formed answers, bounded memory, an end."""
    rng = random.Random(4)
    bench = Bench()
    corpus = honest_reports()
    refused = begun = 0
    for number, damaged in enumerate(mutants(corpus, fuzz_count(3_000))):
        bench.now_ms += rng.choice((0, 0, 0, 1, 40, 200, 600))
        report = (rng.choice(corpus) if rng.random() < 0.6 else damaged)[:64].ljust(64, b"\0")
        for action in bench.write(report):
            if isinstance(action, RunCommand):
                begun += 1
                assert action.channel in range(1, bench.device._highest + 1)
                assert len(action.payload) <= MAX_MESSAGE
                if rng.random() < 0.7:
                    bench.device.finish(action.ticket, rng.randbytes(rng.randrange(200)))
            elif isinstance(action, Message):
                refused += action.command == HidCommand.ERROR
                assert Assembler().feed(next(action.reports())) is not None or action.payload
        if number % 500 == 0:
            require_usable(bench)
    require_usable(bench)
    assert refused > begun / 10
    assert begun
    assert len(pickle.dumps(bench.device)) < 2 * MAX_MESSAGE  # one half message, and numbers


def test_fuzz_answers_of_a_token() -> None:
    """What a token says, damaged: an event, nothing, or the one error."""
    corpus = [
        report
        for message in (
            Message(7, HidCommand.CBOR, bytes(300)),
            Message(7, HidCommand.KEEPALIVE, b"\2"),
            Message(7, HidCommand.ERROR, b"\6"),
            Message(7, HidCommand.INIT, bytes(8) + bytes([0, 0, 0, 7, 2, 1, 0, 0, 5])),
        )
        for report in message.reports()
    ]
    rng, host, now_ms, misbehaved = random.Random(5), HidHost(), 0, 0
    host._channel = 7
    for damaged in mutants(corpus, fuzz_count(3_000)):
        if host.deadline_ms is None:
            sent = host.open(bytes(8), now_ms) if rng.random() < 0.2 else None
            sent or host.send(HidCommand.CBOR, b"\4", now_ms)
            host._channel = 7
        report = (rng.choice(corpus) if rng.random() < 0.5 else damaged)[:64].ljust(64, b"\0")
        now_ms += rng.choice((0, 1, 100))
        try:
            host.tick(now_ms)
            host.receive(report, now_ms)
        except TokenMisbehaved:
            misbehaved += 1
        except TokenSilent:
            continue  # nothing for its channel in three seconds
    assert misbehaved


@pytest.mark.check("HID-02")
@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=64, max_size=64), max_size=20), st.integers(0, 700))
def test_any_reports_leave_it_usable(reports: list[bytes], pause_ms: int) -> None:
    bench = Bench()
    for report in reports:
        bench.now_ms += pause_ms
        bench.write(report)
    require_usable(bench)
