"""The running sshd: which process it is, whether it was told, whether a new one answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fidokit.errors import FidokitError
from fidokit.server.sshd import services
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.query import Sshd
from fidokit.server.sshd.services import ByConnection, Process, Signaled, Systemd
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
        self.command = "true"

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


def test_systemd() -> None:
    systemctl = Systemctl("ssh.service")
    manager = Systemd("ssh.service", None, systemctl)
    assert manager.command == "systemctl reload ssh.service"
    manager.reload()
    manager.restart()
    assert not manager.is_gone()
    assert [call[1] for call in systemctl.calls] == ["reload", "restart", "is-active"]
    assert manager.generation() is None
    assert Systemd("ssh.service", os.getpid(), systemctl).generation() is not None


def test_systemd_that_starts_it_by_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd 257 shows it; SIGHUP would end Debian 13's sshd."""
    active, calls = {"ssh.socket"}, []

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        calls.append(command[1])
        shown = {
            "TriggeredBy": b"TriggeredBy=ssh.socket\n",
            "MainPID": b"MainPID=%d\n" % os.getpid(),
        }
        missing = command[1] == "is-active" and command[-1] not in active
        return subprocess.CompletedProcess(command, int(missing), shown.get(command[-2], b""), b"")

    monkeypatch.setattr(services, "_SYSTEMD", str(tmp_path))
    monkeypatch.setattr(services, "unit_of", lambda _: "ssh.service")
    instance = SshdInstance(Sshd("/usr/sbin/sshd"), 7)
    manager = services.of_instance(instance, run)
    assert manager.command == "systemctl restart ssh.service"
    assert manager.generation() == services.incarnation(os.getpid())
    calls.clear()
    manager.reload()
    assert calls == ["restart"]
    active.clear()
    assert services.of_instance(instance, run).command == "systemctl reload ssh.service"


def test_systemd_that_refuses() -> None:
    manager = Systemd("ssh.service", None, Systemctl("ssh.service", fails="reload"))
    with pytest.raises(FidokitError, match=r"systemctl reload ssh\.service failed: no"):
        manager.reload()


def test_what_has_noted_its_process_id(tmp_path: Path) -> None:
    here = parse_settings("pidfile /run/x.pid\n")
    assert services.noted(here, ["sshd"], None).pid_file == Path("/run/x.pid")
    by_file = services.noted(here, ["sshd"], tmp_path / "pid")
    assert by_file.pid_file == tmp_path / "pid"
    assert by_file.command == f"kill -HUP $(cat {tmp_path}/pid)"
    with pytest.raises(FidokitError, match="not known which process"):
        services.noted(parse_settings("pidfile none\n"), [], None)


def test_a_service_of_systemd_is_known_by_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text("0::/system.slice/ssh.service\n")
    assert services.unit_of(7, tmp_path) == "ssh.service"
    assert services.unit_of(8, tmp_path) == ""
    (tmp_path / "7/cgroup").write_text("0::/user.slice/user-0.slice/session-1.scope\n")
    assert services.unit_of(7, tmp_path) == ""
    instance = SshdInstance(Sshd("/usr/sbin/sshd", ("-f", "x")), 7)
    monkeypatch.setattr(services, "_SYSTEMD", str(tmp_path / "absent"))
    assert services.of_instance(instance) == Process(7, ("/usr/sbin/sshd", "-f", "x"))
    monkeypatch.setattr(services, "_SYSTEMD", str(tmp_path))
    monkeypatch.setattr(services, "unit_of", lambda _: "ssh.service")
    run = Systemctl()
    assert services.of_instance(instance, run) == Systemd("ssh.service", 7, run)


def test_a_socket_that_starts_sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd 252 shows it."""
    shown = b"Listen=0.0.0.0:22 (Stream)\nListen=[::]:2222 (Stream)\nListen=/run/x (Stream)\n"

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        missing = command[1] == "is-active" and command[-1] != "ssh.socket"
        return subprocess.CompletedProcess(command, int(missing), shown, b"")

    monkeypatch.setattr(services, "_SYSTEMD", str(tmp_path / "absent"))
    assert services.of_socket(run) is None
    monkeypatch.setattr(services, "_SYSTEMD", str(tmp_path))
    found = services.of_socket(run)
    assert found == (ByConnection("ssh.socket"), [("127.0.0.1", 22), ("::1", 2222)])
    assert services.of_socket(Systemctl()) is None
    assert services.reload(found[0], [])
    assert services.restart(found[0], [])
    assert found[0].command == ""


def test_a_process_that_is_not_there() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    manager = Process(ended.pid, ["true"])
    assert manager.is_gone()
    assert manager.generation() is None
    with pytest.raises(FidokitError, match="sshd has ended"):
        manager.reload()
    manager.restart()


def test_another_incarnation_of_a_process() -> None:
    """What starts itself again has the same number, and another stack."""
    again = (
        "import os, sys; sys.stdin.readline(); "
        "os.execv(sys.argv[1], [sys.argv[1], '-c', sys.argv[2]])"
    )
    then = "import sys; print('again', flush=True); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", again, sys.executable, then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        first = services.incarnation(process.pid)
        process.stdin.flush()
        process.stdout.readline()
        assert services.incarnation(process.pid) != first
        process.stdin.close()
