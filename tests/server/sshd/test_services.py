"""The running sshd: which process it is, whether it was told, whether a new one answers."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fidokit.errors import FidokitError
from fidokit.server.sshd import services
from fidokit.server.sshd.services import Signaled, Systemd
from fidokit.server.sshd.settings import parse_settings

PATIENCE = 30.0


@pytest.fixture
def greeter() -> Iterator[services.Address]:
    """A server that greets whoever comes, from its backlog: nobody has to accept."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def greet() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if ended.is_set():
                        return
                    connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        place = ("127.0.0.1", int(listener.getsockname()[1]))
        yield place
        ended.set()
        socket.create_connection(place).close()
        thread.join()


class Manager:
    """A service manager of which each step is written down."""

    def __init__(self, *, generations: Sequence[object] = (None,), gone: bool = False) -> None:
        self.generations, self.gone = list(generations), gone
        self.done: list[str] = []

    def reload(self) -> None:
        self.done.append("reload")

    def restart(self) -> None:
        self.done.append("restart")

    def generation(self) -> object:
        return self.generations.pop(0) if len(self.generations) > 1 else self.generations[0]

    def is_gone(self) -> bool:
        return self.gone


def test_addresses() -> None:
    found = parse_settings(
        "listenaddress 0.0.0.0:22\nlistenaddress [::]:22\nlistenaddress 192.0.2.1:2222\n"
        "listenaddress [2001:db8::1]:22 rdomain x\nlistenaddress nonsense\n"
    )
    assert services.addresses(found) == [
        ("127.0.0.1", 22),
        ("::1", 22),
        ("192.0.2.1", 2222),
        ("2001:db8::1", 22),
    ]


def test_who_answers(greeter: services.Address) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        places = [greeter, ("127.0.0.1", int(closed.getsockname()[1]))]
        assert services.answering(places) == [greeter]


def test_a_new_process_answers(greeter: services.Address) -> None:
    manager = Manager(generations=[1, 1, None, 2])
    assert services.reload(manager, [greeter], PATIENCE)
    assert manager.done == ["reload"]


def test_the_old_process_is_no_answer(greeter: services.Address) -> None:
    assert not services.reload(Manager(generations=[1, 1], gone=True), [greeter], PATIENCE)


def test_patience_ends(greeter: services.Address) -> None:
    assert not services.reload(Manager(generations=[1, 1]), [greeter], 0.0)


def test_a_restart_waits_for_who_is_not_there_yet(greeter: services.Address) -> None:
    manager = Manager(gone=True)
    assert services.restart(manager, [greeter], PATIENCE)
    assert manager.done == ["restart"]
    assert not services.restart(manager, [greeter], 0.0)


def test_where_generations_cannot_be_seen_a_greeting_is_enough(greeter: services.Address) -> None:
    assert services.reload(Manager(), [greeter], PATIENCE)


def test_a_process_that_is_no_sshd_is_left_alone(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    manager = Signaled(pid, ["false"])
    for text in ("", "junk", "-1", "0", "1", str(os.getpid()), "99999999999999999999"):
        pid.write_text(text)
        assert manager.is_gone()
        with pytest.raises(FidokitError, match="no sshd runs"):
            manager.reload()


def test_what_died_is_started_by_its_command(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    manager = Signaled(tmp_path / "pid", ["touch", str(mark)])
    assert manager.generation() is None
    manager.restart()
    assert mark.exists()


def test_a_file_made_anew_is_another_generation(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    manager = Signaled(pid, [])
    pid.write_text("1")
    os.utime(pid, ns=(0, 0))
    before = manager.generation()
    assert before == manager.generation()
    os.utime(pid, ns=(1, 1))
    assert before != manager.generation()


class Systemctl:
    """Knows some units that run."""

    def __init__(self, *units: str, fails: str = "") -> None:
        self.units, self.fails = units, fails
        self.calls: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        self.calls.append(command)
        failed = self.fails == command[1] or command[-1] not in self.units
        return subprocess.CompletedProcess(command, int(failed), b"", b"no\n")


def test_systemd(tmp_path: Path) -> None:
    systemctl = Systemctl("ssh.service")
    manager = Systemd("ssh.service", tmp_path / "pid", systemctl)
    manager.reload()
    manager.restart()
    assert not manager.is_gone()
    assert [call[1] for call in systemctl.calls] == ["reload", "restart", "is-active"]
    assert manager.generation() is None
    (tmp_path / "pid").touch()
    assert manager.generation() is not None


def test_systemd_that_refuses() -> None:
    manager = Systemd("ssh.service", None, Systemctl("ssh.service", fails="reload"))
    with pytest.raises(FidokitError, match=r"systemctl reload ssh\.service failed: no"):
        manager.reload()


def test_which_manager_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = parse_settings("pidfile /run/x.pid\n")
    monkeypatch.setattr(services, "_SYSTEMD", str(tmp_path))
    found = services.find_services(here, [], None, Systemctl("sshd.service"))
    assert isinstance(found, Systemd)
    assert (found.unit, found.pid_file) == ("sshd.service", Path("/run/x.pid"))
    by_file = services.find_services(here, [], tmp_path / "pid", Systemctl("sshd.service"))
    assert isinstance(by_file, Signaled)
    assert by_file.pid_file == tmp_path / "pid"
    without = services.find_services(here, ["sshd"], None, Systemctl())
    assert isinstance(without, Signaled)
    assert without.pid_file == Path("/run/x.pid")
    with pytest.raises(FidokitError, match="not known which process"):
        services.find_services(parse_settings("pidfile none\n"), [], None, Systemctl())
