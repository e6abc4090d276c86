"""A link over a socket is as good as one in the same process, and told when its owner is not."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.virtual.transports.conftest import (
    BUSY,
    CANCELED,
    GET_INFO,
    OK,
    SELECTION,
    U2F_VERSION,
    Desk,
    ignore,
    never,
)

from fidokit import cbor
from fidokit.errors import (
    FidokitError,
    StateUnusable,
    TokenBusy,
    TokenGone,
    TokenMisbehaved,
)
from fidokit.unix_socket import process_name, socket_path
from fidokit.virtual.presence import UP_NEEDED
from fidokit.virtual.transports.socket import (
    FROM_OWNER,
    Frame,
    FrameKind,
    SocketFrameReader,
    SocketLink,
    connect,
    failure,
    hello,
)

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
        assert link.cbor(SELECTION, ignore, third_time) == CANCELED
    desk.token.touch()
    assert link.cbor(SELECTION, ignore, never) == OK
    link.close()


def test_a_cancel_that_comes_too_late_is_no_harm(desk: Desk) -> None:
    with desk.raw() as channel:
        channel.sendall(
            Frame(FrameKind.CANCEL, 1).encode() + Frame(FrameKind.CBOR, 2, SELECTION).encode()
        )
        desk.token.touch()
        reader = SocketFrameReader(FROM_OWNER)
        frames: list[Frame] = []
        while not frames or frames[-1].kind is not FrameKind.ANSWER:
            frames.extend(reader.feed(channel.recv(1000)))
        assert frames[-1] == Frame(FrameKind.ANSWER, 2, OK)


def test_a_cancel_right_behind_its_command_is_heard(desk: Desk) -> None:
    with desk.raw() as channel:
        channel.sendall(
            Frame(FrameKind.CBOR, 1, SELECTION).encode() + Frame(FrameKind.CANCEL, 1).encode()
        )
        assert answer(channel) == Frame(FrameKind.ANSWER, 1, CANCELED)


def answer(channel: socket.socket) -> Frame:
    """The frame that ends a command."""
    reader = SocketFrameReader(FROM_OWNER)
    while True:
        data = channel.recv(100_000)
        assert data, "the owner hung up"
        for frame in reader.feed(data):
            if frame.kind in {FrameKind.ANSWER, FrameKind.FAILURE}:
                return frame


def test_several_clients_at_once(desk: Desk) -> None:
    first, second = desk.link(), desk.link()
    replies = []

    def on_keepalive(_: int) -> None:
        replies.append(second.cbor(GET_INFO, ignore, never))
        desk.token.touch()

    assert first.cbor(SELECTION, on_keepalive, never) == OK
    assert replies[0] == BUSY
    assert second.holder == process_name(os.getpid())  # the first link's: it runs here, too
    assert second.cbor(GET_INFO, ignore, never)[:1] == OK
    assert desk.listener.clients == 2
    first.close()
    second.close()


def test_a_client_that_hangs_up_cancels_its_own_command(desk: Desk) -> None:
    other = desk.link()
    with desk.raw() as channel:
        channel.sendall(Frame(FrameKind.CBOR, 1, SELECTION).encode())
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
    [
        b"\xff" * 20,
        Frame(FrameKind.FAILURE, 1, b"\xff").encode(),
        Frame(FrameKind.CBOR, 1).encode(),
    ],
)
def test_rubbish_of_an_owner_is_named(data: bytes) -> None:
    link = served_by(lambda channel: (channel.recv(99), channel.sendall(data)))
    with pytest.raises(TokenMisbehaved, match="sent an invalid message") as caught:
        link.cbor(GET_INFO, ignore, never)
    assert caught.value.hint
    link.close()


def test_an_owner_that_leaves_without_a_word() -> None:
    link = served_by(lambda channel: channel.recv(100))
    with pytest.raises(TokenGone):
        link.cbor(GET_INFO, ignore, never)
    link.close()


def test_the_answer_to_a_command_that_was_given_up_is_passed_over() -> None:
    late = (
        Frame(FrameKind.ANSWER, 99, b"\x2d").encode()
        + Frame(FrameKind.KEEPALIVE, 99, b"\x02").encode()
    )
    said = late + Frame(FrameKind.ANSWER, 1, OK).encode()
    link = served_by(lambda channel: (channel.recv(99), channel.sendall(said)))
    seen: list[int] = []
    assert link.cbor(GET_INFO, seen.append, never) == OK
    assert seen == []
    link.close()


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"", TokenGone),
        (Frame(FrameKind.HELLO, 0, b"\x02\x05").encode(), TokenMisbehaved),
        (Frame(FrameKind.ALIVE, 0).encode(), TokenMisbehaved),
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
