"""Stock ssh, sftp, rsync and sshd with our agent: logins, forwarding, destination constraints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest
from tests.support.agent_host import PIN, Host, make_host, serving, sk_key, stock, virtual_token
from tests.support.ssh_network import USER, Network, network

pytestmark = pytest.mark.interop

NEAR, FAR = "near.example", "far.example"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("login") / "home")
    for kind in ("ed25519", "rsa", "ecdsa"):
        host.keygen("-t", kind, "-N", "", "-f", kind, "-C", kind)
    host.keygen("-t", "ed25519", "-N", "", "-f", "ca", "-C", "ca")
    host.keygen("-t", "ed25519", "-N", "", "-f", "certified", "-C", "certified")
    host.keygen("-s", "ca", "-I", "an id", "-n", USER, "certified.pub")
    virtual_token(host)
    sk_key(host, "sk", "-t", "ed25519-sk")
    sk_key(host, "uv", "-t", "ecdsa-sk", "-O", "verify-required")
    sk_key(host, "web", "-t", "ed25519-sk", "-O", "application=ssh:")
    return host


@pytest.fixture
def net(machine: Host) -> Iterator[Network]:
    """Two servers and our agent, empty."""
    machine.answers(PIN)
    (machine.home / "asked").unlink(missing_ok=True)
    trust = f"TrustedUserCAKeys {machine.home}/ca.pub"
    with network(machine, NEAR, FAR, more=trust) as net, serving(machine):
        yield net


def allow(net: Network, *names: str, options: str = "") -> None:
    lines = [(net.host.home / f"{name}.pub").read_text() for name in names]
    net.authorize(*(f"{options} {line}" for line in lines))


@pytest.mark.parametrize("name", ["ed25519", "rsa", "ecdsa", "sk"])
def test_login(net: Network, name: str) -> None:
    allow(net, name)
    net.host.add(name)
    assert net.ssh(NEAR, "echo", "hello") == "hello\n"


def test_login_with_a_certificate(net: Network) -> None:
    net.authorize()
    net.host.add("certified")
    assert net.ssh(NEAR, "echo", "hello") == "hello\n"


def test_the_pin_is_asked_naming_key_host_and_user(net: Network) -> None:
    allow(net, "uv", options="verify-required")
    net.host.add("uv")
    (net.host.home / ".ssh" / "known_hosts").write_text(net.known.read_text())
    assert net.ssh(NEAR, "echo", "hello") == "hello\n"
    [question] = net.host.asked()
    for part in ("virtual:t", "key uv (SHA256:", f"login as {USER} to {NEAR}", "tries left"):
        assert part in question


def test_without_its_token_a_login_fails_and_the_agent_says_why(net: Network) -> None:
    allow(net, "sk")
    net.host.add("sk")
    state = net.host.home / "state"
    state.rename(net.host.home / "unplugged")
    try:
        assert "Permission denied" in net.ssh(NEAR, "true", code=255)
        assert "no security key is connected" in net.host.said()
    finally:
        (net.host.home / "unplugged").rename(state)


def test_sftp(net: Network) -> None:
    allow(net, "sk")
    net.host.add("sk")
    (net.host.home / "there").mkdir(exist_ok=True)
    batch = f"put {net.host.home}/sk.pub {net.host.home}/there/copy\n"
    command = (stock("sftp"), "-q", "-b", "-", "-F", str(net.config), NEAR)
    net.host.run(*command, stdin=batch.encode())
    copied = (net.host.home / "there" / "copy").read_bytes()
    assert copied == (net.host.home / "sk.pub").read_bytes()


def test_rsync(net: Network, stock: Callable[[str], str]) -> None:
    allow(net, "ed25519")
    net.host.add("ed25519")
    target = net.host.home / "mirror"
    shell = f"ssh -F {net.config}"
    source = f"{net.host.home}/sk.pub"
    net.host.run(stock("rsync"), "-e", shell, source, f"{NEAR}:{target}/")
    assert (target / "sk.pub").read_bytes() == Path(source).read_bytes()


# --- forwarding ----------------------------------------------------------------------------


def hop(net: Network) -> str:
    """What to run on the near host to get to the far one."""
    return f"ssh -F {net.config} {FAR} echo hello"


@pytest.mark.parametrize("name", ["ed25519", "sk"])
def test_a_forwarded_agent_logs_in_further_on(net: Network, name: str) -> None:
    allow(net, name)
    net.host.add(name)
    assert net.ssh("-A", NEAR, hop(net)) == "hello\n"


def test_the_far_host_is_named_when_the_near_one_asks(net: Network) -> None:
    allow(net, "uv")
    net.host.add("uv")
    (net.host.home / ".ssh" / "known_hosts").write_text(net.known.read_text())
    net.ssh("-A", NEAR, hop(net))
    near, far = net.host.asked()
    assert f"login as {USER} to {NEAR}" in near
    assert f"login as {USER} to {FAR}" in far


def constrained(net: Network, *where: str) -> None:
    allow(net, "ed25519")
    options = [part for place in where for part in ("-h", place)]
    net.host.add("-H", str(net.known), *options, "ed25519")


def test_a_key_for_the_near_host_alone(net: Network) -> None:
    constrained(net, NEAR)
    assert net.ssh(NEAR, "echo", "hello") == "hello\n"
    assert "Permission denied" in net.ssh(FAR, "true", code=255)
    assert "Permission denied" in net.ssh("-A", NEAR, hop(net), code=255)


def test_a_path_to_the_far_host(net: Network) -> None:
    constrained(net, NEAR, f"{NEAR}>{USER}@{FAR}")
    assert net.ssh("-A", NEAR, hop(net)) == "hello\n"
    assert "Permission denied" in net.ssh(FAR, "true", code=255)


def test_a_path_for_another_user(net: Network) -> None:
    constrained(net, NEAR, f"{NEAR}>somebody-else@{FAR}")
    assert "Permission denied" in net.ssh("-A", NEAR, hop(net), code=255)
    assert "do not allow" in net.host.said()


def test_what_the_near_host_sees(net: Network) -> None:
    """A key that may log in to the near host and not go on from it is hidden there."""
    constrained(net, NEAR)
    net.host.add("rsa")
    seen = net.ssh("-A", NEAR, "ssh-add -l")
    assert "(RSA)" in seen
    assert "(ED25519)" not in seen


def test_a_forwarded_client_adds_no_provider(net: Network) -> None:
    allow(net, "ed25519")
    net.host.add("ed25519")
    home = net.host.home
    net.ssh("-A", NEAR, f"ssh-add -S /usr/lib/libsk-fidokit.so {home}/sk", code=1)
    assert "may not name a provider" in net.host.said()
    net.ssh("-A", NEAR, f"ssh-add -q {home}/sk")


# --- asyncssh ------------------------------------------------------------------------------


def test_asyncssh_uses_the_agent(net: Network) -> None:
    """All but its query_extensions, which waits for the answer of an older draft (6, not 29)."""
    allow(net, "sk", "rsa")
    net.host.add("sk", "rsa")

    async def work() -> tuple[list[str | None], str]:
        async with asyncssh.SSHAgentClient(net.host.socket) as agent:
            keys = await agent.get_keys()
            comments = [key.get_comment() for key in keys]
            await agent.remove_keys([key for key in keys if key.get_comment() == "rsa"])
            await agent.lock("words")
            assert list(await agent.get_keys()) == []
            await agent.unlock("words")
        options = asyncssh.SSHClientConnectionOptions(
            agent_path=net.host.socket, known_hosts=str(net.known), username=USER
        )
        port = int(net.config.read_text().split("Port ")[1].split()[0])
        async with asyncssh.connect(
            "127.0.0.1", port, options=options, host_key_alias=NEAR, config=[]
        ) as connection:
            done = await connection.run("echo hello", check=True)
        return comments, str(done.stdout)

    comments, said = asyncio.run(asyncio.wait_for(work(), 60))
    assert sorted(filter(None, comments)) == ["rsa", "sk"]
    assert said == "hello\n"


def test_asyncssh_adds_constrained_keys(net: Network) -> None:
    async def work() -> None:
        async with asyncssh.SSHAgentClient(net.host.socket) as agent:
            key = asyncssh.read_private_key(str(net.host.home / "ed25519"))
            await agent.add_keys([key], lifetime=60, confirm=True)
            assert len(list(await agent.get_keys())) == 1
            await agent.remove_all()
            assert len(list(await agent.get_keys())) == 0

    asyncio.run(asyncio.wait_for(work(), 60))
