"""Both ends of a token's socket: links as good as in-process ones, and clients that misbehave."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.virtual.conftest import IDENTITY, STATE

from fidokit import cbor
from fidokit.errors import (
    FidokitError,
    NoPermission,
    StateUnusable,
    TokenBusy,
    TokenGone,
    TokenMisbehaved,
)
from fidokit.virtual.presence import UP_NEEDED
from fidokit.virtual.store import SqliteStore
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports import socket_owner, unix_address
from fidokit.virtual.transports.frames import (
    FROM_OWNER,
    Frame,
    FrameReader,
    Kind,
    failure,
    hello,
)
from fidokit.virtual.transports.socket import SocketLink, connect
from fidokit.virtual.transports.socket_owner import MOST_CLIENTS, Listener
from fidokit.virtual.transports.unix_address import socket_path

GET_INFO = b"\x04"
SELECTION = b"\x0b"
U2F_VERSION = bytes.fromhex("00030000000000")
OK = b"\x00"
BUSY = b"\x06"
CANCELLED = b"\x2d"


def ignore(_: int) -> None:
    pass


def never() -> bool:
    return False


class Desk:
    """A powered token that is shared, and what its clients take to reach it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.token = VirtualToken(presence="script")
        self.listener = Listener.open(self.token, state)

    def link(self) -> SocketLink:
        link = connect(self.state)
        assert link is not None
        return link

    def raw(self) -> socket.socket:
        """A connection, greeted."""
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(20)
        channel.connect(str(socket_path(self.state)))
        assert channel.recv(100) == hello(0x05).encode()
        return channel

    def alone(self) -> bool:
        return self.listener.wait_for_clients(20)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "work.sqlite")
    yield desk
    desk.token.faults.clear()
    desk.token.unplug()
    desk.listener.close()
    assert desk.alone()


# --- a link as any other --------------------------------------------------------------------


def test_the_socket_is_private(desk: Desk) -> None:
    path = socket_path(desk.state)
    assert path.is_socket()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def steady(info: bytes) -> dict[object, object]:
    """What getInfo says without encIdentifier and encCredStoreState, which are new each time."""
    members = cbor.decode(info[1:])
    assert isinstance(members, dict)
    return {key: value for key, value in members.items() if key not in {0x19, 0x1E}}


def test_answers_are_those_of_the_token(desk: Desk) -> None:
    own, link = desk.token.link(), desk.link()
    assert link.capabilities == own.capabilities == 0x05
    assert steady(link.cbor(GET_INFO, ignore, never)) == steady(own.cbor(GET_INFO, ignore, never))
    assert link.msg(U2F_VERSION) == own.msg(U2F_VERSION) == b"U2F_V2\x90\x00"
    link.wink()
    assert desk.token.winks == 1
    assert link.cbor(b"", ignore, never) == b"\x03"
    link.close()
    link.close()


def test_a_touch_ends_a_wait(desk: Desk) -> None:
    seen: list[int] = []

    def on_keepalive(status: int) -> None:
        seen.append(status)
        if len(seen) == 2:
            desk.token.touch()

    link = desk.link()
    assert link.cbor(SELECTION, on_keepalive, never) == OK
    assert seen[:2] == [UP_NEEDED, UP_NEEDED]
    link.close()


def test_a_cancel_reaches_the_token(desk: Desk) -> None:
    link, polls = desk.link(), []

    def third_time() -> bool:
        polls.append(1)
        return len(polls) >= 3

    for _ in range(2):
        assert link.cbor(SELECTION, ignore, third_time) == CANCELLED
    desk.token.touch()
    assert link.cbor(SELECTION, ignore, never) == OK
    link.close()


def test_a_cancel_that_comes_too_late_is_no_harm(desk: Desk) -> None:
    with desk.raw() as channel:
        channel.sendall(Frame(Kind.CANCEL, 1).encode() + Frame(Kind.CBOR, 2, SELECTION).encode())
        desk.token.touch()
        reader = FrameReader(FROM_OWNER)
        frames: list[Frame] = []
        while not frames or frames[-1].kind is not Kind.ANSWER:
            frames.extend(reader.feed(channel.recv(1000)))
        assert frames[-1] == Frame(Kind.ANSWER, 2, OK)


def test_a_cancel_right_behind_its_command_is_heard(desk: Desk) -> None:
    with desk.raw() as channel:
        channel.sendall(Frame(Kind.CBOR, 1, SELECTION).encode() + Frame(Kind.CANCEL, 1).encode())
        assert answer(channel) == Frame(Kind.ANSWER, 1, CANCELLED)


def answer(channel: socket.socket) -> Frame:
    """The frame that ends a command."""
    reader = FrameReader(FROM_OWNER)
    while True:
        data = channel.recv(100_000)
        assert data, "the owner hung up"
        for frame in reader.feed(data):
            if frame.kind in {Kind.ANSWER, Kind.FAILURE}:
                return frame


def test_several_clients_at_once(desk: Desk) -> None:
    first, second = desk.link(), desk.link()
    replies = []

    def on_keepalive(_: int) -> None:
        replies.append(second.cbor(GET_INFO, ignore, never))
        desk.token.touch()

    assert first.cbor(SELECTION, on_keepalive, never) == OK
    assert replies[0] == BUSY
    assert second.cbor(GET_INFO, ignore, never)[:1] == OK
    assert desk.listener.clients == 2
    first.close()
    second.close()


def test_a_client_that_hangs_up_cancels_its_own_command(desk: Desk) -> None:
    other = desk.link()
    with desk.raw() as channel:
        channel.sendall(Frame(Kind.CBOR, 1, SELECTION).encode())
        assert channel.recv(1000)  # the first keep-alive: it waits
        assert other.cbor(GET_INFO, ignore, never) == BUSY
    while other.cbor(GET_INFO, ignore, never) == BUSY:
        pass
    other.close()
    assert desk.alone()


def test_closing_a_link_ends_its_command_in_another_thread(desk: Desk) -> None:
    link, errors = desk.link(), []

    def use() -> None:
        try:
            link.cbor(SELECTION, lambda _: waiting.set(), never)
        except TokenGone as gone:
            errors.append(gone)

    waiting = threading.Event()
    user = threading.Thread(target=use)
    user.start()
    assert waiting.wait(20)
    link.close()
    user.join(20)
    assert len(errors) == 1
    assert errors[0].hint


def test_an_owner_that_hangs_gives_no_sign_of_life(desk: Desk) -> None:
    """So that a client's watchdog sees a silent token as what it is."""
    from fidokit.virtual.faults import StallInSilence

    link, polls, replies = desk.link(), [], []
    desk.token.faults.add(StallInSilence())

    def polled() -> bool:
        polls.append(1)
        return False

    user = threading.Thread(target=lambda: replies.append(link.cbor(GET_INFO, ignore, polled)))
    user.start()
    assert desk.token.faults.wait()
    desk.token.faults.clear()
    user.join(20)
    assert replies[0][:1] == OK
    assert polls == []
    link.close()


# --- power ----------------------------------------------------------------------------------


def test_unplugging_is_seen_by_clients(desk: Desk) -> None:
    link = desk.link()
    desk.token.unplug()
    with pytest.raises(TokenGone, match="was unplugged"):
        link.cbor(GET_INFO, ignore, never)
    desk.listener.close()
    with pytest.raises(TokenGone, match="the process that powered the virtual token is gone"):
        link.cbor(GET_INFO, ignore, never)
    with pytest.raises(TokenGone):
        link.wink()
    link.close()
    assert connect(desk.state) is None


def test_a_power_cycle_ends_a_wait_and_keeps_the_link(desk: Desk) -> None:
    link = desk.link()
    with pytest.raises(TokenGone):
        link.cbor(SELECTION, lambda _: desk.token.power_cycle(), never)
    assert link.cbor(GET_INFO, ignore, never)[:1] == OK
    link.close()


def test_a_full_disk_of_the_owner_is_told_to_the_client(desk: Desk) -> None:
    class FullDisk:
        def cbor(self, *_: Any) -> bytes:
            raise StateUnusable("the disk is full", hint="free some space")

    link = desk.link()
    (client,) = desk.listener._clients
    client._link = FullDisk()  # type: ignore[assignment]
    with pytest.raises(StateUnusable, match="the disk is full") as caught:
        link.cbor(GET_INFO, ignore, never)
    assert caught.value.hint == "free some space"
    link.close()


def test_nobody_new_is_taken_once_it_stops(desk: Desk) -> None:
    link = desk.link()
    desk.listener.stop()
    desk.listener.stop()
    assert not socket_path(desk.state).exists()
    assert connect(desk.state) is None
    assert not desk.listener.wait_for_clients(0)
    assert link.cbor(GET_INFO, ignore, never)[:1] == OK
    link.close()
    assert desk.alone()


def test_a_token_that_is_gone_greets_nobody(desk: Desk) -> None:
    desk.token.unplug()
    assert connect(desk.state) is None
    assert desk.alone()


# --- clients that misbehave -----------------------------------------------------------------

HOSTILE = {
    "huge": b"\xff\xff\xff\xff\x01",
    "no kind": bytes.fromhex("00000005ee00000001"),
    "an owner's frame": Frame(Kind.ANSWER, 1, b"\0").encode(),
    "a short frame": bytes.fromhex("0000000101"),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "hello": hello(1).encode(),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_client_loses_its_own_connection_only(desk: Desk, data: bytes) -> None:
    good = desk.link()
    with desk.raw() as channel:
        channel.sendall(data)
        assert channel.recv(1) == b""
    assert good.cbor(GET_INFO, ignore, never)[:1] == OK
    good.close()


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_also_while_its_command_waits(desk: Desk, data: bytes) -> None:
    good = desk.link()
    with desk.raw() as channel:
        channel.sendall(Frame(Kind.CBOR, 1, SELECTION).encode())
        assert channel.recv(100)
        channel.sendall(data)
        while channel.recv(1000):
            pass
    while good.cbor(GET_INFO, ignore, never) == BUSY:
        pass
    good.close()


def test_a_second_command_before_the_first_is_done_is_hostile(desk: Desk) -> None:
    with desk.raw() as channel:
        channel.sendall(Frame(Kind.CBOR, 1, SELECTION).encode())
        assert channel.recv(100)
        channel.sendall(Frame(Kind.CBOR, 2, GET_INFO).encode())
        while channel.recv(1000):
            pass
    assert desk.alone()


def test_half_a_frame_and_goodbye(desk: Desk) -> None:
    for cut in range(len(Frame(Kind.CBOR, 1, GET_INFO).encode())):
        with desk.raw() as channel:
            channel.sendall(Frame(Kind.CBOR, 1, GET_INFO).encode()[:cut])
    assert desk.alone()


def test_one_too_many_is_told_and_one_that_leaves_makes_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_owner, "MOST_CLIENTS", 2)
    links = [desk.link(), desk.link()]
    with pytest.raises(TokenBusy, match="talk to the virtual token already"):
        connect(desk.state)
    for link in links:
        link.close()
    assert desk.alone()
    desk.link().close()
    assert MOST_CLIENTS == 64


def test_another_user_is_told_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def stranger(_: socket.socket) -> None:
        raise NoPermission("another user")

    monkeypatch.setattr(socket_owner, "require_own_user", stranger)
    assert connect(desk.state) is None
    assert desk.alone()


def test_an_owner_of_another_user_is_not_trusted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fidokit.virtual.transports.socket.require_own_user", _refuse)
    with pytest.raises(NoPermission):
        connect(desk.state)


def _refuse(_: socket.socket) -> None:
    raise NoPermission("another user")


# --- owners that misbehave ------------------------------------------------------------------


def served_by(script: Callable[[socket.socket], object]) -> SocketLink:
    """A link whose other end a test plays; it has said hello."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    theirs.sendall(hello(0x05).encode())
    link = SocketLink(ours)
    threading.Thread(target=lambda: (script(theirs), theirs.close()), daemon=True).start()
    return link


@pytest.mark.parametrize(
    "data",
    [b"\xff" * 20, Frame(Kind.FAILURE, 1, b"\xff").encode(), Frame(Kind.CBOR, 1).encode()],
)
def test_rubbish_of_an_owner_is_named(data: bytes) -> None:
    link = served_by(lambda channel: (channel.recv(99), channel.sendall(data)))
    with pytest.raises(TokenMisbehaved, match="talks rubbish") as caught:
        link.cbor(GET_INFO, ignore, never)
    assert caught.value.hint
    link.close()


def test_an_owner_that_leaves_without_a_word() -> None:
    link = served_by(lambda channel: channel.recv(100))
    with pytest.raises(TokenGone):
        link.cbor(GET_INFO, ignore, never)
    link.close()


def test_the_answer_to_a_command_that_was_given_up_is_passed_over() -> None:
    late = Frame(Kind.ANSWER, 99, b"\x2d").encode() + Frame(Kind.KEEPALIVE, 99, b"\x02").encode()
    said = late + Frame(Kind.ANSWER, 1, OK).encode()
    link = served_by(lambda channel: (channel.recv(99), channel.sendall(said)))
    seen: list[int] = []
    assert link.cbor(GET_INFO, seen.append, never) == OK
    assert seen == []
    link.close()


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"", TokenGone),
        (Frame(Kind.HELLO, 0, b"\x02\x05").encode(), TokenMisbehaved),
        (Frame(Kind.ALIVE, 0).encode(), TokenMisbehaved),
        (b"SSH-2.0-OpenSSH_9.2\r\n", TokenMisbehaved),
        (failure(0, TokenBusy("full")).encode(), TokenBusy),
    ],
)
def test_a_wrong_greeting(greeting: bytes, error: type[FidokitError]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    theirs.sendall(greeting)
    theirs.close()
    with ours, pytest.raises(error):
        SocketLink(ours)


# --- where it lies --------------------------------------------------------------------------


def test_nobody_listens(tmp_path: Path) -> None:
    assert connect(tmp_path / "work.sqlite") is None
    socket_path(tmp_path / "work.sqlite").write_bytes(b"")
    assert connect(tmp_path / "work.sqlite") is None


def test_what_a_killed_owner_left_is_replaced(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "work.sqlite")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert connect(tmp_path / "work.sqlite") is None
    desk = Desk(tmp_path / "work.sqlite")
    desk.link().close()
    desk.listener.close()
    desk.token.unplug()
    assert not path.exists()


def test_a_path_of_any_length(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    desk = Desk(folder / ("n" * 64 + ".sqlite"))
    link = connect(desk.state)
    assert link is not None
    assert link.cbor(GET_INFO, ignore, never)[:1] == OK
    link.close()
    desk.token.unplug()
    desk.listener.close()


def test_a_folder_that_takes_no_socket_is_named(tmp_path: Path) -> None:
    with VirtualToken() as token, pytest.raises(StateUnusable, match="cannot be made") as caught:
        Listener.open(token, tmp_path / "none" / "work.sqlite")
    assert caught.value.hint


def test_a_token_that_cannot_be_shared_works_alone(
    state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_home.mkdir(parents=True)
    SqliteStore.create(state_home / "work.sqlite", IDENTITY, STATE).close()
    monkeypatch.setattr(unix_address, "_LONGEST", 0)
    monkeypatch.setattr(unix_address, "_PROC", Path("/none"))
    with VirtualToken("work") as token:
        assert token.unshared is not None
        assert token.link().cbor(GET_INFO, ignore, never)[:1] == OK
    assert {p.name for p in state_home.iterdir()} == {"work.sqlite", "work.sqlite.lock"}


def test_descriptors_are_given_back(desk: Desk) -> None:
    desk.link().close()
    assert desk.alone()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        desk.link().close()
    assert desk.alone()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
