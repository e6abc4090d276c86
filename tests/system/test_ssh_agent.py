"""What doctor says of the agent behind SSH_AUTH_SOCK; no agent gets a key to find out."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.system.machine import Machine

from fidokit.system import host, ssh_agent
from fidokit.system.probes import Finding, Status

EMPTY = b"\x0c\0\0\0\0"
KEY = b"\x0c\0\0\0\x01\0\0\0\x4e\0\0\0\x1a"


def agent(machine: Machine, answer: bytes | OSError) -> Finding:
    machine.environ["SSH_AUTH_SOCK"] = "/run/agent"
    machine.agents = {"/run/agent": answer}
    (found,) = ssh_agent.probe(machine.host())
    return found


def test_an_agent_that_answers(machine: Machine) -> None:
    assert agent(machine, b"\x0c\0\0\0\x02...").sentence.endswith("holds 2 keys")
    assert agent(machine, b"\x0c\0\0\0\x01...").sentence.endswith("holds 1 key")
    assert agent(machine, b"\x0c\0\0\0\0").status is Status.OK
    assert set(machine.requests) == {b"\x0b"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FileNotFoundError(), "does not exist"),
        (PermissionError(), "may not talk"),
        (ConnectionRefusedError(), "has ended"),
        (TimeoutError(), "does not answer"),
        (ConnectionAbortedError(), "does not answer"),
        (b"", "not an SSH agent"),
        (b"\x05", "not an SSH agent"),
        (b"\x0c\0\0", "not an SSH agent"),
        (b"HTTP/1.1", "not an SSH agent"),
    ],
)
def test_what_goes_wrong_is_named(machine: Machine, answer: bytes | OSError, words: str) -> None:
    found = agent(machine, answer)
    assert found.status is Status.FAIL
    assert words in found.sentence
    assert found.hint


def test_no_agent(machine: Machine) -> None:
    (found,) = ssh_agent.probe(machine.host())
    assert found.status is Status.WARN
    assert "SSH_AUTH_SOCK" in found.sentence


@pytest.mark.parametrize(
    ("path", "listener", "name", "status"),
    [
        ("/run/user/1000/gnupg/S.gpg-agent.ssh", "", "gpg-agent", Status.WARN),
        ("/tmp/any", "gpg-agent", "gpg-agent", Status.WARN),
        ("/home/u/.1password/agent.sock", "", "1Password", Status.WARN),
        ("/tmp/any", "1password", "1Password", Status.WARN),
        ("/home/u/.bitwarden-ssh-agent.sock", "", "Bitwarden", Status.WARN),
        ("/run/user/1000/yubikey-agent/yubikey-agent.sock", "", "yubikey-agent", Status.WARN),
        ("/run/user/1000/ssh-tpm-agent.sock", "systemd", "ssh-tpm-agent", Status.WARN),
        ("/run/user/1000/keyring/ssh", "", "GNOME Keyring", Status.WARN),
        ("/run/user/1000/keyring/.ssh", "ssh-agent", "GNOME Keyring", Status.WARN),
        ("/run/user/1000/gcr/ssh", "systemd", "gcr-ssh-agent", Status.WARN),
        ("/tmp/any", "gnome-keyring-d", "GNOME Keyring", Status.WARN),
        ("/run/user/1000/openssh_agent", "systemd", "the SSH agent", Status.OK),
        ("/tmp/ssh-XXXX/agent.1", "ssh-agent", "the SSH agent", Status.OK),
        ("/tmp/ssh-XXXX/agent.1", "", "the SSH agent", Status.OK),
    ],
)
def test_which_agent_it_is(
    machine: Machine, path: str, listener: str, name: str, status: Status
) -> None:
    machine.environ["SSH_AUTH_SOCK"] = path
    machine.agents = {path: EMPTY}
    machine.listeners = {path: listener}
    (found,) = ssh_agent.probe(machine.host())
    assert (found.status, name in found.sentence) == (status, True)
    assert ("agent serve" in found.hint) is (status is Status.WARN)
    assert set(machine.requests) == {b"\x0b"}


def test_a_link_is_followed_to_the_agents_own_socket(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "S.gpg-agent.ssh").touch()
    link = tmp_path / "agent"
    link.symlink_to("S.gpg-agent.ssh")
    machine.environ["SSH_AUTH_SOCK"] = str(link)
    machine.agents = {str(link): EMPTY}
    assert "gpg-agent" in ssh_agent.probe(machine.host())[0].sentence


@pytest.mark.parametrize(
    "name", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"]
)
def test_one_that_holds_a_key_of_a_token_can(machine: Machine, name: str) -> None:
    path = "/run/user/1000/keyring/ssh"
    machine.environ["SSH_AUTH_SOCK"] = path
    machine.agents = {path: KEY + name.encode() + b"..."}
    assert ssh_agent.probe(machine.host())[0].status is Status.OK


def test_who_listens_at_a_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "agent")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert host.listener_of(path) == ""
        server.listen()
        assert host.listener_of(path) == Path("/proc/self/comm").read_text().strip()
    assert host.listener_of(path) == ""
    assert host.listener_of(str(tmp_path / "nothing")) == ""
