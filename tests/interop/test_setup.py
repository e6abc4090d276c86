"""From a fresh home to a login and a verified signed commit: `fidokit setup` on a terminal, and its
parts. Stock ssh, a throw-away sshd, git and ssh-keygen are the judges."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.agent_keys import executable
from tests.support.screen import Window, window
from tests.support.sshd import Sshd, running

pytestmark = pytest.mark.interop

SRC = Path(__file__).parents[2] / "src"
WHO = "alice@example.org"
PIN = "9472-pin"
ME = pwd.getpwuid(os.getuid()).pw_name
TOKEN = "virtual:new"


@dataclass(frozen=True)
class Desk:
    """A home folder, and a server that lets in by what authorized_keys there holds."""

    home: Path
    env: dict[str, str]
    server: Sshd

    @property
    def ssh(self) -> str:
        """The user's ssh, which reads the configuration of this home."""
        return f"ssh -F {self.home}/.ssh/config"

    def run(self, *words: str, code: int | None = 0, stdin: bytes = b"") -> str:
        done = subprocess.run(
            words,
            env=self.env,
            cwd=self.home,
            input=stdin,
            capture_output=True,
            timeout=120,
            start_new_session=True,
            check=False,
        )
        assert code is None or done.returncode == code, done
        return (done.stdout + done.stderr).decode()

    def fidokit(self, *words: str, code: int | None = 0) -> str:
        return self.run(sys.executable, "-m", "fidokit", *words, code=code)

    def allow(self, public: Path) -> None:
        (self.server.folder / f"keys-{ME}").write_text(public.read_text())


@pytest.fixture
def desk(tmp_path: Path, stock: Callable[[str], str]) -> Iterator[Desk]:
    for program in ("ssh", "ssh-keygen", "git", "gcc"):
        stock(program)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    (home / "bin").mkdir()
    executable(
        home / "bin" / "fidokit-ssh-keygen", "from fidokit.cli.ssh_keygen import main\nmain()\n"
    )
    executable(home / "bin" / "fidokit", "from fidokit.cli.main import main\nmain()\n")
    env = {
        "HOME": str(home),
        "PATH": f"{home}/bin:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(SRC),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "GIT_CONFIG_NOSYSTEM": "1",
        "FIDOKIT_TOKEN": TOKEN,
        "XDG_STATE_HOME": str(home / "state"),
    }
    folder = tmp_path / "sshd"
    with running(
        folder, f"AuthorizedKeysFile {folder}/keys-%u", sshd=stock("/usr/sbin/sshd")
    ) as server:
        made = Desk(home, env, server)
        made.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{home}/.ssh/id_old")
        made.allow(home / ".ssh/id_old.pub")
        (home / ".ssh/config").write_text(
            f"Host testserver\n    HostName 127.0.0.1\n    Port {server.port}\n    User {ME}\n"
            f"    UserKnownHostsFile {folder}/known_hosts\n    IdentityFile {home}/.ssh/id_old\n"
            "    IdentityAgent none\n"
        )
        made.fidokit("virtual", "create", "new")
        yield made


def answer(shown: Window, asked: str, typed: str) -> None:
    """Type an answer when its question ends the screen."""
    shown.wait(
        lambda text: bool(re.search(rf"(?:{asked}).*[]:] ?$", " ".join(text.splitlines()[-2:])))
    )
    shown.type(f"{typed}\n")


def test_the_whole_way(desk: Desk) -> None:
    before = (desk.home / ".ssh/config").read_text()
    command = [sys.executable, "-m", "fidokit", "setup", "-e", desk.ssh]
    questions = [
        ("Set a PIN now", ""),
        ("New PIN of", PIN),
        ("New PIN again", PIN),
        ("Keep it on the token too", ""),
        ("Ask for the PIN at each use", "y"),
        ("Its name on the token", "work"),
        ("File for the key", ""),
        ("New passphrase for", ""),
        ("New passphrase again", ""),
        ("Make a backup", ""),
        ("Server to log in to", f"{ME}@testserver"),
        ("Another one", ""),
        ("GitHub account", ""),
        ("GitLab account", ""),
        ("Have ssh use this key there", ""),
        ("Log in now", ""),
        ("Enter PIN for|PIN of", PIN),
        ("Have git sign your commits", ""),
        ("Email address of your commits", WHO),
        ("All of them", ""),
        ("Sign a test commit now", ""),
        ("PIN of", PIN),
    ]
    with window(command, desk.env, rows=60) as shown:
        for asked, typed in questions:
            answer(shown, asked, typed)
        assert shown.status == 0, shown.text()
        screen = shown.text()
    assert all(len(line) <= 80 for line in screen.splitlines())
    assert "All that you asked for is done." in screen
    assert f"{ME}@testserver lets you in by it" in " ".join(screen.split())
    assert PIN not in screen
    _judge(desk)
    # what was set up is passed, and undone by what was said
    again = [sys.executable, "-m", "fidokit", "setup", "-e", desk.ssh]
    with window(again, desk.env, rows=60) as shown:
        for asked in ("Which key", "Make a backup", "Server to log in to"):
            answer(shown, asked, "")
        for asked in ("GitHub account", "GitLab account"):
            answer(shown, asked, "")
        answer(shown, "Log in now", "n")
        answer(shown, "Sign a test commit now", "n")
        answer(shown, "Make a test signature", "n")
        assert shown.status == 0, shown.text()
        assert "commit.gpgSign" in shown.text()
    desk.fidokit("git", "setup", "--global", "--undo")
    desk.fidokit("ssh-config", "--remove")
    assert (desk.home / ".ssh/config").read_text() == before
    assert (desk.home / ".gitconfig").read_text() == ""


def _judge(desk: Desk) -> None:
    """Stock ssh logs in by the key alone; stock git and ssh-keygen verify a new commit."""
    askpass = executable(desk.home / "askpass", f"print({PIN!r})")
    env = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    key = desk.home / ".ssh/id_ed25519_sk_work"
    (desk.home / ".ssh/id_old").unlink()
    log = desk.run(
        "env",
        *(f"{n}={v}" for n, v in env.items()),
        *shlex.split(desk.ssh),
        "-v",
        "testserver",
        "id",
        "-un",
    )
    fingerprint = desk.run("ssh-keygen", "-lf", f"{key}.pub").split()[1]
    assert f"Server accepts key: {key} ED25519-SK {fingerprint}" in log
    assert re.search(rf"^{ME}$", log, re.MULTILINE)
    assert "Accepted publickey for" in desk.server.log()
    repository = str(desk.home / "repository")
    desk.run("git", "init", "-q", repository)
    git = ("env", *(f"{n}={v}" for n, v in env.items()), "git", "-C", repository)
    desk.run(*git, "commit", "-q", "--allow-empty", "-m", "by hand")
    said = desk.run(*git, "-c", "gpg.ssh.program=ssh-keygen", "verify-commit", "HEAD")
    assert f'Good "git" signature for {WHO} with ED25519-SK key {fingerprint}' in said


ANSWERS = """
[key]
file = "~/.ssh/id_script"
[login]
servers = ["{me}@testserver"]
ssh = "{ssh}"
[git]
email = "{who}"
"""


def test_by_a_file_of_answers(desk: Desk) -> None:
    (desk.home / "answers").write_text(ANSWERS.format(me=ME, ssh=desk.ssh, who=WHO))
    (desk.home / "pin").write_text(f"{PIN}\n")
    words = ("setup", "--answers", "answers", "--no-passphrase", "--pin-file", "pin")
    said = desk.fidokit(*words, "--new-pin-file", "pin")
    assert f"done        {ME}@testserver lets you in by it" in said
    assert f'done        Good "git" signature for {WHO}' in said
    assert "All that you asked for is done." in said
    again = desk.fidokit(*words)
    assert again.count("was so ") == 6
    assert "the PIN is set" not in again
    assert (desk.server.folder / f"keys-{ME}").read_text().count("\n") == 2
    # every command that it shows is one that works: those of the steps that a script can repeat
    shown = re.findall(r"^   \$ (fidokit .*)$", again, re.MULTILINE)
    repeated = [one for one in shown if "OTHER" not in one and "publish" not in one]
    assert len(repeated) >= 6
    for command in repeated:
        desk.run("sh", "-c", command)


def test_a_server_that_does_not_answer(desk: Desk) -> None:
    desk.server.process.terminate()
    desk.server.process.wait(30)
    (desk.home / "answers").write_text(ANSWERS.format(me=ME, ssh=desk.ssh, who=WHO))
    (desk.home / "pin").write_text(f"{PIN}\n")
    words = ("setup", "--answers", "answers", "--no-passphrase", "--pin-file", "pin")
    said = desk.fidokit(*words, "--new-pin-file", "pin", code=1)
    assert "failed " in said
    assert "Look again at: login." in said
    assert f'Good "git" signature for {WHO}' in said


def test_ssh_reads_what_ssh_config_writes(desk: Desk) -> None:
    """Names, paths and patterns that stock ssh reads as they are meant, beside the user's own."""
    folder = desk.home / "a b%h"
    folder.mkdir()
    key = folder / "id"
    key.write_text("x")
    words = ("-f", str(key), "alice@a.example", "*.lab.example", "--port", "2222")
    more = ("--provider", "/lib/x.so", "--agent", "none", "-e", desk.ssh)
    printed = desk.fidokit("ssh-config", *words, *more)
    assert printed.startswith("Host a.example\n    User alice\n    Port 2222\n")
    said = desk.fidokit("ssh-config", "--install", *words, *more)
    assert "warning" not in said
    for host, user in (("a.example", "alice"), ("x.lab.example", ME)):
        shown = desk.run(*shlex.split(desk.ssh), "-G", host)
        assert f"user {user}\n" in shown
        assert "port 2222\n" in shown
        assert f"identityfile {desk.home}/a b%%h/id\n" in shown or "/a b%h/id\n" in shown
        assert "securitykeyprovider /lib/x.so\n" in shown
        assert "identitiesonly yes\n" in shown
    shown = desk.run(*shlex.split(desk.ssh), "-G", "testserver")
    assert f"port {desk.server.port}\n" in shown
    assert "lib/x.so" not in shown


def test_an_earlier_block_of_the_user_is_named(desk: Desk) -> None:
    """ssh takes the first value: an Include that was moved below it has no say, and we say so."""
    config = desk.home / ".ssh/config"
    words = ("ssh-config", "--install", "-f", ".ssh/id_old", "testserver", "-e", desk.ssh)
    assert "warning" not in desk.fidokit(*words)
    head, blank, own = config.read_text().partition("\n\n")
    config.write_text(f"Host *\n    Port 7\n{own}Match host nowhere\n{head}{blank}")
    said = desk.fidokit(*words, "--port", "22")
    assert "warning: for testserver, ssh uses" in said
