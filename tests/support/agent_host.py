"""A real `fidokit agent serve` in a process of its own, and stock programs around it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from tests.support.agent_keys import executable
from tests.support.children import popen

SRC = Path(__file__).parents[2] / "src"
WAIT_S = 60
PIN = "9472-agent-pin"

ASKPASS = """
import os, sys
home = {home!r}
with open(home + "/asked", "a") as log:
    print(os.environ.get("SSH_ASKPASS_PROMPT", "-"), sys.argv[1].replace(chr(10), " | "), file=log)
if os.environ.get("SSH_ASKPASS_PROMPT") == "confirm":
    sys.exit(0 if os.path.exists(home + "/yes") else 1)
answers = open(home + "/answers").read().splitlines()
open(home + "/answers", "w").write("\\n".join(answers[1:] or answers[-1:]))
print(answers[0])
"""


@dataclass
class Host:
    """A home folder, the agent that runs there, and programs that use it.

    `asked` is what SSH_ASKPASS was asked; its answers are the lines of the file `answers`, the
    last of which is given again and again; it says yes to confirmations while a file `yes` is
    there.
    """

    home: Path
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    socket: str = ""
    more: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def run(
        self,
        *command: str | Path,
        stdin: bytes = b"",
        code: int | None = 0,
        wait: float = WAIT_S,
        **env: str,
    ) -> CompletedProcess[bytes]:
        """Run a program without a terminal, with the agent's socket in its environment."""
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            cwd=self.home,
            env=self.env | {"SSH_AUTH_SOCK": self.socket} | env,
            timeout=wait,
            start_new_session=True,
            check=False,
        )
        assert code is None or done.returncode == code, (done, self.said())
        return done

    def fidokit(self, *args: str, **how: object) -> str:
        done = self.run(sys.executable, "-m", "fidokit", *args, **how)  # type: ignore[arg-type]
        return done.stdout.decode()

    def add(self, *args: str | Path, **how: object) -> str:
        """ssh-add."""
        done = self.run(stock("ssh-add"), *args, **how)  # type: ignore[arg-type]
        return (done.stdout + done.stderr).decode()

    def keygen(self, *args: str | Path) -> None:
        self.run(stock("ssh-keygen"), "-q", *args)

    def said(self) -> str:
        """What the agent printed on standard error."""
        return self.log.read_text() if self.log.exists() else ""

    def asked(self) -> list[str]:
        path = self.home / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def answers(self, *lines: str) -> None:
        (self.home / "answers").write_text("\n".join(lines))


def stock(program: str) -> str:
    """The path of a stock program, which has to be there."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, f"{program} is not installed; see .ci/debian-packages"
    return found


def make_host(home: Path) -> Host:
    """A home folder with an askpass that answers the PIN."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    program = executable(home / "askpass", ASKPASS.format(home=str(home)))
    env = {
        "HOME": str(home),
        "PATH": f"{home}/bin:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(SRC),
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "SSH_ASKPASS": str(program),
        "SSH_ASKPASS_REQUIRE": "force",
    }
    host = Host(home, env, home / "agent.log")
    host.answers(PIN)
    return host


@contextmanager
def serving(host: Host, *options: str | Path, **env: str) -> Iterator[Host]:
    """`fidokit agent serve` in the foreground, for the `with` block."""
    command = [sys.executable, "-m", "fidokit", "agent", "serve", "--json", *map(str, options)]
    with host.log.open("wb") as log:
        process = popen(
            command,
            cwd=host.home,
            env=host.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    host.process = process
    try:
        host.socket = _announced(process, host)
        yield host
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert process.stdout
        process.stdout.close()


def _announced(process: subprocess.Popen[bytes], host: Host) -> str:
    assert process.stdout
    text = b""
    while not text.endswith(b"}\n}\n"):
        line = process.stdout.readline()
        assert line, host.said()
        text += line
    return str(json.loads(text)["agent"]["socket"])


@contextmanager
def stock_agent(host: Host, *options: str, **env: str) -> Iterator[Host]:
    """Stock ssh-agent in the place of ours, for the `with` block; its log goes to `host.log`."""
    path = host.home / "stock.sock"
    command = [stock("ssh-agent"), "-D", "-a", str(path), *options]
    with host.log.open("wb") as log:
        agent = popen(
            command, env=host.env | env, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert agent.stdout
    try:
        agent.stdout.readline()
        host.socket = str(path)
        yield host
    finally:
        agent.terminate()
        agent.wait(WAIT_S)
        agent.stdout.close()
        path.unlink(missing_ok=True)
        host.socket = ""


def virtual_token(host: Host, name: str = "t", *, presence: str = "auto", pin: bool = True) -> str:
    """Make a virtual token; returns its selector."""
    host.fidokit("virtual", "create", name, "--presence", presence)
    if pin:
        (host.home / "pin").write_text(PIN + "\n")
        where = str(host.home / "pin")
        host.fidokit("--token", f"virtual:{name}", "pin", "set", "--new-pin-file", where)
    return f"virtual:{name}"


def sk_key(host: Host, file: str, *options: str, token: str = "virtual:t") -> Path:
    """Make a key on a token; returns its private file."""
    where = ("-f", str(host.home / file), "--no-passphrase", "-C", file)
    pin = ("--pin-file", str(host.home / "pin"))
    host.fidokit("--token", token, "key", "generate", *where, *pin, *options)
    return host.home / file


def lines(text: str) -> Sequence[str]:
    """The lines of a program's output, without the empty ones."""
    return [line for line in text.splitlines() if line.strip()]
