"""A PIN is looked for wherever it could leak: memory, environment, arguments, logs, cores."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, WAIT_S, Host, make_host, serving, sk_key, virtual_token
from tests.support.children import popen

pytestmark = pytest.mark.interop

NEEDLES = (PIN.encode(), PIN.encode("utf-16-le"), PIN.encode("utf-32-le"))
CHUNK = 1 << 22


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("secrets") / "home")
    virtual_token(host)
    sk_key(host, "uv", "-t", "ed25519-sk", "-O", "verify-required")
    return host


@pytest.fixture(params=["0", "10m"], ids=["asked each time", "kept"])
def host(request: pytest.FixtureRequest, machine: Host) -> Iterator[Host]:
    """An agent that has just used the PIN, twice."""
    machine.answers(PIN)
    (machine.home / "asked").unlink(missing_ok=True)
    with serving(machine, "--resident", "--pin-cache", request.param, "--touch-command", "env"):
        machine.add("uv")
        machine.add("-T", "uv.pub")
        machine.add("-T", "uv.pub")
        yield machine


def memory(pid: int) -> Iterator[bytes]:
    """All that a process has in its memory; only root may look at one that is not dumpable."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:  # noqa: PTH123
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights = line.split()[:2]
            if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            start, end = (int(part, 16) for part in where.split("-"))
            tail = b""
            for at in range(start, end, CHUNK):
                try:
                    data = os.pread(mem.fileno(), min(CHUNK, end - at), at)
                except OSError:
                    break
                yield tail + data
                tail = data[-64:]


def holds(pid: int, needles: tuple[bytes, ...]) -> bool:
    return any(needle in chunk for chunk in memory(pid) for needle in needles)


@pytest.mark.root
def test_the_pin_is_not_in_the_memory_of_the_agent(host: Host) -> None:
    assert holds(host.pid, (str(host.home).encode(),)), "the search itself must find things"
    assert not holds(host.pid, NEEDLES)


def test_not_in_its_environment_arguments_or_log(host: Host) -> None:
    for name in ("environ", "cmdline", "comm"):
        assert PIN.encode() not in Path(f"/proc/{host.pid}/{name}").read_bytes()
    assert PIN not in host.said()
    assert PIN not in str(host.asked())


def test_the_child_that_has_it_shows_it_to_nobody(machine: Host) -> None:
    """While the token waits for a touch: in no environment or argument, in no core."""
    machine.answers(PIN)
    waits = ("virtual", "serve", "t", "--presence", "delay 600000")
    holder = popen(
        [sys.executable, "-m", "fidokit", *waits], env=machine.env, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert holder.stdout.readline()
    told = machine.home / "touch-wanted"
    try:
        with serving(machine, "--no-notify", "--touch-command", f"mkfifo {told}") as host:
            host.add("uv")
            client = popen(
                ["ssh-add", "-T", "uv.pub"],
                cwd=host.home,
                env=host.env | {"SSH_AUTH_SOCK": host.socket},
                stderr=subprocess.DEVNULL,
            )
            until(told.exists)
            [child] = children(host.pid)
            for name in ("environ", "cmdline"):
                assert PIN.encode() not in Path(f"/proc/{child}/{name}").read_bytes()
            assert resource.prlimit(child, resource.RLIMIT_CORE)[0] == 0
            client.kill()
            client.wait()
            until(lambda: not children(host.pid))
    finally:
        holder.terminate()
        holder.wait(WAIT_S)
        holder.stdout.close()


def children(pid: int) -> list[int]:
    """The workers among the children of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in found if b"fidokit.agent.pin.worker" in cmdline(child)]


def cmdline(pid: int) -> bytes:
    """Its arguments; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_not_in_what_it_leaves_on_the_disk(host: Host) -> None:
    ours = {host.home / "pin", host.home / "answers"}
    for path in host.home.rglob("*"):
        if path.is_file() and path not in ours:
            assert PIN.encode() not in path.read_bytes(), path


def test_no_core_is_written(host: Host, machine: Host) -> None:
    assert resource.prlimit(host.pid, resource.RLIMIT_CORE)[0] == 0
    process = host.process
    assert process is not None
    process.send_signal(signal.SIGABRT)
    assert process.wait(60) == -signal.SIGABRT
    assert not list(machine.home.glob("core*"))


@pytest.mark.root
def test_no_process_of_the_same_user_may_look(public_folder: Path) -> None:
    """Not dumpable means that its memory belongs to root, whoever runs it."""
    program = (
        "import os, sys; from fidokit.system.process_memory import harden; harden();"
        "print(os.getpid(), flush=True); sys.stdin.read()"
    )
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    (public_folder / "fidokit" / "system").mkdir(parents=True)
    for name in ("errors.py", "system/process_memory.py"):
        source = Path(__file__).parents[2] / "src" / "fidokit" / name
        (public_folder / "fidokit" / name).write_text(source.read_text())
    with popen(
        [*become, "/usr/bin/python3", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(public_folder), "PATH": os.environ["PATH"]},
    ) as child:
        assert child.stdout
        assert child.stdin
        pid = child.stdout.readline().decode().strip()
        look = subprocess.run(
            [*become, "cat", f"/proc/{pid}/environ"], capture_output=True, check=False, timeout=60
        )
        child.stdin.close()
    assert look.returncode != 0
    assert b"denied" in look.stderr
