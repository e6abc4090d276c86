"""OpenSSH's own regress suite, from Debian's package openssh-tests, with our agent in ssh-agent's
place and our library in that of its dummy token."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.matrix.__main__ import SUITE
from tests.support.roots import ONLY_IN

pytestmark = pytest.mark.interop

INSTALLED = Path("/usr/lib/openssh/regress")
HELPERS = Path("/usr/lib/openssh")
LIMIT_S = 600
"""For one of its tests; the longest takes a minute on an idle machine."""

AGENT_TESTS = ["agent", "agent-getpeereid", "agent-timeout", "agent-restrict", "hostkey-agent"]
KEY_TESTS = [
    *("sshsig", "cert-file", "krl", "keygen-change", "keygen-comment", "multipubkey"),
    "limit-keytype",
]

AGENT = """#!/bin/sh
# ssh-agent's options for our agent; it loads no libraries, so it needs no list of them (-P).
background=--background
while getopts skdP:a: letter; do
    case $letter in
    k) exec kill "$SSH_AGENT_PID" ;;
    d) background= ;;
    a) socket=$OPTARG ;;
    esac
done
exec {python} -m fidokit agent serve $background ${{socket:+-a "$socket"}}
"""


@dataclass(frozen=True)
class Regress:
    """A copy of the suite, made to use some programs.

    Args:
        folder: the copy, in which it runs.
        agent: the program in ssh-agent's place.
        env: what it runs in.
    """

    folder: Path
    agent: str
    env: dict[str, str]

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run one of its tests, such as `agent`."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        variables = {
            **dict.fromkeys((".OBJDIR", ".CURDIR", "BUILDDIR", "OBJ"), self.folder),
            "TEST_SHELL": "/bin/sh",
            "TEST_SSH_PORT": port,
            "TEST_SSH_SSH": "/usr/bin/ssh",
            "TEST_SSH_SSHD_AUTH": HELPERS / "sshd-auth",
            "TEST_SSH_SSHD_SESSION": HELPERS / "sshd-session",
            "TEST_SSH_SFTPSERVER": HELPERS / "sftp-server",
            "TEST_SSH_SSHAGENT": self.agent,
            "TEST_SSH_ECC": "yes",
            "TEST_SSH_UNSAFE_PERMISSIONS": 1,
            "LTESTS": name,
        }
        words = [f"{variable}={value}" for variable, value in variables.items()]
        return subprocess.run(
            ["make", "-s", *words, "t-exec"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )


@pytest.fixture(name="copy", scope="module")
def _copy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Regress]:
    if not INSTALLED.exists():
        assert os.environ.get(SUITE) not in ONLY_IN, "openssh-tests is not installed"
        pytest.skip("openssh-tests is in the userlands of 13 and sid: python -m tests.matrix sid")

    def make(name: str) -> Regress:
        folder = tmp_path_factory.mktemp(name)
        shutil.copytree(INSTALLED, folder / "regress")
        script = folder / "regress/agent-restrict.sh"
        waits = "while [ ! -S $SSH_AUTH_SOCK ]; do sleep 1; done"
        text = script.read_text()
        assert "\nsleep 4 " in text  # too short for a busy machine
        script.write_text(text.replace("\nsleep 4 ", f"\n{waits} "))
        common = folder / "regress/test-exec.sh"
        all_types = "-Q key-plain"
        assert all_types in common.read_text()
        # until 10.0 also DSA, which our agent does not hold
        text = common.read_text().replace(all_types, f"{all_types} | grep -v ssh-dss")
        common.write_text(text)
        home = folder / "home"
        home.mkdir(mode=0o700)
        env = {"HOME": str(home), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        return Regress(folder / "regress", "/usr/bin/ssh-agent", env)

    return make


@pytest.fixture(scope="module")
def stocks(copy: Callable[[str], Regress]) -> Regress:
    """The suite with the stock programs."""
    return copy("stock")


@pytest.fixture(scope="module")
def ours(copy: Callable[[str], Regress]) -> Regress:
    """With our agent, and a library by which its keys lie on a virtual token."""
    made = copy("ours")
    folder = made.folder.parent

    def fidokit(*words: str) -> None:
        command = [sys.executable, "-m", "fidokit", *words]
        subprocess.run(command, env=made.env, check=True, capture_output=True)

    fidokit("virtual", "create", "regress")
    config = folder / "home/.config/fidokit/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('token = "virtual:regress"\n')
    fidokit("provider", "install", "--into", str(folder / "lib"))
    dummy = made.folder / "misc/sk-dummy/sk-dummy.so"
    dummy.unlink()
    dummy.symlink_to(folder / "lib/sk_fidokit.so")
    dummy.with_name("sk-dummy.so.python").symlink_to(folder / "lib/sk_fidokit.so.python")
    agent = folder / "ssh-agent"
    agent.write_text(AGENT.format(python=sys.executable))
    agent.chmod(0o755)
    return Regress(made.folder, str(agent), made.env)


def passes(name: str, ours: Regress, stocks: Regress) -> None:
    """Hold a test to what it says of the stock programs."""
    done = ours.run(name)
    if done.returncode and stocks.run(name).returncode:
        pytest.skip(f"{name} fails with ssh-agent and the dummy, too")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", AGENT_TESTS)
def test_of_agents(name: str, ours: Regress, stocks: Regress) -> None:
    passes(name, ours, stocks)


@pytest.mark.parametrize("name", KEY_TESTS)
def test_of_keys(name: str, ours: Regress, stocks: Regress) -> None:
    passes(name, ours, stocks)
