"""A token as an opened HID device: raw reports here, python-fido2's own host in tests/testing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fidokit.errors import FidokitError, TokenGone, TouchTimedOut
from fidokit.types import CtapStatus
from fidokit.virtual.core.profile import TEXTBOOK_MANNERS
from fidokit.virtual.framing.ctaphid import BROADCAST, Assembler, HidCommand, Message
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.transports.reports import HidConnection

NONCE = bytes(range(8))
SELECTION = b"\x0b"
GET_INFO = b"\x04"


class Host:
    """The other end of the reports."""

    def __init__(self, connection: HidConnection) -> None:
        self.connection = connection

    def write(self, message: Message) -> None:
        for report in message.reports():
            self.connection.write_packet(report)

    def read(self) -> Message:
        assembler = Assembler()
        while True:
            message = assembler.feed(self.connection.read_packet())
            if message is not None:
                return message

    def ask(self, message: Message) -> Message:
        self.write(message)
        return self.read()

    def channel(self) -> int:
        reply = self.ask(Message(BROADCAST, HidCommand.INIT, NONCE))
        return int.from_bytes(reply.payload[8:12])

    def refusal(self, message: Message) -> CtapStatus:
        reply = self.ask(message)
        assert (reply.channel, reply.command) == (message.channel, HidCommand.ERROR)
        return CtapStatus(reply.payload[0])


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as token:
        yield token


@pytest.fixture
def host(token: VirtualToken) -> Iterator[Host]:
    connection = HidConnection(token, silence_s=20)
    yield Host(connection)
    connection.close()


@pytest.mark.check("HID-03")
def test_init_names_a_channel_and_the_token(host: Host) -> None:
    reply = host.ask(Message(BROADCAST, HidCommand.INIT, NONCE))
    assert (reply.channel, reply.command) == (BROADCAST, HidCommand.INIT)
    assert reply.payload[:8] == NONCE
    assert int.from_bytes(reply.payload[8:12]) not in {0, BROADCAST}
    assert reply.payload[12:] == bytes([2, 1, 0, 0, 0x05])


@pytest.mark.check("HID-04")
def test_every_init_gives_another_channel(host: Host) -> None:
    assert len({host.channel() for _ in range(3)}) == 3


@pytest.mark.check("HID-05")
@pytest.mark.parametrize("size", [0, 7, 9])
def test_init_wants_a_nonce(host: Host, size: int) -> None:
    init = Message(BROADCAST, HidCommand.INIT, bytes(size))
    assert host.refusal(init) is CtapStatus.INVALID_LENGTH


@pytest.mark.check("HID-07")
@pytest.mark.parametrize("payload", [b"", b"\0hello", bytes(1024), b"\xff" * 7609])
def test_ping(host: Host, payload: bytes) -> None:
    ping = Message(host.channel(), HidCommand.PING, payload)
    assert host.ask(ping) == ping


@pytest.mark.check("HID-16", "HID-17")
@pytest.mark.parametrize("command", [HidCommand.PING, HidCommand.CBOR, HidCommand.WINK])
@pytest.mark.parametrize("channel", [0, BROADCAST, 0xDEADBEEF])
def test_channels_that_nobody_was_given(host: Host, channel: int, command: HidCommand) -> None:
    host.channel()
    assert host.refusal(Message(channel, command, b"\x04")) is CtapStatus.INVALID_CHANNEL


@pytest.mark.check("HID-16", "HID-17")
@pytest.mark.parametrize("channel", [0, 0xDEADBEEF])
def test_init_on_such_a_channel(host: Host, channel: int) -> None:
    init = Message(channel, HidCommand.INIT, NONCE)
    assert host.refusal(init) is CtapStatus.INVALID_CHANNEL


@pytest.mark.check("HID-18")
@pytest.mark.parametrize("command", [0, 2, 0x3B, 0x3F, 0x40, 0x7F])
def test_unknown_commands(host: Host, command: int) -> None:
    assert host.refusal(Message(host.channel(), command)) is CtapStatus.INVALID_COMMAND


@pytest.mark.check("HID-22")
def test_wink(host: Host, token: VirtualToken) -> None:
    wink = Message(host.channel(), HidCommand.WINK)
    assert host.ask(wink) == wink
    assert token.winks == 1
    assert host.refusal(Message(wink.channel, HidCommand.WINK, b"x")) is CtapStatus.INVALID_LENGTH


@pytest.mark.check("HID-26")
@pytest.mark.parametrize(
    ("command", "payload"),
    [(HidCommand.CBOR, b""), (HidCommand.MSG, b""), (HidCommand.MSG, b"abc")],
)
def test_messages_without_a_message(host: Host, command: HidCommand, payload: bytes) -> None:
    asked = Message(host.channel(), command, payload)
    assert host.refusal(asked) is CtapStatus.INVALID_LENGTH


@pytest.mark.check("HID-26")
@pytest.mark.parametrize(("profile", "command"), [("u2f", HidCommand.CBOR), (None, HidCommand.MSG)])
def test_commands_that_the_model_lacks(profile: str | None, command: HidCommand) -> None:
    with VirtualToken(profile=profile or "ctap2.3") as token:
        lacking = _Lacking(token, 0x01 if profile else 0x0D)
        host = Host(HidConnection(lacking))
        asked = Message(host.channel(), command, b"\x04\0\0\0")
        assert host.refusal(asked) is CtapStatus.INVALID_COMMAND


class _Lacking:
    """A token that says it lacks what it has."""

    plugged_in = True
    silent = False
    manners = TEXTBOOK_MANNERS

    def __init__(self, token: VirtualToken, capabilities: int) -> None:
        self.link = token.link
        self.capabilities = capabilities


def test_a_command_and_its_answer(host: Host) -> None:
    reply = host.ask(Message(host.channel(), HidCommand.CBOR, GET_INFO))
    assert reply.command == HidCommand.CBOR
    assert reply.payload[0] == CtapStatus.OK
    assert b"FIDO_2_3" in reply.payload


def test_a_u2f_message_and_its_answer(host: Host) -> None:
    reply = host.ask(Message(host.channel(), HidCommand.MSG, bytes.fromhex("00030000000000")))
    assert reply.payload == b"U2F_V2\x90\x00"


@pytest.mark.check("HID-19", "HID-20")
def test_keepalives_then_cancel(host: Host) -> None:
    channel = host.channel()
    host.write(Message(channel, HidCommand.CBOR, SELECTION))
    assert host.read() == Message(channel, HidCommand.KEEPALIVE, b"\x02")
    assert host.read() == Message(channel, HidCommand.KEEPALIVE, b"\x02")
    host.write(Message(channel, HidCommand.CANCEL))
    reply = next_reply(host)
    assert reply == Message(channel, HidCommand.CBOR, bytes([CtapStatus.KEEPALIVE_CANCEL]))


def next_reply(host: Host) -> Message:
    while (message := host.read()).command == HidCommand.KEEPALIVE:
        pass
    return message


def test_a_touch_ends_the_wait(host: Host, token: VirtualToken) -> None:
    channel = host.channel()
    host.write(Message(channel, HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    token.touch()
    assert next_reply(host) == Message(channel, HidCommand.CBOR, b"\0")


@pytest.mark.check("HID-21")
def test_cancel_of_nothing_is_silent(host: Host) -> None:
    first, second = host.channel(), host.channel()
    host.write(Message(first, HidCommand.CANCEL))
    host.write(Message(first, HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    host.write(Message(second, HidCommand.CANCEL))
    assert host.read() == Message(first, HidCommand.KEEPALIVE, b"\x02")


@pytest.mark.check("HID-15")
@pytest.mark.parametrize("command", [HidCommand.PING, HidCommand.CBOR, HidCommand.MSG])
def test_others_hear_that_it_is_busy(host: Host, token: VirtualToken, command: HidCommand) -> None:
    first, second = host.channel(), host.channel()
    host.write(Message(first, HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    host.write(Message(second, command, GET_INFO))
    reply = next_reply(host)
    assert reply == Message(second, HidCommand.ERROR, bytes([CtapStatus.CHANNEL_BUSY]))
    token.touch()
    assert next_reply(host).channel == first


def test_another_opening_hears_it_in_the_framing(host: Host, token: VirtualToken) -> None:
    host.write(Message(host.channel(), HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    other = Host(HidConnection(token))
    asked = Message(other.channel(), HidCommand.CBOR, GET_INFO)
    assert other.refusal(asked) is CtapStatus.CHANNEL_BUSY


@pytest.mark.check("HID-06")
def test_init_on_its_channel_aborts_a_command(host: Host, token: VirtualToken) -> None:
    channel = host.channel()
    host.write(Message(channel, HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    host.write(Message(channel, HidCommand.INIT, NONCE))
    reply = next_reply(host)
    assert (reply.command, reply.payload[8:12]) == (HidCommand.INIT, channel.to_bytes(4))
    token.touch()
    ping = Message(channel, HidCommand.PING, b"still here")
    assert host.ask(ping) == ping


def test_a_report_out_of_place_is_answered(host: Host) -> None:
    channel = host.channel()
    first, *_ = Message(channel, HidCommand.PING, bytes(100)).reports()
    host.connection.write_packet(first)
    reply = host.ask(Message(channel, HidCommand.PING))
    assert reply.payload == bytes([CtapStatus.INVALID_SEQ])


@pytest.mark.parametrize("size", [0, 63, 65])
def test_only_whole_reports_can_be_written(host: Host, size: int) -> None:
    with pytest.raises(OSError, match="64") as caught:
        host.connection.write_packet(bytes(size))
    assert caught.value.errno == errno.EINVAL


# --- broken connections ----------------------------------------------------------------------


def test_unplugged_in_the_middle(host: Host, token: VirtualToken) -> None:
    channel = host.channel()
    host.write(Message(channel, HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    token.unplug()
    with pytest.raises(OSError, match="Input/output") as caught:
        next_reply(host)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("command", [HidCommand.INIT, HidCommand.MSG, HidCommand.WINK])
def test_unplugged_before(host: Host, token: VirtualToken, command: HidCommand) -> None:
    channel = host.channel()
    token.unplug()
    payload = {HidCommand.INIT: NONCE, HidCommand.MSG: bytes(4), HidCommand.WINK: b""}[command]
    target = BROADCAST if command is HidCommand.INIT else channel
    with pytest.raises(OSError, match="Input/output"):
        host.write(Message(target, command, payload))


def test_closing_cancels_and_ends_reads(host: Host, token: VirtualToken) -> None:
    host.write(Message(host.channel(), HidCommand.CBOR, SELECTION))
    assert host.read().command == HidCommand.KEEPALIVE
    host.connection.close()
    host.connection.close()
    for use in (host.connection.read_packet, lambda: host.connection.write_packet(bytes(64))):
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            use()
        assert caught.value.errno == errno.EBADF
    token.touch()
    again = Host(HidConnection(token))
    assert again.ask(Message(again.channel(), HidCommand.PING, b"x")).payload == b"x"


def test_a_read_that_nothing_answers_ends(token: VirtualToken) -> None:
    connection = HidConnection(token, silence_s=0.01)
    with pytest.raises(TimeoutError, match=r"nothing for 0\.01 s"):
        connection.read_packet()


class _Failing:
    """A token whose commands fail."""

    capabilities = 0x05
    plugged_in = True
    silent = False
    manners = TEXTBOOK_MANNERS

    def __init__(self, failure: FidokitError) -> None:
        self._failure = failure

    def link(self) -> MemoryLink:
        return MemoryLink(self, 1)

    def exchange_cbor(
        self,
        request: bytes,
        channel: int,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        raise self._failure

    def exchange_msg(self, apdu: bytes, channel: int) -> bytes:
        raise self._failure

    def winked(self) -> None:
        raise self._failure


@pytest.mark.parametrize(
    ("failure", "seen"), [(TouchTimedOut("nobody came"), TouchTimedOut), (TokenGone("x"), OSError)]
)
def test_failures_reach_who_reads(failure: FidokitError, seen: type[Exception]) -> None:
    host = Host(HidConnection(_Failing(failure)))
    host.write(Message(host.channel(), HidCommand.CBOR, GET_INFO))
    with pytest.raises(seen):
        host.read()


def test_an_answer_after_closing_goes_nowhere() -> None:
    entered, leave = Event(), Event()

    class Slow(_Failing):
        def exchange_cbor(self, *_: object) -> bytes:
            entered.set()
            assert leave.wait(10)
            return b"\0"

    host = Host(HidConnection(Slow(TokenGone("unused"))))
    channel = host.channel()
    host.write(Message(channel, HidCommand.CBOR, GET_INFO))
    assert entered.wait(10)
    host.write(Message(channel, HidCommand.INIT, NONCE))
    assert host.read().command == HidCommand.INIT
    leave.set()
    ping = Message(channel, HidCommand.PING, b"next")
    assert host.ask(ping) == ping


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=64, max_size=64), max_size=10))
def test_any_reports_leave_it_usable(reports: list[bytes]) -> None:
    with VirtualToken(presence="deny") as token:
        host = Host(HidConnection(token))
        channel = host.channel()
        for report in reports:
            host.connection.write_packet(channel.to_bytes(4) + report[4:])
        host.write(Message(channel, HidCommand.INIT, NONCE))
        while (message := host.read()).command != HidCommand.INIT:
            assert message.channel == channel
        assert message.payload[:8] == NONCE
