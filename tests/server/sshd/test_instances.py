"""Which sshds a machine has, by /proc and the service manager: how each was started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.errors import SshdMissing
from fidokit.server.sshd.instances import (
    decisive,
    find_instances,
    of_default_files,
    of_services,
    running,
)
from fidokit.server.sshd.query import Ran, Sshd

LISTENS = "sshd: {} [listener] 0 of 10-100 startups"


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("-D", ""),
        ("-D -f /x -p 2222", "-f|/x|-p|2222"),
        ("-f/x -p2222 -De", "-f|/x|-p|2222"),
        ("-Df /x", "-f|/x"),
        ("-o PasswordAuthentication=yes", "-o|PasswordAuthentication=yes"),
        ("-o PasswordAuthentication yes -E /log", "-o|PasswordAuthentication yes"),
        ("-oMatch=a -4 -u0 -g 5", "-o|Match=a|-4"),
        ("stray -f", "-f|"),
        ("-o", "-o|"),
    ],
)
def test_arguments_that_decide(words: str, kept: str) -> None:
    assert "|".join(decisive(words.split())) == kept


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    (folder / "self/root/etc").mkdir(parents=True)
    (folder / "self/root/etc/passwd").touch()
    return folder


def process(
    proc: Path, pid: int, command: str, exe: str = "/usr/sbin/sshd", own: bool = True
) -> None:
    entry = proc / str(pid)
    (entry / "root/etc").mkdir(parents=True)
    passwd = entry / "root/etc/passwd"
    os.link(proc / "self/root/etc/passwd", passwd) if own else passwd.touch()
    (entry / "cmdline").write_bytes(command.encode() + b"\0")
    (entry / "exe").symlink_to(exe)
    (entry / "stat").write_text(f"{pid} (ss) hd) S " + " ".join(["0"] * 18) + " 5000 0\n")


def test_an_sshd_that_is_called_by_another_name(proc: Path, tmp_path: Path) -> None:
    """Its name is its PAM service before OpenSSH 9.8."""
    program, link = tmp_path / "sshd", tmp_path / "codes"
    program.touch()
    link.symlink_to(program)
    title = f"codes: {link} -D -f /x [listener] 0 of 10-100 startups"
    process(proc, 1, title, str(program))
    process(proc, 2, title, "/usr/bin/python3")
    (found,) = running(proc)
    assert (found.pid, found.sshd.program, found.sshd.arguments) == (1, str(link), ("-f", "/x"))


def test_what_listens_is_found_and_nothing_else(proc: Path) -> None:
    process(proc, 1, LISTENS.format("/usr/sbin/sshd -D -o PermitRootLogin=yes"))
    process(proc, 2, "/opt/sshd\0-f\0/a b\0-D", "/opt/sshd (deleted)")
    process(proc, 3, "sshd: alice [priv]")
    process(proc, 4, "/usr/sbin/sshd\0-i")
    process(proc, 5, "/usr/bin/python3\0sshd")
    process(proc, 6, LISTENS.format("/usr/sbin/sshd"), own=False)  # a container's
    (proc / "7").mkdir()
    first, second = running(proc)
    assert (first.pid, first.sshd.arguments) == (1, ("-o", "PermitRootLogin=yes"))
    assert first.started is not None
    assert not first.replaced
    assert (second.sshd.program, second.sshd.arguments) == ("/opt/sshd", ("-f", "/a b"))
    assert second.replaced
    assert first.name == "process 1 (/usr/sbin/sshd -o PermitRootLogin=yes)"


SHOWN = """\
LoadState=loaded
Environment=A=b
EnvironmentFiles={files} (ignore_errors=yes)
ExecStart={{ path=/x ; argv[]=/usr/sbin/sshd -D $SSHD_OPTS ${{A}} ; ignore_errors=no ; }}
"""


def shows(text: str) -> Callable[[Sequence[str]], Ran]:
    def run(argv: Sequence[str]) -> Ran:
        return Ran(0, text if "ssh.service" in argv else "LoadState=not-found\n", "")

    return run


def test_what_the_service_manager_would_start(tmp_path: Path) -> None:
    options = tmp_path / "ssh"
    options.write_text("# x\nSSHD_OPTS='-p 2222 -o UsePAM=no'\n")
    (unit,) = of_services(shows(SHOWN.format(files=options)))
    assert unit.sshd.arguments == ("-p", "2222", "-o", "UsePAM=no b")
    assert (unit.name, unit.pid) == ("ssh.service", None)


@pytest.mark.parametrize(
    "ran", [Ran(None, "", ""), Ran(1, "", ""), Ran(0, "LoadState=loaded\nExecStart=\n", "")]
)
def test_where_systemd_does_not_run(ran: Ran) -> None:
    assert of_services(lambda _: ran) == []


def test_start_up_scripts_have_a_file() -> None:
    spare = Sshd("/sshd")
    read = lambda path: iter([("SSHD_OPTS", "-p 7 -D")] if "default" in str(path) else [])  # noqa: E731
    assert of_default_files(spare, read).arguments == ("-p", "7")
    assert of_default_files(spare, lambda _: iter(())) == spare


def nothing(_: Sequence[str]) -> Ran:
    return Ran(None, "", "")


def test_a_process_and_its_service_are_one(proc: Path, tmp_path: Path) -> None:
    sshd = str(executable(tmp_path / "sshd", ""))
    process(proc, 9, LISTENS.format(f"{sshd} -D"), sshd)
    text = SHOWN.format(files=tmp_path / "none").replace("/usr/sbin/sshd", sshd).replace("${A}", "")
    (one,) = find_instances(sshd, run=shows(text), proc=proc)
    assert one.pid == 9
    with_port = text.replace("$SSHD_OPTS", "-o UsePAM=no")
    assert [i.pid for i in find_instances(sshd, run=shows(with_port), proc=proc)] == [9, None]


def test_a_named_configuration_counts_alone(proc: Path, tmp_path: Path) -> None:
    sshd = str(executable(tmp_path / "sshd", ""))
    process(proc, 9, LISTENS.format(f"{sshd} -f {tmp_path}/a -o UsePAM=no"), sshd)
    process(proc, 8, LISTENS.format("/other/sshd"), "/other/sshd")
    (one,) = find_instances(sshd, f"{tmp_path}/a", run=nothing, proc=proc)
    assert one.pid == 9
    (one,) = find_instances(sshd, "/b", run=nothing, proc=proc)
    assert (one.pid, one.sshd.arguments, one.name) == (None, ("-f", "/b"), f"{sshd} -f /b")


def test_no_sshd_at_all(proc: Path) -> None:
    with pytest.raises(SshdMissing):
        find_instances("no-such-sshd", run=nothing, proc=proc)


def test_this_machine_is_looked_at_without_trouble() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid not in {one.pid for one in running()}
    finally:
        child.kill()
        child.wait()
