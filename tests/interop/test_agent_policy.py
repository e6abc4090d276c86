"""The agent's policy file as ssh, ssh-add and ssh-keygen meet it, each rule both ways."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, stock, virtual_token
from tests.support.ssh_network import USER, Network, network

pytestmark = pytest.mark.interop

NEAR, FAR = "near.example", "far.example"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("policy") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    virtual_token(host, pin=False)
    (host.home / "pin").write_text("")
    sk_key(host, "sk", "-t", "ed25519-sk")
    return host


@pytest.fixture(scope="module")
def net(machine: Host) -> Iterator[Network]:
    with network(machine, NEAR, FAR) as net:
        net.authorize(*((machine.home / f"{name}.pub").read_text() for name in ("plain", "sk")))
        yield net


@contextmanager
def ruled(host: Host, *rules: str, key: str = "*") -> Iterator[Host]:
    """An agent with both keys, and one rule of these lines."""
    (host.home / "policy.toml").write_text("\n".join(["[[key]]", f'key = "{key}"', *rules]))
    files = (host.home / "plain", host.home / "sk")
    with serving(host, "--policy", host.home / "policy.toml", "--no-notify", *files):
        yield host


def signs(host: Host, name: str, namespace: str, code: int = 0) -> None:
    """`ssh-keygen -Y sign` by the agent."""
    told = ("-Y", "sign", "-n", namespace, "-f", f"{name}.pub")
    host.run(stock("ssh-keygen"), *told, stdin=b"text", code=code)


def logs_in(net: Network, name: str, where: str = NEAR, code: int = 0, *options: str) -> str:
    only = ("-oIdentitiesOnly=yes", "-i", str(net.host.home / f"{name}.pub"), *options)
    return net.ssh(*only, where, "echo", "hello", code=code)


@pytest.mark.parametrize("name", ["plain", "sk"])
def test_uses(net: Network, name: str) -> None:
    with ruled(net.host, 'use = ["login"]') as host:
        assert logs_in(net, name) == "hello\n"
        signs(host, name, "file", code=255)
        host.add("-T", f"{name}.pub", code=1)
        assert "does not allow this key the use 'signature'" in host.said()
        assert "the use 'other'" in host.said()
    with ruled(net.host, 'use = ["signature"]') as host:
        signs(host, name, "file")
        assert "Permission denied" in logs_in(net, name, code=255)


@pytest.mark.parametrize("name", ["plain", "sk"])
def test_namespaces_and_users(net: Network, name: str) -> None:
    with ruled(net.host, 'namespaces = ["git"]', f'users = ["{USER}"]') as host:
        signs(host, name, "git")
        signs(host, name, "file", code=255)
        assert logs_in(net, name) == "hello\n"
    with ruled(net.host, 'users = ["somebody-else"]') as host:
        assert "Permission denied" in logs_in(net, name, code=255)


def test_hosts(net: Network) -> None:
    shown = net.host.run(stock("ssh-keygen"), "-lf", f"{NEAR}_host.pub").stdout.decode()
    with ruled(net.host, f'hosts = ["{shown.split()[1]}"]') as host:
        assert logs_in(net, "sk") == "hello\n"
        assert "Permission denied" in logs_in(net, "sk", FAR, code=255)
        assert "does not allow logins to this host" in host.said()


def test_it_stays_on_this_machine(net: Network) -> None:
    with ruled(net.host, "forwarded = false", key="sk") as host:
        assert logs_in(net, "sk") == "hello\n"
        beyond = f"ssh-add -l; ssh -F {net.config} {FAR} echo hello"
        assert "(ED25519-SK)" not in net.ssh("-A", NEAR, f"{beyond}")
        public = host.home / "sk.pub"
        only = f"ssh -F {net.config} -oIdentitiesOnly=yes -i {public} {FAR} true"
        assert "Permission denied" in net.ssh("-A", NEAR, only, code=255)


def test_confirm(net: Network) -> None:
    yes = net.host.home / "yes"
    with ruled(net.host, "confirm = true", key="sk") as host:
        signs(host, "sk", "file", code=255)
        yes.touch()
        signs(host, "sk", "file")
        yes.unlink()
        assert len(host.asked()) == 2
        assert all("Allow use of key sk" in question for question in host.asked())


def test_hidden(net: Network) -> None:
    with ruled(net.host, "hidden = true", key="sk") as host:
        assert "(ED25519-SK)" not in host.add("-l")
        host.add("-T", "sk.pub")  # by who knows it


def test_a_word_that_is_not_known_starts_no_agent(machine: Host) -> None:
    (machine.home / "policy.toml").write_text('[[key]]\nkey = "*"\nuses = ["login"]\n')
    command = ("-m", "fidokit", "agent", "serve", "--policy", "policy.toml")
    done = machine.run(sys.executable, *command, code=4)
    assert b"'uses' is not known" in done.stderr
