"""The socket: private from its first instant, taken from the dead alone, or from systemd."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fidokit.agent.sockets import SocketUpstream, answers, handed_over, listen
from fidokit.errors import NoPermission, UsageError, WouldOverwrite
from fidokit.openssh.agent_messages import FAILURE, SUCCESS, frame


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_socket_of_our_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr("tempfile.tempdir", None)
    made = listen(None)
    assert made.path.parent.parent == home
    assert (mode(made.path.parent), mode(made.path)) == (0o700, 0o600)
    assert answers(made.path)
    made.socket.close()
    made.remove()
    assert list(home.iterdir()) == []


def test_a_socket_at_a_path(home: Path) -> None:
    made = listen(home / "deep" / "er" / "s")
    assert (mode(made.path.parent), mode(made.path)) == (0o700, 0o600)
    made.socket.close()
    made.remove()
    assert not made.path.exists()
    assert made.path.parent.exists()


def test_the_umask_is_as_before(home: Path) -> None:
    before = os.umask(0o027)
    try:
        made = listen(home / "s")
        assert os.umask(0o027) == 0o027
        assert mode(made.path) == 0o600
        made.socket.close()
    finally:
        os.umask(before)


def test_what_a_dead_agent_left_is_taken_over(home: Path) -> None:
    listen(home / "s").socket.close()
    assert not answers(home / "s")
    made = listen(home / "s")
    assert answers(home / "s")
    made.socket.close()


def test_a_living_agent_is_left_alone(home: Path) -> None:
    made = listen(home / "s")
    with pytest.raises(WouldOverwrite, match="answers"):
        listen(home / "s")
    assert answers(home / "s")
    made.socket.close()


def test_a_file_is_left_alone(home: Path) -> None:
    (home / "s").write_text("mine")
    with pytest.raises(WouldOverwrite, match="something else"):
        listen(home / "s")
    assert (home / "s").read_text() == "mine"


def test_a_symbolic_link_is_left_alone(home: Path) -> None:
    (home / "s").symlink_to(home / "elsewhere")
    with pytest.raises(WouldOverwrite):
        listen(home / "s")


@pytest.mark.parametrize("bits", [0o775, 0o770, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(home: Path, bits: int) -> None:
    (home / "open").mkdir()
    (home / "open").chmod(bits)
    with pytest.raises(NoPermission, match="others"):
        listen(home / "open" / "s")


def test_nobody_else_may_connect_in_a_folder_that_others_may_enter(home: Path) -> None:
    home.chmod(0o755)
    made = listen(home / "s")
    assert mode(home / "s") == 0o600
    made.socket.close()


def test_a_folder_that_cannot_be_made(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(NoPermission):
        listen(home / "file" / "s")


def test_a_path_that_is_too_long(home: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        listen(home / ("x" * 200))


# --- systemd -------------------------------------------------------------------------------


def test_nothing_was_handed_over() -> None:
    assert handed_over({}) is None
    assert handed_over({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


def test_several_sockets_are_refused() -> None:
    with pytest.raises(UsageError, match="one socket"):
        handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})


PROGRAM = """
import os, sys
from fidokit.agent.sockets import handed_over
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
try:
    found = handed_over(environ)
    print(found.path, found.owned, os.get_inheritable(3))
except Exception as error:
    print(error)
"""


def handed(descriptor: int) -> str:
    """What a process makes of a descriptor that it finds as number 3."""
    program = f"import os; os.dup2({descriptor}, 3); {PROGRAM.strip()}"
    done = subprocess.run(
        [sys.executable, "-c", program.replace("; import", "\nimport")],
        pass_fds=(descriptor,),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_a_listening_socket_is_taken(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home / "s"))
        server.listen()
        assert handed(server.fileno()) == f"{home / 's'} False False"


def test_what_is_no_listening_socket_is_refused(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unbound, (home / "file").open("w") as file:
        for descriptor in (unbound.fileno(), file.fileno()):
            assert "not a listening" in handed(descriptor)


WAIT_S = 20.0


class Peer:
    """An agent that answers each request with the next of its answers, then hangs up."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.heard: list[bytes] = []
        self.connections = 0
        self._answers = answers
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        channel, _ = self.socket.accept()
        self.connections += 1
        with channel:
            for answer in self._answers:
                self.heard.append(channel.recv(1 << 16))
                channel.sendall(answer)

    def close(self) -> None:
        self.thread.join(WAIT_S)
        self.socket.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def test_requests_go_over_one_connection(path: Path) -> None:
    peer = Peer(path, [frame(SUCCESS), frame(b"\x0c\0\0\0\0")])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x13") == SUCCESS
    assert upstream.exchange(b"\x0b") == b"\x0c\0\0\0\0"
    peer.close()
    assert peer.heard == [frame(b"\x13"), frame(b"\x0b")]
    assert peer.connections == 1
    upstream.close()


def test_nobody_there(path: Path) -> None:
    assert SocketUpstream(str(path)).exchange(b"\x0b") == FAILURE


@pytest.mark.parametrize("answer", [b"", bytes(4), b"\xff" * 8, b"\0\0\0\x05\x0c"])
def test_an_answer_that_is_none(path: Path, answer: bytes) -> None:
    peer = Peer(path, [answer])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x0b") == FAILURE
    peer.close()


LATE_S = 0.0


def test_an_answer_that_comes_soon(path: Path) -> None:
    peer = Peer(path, [frame(SUCCESS), frame(b"\x0c\0\0\0\0")])
    upstream = SocketUpstream(str(path))
    assert upstream.ask(b"\x13", WAIT_S) == SUCCESS
    assert upstream.exchange(b"\x0b") == b"\x0c\0\0\0\0"
    peer.close()
    assert peer.heard == [frame(b"\x13"), frame(b"\x0b")]
    upstream.close()


def test_an_answer_that_comes_late_is_waited_for_and_asked_for_once(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    upstream, answers = SocketUpstream(str(path)), []
    assert upstream.ask(b"\x0b", LATE_S) is None
    channel, _ = listener.accept()
    answer = frame(b"\x0c\0\0\0\0")
    channel.sendall(answer[:3])
    assert upstream.ask(b"\x0b", 0.01) is None, "what came is kept"
    work = threading.Thread(target=lambda: answers.append(upstream.exchange(b"\x0b")))
    work.start()
    channel.sendall(answer[3:])
    work.join(WAIT_S)
    assert answers == [b"\x0c\0\0\0\0"]
    upstream.close()
    assert channel.recv(100) == frame(b"\x0b")
    assert channel.recv(100) == b""
    channel.close()
    listener.close()


def test_a_late_answer_is_not_taken_for_another_requests(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    upstream = SocketUpstream(str(path))
    assert upstream.ask(b"\x0b", LATE_S) is None
    channel, _ = listener.accept()
    channel.sendall(frame(SUCCESS))
    assert upstream.exchange(b"\x13") == FAILURE
    channel.close()
    listener.close()


def test_an_answer_that_nobody_asked_for_ends_the_connection(path: Path) -> None:
    peer = Peer(path, [frame(SUCCESS) * 2])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x13") == FAILURE
    peer.close()


def test_nobody_is_there_to_be_asked(path: Path) -> None:
    upstream = SocketUpstream(str(path))
    assert upstream.ask(b"\x0b", WAIT_S) is None
    assert upstream.exchange(b"\x0b") == FAILURE
    assert upstream.ask(b"\x0b", WAIT_S) is None, "it is closed for good"


@pytest.mark.parametrize("answer", [b"", bytes(4), b"\xff" * 8])
def test_who_is_asked_and_hangs_up_has_failed(path: Path, answer: bytes) -> None:
    peer = Peer(path, [answer])
    upstream = SocketUpstream(str(path))
    assert upstream.ask(b"\x0b", WAIT_S) == FAILURE
    peer.close()


def test_a_broken_connection_is_not_made_anew(path: Path) -> None:
    """Its bindings are lost: that agent would take a new one for a local client."""
    peer = Peer(path, [b""])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x0b") == FAILURE
    assert upstream.exchange(b"\x0b") == FAILURE
    peer.close()
    assert peer.connections == 1


def test_hanging_up_ends_a_wait(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    upstream = SocketUpstream(str(path))
    answers: list[bytes] = []
    work = threading.Thread(target=lambda: answers.append(upstream.exchange(b"\x0b")))
    work.start()
    channel, _ = listener.accept()
    channel.recv(100)
    upstream.close()
    work.join(WAIT_S)
    assert answers == [FAILURE]
    channel.close()
    listener.close()
