"""The agent as a person runs it: in tmux, with the PIN typed in its window, ssh in another one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, WAIT_S, Host, make_host, sk_key, virtual_token

pytestmark = pytest.mark.interop

SERVE = f"{shlex.quote(sys.executable)} -m fidokit agent serve --no-notify"


@dataclass
class Terminal:
    """A tmux server of its own, whose windows have the host's environment."""

    host: Host
    program: str
    socket: str
    windows: list[str] = field(default_factory=list)

    def tmux(self, *args: str) -> str:
        command = [self.program, "-S", self.socket, *args]
        done = subprocess.run(
            command,
            env=self.env,
            cwd=self.host.home,
            capture_output=True,
            text=True,
            check=True,
            timeout=WAIT_S,
        )
        return done.stdout

    @property
    def env(self) -> dict[str, str]:
        kept = {k: v for k, v in self.host.env.items() if not k.startswith("SSH_ASKPASS")}
        return kept | {"TERM": "screen", "PS1": "$ ", "SHELL": "/bin/sh"}

    def window(self, name: str) -> str:
        """Open a window with a shell."""
        if not self.windows:
            self.tmux("new-session", "-d", "-x", "200", "-y", "50", "-n", name, "sh")
        else:
            self.tmux("new-window", "-d", "-n", name, "sh")
        self.windows.append(name)
        return name

    def type(self, window: str, text: str) -> None:
        self.tmux("send-keys", "-t", f":{window}", "-l", text)
        self.tmux("send-keys", "-t", f":{window}", "Enter")

    def key(self, window: str, name: str) -> None:
        self.tmux("send-keys", "-t", f":{window}", name)

    def shows(self, window: str) -> str:
        return self.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", f":{window}")

    def wait(self, window: str, text: str, count: int = 1) -> str:
        """Wait until a window shows something."""
        deadline = time.monotonic() + WAIT_S
        while (shown := self.shows(window)).count(text) < count:
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        return shown


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("terminal") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    virtual_token(host)
    sk_key(host, "uv", "-t", "ed25519-sk", "-O", "verify-required")
    return host


@pytest.fixture
def terminal(machine: Host, stock: Callable[[str], str], tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(machine, stock("tmux"), str(tmp_path / "tmux"))
    yield made
    made.tmux("kill-server")


def exported(terminal: Terminal, agent: str) -> str:
    """What an agent's window tells to type; where it was typed early, a prompt stands before."""
    shown = terminal.wait(agent, "export SSH_AUTH_SOCK;")
    found = re.search(r"SSH_AUTH_SOCK=\S+; export SSH_AUTH_SOCK;", shown)
    assert found, shown
    return found[0]


def started(terminal: Terminal, *options: str) -> tuple[str, str]:
    """An agent in one window, and another that uses it."""
    agent, user = terminal.window("agent"), terminal.window("user")
    terminal.type(agent, shlex.join([*shlex.split(SERVE), *options]))
    terminal.type(user, exported(terminal, agent))
    terminal.type(user, f"cd {terminal.host.home}; clear; ssh-add plain uv; ssh-add -l")
    terminal.wait(user, "uv (ED25519-SK)")
    return agent, user


def test_the_pin_is_typed_in_the_agents_window(terminal: Terminal) -> None:
    agent, user = started(terminal)
    terminal.type(user, "ssh-add -T uv.pub && echo sig''ned")
    shown = terminal.wait(agent, "tries left: ")
    assert "PIN of fidokit virtual token (virtual:t)" in shown
    terminal.type(agent, PIN)
    terminal.wait(agent, "Touch your security key")
    terminal.wait(user, "signed")
    assert PIN not in terminal.shows(agent)


def test_a_wrong_pin_is_said_and_asked_for_again(terminal: Terminal) -> None:
    agent, user = started(terminal)
    terminal.type(user, "ssh-add -T uv.pub && echo sig''ned")
    terminal.wait(agent, "tries left: ")
    terminal.type(agent, "1111")
    terminal.wait(agent, "That PIN was wrong.")
    terminal.wait(agent, "7 tries left: ")
    terminal.type(agent, PIN)
    terminal.wait(user, "signed")


def test_a_confirmation_is_answered_in_its_window(terminal: Terminal) -> None:
    agent, user = started(terminal)
    terminal.type(user, "ssh-add -q -c plain; ssh-add -T plain.pub; echo stat''us $?")
    terminal.wait(agent, "Allow use of key plain")
    terminal.type(agent, "n")
    terminal.wait(user, "status 1")
    terminal.type(user, "ssh-add -T plain.pub; echo stat''us $?")
    terminal.wait(agent, "Allow use of key plain", count=2)
    terminal.type(agent, "yes")
    terminal.wait(user, "status 0")


def test_ctrl_c_ends_it(terminal: Terminal) -> None:
    agent, user = started(terminal)
    terminal.key(agent, "C-c")
    terminal.type(agent, "echo stat''us $?")
    assert "Traceback" not in terminal.wait(agent, "status 0")
    terminal.type(user, "ssh-add -l")
    terminal.wait(user, "Error connecting to agent")


def test_ctrl_c_while_it_asks_for_the_pin(terminal: Terminal) -> None:
    agent, user = started(terminal)
    terminal.type(user, "ssh-add -T uv.pub; echo stat''us $?")
    terminal.wait(agent, "tries left: ")
    terminal.key(agent, "C-c")
    terminal.wait(user, "status 1")
    terminal.wait(agent, "$ ", count=2)  # what is typed before is thrown away, as it should be
    terminal.type(agent, "echo stat''us $?")
    assert "Traceback" not in terminal.wait(agent, "status 0")


def test_in_the_background_from_a_shell(terminal: Terminal) -> None:
    """eval, a key that wants its PIN before the shell goes on, and ssh-agent -k at the end."""
    user = terminal.window("user")
    terminal.type(user, f'cd {terminal.host.home}; eval "$({SERVE} --background --resident)"')
    terminal.wait(user, "tries left: ")
    terminal.type(user, PIN)
    terminal.wait(user, "Agent pid")
    terminal.type(user, "ssh-add -q plain; ssh-add -l; ssh-agent -k")
    terminal.wait(user, "plain (ED25519)")
    terminal.wait(user, "killed")


@pytest.mark.skipif(not os.path.exists("/usr/bin/pinentry-curses"), reason="no pinentry-curses")  # noqa: PTH110
def test_by_stock_pinentry(terminal: Terminal) -> None:
    """pinentry takes over a window of its own, that GPG_TTY names."""
    asked = terminal.window("asked")
    terminal.type(asked, "tty; sleep 600")
    tty = terminal.wait(asked, "/dev/pts/").split("/dev/pts/")[1].split()[0]
    agent, user = terminal.window("agent2"), terminal.window("user2")
    terminal.type(agent, f"export GPG_TTY=/dev/pts/{tty}")
    terminal.type(agent, f"{SERVE} --pin-prompt pinentry")
    terminal.type(user, exported(terminal, agent))
    terminal.type(user, f"cd {terminal.host.home}; ssh-add uv; ssh-add -T uv.pub && echo sig''ned")
    shown = terminal.wait(asked, "tries left")
    assert "virtual:t" in shown
    terminal.type(asked, PIN)
    terminal.wait(user, "signed")
