"""The real machine's side of the probes."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import pytest

from fidokit.system import host
from fidokit.system.host import Host


def test_programs() -> None:
    assert host.run_program(["/nonexistent/program"]) is None
    text = "import sys; print('out'); print('err', file=sys.stderr)"
    assert "out" in str(host.run_program([sys.executable, "-c", text]))
    assert "err" in str(host.run_program([sys.executable, "-c", text]))
    assert host.run_program(["/etc/passwd"]) == ""


def test_modules() -> None:
    assert host.module_exists("json")
    assert not host.module_exists("fidokit_no_such_module")


def test_access(tmp_path: Path) -> None:
    assert host.may_read_and_write(tmp_path)
    assert not host.may_read_and_write(tmp_path / "none")


def test_paths_lie_under_the_root(tmp_path: Path) -> None:
    assert Host(root=tmp_path).path("/etc/udev") == tmp_path / "etc/udev"
    assert Host().path("/etc") == Path("/etc")


def serve(tmp_path: Path, answer: bytes) -> tuple[str, threading.Thread, list[bytes]]:
    path = str(tmp_path / "agent")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    got: list[bytes] = []

    def once() -> None:
        with listener, listener.accept()[0] as connection:
            got.append(connection.recv(5))
            connection.sendall(answer)

    thread = threading.Thread(target=once)
    thread.start()
    return path, thread, got


def test_an_exchange(tmp_path: Path) -> None:
    path, thread, got = serve(tmp_path, b"\0\0\0\x05\x0c\0\0\0\0")
    assert host.exchange_with_agent(path, b"\x0b") == b"\x0c\0\0\0\0"
    thread.join()
    assert got == [b"\0\0\0\x01\x0b"]


@pytest.mark.parametrize(
    "answer", [b"", b"\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x05\x0c"]
)
def test_a_broken_answer(tmp_path: Path, answer: bytes) -> None:
    path, thread, _ = serve(tmp_path, answer)
    with pytest.raises(OSError, match="answer"):
        host.exchange_with_agent(path, b"\x0b")
    thread.join()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        host.exchange_with_agent(str(tmp_path / "agent"), b"\x0b")
