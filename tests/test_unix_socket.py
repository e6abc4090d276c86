"""Where sockets lie, and whose they are."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fidokit import unix_socket
from fidokit.errors import NoPermission, Unsupported
from fidokit.unix_socket import address, peer_uid, require_own_user, socket_path


def test_it_lies_beside_the_file() -> None:
    assert socket_path(Path("/x/work.sqlite")) == Path("/x/work.sqlite.sock")


def test_a_short_path_is_taken_as_it_is() -> None:
    with address(Path("/x/work.sqlite.sock")) as where:
        assert where == "/x/work.sqlite.sock"


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A path that does not fit into sockaddr_un, with the longest name a token has."""
    folder = tmp_path / ("d" * 120) / ("e" * 120)
    folder.mkdir(parents=True)
    return folder / ("n" * 64 + ".sqlite.sock")


def test_a_long_path_is_reached_all_the_same(deep: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    server = socket.socket(socket.AF_UNIX)
    client = socket.socket(socket.AF_UNIX)
    with server, client:
        with address(deep) as where:
            server.bind(where)
            server.listen()
        assert deep.is_socket()
        with address(deep) as where:
            client.connect(where)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_there_is_no_other_way_it_is_said(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_socket, "_PROC", Path("/none"))
    with pytest.raises(Unsupported, match="too long for a socket") as caught, address(deep):
        pytest.fail("it does not fit")
    assert "XDG_STATE_HOME" in caught.value.hint


def test_a_folder_that_is_not_there(deep: Path) -> None:
    with pytest.raises(FileNotFoundError), address(deep.parent / "none" / "x.sock"):
        pytest.fail("there is no such folder")


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX)


def test_the_other_end_is_this_user(pair: tuple[socket.socket, socket.socket]) -> None:
    with pair[0], pair[1]:
        assert peer_uid(pair[0]) == os.geteuid()
        require_own_user(pair[0])


@pytest.mark.parametrize("uid", [None, 0])
def test_root_and_the_unknown_pass(
    uid: int | None,
    pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unix_socket, "peer_uid", lambda _: uid)
    with pair[0], pair[1]:
        require_own_user(pair[0])


def test_another_user_does_not(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(unix_socket, "peer_uid", lambda _: 4243)
    with pair[0], pair[1], pytest.raises(NoPermission, match=r"another user .id 4243") as caught:
        require_own_user(pair[0])
    assert "--user 4243" in caught.value.hint


class Bsd:
    """A socket of macOS, which answers LOCAL_PEERCRED with a struct xucred."""

    def __init__(self, answer: bytes | OSError) -> None:
        self._answer = answer

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (0, 1, 76)
        if isinstance(self._answer, OSError):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "uid"),
    [
        (struct.pack("=IIh64x", 0, 501, 1), 501),
        (b"", None),
        (OSError(22, "Invalid argument"), None),
    ],
)
def test_other_systems_are_asked_their_way(
    answer: bytes | OSError, uid: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_socket, "_LINUX", False)
    assert peer_uid(Bsd(answer)) == uid  # type: ignore[arg-type]


# --- TCP -----------------------------------------------------------------------------------------


@contextmanager
def connected(host: str, family: int, reach: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection on this machine: the one that asked, and the other."""
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection((reach, server.getsockname()[1]), 10) as asking,
        server.accept()[0] as accepted,
    ):
        yield asking, accepted


@pytest.mark.parametrize(
    ("host", "family", "reach"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("127.0.0.1", socket.AF_INET, "::ffff:127.0.0.1"),
        ("::1", socket.AF_INET6, "::1"),
    ],
)
def test_the_owner_of_a_tcp_connection(host: str, family: int, reach: str) -> None:
    with connected(host, family, reach) as (asking, accepted):
        assert unix_socket.tcp_peer_uid(accepted) == os.getuid()
        assert unix_socket.tcp_peer_uid(asking) == os.getuid()


def test_a_closed_end_is_nobodys() -> None:
    """The kernel shows user 0 for it, which must not pass for root."""
    with connected("127.0.0.1", socket.AF_INET, "127.0.0.1") as (asking, accepted):
        asking.close()
        accepted.settimeout(10)
        assert accepted.recv(1) == b""
        assert unix_socket.tcp_peer_uid(accepted) is None


@pytest.mark.root
def test_another_users_connection_is_known_as_his() -> None:
    code = (
        "import os, socket, sys; os.setuid(12345);"
        "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "s.recv(1)"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = ["/usr/bin/python3", "-c", code, str(port)]
        with subprocess.Popen(command) as child:
            accepted, _ = server.accept()
            with accepted:
                assert unix_socket.tcp_peer_uid(accepted) == 12345
            assert child.wait(10) == 0
