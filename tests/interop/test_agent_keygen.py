"""Stock ssh-keygen and git that sign through our agent: files, commits, certificates, a clone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.agent_host import PIN, Host, make_host, serving, sk_key, stock, virtual_token
from tests.support.ssh_network import network

pytestmark = pytest.mark.interop

KEYS = ("plain", "rsa", "sk", "uv")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("keygen") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    host.keygen("-t", "rsa", "-N", "", "-f", "rsa", "-C", "rsa")
    host.keygen("-t", "ed25519", "-N", "", "-f", "user", "-C", "user")
    virtual_token(host)
    sk_key(host, "sk", "-t", "ecdsa-sk")
    sk_key(host, "uv", "-t", "ed25519-sk", "-O", "verify-required")
    lines = [f"me {(host.home / f'{key}.pub').read_text()}" for key in KEYS]
    (host.home / "allowed").write_text("".join(lines))
    (host.home / "message").write_text("a message\n")
    return host


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """The agent has the keys, and their private files are away."""
    machine.answers(PIN)
    away = machine.home / "away"
    away.mkdir(exist_ok=True)
    with serving(machine, "--no-notify"):
        machine.add(*KEYS)
        for key in KEYS:
            (machine.home / key).rename(away / key)
        try:
            yield machine
        finally:
            for key in KEYS:
                (away / key).rename(machine.home / key)


@pytest.mark.parametrize("key", KEYS)
def test_a_signature_of_a_file(host: Host, key: str) -> None:
    (host.home / "message.sig").unlink(missing_ok=True)
    host.keygen("-Y", "sign", "-f", f"{key}.pub", "-n", "file", "message")
    verify = ("-Y", "verify", "-f", "allowed", "-I", "me", "-n", "file", "-s", "message.sig")
    host.run(stock("ssh-keygen"), *verify, stdin=(host.home / "message").read_bytes())


@pytest.mark.parametrize("key", KEYS)
def test_a_certificate_by_an_authority_in_the_agent(host: Host, key: str) -> None:
    host.keygen("-s", f"{key}.pub", "-U", "-I", "an id", "-n", "me", "user.pub")
    shown = host.run(stock("ssh-keygen"), "-L", "-f", "user-cert.pub").stdout.decode()
    assert 'Key ID: "an id"' in shown
    assert "me" in shown


def git(host: Host, *args: str, code: int = 0) -> str:
    names: dict[str, Any] = {
        "GIT_CONFIG_GLOBAL": str(host.home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = host.run(stock("git"), *args, code=code, **names)
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("key", ["plain", "sk"])
def test_git_signs_a_commit(host: Host, key: str) -> None:
    repository = host.home / f"repository-{key}"
    (host.home / "gitconfig").write_text(
        "[user]\n\tname = me\n\temail = me@example.org\n"
        f"\tsigningkey = {host.home}/{key}.pub\n"
        "[gpg]\n\tformat = ssh\n"
        f'[gpg "ssh"]\n\tallowedSignersFile = {host.home}/allowed\n'
    )
    git(host, "init", "-q", str(repository))
    git(host, "-C", str(repository), "commit", "-q", "-S", "--allow-empty", "-m", "signed")
    said = git(host, "-C", str(repository), "verify-commit", "HEAD")
    assert 'Good "git" signature for me' in said


def test_git_clones_over_ssh(host: Host, stock: Callable[[str], str]) -> None:
    subprocess.run([stock("git"), "init", "-q", "--bare", str(host.home / "bare")], check=True)
    with network(host, "near.example") as net:
        net.authorize((host.home / "sk.pub").read_text())
        shell = f"ssh -F {net.config}"
        url = f"ssh://near.example{host.home}/bare"
        host.run(stock("git"), "clone", "-q", url, "cloned", GIT_SSH_COMMAND=shell)
    assert (host.home / "cloned" / ".git").is_dir()
