"""A token as a card in vpcd's reader: the reader's side is played here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest
from tests.support.fake_link import SteeredClock

from fidokit.errors import FidokitError, ReaderGone, TokenGone, Unsupported, UsageError
from fidokit.virtual.core.ports import NeedsPresence, Outcome
from fidokit.virtual.presence import Canceled, OnKeepalive
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.card import AID, ANSWER_TO_RESET
from fidokit.virtual.transports.vpcd import FIRST_PAUSE_S, GONE_S, LONGEST_PAUSE_S, VpcdCard, framed

SELECT = bytes.fromhex("00a40400") + bytes([len(AID)]) + AID + b"\0"
GET_INFO = bytes.fromhex("80100000010400")
BLOCKING = bytes.fromhex("80100000010b00")
OFF, ON, RESET, GET_ATR = (bytes([n]) for n in (0, 1, 2, 4))


class Vpcd:
    """Listens as vpcd does; `seat` waits for a card that stays."""

    def __init__(self) -> None:
        self.port = 0
        self.listen()
        self.port = self.server.getsockname()[1]
        self.channel: socket.socket | None = None

    def listen(self) -> None:
        """As a new pcscd does."""
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.server.settimeout(20)

    def seat(self) -> None:
        """The second one that comes: the first leaves when it is looked at."""
        self.accept()
        self.say(GET_ATR)
        assert self.gone()
        self.accept()

    def accept(self) -> None:
        self.hang_up()
        self.channel, _ = self.server.accept()
        self.channel.settimeout(20)

    def say(self, message: bytes) -> None:
        assert self.channel is not None
        self.channel.sendall(framed(message))

    def hear(self) -> bytes:
        return self._exactly(int.from_bytes(self._exactly(2)))

    def ask(self, message: bytes) -> bytes:
        self.say(message)
        return self.hear()

    def gone(self) -> bool:
        assert self.channel is not None
        try:
            return self.channel.recv(1) == b""
        except ConnectionError:
            return True

    def hang_up(self) -> None:
        if self.channel is not None:
            self.channel.close()

    def close(self) -> None:
        self.hang_up()
        self.server.close()

    def _exactly(self, count: int) -> bytes:
        assert self.channel is not None
        data = self.channel.recv(count, socket.MSG_WAITALL)
        assert len(data) == count
        return data


class Waiting:
    """A person who never touches, and says what becomes of a wait."""

    def __init__(self) -> None:
        self.asked, self.released = threading.Event(), threading.Event()

    def wait(self, need: NeedsPresence, on_keepalive: OnKeepalive, canceled: Canceled) -> Outcome:
        self.asked.set()
        while not canceled():
            self.released.wait(0.01)
        self.released.set()
        return Outcome.CANCELED


@pytest.fixture
def reader() -> Iterator[Vpcd]:
    made = Vpcd()
    yield made
    made.close()


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as made:
        yield made


@pytest.fixture
def ends() -> SimpleQueue[FidokitError]:
    return SimpleQueue()


@pytest.fixture
def card(reader: Vpcd, token: VirtualToken, ends: SimpleQueue[FidokitError]) -> Iterator[VpcdCard]:
    made = VpcdCard(token, port=reader.port, ended=ends.put)
    reader.seat()
    yield made
    made.close()


def test_power_and_answers(reader: Vpcd, card: VpcdCard) -> None:
    reader.say(ON)
    assert reader.ask(GET_ATR) == ANSWER_TO_RESET
    assert reader.ask(SELECT) == b"U2F_V2\x90\0"
    answer = reader.ask(GET_INFO)
    assert answer[0] == 0
    assert answer[-2] == 0x61


def test_a_message_in_pieces(reader: Vpcd, card: VpcdCard) -> None:
    assert reader.channel is not None
    for byte in framed(ON) + framed(SELECT):
        reader.channel.sendall(bytes([byte]))
    assert reader.hear() == b"U2F_V2\x90\0"


@pytest.mark.parametrize("control", [RESET, ON, OFF])
def test_a_new_session_after_power_or_reset(reader: Vpcd, card: VpcdCard, control: bytes) -> None:
    reader.say(ON)
    assert reader.ask(SELECT)[-2:] == b"\x90\0"
    reader.say(control)
    assert reader.ask(GET_INFO) == b"\x69\x85"  # not selected any longer
    assert reader.ask(SELECT)[-2:] == b"\x90\0"


def test_hostile_apdus_get_status_words(reader: Vpcd, card: VpcdCard) -> None:
    reader.say(ON)
    assert reader.ask(b"\xff\xff") == b"\x67\0"
    assert reader.ask(bytes(range(200))) != b""
    assert reader.ask(SELECT)[-2:] == b"\x90\0"


def test_a_reader_that_comes_back(reader: Vpcd, card: VpcdCard) -> None:
    for _ in range(3):
        assert reader.ask(GET_ATR) == ANSWER_TO_RESET
        reader.hang_up()
        reader.seat()
    reader.say(ON)
    assert reader.ask(SELECT)[-2:] == b"\x90\0"


def hurried(clock: SteeredClock) -> Callable[[threading.Event, float], bool]:
    """Rests without taking real time."""

    def rest(stop: threading.Event, seconds: float) -> bool:
        clock.advance(seconds)
        return stop.is_set()

    return rest


def test_a_reader_that_is_gone_for_good(
    reader: Vpcd, token: VirtualToken, ends: SimpleQueue[FidokitError]
) -> None:
    clock = SteeredClock()
    card = VpcdCard(token, port=reader.port, ended=ends.put, clock=clock, rest=hurried(clock))
    reader.seat()
    before = clock.now
    reader.close()
    gone = ends.get(timeout=20)
    assert isinstance(gone, ReaderGone)
    assert gone.message.endswith("is gone and did not come back within 10 minutes")
    assert "virtual serve" in gone.hint
    assert GONE_S <= clock.now - before <= GONE_S + LONGEST_PAUSE_S + FIRST_PAUSE_S
    card.close()
    assert ends.empty()


def test_a_reader_that_comes_back_late_has_the_whole_time_again(
    reader: Vpcd, token: VirtualToken, ends: SimpleQueue[FidokitError]
) -> None:
    clock = SteeredClock()
    rested, late = hurried(clock), threading.Event()

    def rest(stop: threading.Event, seconds: float) -> bool:
        if not late.is_set() and clock.now > GONE_S - 10:
            reader.listen()
            late.set()
        return rested(stop, seconds)

    card = VpcdCard(token, port=reader.port, ended=ends.put, clock=clock, rest=rest)
    reader.seat()
    reader.close()
    assert late.wait(20)
    reader.seat()
    assert reader.ask(GET_ATR) == ANSWER_TO_RESET
    assert ends.empty()
    back = clock.now
    reader.close()
    assert isinstance(ends.get(timeout=20), ReaderGone)
    assert clock.now - back >= GONE_S
    card.close()


def test_closed(reader: Vpcd, card: VpcdCard, ends: SimpleQueue[FidokitError]) -> None:
    card.close()
    assert reader.gone()
    card.close()
    assert ends.empty()


def test_closed_while_the_reader_is_away(reader: Vpcd, card: VpcdCard) -> None:
    reader.close()
    card.close()


@pytest.fixture
def person() -> Waiting:
    return Waiting()


@pytest.fixture
def asked(reader: Vpcd, person: Waiting) -> Iterator[tuple[VirtualToken, VpcdCard]]:
    """A command waits for a touch, and the reader for its answer."""
    with VirtualToken(presence=person) as token:
        card = VpcdCard(token, port=reader.port)
        reader.seat()
        reader.say(ON)
        assert reader.ask(SELECT)[-2:] == b"\x90\0"
        assert reader.ask(BLOCKING) == b"\0\x90\0"  # by the tap
        reader.say(BLOCKING)
        assert person.asked.wait(20)
        yield token, card
        card.close()


def test_closed_while_a_command_waits(
    reader: Vpcd, person: Waiting, asked: tuple[VirtualToken, VpcdCard]
) -> None:
    token, card = asked
    card.close()
    assert person.released.is_set()
    assert reader.gone()
    assert token.link().cbor(b"\x04", lambda _: None, lambda: False)[:1] == b"\0"


def test_a_reader_that_hangs_up_ends_the_wait(
    reader: Vpcd, person: Waiting, asked: tuple[VirtualToken, VpcdCard]
) -> None:
    reader.hang_up()
    assert person.released.wait(20)
    reader.seat()
    reader.say(ON)
    assert reader.ask(SELECT)[-2:] == b"\x90\0"


def test_a_reader_that_waits_is_waited_for(
    reader: Vpcd, person: Waiting, asked: tuple[VirtualToken, VpcdCard]
) -> None:
    """Its silence does not mean hanging up; power that comes meanwhile is not lost."""
    reader.say(RESET)
    assert not person.released.wait(0.1)


def test_it_is_seen_when_it_stays(reader: Vpcd, token: VirtualToken) -> None:
    card = VpcdCard(token, port=reader.port)
    reader.accept()
    reader.say(GET_ATR)
    assert reader.gone()
    assert not card.wait_until_seen(0)
    reader.accept()
    reader.say(GET_ATR)
    assert card.wait_until_seen(20)
    card.close()


def test_it_leaves_once_before_it_stays(reader: Vpcd, token: VirtualToken) -> None:
    card = VpcdCard(token, port=reader.port)
    for _ in range(2):
        reader.accept()
        reader.say(GET_ATR)
        assert reader.gone()
        reader.accept()
        assert reader.ask(GET_ATR) == ANSWER_TO_RESET
        assert reader.ask(GET_ATR) == ANSWER_TO_RESET
    card.close()


def test_an_unplugged_token_takes_the_card_along(
    reader: Vpcd, card: VpcdCard, token: VirtualToken, ends: SimpleQueue[FidokitError]
) -> None:
    token.unplug()
    reader.say(GET_ATR)
    assert reader.gone()
    assert isinstance(ends.get(timeout=20), TokenGone)


def test_nobody_listens(token: VirtualToken) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unsupported, match=f"no vpcd listens at 127.0.0.1 port {port}") as refused:
        VpcdCard(token, port=port)
    assert "vsmartcard-vpcd" in (refused.value.hint or "")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_are_none(token: VirtualToken, port: int) -> None:
    with pytest.raises(UsageError, match="port"):
        VpcdCard(token, port=port)


@pytest.mark.parametrize("host", ["a\0b", "x" * 300])
def test_hosts_that_are_none(token: VirtualToken, host: str) -> None:
    with pytest.raises(Unsupported):
        VpcdCard(token, host)


def test_no_thread_is_left(token: VirtualToken, reader: Vpcd) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        made = VpcdCard(token, port=reader.port)
        reader.seat()
        made.close()
    assert not set(threading.enumerate()) - before
