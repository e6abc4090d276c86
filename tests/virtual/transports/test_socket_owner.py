"""The owner's side: clients that misbehave lose their own connection, and where it listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.virtual.conftest import IDENTITY, STATE
from tests.virtual.transports.conftest import (
    BUSY,
    GET_INFO,
    OK,
    SELECTION,
    Desk,
    ignore,
    never,
)

from fidokit import unix_socket
from fidokit.errors import (
    NoPermission,
    StateUnusable,
    TokenBusy,
)
from fidokit.unix_socket import socket_path
from fidokit.virtual.store import SqliteStore
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports import socket_owner
from fidokit.virtual.transports.socket import Frame, FrameKind, connect, hello
from fidokit.virtual.transports.socket_owner import MOST_CLIENTS, Listener

# --- clients that misbehave -----------------------------------------------------------------

HOSTILE = {
    "huge": b"\xff\xff\xff\xff\x01",
    "no kind": bytes.fromhex("00000005ee00000001"),
    "an owner's frame": Frame(FrameKind.ANSWER, 1, b"\0").encode(),
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
        channel.sendall(Frame(FrameKind.CBOR, 1, SELECTION).encode())
        assert channel.recv(100)
        channel.sendall(data)
        while channel.recv(1000):
            pass
    while good.cbor(GET_INFO, ignore, never) == BUSY:
        pass
    good.close()


def test_a_second_command_before_the_first_is_done_is_hostile(desk: Desk) -> None:
    with desk.raw() as channel:
        channel.sendall(Frame(FrameKind.CBOR, 1, SELECTION).encode())
        assert channel.recv(100)
        channel.sendall(Frame(FrameKind.CBOR, 2, GET_INFO).encode())
        while channel.recv(1000):
            pass
    assert desk.alone()


def test_half_a_frame_and_goodbye(desk: Desk) -> None:
    for cut in range(len(Frame(FrameKind.CBOR, 1, GET_INFO).encode())):
        with desk.raw() as channel:
            channel.sendall(Frame(FrameKind.CBOR, 1, GET_INFO).encode()[:cut])
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
    monkeypatch.setattr(unix_socket, "_LONGEST", 0)
    monkeypatch.setattr(unix_socket, "_PROC", Path("/none"))
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
