"""A token's shared HID interface: several programs, one token, a clock that some tests move."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support.hid_programs import PATIENCE_S, Bus
from tests.support.mutate import fuzz_count, mutants

from fidokit.errors import FidokitError, StateUnusable
from fidokit.types import CtapStatus
from fidokit.virtual.core.profile import TEXTBOOK_MANNERS
from fidokit.virtual.faults import PowerCycle, Stall, StallInSilence, Unplug
from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.transports.reports import MOST_LINKS, HidPort

GET_INFO, GET_NEXT, SELECTION = b"\x04", b"\x08", b"\x0b"


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as token:
        yield token


@pytest.fixture
def bus(token: VirtualToken) -> Iterator[Bus]:
    bus = Bus(token)
    yield bus
    bus.port.close()


def error(channel: int, status: CtapStatus) -> Message:
    return Message(channel, HidCommand.ERROR, bytes([status]))


def test_what_a_token_can_do_goes_through(bus: Bus, token: VirtualToken) -> None:
    channel = bus.channel()
    info = bus.ask(Message(channel, HidCommand.CBOR, GET_INFO))
    assert info.payload[0] == CtapStatus.OK
    version = bus.ask(Message(channel, HidCommand.MSG, bytes.fromhex("00030000000000")))
    assert version.payload == b"U2F_V2\x90\x00"
    assert bus.ask(Message(channel, HidCommand.WINK)) == Message(channel, HidCommand.WINK)
    assert token.winks == 1
    ping = Message(channel, HidCommand.PING, bytes(7609))
    assert bus.ask(ping) == ping


def test_programs_share_the_reports_and_have_channels_apart(bus: Bus) -> None:
    channels = {bus.channel() for _ in range(100)}
    assert len(channels) == 100
    for channel in channels:
        reply = bus.ask(Message(channel, HidCommand.CBOR, GET_INFO))
        assert (reply.channel, reply.payload[0]) == (channel, 0)


@pytest.mark.check("HID-14", "HID-15")
def test_others_wait_while_one_waits_for_a_touch(bus: Bus, token: VirtualToken) -> None:
    first, second = bus.channel(), bus.channel()
    bus.write(Message(first, HidCommand.CBOR, SELECTION))
    assert bus.read() == Message(first, HidCommand.KEEPALIVE, b"\2")
    assert bus.ask(Message(second, HidCommand.CBOR, GET_INFO)) == error(
        second, CtapStatus.CHANNEL_BUSY
    )
    assert bus.ask(Message(BROADCAST, HidCommand.INIT, bytes(8))) == error(
        BROADCAST, CtapStatus.CHANNEL_BUSY
    )
    token.touch()
    assert bus.answer() == Message(first, HidCommand.CBOR, b"\0")
    assert bus.ask(Message(second, HidCommand.CBOR, GET_INFO)).payload[0] == 0


@pytest.mark.check("HID-19", "HID-20")
def test_keepalives_then_cancel(bus: Bus) -> None:
    channel = bus.channel()
    bus.write(Message(channel, HidCommand.CBOR, SELECTION))
    for _ in range(3):
        assert bus.read() == Message(channel, HidCommand.KEEPALIVE, b"\2")
    bus.write(Message(channel, HidCommand.CANCEL))
    bus.write(Message(channel, HidCommand.CANCEL))
    canceled = bytes([CtapStatus.KEEPALIVE_CANCEL])
    assert bus.answer() == Message(channel, HidCommand.CBOR, canceled)
    assert bus.quiet


@pytest.mark.check("HID-21")
def test_a_cancel_from_elsewhere_changes_nothing(bus: Bus, token: VirtualToken) -> None:
    first, second = bus.channel(), bus.channel()
    bus.write(Message(first, HidCommand.CBOR, SELECTION))
    assert bus.read().command == HidCommand.KEEPALIVE
    bus.write(Message(second, HidCommand.CANCEL))
    assert bus.read() == Message(first, HidCommand.KEEPALIVE, b"\2")
    token.touch()
    assert bus.answer() == Message(first, HidCommand.CBOR, b"\0")


@pytest.mark.check("HID-12")
def test_a_half_sent_message_is_given_up(token: VirtualToken) -> None:
    bus = Bus(token, manual=True)
    channel = bus.channel()
    bus.port.receive(next(Message(channel, HidCommand.PING, bytes(100)).reports()))
    bus.advance(499)
    assert bus.quiet
    bus.advance(1)
    assert bus.read() == error(channel, CtapStatus.TIMEOUT)


@pytest.mark.check("HID-12")
def test_it_is_given_up_without_anybody_looking(bus: Bus) -> None:
    channel = bus.channel()
    bus.port.receive(next(Message(channel, HidCommand.PING, bytes(100)).reports()))
    assert bus.read() == error(channel, CtapStatus.TIMEOUT)


@pytest.mark.check("HID-25")
def test_a_lock_ends_by_itself(token: VirtualToken) -> None:
    bus = Bus(token, manual=True)
    first, second = bus.channel(), bus.channel()
    assert bus.ask(Message(first, HidCommand.LOCK, b"\x0a")).command == HidCommand.LOCK
    ping = Message(second, HidCommand.PING, b"x")
    bus.advance(9_999)
    assert bus.ask(ping) == error(second, CtapStatus.CHANNEL_BUSY)
    bus.advance(1)
    assert bus.ask(ping) == ping


@pytest.mark.check("HID-01")
def test_an_idle_token_is_silent(token: VirtualToken) -> None:
    bus = Bus(token, manual=True)
    bus.channel()
    for _ in range(30):
        bus.advance(100)
    assert bus.quiet


# --- enumerations ------------------------------------------------------------------------------


class _Numbered:
    """Answers with the number of the link that was asked, and counts those that are open."""

    capabilities = 0x05
    plugged_in = True
    silent = False
    manners = TEXTBOOK_MANNERS

    def __init__(self) -> None:
        self.made = 0
        self.open: set[int] = set()

    def link(self) -> MemoryLink:
        self.made += 1
        token, number = self, self.made

        class Link(MemoryLink):
            def close(self) -> None:
                token.open.discard(number)
                super().close()

        self.open.add(number)
        return Link(self, number)

    def exchange_cbor(
        self,
        request: bytes,
        channel: int,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        return b"\0" + channel.to_bytes(4)

    def exchange_msg(self, apdu: bytes, channel: int) -> bytes:
        return channel.to_bytes(4) + b"\x90\0"

    def winked(self) -> None:
        pass


def ask_link(bus: Bus, channel: int) -> int:
    return int.from_bytes(bus.ask(Message(channel, HidCommand.CBOR, GET_INFO)).payload[1:])


def test_each_channel_has_its_link() -> None:
    bus = Bus(_Numbered())
    first, second = bus.channel(), bus.channel()
    assert [ask_link(bus, channel) for channel in (second, first, second, first)] == [1, 2, 1, 2]
    apdu = bytes.fromhex("00030000000000")
    assert bus.ask(Message(first, HidCommand.MSG, apdu)).payload[:4] == bytes([0, 0, 0, 2])


def test_links_are_bounded_and_the_longest_silent_goes_first() -> None:
    token = _Numbered()
    bus = Bus(token)
    channels = [bus.channel() for _ in range(MOST_LINKS + 1)]
    numbers = [ask_link(bus, channel) for channel in channels[:-1]]
    assert ask_link(bus, channels[0]) == numbers[0]
    ask_link(bus, channels[-1])
    assert len(token.open) == MOST_LINKS
    assert ask_link(bus, channels[0]) == numbers[0]
    assert ask_link(bus, channels[1]) not in numbers
    bus.port.close()
    assert not token.open


# --- trouble -----------------------------------------------------------------------------------


@pytest.mark.check("HID-06")
def test_init_on_its_channel_ends_a_wait(bus: Bus, token: VirtualToken) -> None:
    channel = bus.channel()
    bus.write(Message(channel, HidCommand.CBOR, SELECTION))
    assert bus.read().command == HidCommand.KEEPALIVE
    reply = bus.ask(Message(channel, HidCommand.INIT, bytes(8)))
    assert (reply.command, reply.payload[8:12]) == (HidCommand.INIT, channel.to_bytes(4))
    assert bus.ask(Message(channel, HidCommand.CBOR, GET_INFO)).payload[0] == 0
    token.touch()
    assert bus.ask(Message(channel, HidCommand.CBOR, SELECTION)).payload == b"\0"


def test_reset_ends_a_wait_and_leaves_channels(bus: Bus) -> None:
    channel = bus.channel()
    bus.write(Message(channel, HidCommand.CBOR, SELECTION))
    assert bus.read().command == HidCommand.KEEPALIVE
    bus.port.reset()
    while not bus.quiet:
        assert bus.read().command == HidCommand.KEEPALIVE
    assert bus.ask(Message(channel, HidCommand.CBOR, GET_INFO)).payload[0] == 0


def test_a_stall_that_heeds_no_cancel_is_kept_alive(bus: Bus, token: VirtualToken) -> None:
    channel = bus.channel()
    token.faults.add(Stall(status=1, obeys_cancel=False))
    bus.write(Message(channel, HidCommand.CBOR, GET_INFO))
    assert bus.read() == Message(channel, HidCommand.KEEPALIVE, b"\1")
    bus.write(Message(channel, HidCommand.CANCEL))
    assert bus.read() == Message(channel, HidCommand.KEEPALIVE, b"\1")
    token.faults.clear()
    assert bus.answer().payload[0] == 0


def test_silence_is_kept_and_init_still_answers(token: VirtualToken) -> None:
    bus = Bus(token, manual=True)
    channel = bus.channel()
    token.faults.add(StallInSilence())
    bus.write(Message(channel, HidCommand.CBOR, GET_INFO))
    assert token.faults.wait()
    while not token.silent:
        pass  # it struck; the stall itself begins a moment later
    for _ in range(100):
        bus.advance(100)
    assert bus.quiet
    assert bus.ask(Message(channel, HidCommand.INIT, bytes(8))).command == HidCommand.INIT
    token.faults.clear()
    assert bus.ask(Message(channel, HidCommand.CBOR, GET_INFO)).payload[0] == 0


@pytest.mark.parametrize("acted", [False, True])
def test_unplugged_by_a_command(bus: Bus, token: VirtualToken, acted: bool) -> None:
    channel = bus.channel()
    ended = threading.Event()
    bus.port._told_of_end = ended.set
    token.faults.add(Unplug(acted=acted))
    bus.write(Message(channel, HidCommand.CBOR, GET_INFO))
    assert ended.wait(PATIENCE_S)
    assert bus.port.closed
    assert bus.quiet
    bus.write(Message(BROADCAST, HidCommand.INIT, bytes(8)))
    assert bus.quiet


def test_unplugged_while_it_waits(bus: Bus, token: VirtualToken) -> None:
    ended = threading.Event()
    bus.port._told_of_end = ended.set
    bus.write(Message(bus.channel(), HidCommand.CBOR, SELECTION))
    assert bus.read().command == HidCommand.KEEPALIVE
    token.unplug()
    assert ended.wait(PATIENCE_S)
    assert bus.port.closed


def test_unplugged_while_idle(bus: Bus, token: VirtualToken) -> None:
    channel = bus.channel()
    token.unplug()
    bus.write(Message(channel, HidCommand.PING))
    bus.write(Message(channel, HidCommand.PING))
    assert bus.quiet
    assert bus.ends == 1


def test_a_power_cycle_is_an_error_and_no_end(bus: Bus, token: VirtualToken) -> None:
    channel = bus.channel()
    token.faults.add(PowerCycle())
    said = bus.ask(Message(channel, HidCommand.CBOR, GET_INFO))
    assert said == error(channel, CtapStatus.OTHER)
    assert bus.ask(Message(channel, HidCommand.CBOR, GET_INFO)).payload[0] == 0


class _Failing(_Numbered):
    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self.failure = failure

    def exchange_cbor(self, *_: object) -> bytes:
        raise self.failure


def test_what_the_token_cannot_go_on_with_is_an_error() -> None:
    bus = Bus(_Failing(StateUnusable("its disk is full")))
    channel = bus.channel()
    said = bus.ask(Message(channel, HidCommand.CBOR, GET_INFO))
    assert said == error(channel, CtapStatus.OTHER)
    assert bus.ask(Message(channel, HidCommand.PING)).command == HidCommand.PING


def test_a_mistake_of_ours_is_an_error_that_is_logged_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    bus = Bus(_Failing(RuntimeError("a mistake")))
    channel = bus.channel()
    for _ in range(2):
        said = bus.ask(Message(channel, HidCommand.CBOR, GET_INFO))
        assert said == error(channel, CtapStatus.OTHER)
    assert shown == []
    assert caplog.messages == ["a command on USB ended by RuntimeError: a mistake"] * 2


def test_who_is_told_of_failures_hears_them_in_place_of_the_host() -> None:
    told: list[FidokitError] = []
    heard, sent = threading.Event(), list[bytes]()

    def failed(error: FidokitError) -> None:
        told.append(error)
        heard.set()

    port = HidPort(_Failing(StateUnusable("x")), sent.append, failed=failed)
    for message in (
        Message(BROADCAST, HidCommand.INIT, bytes(8)),
        Message(1, HidCommand.CBOR, GET_INFO),
    ):
        for report in message.reports():
            port.receive(report)
    assert heard.wait(PATIENCE_S)
    assert [type(error) for error in told] == [StateUnusable]
    assert len(sent) == 1  # the answer to INIT


@pytest.mark.parametrize("size", [0, 1, 63, 65, 4096])
def test_what_is_no_report_is_not_heard(bus: Bus, size: int) -> None:
    bus.port.receive(b"\xff" * size)
    assert bus.quiet
    assert bus.channel() == 1


def test_closing(bus: Bus) -> None:
    bus.write(Message(bus.channel(), HidCommand.CBOR, SELECTION))
    assert bus.read().command == HidCommand.KEEPALIVE
    assert not bus.port.closed
    bus.port.close()
    bus.port.close()
    bus.port.reset()
    assert bus.port.closed
    while not bus.quiet:
        assert bus.read().command == HidCommand.KEEPALIVE
    bus.write(Message(BROADCAST, HidCommand.INIT, bytes(8)))
    assert bus.quiet
    assert bus.ends == 0


def test_who_is_sent_to_may_answer_at_once() -> None:
    """A host that answers in the call that brings it a report, as loops without threads do."""
    seen: list[bytes] = []

    def send(report: bytes) -> None:
        seen.append(report)
        if len(seen) < 50:
            port.receive(next(Message(1, HidCommand.PING, bytes([len(seen)])).reports()))

    port = HidPort(_Numbered(), send)
    port.receive(next(Message(BROADCAST, HidCommand.INIT, bytes(8)).reports()))
    assert [report[7] for report in seen[1:]] == list(range(1, 50))


def test_many_threads_at_once() -> None:
    bus = Bus(_Numbered())
    channels = [bus.channel() for _ in range(8)]

    def ping(channel: int) -> None:
        for number in range(100):
            bus.write(Message(channel, HidCommand.PING, bytes([number])))

    threads = [threading.Thread(target=ping, args=(channel,)) for channel in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    answers = [bus.answer() for _ in range(800)]
    for channel in channels:
        assert [a.payload[0] for a in answers if a.channel == channel] == list(range(100))


def test_fuzz_reports_of_several_programs_at_once() -> None:
    """Rubbish from several threads at a token that works: INIT answers, and nothing has grown."""
    with VirtualToken(presence="deny") as token:
        bus = Bus(token)
        channels = [bus.channel() for _ in range(3)]
        corpus = [
            report
            for channel in channels
            for message in (
                Message(channel, HidCommand.CBOR, GET_INFO),
                Message(channel, HidCommand.CBOR, GET_NEXT),
                Message(channel, HidCommand.CBOR, b"\x01" + bytes(200)),
                Message(channel, HidCommand.MSG, bytes.fromhex("00030000000000")),
                Message(channel, HidCommand.PING, bytes(150)),
                Message(channel, HidCommand.INIT, bytes(8)),
                Message(channel, HidCommand.CANCEL),
                Message(channel, HidCommand.LOCK, b"\1"),
                Message(BROADCAST, HidCommand.INIT, bytes(8)),
            )
            for report in message.reports()
        ]

        def program(seed: int) -> None:
            rng = random.Random(seed)
            for damaged in mutants(corpus, fuzz_count(600) // 3, seed):
                report = rng.choice(corpus) if rng.random() < 0.5 else damaged
                bus.port.receive(report[:64].ljust(64, b"\0"))

        programs = [threading.Thread(target=program, args=(seed,)) for seed in range(3)]
        for thread in programs:
            thread.start()
        for thread in programs:
            thread.join(PATIENCE_S + fuzz_count(600) / 1000)
        assert len(bus.port._links) <= MOST_LINKS
        bus.port.reset()
        nonce = b"afterall"
        bus.write(Message(BROADCAST, HidCommand.INIT, nonce))
        while (message := bus.answer()).payload[:8] != nonce:
            pass
        channel = int.from_bytes(message.payload[8:12])
        assert bus.ask(Message(channel, HidCommand.CBOR, GET_INFO)).payload[0] == 0
        bus.port.close()
