"""`fidokit agent add` into stock ssh-agent: what it lists, what it refuses, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.agent_host import (
    PIN,
    Host,
    make_host,
    serving,
    sk_key,
    stock,
    stock_agent,
    virtual_token,
)
from tests.support.agent_keys import executable
from tests.support.children import place
from tests.support.ssh_network import network

pytestmark = pytest.mark.interop

TOKEN = ("--token", "virtual:t")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("add") / "home")
    virtual_token(host)
    sk_key(host, "one", "-t", "ed25519-sk", "-O", "resident", "-O", "application=ssh:one")
    both = ("-O", "resident", "-O", "verify-required", "-O", "application=ssh:two")
    sk_key(host, "two", "-t", "ecdsa-sk", *both)
    return host


@pytest.fixture(scope="module")
def library(machine: Host) -> str:
    """Our provider on an allow list, so that ssh-agent reaches the virtual token."""
    into = machine.home / "provider"
    machine.fidokit("provider", "install", "--into", str(into))
    return str(into / "sk_fidokit.so")


def test_ssh_logs_in_through_stock_ssh_agent(machine: Host, library: str) -> None:
    """Added by us, held by ssh-agent, signed by the token through a provider; no file is there."""
    allowed = f"{machine.home}/provider/*"
    with network(machine, "near.example") as net, stock_agent(machine, "-P", allowed) as host:
        net.authorize((host.home / "one.pub").read_text())
        hosts = ("-h", "near.example", "-H", str(net.known))
        add(host, "ssh:one", "-t", "1h", "-S", library, *hosts)
        assert [line.split()[2] for line in host.add("-L").splitlines()] == ["one"]
        (host.home / "one").rename(host.home / "away")
        try:
            assert net.ssh("near.example", "echo", "hello") == "hello\n"
        finally:
            (host.home / "away").rename(host.home / "one")


def add(host: Host, *args: str, code: int = 0) -> str:
    return host.fidokit(*TOKEN, "agent", "add", *args, "--pin-file", "pin", code=code)


def public(host: Host, name: str) -> str:
    return (host.home / f"{name}.pub").read_text().split()[1]


def test_ssh_add_shows_the_keys(machine: Host) -> None:
    with stock_agent(machine) as host:
        add(host)
        shown = host.add("-L").splitlines()
        assert [line.split()[1:] for line in shown] == [
            [public(host, "one"), "one"],
            [public(host, "two"), "two"],
        ]
        host.add("-d", "one.pub")
        add(host, "ssh:one")
        assert len(host.add("-L").splitlines()) == 2


def test_with_constraints(machine: Host) -> None:
    with network(machine, "near.example") as net, stock_agent(machine) as host:
        hosts = ("-h", "near.example", "-H", str(net.known))
        add(host, "-t", "1h", "-c", *hosts)
        assert len(host.add("-L").splitlines()) == 2


@pytest.mark.parametrize("name", ["one", "two"])
def test_ssh_logs_in_with_a_key_that_was_added(machine: Host, name: str) -> None:
    """Through an agent of ours, held to the host; nothing but the public line is on the disk."""
    machine.answers(PIN)
    with network(machine, "near.example") as net, serving(machine, "--no-notify"):
        net.authorize((machine.home / f"{name}.pub").read_text())
        add(machine, f"ssh:{name}", "-h", "near.example", "-H", str(net.known))
        (machine.home / name).rename(machine.home / "away")
        try:
            assert net.ssh("near.example", "echo", "hello") == "hello\n"
        finally:
            (machine.home / "away").rename(machine.home / name)


def test_our_library_by_name(machine: Host) -> None:
    """What it is told stands for the library's path; this agent allows that."""
    library = machine.fidokit("provider", "path").strip()
    with stock_agent(machine, "-P", library) as host:
        add(host, "ssh:one", "-S", "fidokit")
        assert len(host.add("-L").splitlines()) == 1
    with stock_agent(machine, "-P", "/usr/lib/none/*") as host:
        said = add(host, "-S", "fidokit", code=1)
        assert f"not have '{library}' on its allow list" in said


def test_a_provider_that_is_not_on_the_allow_list(machine: Host) -> None:
    with stock_agent(machine, "-P", "/usr/lib/none/*") as host:
        said = add(host, "-S", "/usr/lib/os-release", code=1)
        assert "not have '/usr/lib/os-release' on its allow list" in said
        assert host.add("-L", code=1).strip() == "The agent has no identities."


def test_a_locked_agent(machine: Host) -> None:
    with stock_agent(machine) as host:
        host.answers("words")
        host.add("-x")
        assert "locked" in add(host, code=1)


def test_gpg_agent_is_left_as_it_was(machine: Host) -> None:
    """It keeps on disk whatever it is given, and has its pinentry ask about it."""
    with TemporaryDirectory(prefix="gpg-", dir=place()) as name:
        folder = Path(name)
        asks = executable(folder / "pinentry", f"open({str(folder / 'asked')!r}, 'w')")
        script = (
            f"{sys.executable} -m fidokit --token virtual:t agent add --pin-file pin 2>&1;"
            " echo status $?; ssh-add -L;"
            f" {stock('gpg-connect-agent')} --homedir {name} --no-autostart KILLAGENT /bye"
        )
        options = ("--homedir", name, "--pinentry-program", asks, "--enable-ssh-support")
        done = machine.run(stock("gpg-agent"), *options, "--daemon", "sh", "-c", script, code=None)
        said = done.stdout.decode()
        assert "gpg-agent cannot hold keys of tokens" in said
        assert "status 8" in said
        assert "The agent has no identities." in said
        assert not [*(folder / "private-keys-v1.d").glob("*")]
        assert not (folder / "asked").exists()
