"""git signs and verifies by `fidokit-ssh-keygen`; stock ssh-keygen judges, and is judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_host import PIN, Host, make_host, serving, sk_key, virtual_token
from tests.support.agent_keys import executable
from tests.support.screen import window

pytestmark = pytest.mark.interop

WHO = "alice@example.org"
OURS, STOCK = "fidokit-ssh-keygen", "ssh-keygen"
PROGRAM = "from fidokit.cli.ssh_keygen import main\nmain()\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Host:
    for program in ("git", STOCK, "ssh-agent", "ssh-add"):
        stock(program)
    host = make_host(tmp_path_factory.mktemp("git") / "home")
    (host.home / "bin").mkdir()
    executable(host.home / "bin" / OURS, PROGRAM)
    virtual_token(host)
    sk_key(host, "sk", "-t", "ed25519-sk")
    sk_key(host, "uv", "-t", "ecdsa-sk", "-O", "verify-required")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    host.keygen("-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa", "-C", "rsa")
    return host


@pytest.fixture
def repository(machine: Host, tmp_path: Path) -> Path:
    """An empty repository whose commits are signed; every key may sign for alice."""
    folder = tmp_path / "repository"
    machine.run("git", "init", "-q", "-b", "main", folder)
    keys = [(machine.home / f"{name}.pub").read_text() for name in ("sk", "uv", "plain", "rsa")]
    (tmp_path / "allowed").write_text("".join(f"{WHO} {key}" for key in keys))
    settings = {
        "user.name": "Alice",
        "user.email": WHO,
        "gpg.format": "ssh",
        "gpg.ssh.program": OURS,
        "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
        "commit.gpgSign": "true",
    }
    for name, value in settings.items():
        machine.run("git", "-C", folder, "config", name, value)
    return folder


def git(machine: Host, repository: Path, *args: str, code: int | None = 0, **env: Any) -> str:
    done = machine.run("git", "-C", repository, *args, code=code, **env)
    return done.stdout.decode() + done.stderr.decode()


def commit(machine: Host, repository: Path, key: str, **env: Any) -> None:
    git(machine, repository, "config", "user.signingKey", key)
    git(machine, repository, "commit", "-q", "--allow-empty", "-m", "signed", **env)
    git(machine, repository, "tag", "-f", "-s", "v1", "-m", "a tag", **env)


def judged(machine: Host, repository: Path, *args: str, code: int = 0) -> dict[str, str]:
    """What git says of a signature by each program."""
    said = {}
    for program in (STOCK, OURS):
        said[program] = git(
            machine, repository, "-c", f"gpg.ssh.program={program}", *args, code=code
        )
    return said


@pytest.mark.parametrize("key", ["sk", "uv", "plain", "rsa"])
@pytest.mark.parametrize("suffix", ["", ".pub"])
def test_keys_in_files(machine: Host, repository: Path, key: str, suffix: str) -> None:
    machine.answers(PIN)
    commit(machine, repository, f"{machine.home}/{key}{suffix}")
    for args in (("verify-commit", "HEAD"), ("verify-tag", "v1")):
        said = judged(machine, repository, *args)
        assert said[OURS] == said[STOCK]
        assert f'Good "git" signature for {WHO} with ' in said[OURS]
    shown = judged(machine, repository, "log", "--show-signature", "--format=%G? %GS %GK")
    assert shown[OURS] == shown[STOCK]
    assert re.search(rf"^G {WHO} SHA256:", shown[OURS], re.MULTILINE)


@pytest.fixture(params=["ssh-agent", "fidokit agent"])
def agent(request: pytest.FixtureRequest, machine: Host, tmp_path: Path) -> Iterator[str]:
    """The socket of an agent that holds an ordinary key, and the token's where it can use it."""
    if request.param == "ssh-agent":
        said = machine.run("ssh-agent", "-a", tmp_path / "agent").stdout.decode()
        pid = re.search(r"SSH_AGENT_PID=(\d+)", said)
        assert pid
        socket = str(tmp_path / "agent")
        machine.run("ssh-add", "-q", machine.home / "plain", SSH_AUTH_SOCK=socket)
        yield socket
        machine.run("ssh-agent", "-k", SSH_AGENT_PID=pid[1])
        return
    with serving(machine, machine.home / "sk", machine.home / "plain") as served:
        yield served.socket


@pytest.mark.parametrize("prefix", ["key::", ""])
def test_a_literal_key_in_the_agent(
    machine: Host, repository: Path, agent: str, prefix: str
) -> None:
    public = (machine.home / "plain.pub").read_text().strip()
    commit(machine, repository, f"{prefix}{public}", SSH_AUTH_SOCK=agent)
    for said in judged(machine, repository, "verify-commit", "HEAD").values():
        assert f'Good "git" signature for {WHO}' in said


def test_a_tokens_key_in_our_agent(machine: Host, repository: Path) -> None:
    public = (machine.home / "sk.pub").read_text().strip()
    with serving(machine, machine.home / "sk") as served:
        commit(machine, repository, f"key::{public}", SSH_AUTH_SOCK=served.socket)
    for said in judged(machine, repository, "verify-tag", "v1").values():
        assert "ED25519-SK key" in said


def test_a_literal_key_that_the_agent_does_not_hold(
    machine: Host, repository: Path, agent: str
) -> None:
    public = (machine.home / "rsa.pub").read_text().strip()
    git(machine, repository, "config", "user.signingKey", f"key::{public}")
    args = ("commit", "-q", "--allow-empty", "-m", "x")
    said = git(machine, repository, *args, code=None, SSH_AUTH_SOCK=agent)
    assert "neither beside it nor in the agent" in said or "agent does not hold this key" in said
    assert git(machine, repository, "rev-parse", "HEAD", code=128)


def test_strangers(machine: Host, repository: Path, tmp_path: Path) -> None:
    commit(machine, repository, f"{machine.home}/plain")
    (tmp_path / "allowed").write_text("")
    said = judged(machine, repository, "verify-commit", "HEAD", code=1)
    assert said[OURS] == said[STOCK]
    assert 'Good "git" signature with ED25519 key' in said[OURS]
    assert "No principal matched." in said[OURS]


@pytest.mark.parametrize("form", ["keys", "krl"])
def test_revoked_keys(machine: Host, repository: Path, tmp_path: Path, form: str) -> None:
    commit(machine, repository, f"{machine.home}/plain")
    revoked = machine.home / "plain.pub"
    if form == "krl":
        revoked = tmp_path / "krl"
        machine.keygen("-k", "-f", revoked, machine.home / "plain.pub")
    git(machine, repository, "config", "gpg.ssh.revocationFile", str(revoked))
    for said in judged(machine, repository, "verify-commit", "HEAD", code=1).values():
        assert "Could not verify signature." in said


def test_a_changed_commit(machine: Host, repository: Path) -> None:
    commit(machine, repository, f"{machine.home}/plain")
    raw = machine.run("git", "-C", repository, "cat-file", "commit", "HEAD").stdout
    args = ("git", "-C", repository, "hash-object", "-t", "commit", "-w", "--stdin")
    forged = machine.run(*args, stdin=raw.replace(b"signed", b"forged")).stdout.decode().strip()
    for said in judged(machine, repository, "verify-commit", forged, code=1).values():
        assert "Could not verify signature." in said


def test_commits_from_before_the_key_was_valid(
    machine: Host, repository: Path, tmp_path: Path
) -> None:
    """git hands the commit's time over as -Overify-time."""
    commit(machine, repository, f"{machine.home}/plain", GIT_COMMITTER_DATE="2020-05-05T00:00:00Z")
    key = (machine.home / "plain.pub").read_text()
    for options, code in (('valid-before="20210101Z"', 0), ('valid-after="20210101Z"', 1)):
        (tmp_path / "allowed").write_text(f"{WHO} {options} {key}")
        for said in judged(machine, repository, "verify-commit", "HEAD", code=code).values():
            assert ("No principal matched." in said) is bool(code)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("commit", "-q", "-S", "--allow-empty", "-m", "Mend the parser"), "Mend the parser"),
        (("tag", "-s", "v2", "-m", "a tag"), "v2"),
    ],
)
@pytest.mark.parametrize("program", [OURS, STOCK])
def test_the_touch_is_seen_though_git_keeps_standard_error(
    machine: Host, repository: Path, args: tuple[str, ...], said: str, program: str
) -> None:
    """Stock ssh-keygen reaches the token by our provider, which says it, too."""
    if not (machine.home / "slow").exists():
        virtual_token(machine, "slow", presence="delay:2000", pin=False)
        sk_key(machine, "slow", "-t", "ecdsa-sk", token="virtual:slow")
    git(machine, repository, "commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", "first")
    git(machine, repository, "config", "user.signingKey", str(machine.home / "slow"))
    git(machine, repository, "config", "gpg.ssh.program", program)
    env = {
        **machine.env,
        "TERM": "xterm-256color",
        "FIDOKIT_TOKEN": "virtual:slow",
        "SSH_SK_PROVIDER": machine.fidokit("provider", "path").strip(),
    }
    with window(["git", "-C", str(repository), *args], env) as shown:
        shown.wait(lambda text: "Touch" in text and f'"{said}"' in text.replace("\n", " "))
        assert shown.status == 0
