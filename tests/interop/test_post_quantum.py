"""Post-quantum keys beside OpenSSH 10.6: read, signed with, certified, held by the agent, and as
hosts' keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import Host, lines, make_host, serving, stock
from tests.support.openssh_version import openssh
from tests.support.ssh_network import USER, Network, network

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(openssh() < (10, 6), reason="the type's name is of OpenSSH 10.6"),
]

KIND = "mldsa44-ed25519"
NEAR, FAR = "near.example", "far.example"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("pq") / "home")
    for name in ("key", "certified", "ca", f"{NEAR}_host"):
        host.keygen("-t", KIND, "-N", "", "-f", name, "-C", name)
    host.keygen("-t", "ed25519", "-N", "", "-f", "old", "-C", "old")
    host.keygen("-t", KIND, "-N", "a passphrase", "-f", "locked", "-C", "locked")
    return host


@pytest.fixture
def net(machine: Host) -> Iterator[Network]:
    """A server with such a host key, one with an ordinary one, and our agent."""
    trust = f"TrustedUserCAKeys {machine.home}/ca.pub\nCASignatureAlgorithms +ssh-{KIND}"
    with network(machine, NEAR, FAR, more=trust) as net:
        net.authorize()
        with serving(machine):
            yield net


def test_fingerprints_and_lists(machine: Host) -> None:
    for options in ((), ("-v",)):
        said = machine.run("ssh-keygen", "-l", *options, "-f", "key.pub").stdout.decode()
        ours = ("--randomart",) if options else ()
        for name in ("key.pub", "key"):
            assert machine.fidokit("key", "show", *ours, name) == said


def test_signatures_both_ways(machine: Host) -> None:
    (machine.home / "message").write_text("hello\n")
    (machine.home / "signers").write_text("me " + (machine.home / "key.pub").read_text())
    who = ("-f", "signers", "-I", "me", "-n", "file", "-s", "message.sig")
    machine.fidokit("key", "sign", "-f", "key", "message")
    machine.run("ssh-keygen", "-Y", "verify", *who, stdin=b"hello\n")
    (machine.home / "message.sig").unlink()
    machine.keygen("-Y", "sign", "-f", "key", "-n", "file", "message")
    assert "Good" in machine.fidokit("key", "verify", *who, "message")
    machine.run("ssh-keygen", "-Y", "verify", *who, stdin=b"other\n", code=255)


def certify(host: Host, name: str, ca: str) -> Path:
    args = ("-s", ca, "-I", f"{name} by {ca}", "-n", USER, "-V", "-1d:+1d", "--force")
    host.fidokit("cert", "sign", *args, f"{name}.pub")
    return host.home / f"{name}-cert.pub"


@pytest.mark.parametrize(("name", "ca"), [("key", "ca"), ("old", "ca"), ("key", "old")])
def test_certificates_are_shown_alike(machine: Host, name: str, ca: str) -> None:
    path = certify(machine, name, ca)
    said = machine.run("ssh-keygen", "-L", "-f", path.name).stdout.decode()
    assert machine.fidokit("cert", "show", path.name) == said
    path.unlink()


def test_login_by_a_key_that_ssh_add_brings(machine: Host, net: Network) -> None:
    net.authorize((machine.home / "key.pub").read_text())
    machine.add("key")
    assert "(MLDSA44-ED25519)" in machine.add("-l")
    assert net.ssh(FAR, "echo", "hello") == "hello\n"


@pytest.mark.parametrize("name", ["certified", "old"])
def test_login_by_a_certificate_of_such_an_authority(
    machine: Host, net: Network, name: str
) -> None:
    path = certify(machine, name, "ca")
    machine.add(name)
    path.unlink()
    assert len(lines(machine.add("-l"))) == 2
    assert net.ssh(FAR, "echo", "hello") == "hello\n"


def test_a_file_under_a_passphrase_is_served(machine: Host) -> None:
    machine.answers("a passphrase")
    with serving(machine, "locked"):
        assert "(MLDSA44-ED25519)" in machine.add("-l")


def test_a_host_with_such_a_key(machine: Host, net: Network) -> None:
    """`ssh-add -h` names it, and ssh binds to it: also on the way to another host."""
    net.authorize((machine.home / "old.pub").read_text())
    machine.add("-H", str(net.known), "-h", NEAR, "-h", f"{NEAR}>{USER}@{FAR}", "old")
    assert net.ssh(NEAR, "echo", "hello") == "hello\n"
    hop = f"{stock('ssh')} -F {net.config} {FAR} echo hello"
    assert net.ssh("-A", NEAR, hop) == "hello\n"
    assert "Permission denied" in net.ssh(FAR, "true", code=255)
    assert "cannot be read" not in machine.said()
