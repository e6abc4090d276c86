"""One touch, many hosts: stock ssh and ansible-core with the key of `fidokit agent session`."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.interop.test_agent_secrets import memory
from tests.support.agent_host import PIN, WAIT_S, Host, make_host, sk_key, stock, virtual_token
from tests.support.children import popen
from tests.support.ssh_network import USER, Network, network

from fidokit.agent.session.opening import (
    OpenSession,
    SessionPlan,
    SessionWish,
    open_session,
    plan_session,
)
from fidokit.client.ports import PinCode, Quiet
from fidokit.openssh.certificates.certificate import parse_certificate
from fidokit.openssh.signatures.signature import SkEd25519Signature
from fidokit.signing.signers import open_signer

pytestmark = pytest.mark.interop

NAMES = ("web1.example", "web2.example", "db.example", "far.example")
NEAR, FAR = NAMES[0], NAMES[-1]
LOGINS = 100
LONG_S = 400
"""For a hundred logins on a machine that has other work."""
ROLE = "deploy"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A token that stays plugged in: its counter leaps when it is."""
    host = make_host(tmp_path_factory.mktemp("session") / "home")
    virtual_token(host)
    serve = [sys.executable, "-m", "fidokit", "virtual", "serve", "t"]
    with popen(serve, env=host.env, stdout=subprocess.PIPE) as token:
        assert token.stdout
        assert b"plugged in" in token.stdout.readline()
        host.env["FIDOKIT_TOKEN"] = "virtual:t"
        sk_key(host, ".ssh/id_ca", "-t", "ed25519-sk", "-O", "verify-required")
        yield host
        token.terminate()


@pytest.fixture(scope="module")
def net(machine: Host) -> Iterator[Network]:
    """Four servers that trust the token's key for one principal."""
    with network(machine, *NAMES, more="MaxStartups 200") as net:
        public = (machine.home / ".ssh" / "id_ca.pub").read_text()
        net.authorize(f'cert-authority,principals="{ROLE}" {public}')
        yield net


def session(
    net: Network, *args: str, code: int | None = 0, env: Mapping[str, str] | None = None
) -> CompletedProcess[bytes]:
    """`fidokit agent session` with what the servers want; what stands last is a shell's."""
    *options, script = args
    command = ["agent", "session", "10m", "--principal", ROLE, "-H", str(net.known), *options]
    whole = [*command, "--pin-file", str(net.host.home / "pin"), "--", "sh", "-c", script]
    fidokit = (sys.executable, "-m", "fidokit")
    return net.host.run(*fidokit, *whole, stdin=b"", code=code, wait=LONG_S, **(env or {}))


def counter(done: CompletedProcess[bytes]) -> int:
    """The token's, as the certificate that `ssh-add -L` printed has it: it counts signatures."""
    from base64 import b64decode

    [blob] = re.findall(rb"^ssh-ed25519-cert-v01@openssh.com (\S+)", done.stdout, re.MULTILINE)
    signature = parse_certificate(b64decode(blob)).signature
    assert isinstance(signature, SkEd25519Signature)
    return signature.counter


def ssh(net: Network, host: str, what: str = "true") -> str:
    return f"ssh -F {net.config} {host} {what}"


def accepted(net: Network) -> int:
    """Logins by the session's certificate, as the servers logged them."""
    said = "".join(net.log(name) for name in net.names)
    return len(re.findall(r"Accepted publickey .*ID fidokit session of ", said))


def test_a_hundred_logins_by_ssh_and_one_touch(net: Network) -> None:
    before = accepted(net)
    rounds = "; ".join(ssh(net, name, "echo in") for name in net.names)
    script = f"ssh-add -L; for i in $(seq {LOGINS // len(NAMES)}); do {rounds}; done"
    done = session(net, script)
    assert done.stdout.count(b"in\n") == LOGINS
    assert accepted(net) - before == LOGINS
    assert done.stderr.count(b"Touch your security key") == 1
    assert counter(session(net, "ssh-add -L")) == counter(done) + 1


@pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="ansible is on the host alone")
def test_a_hundred_logins_by_ansible_and_one_touch(net: Network) -> None:
    home = net.host.home
    rows = [f"host{i:03} ansible_host={net.names[i % 4]}\n" for i in range(LOGINS)]
    (home / "inventory").write_text("".join(rows))
    before = accepted(net)
    # without a master connection, so that each host is a login of its own
    how = {
        "ANSIBLE_SSH_ARGS": f"-F {net.config} -o ControlMaster=no",
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(home / "ansible"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_NOCOLOR": "1",
    }
    run = f"{stock('ansible')} -i inventory -f 8 -m raw -a 'echo in-$((1+1))' -o all"
    done = session(net, "--hosts", "*.example", f"ssh-add -L; {run}", env=how)
    assert done.stdout.count(b"in-2") == LOGINS
    assert accepted(net) - before >= LOGINS
    assert done.stderr.count(b"Touch your security key") == 1
    assert counter(session(net, "ssh-add -L")) == counter(done) + 1


def test_other_hosts_are_refused(net: Network) -> None:
    script = f"{ssh(net, 'web1.example')} && {ssh(net, 'web2.example')} && {ssh(net, FAR)}"
    done = session(net, "--hosts", "web*.example", script, code=255)
    assert b"for web*.example (2 host keys)" in done.stderr
    assert f"{USER}@127.0.0.1: Permission denied".encode() in done.stderr


def test_another_user_than_the_one_that_is_named_is_refused(net: Network) -> None:
    assert b"denied" in session(net, "--hosts", f"nobody@{NEAR}", ssh(net, NEAR), code=255).stderr
    session(net, "--hosts", f"{USER}@{NEAR}", ssh(net, NEAR))


def test_a_host_that_it_is_forwarded_to_cannot_use_it(net: Network) -> None:
    onward = f"'{ssh(net, FAR)}'"
    for hosts in ((), ("--hosts", f"{NEAR},{FAR}")):
        done = session(net, *hosts, ssh(net, f"-A {NEAR}", onward), code=255)
        assert b"Permission denied" in done.stderr
    path = ("--hosts", f"{NEAR},{NEAR}>{FAR}")
    session(net, *path, ssh(net, f"-A {NEAR}", onward))


def test_another_principal_is_refused(net: Network) -> None:
    before = accepted(net) + 1
    session(net, "--principal", "somebody", ssh(net, NEAR))  # beside the right one
    command = ("agent", "session", "10m", "--principal", "somebody", "--pin-file", "pin")
    shell = ("--", "sh", "-c", ssh(net, NEAR))
    program = (sys.executable, "-m", "fidokit")
    done = net.host.run(*program, *command, *shell, stdin=b"", code=255)
    assert b"Permission denied" in done.stderr
    assert accepted(net) == before
    assert "Certificate does not contain an authorized principal" in net.log(NEAR)


def test_no_sshd_sees_whether_the_authority_was_touched(net: Network) -> None:
    """What the page warns of: only a key that wants its PIN each time never signs unasked."""
    key = sk_key(net.host, "untouched", "-t", "ed25519-sk", "-O", "no-touch-required")
    public = (net.host.home / "untouched.pub").read_text()
    authorized = net.host.home / "authorized"
    with authorized.open("a") as file:
        file.write(f'cert-authority,principals="{ROLE}" {public}')
    assert b"Touch" not in session(net, "-s", str(key), ssh(net, NEAR)).stderr


def test_what_outlives_the_command_has_no_agent(net: Network) -> None:
    home = net.host.home
    later = f"(while test -S $SSH_AUTH_SOCK; do sleep 0.1; done; {ssh(net, NEAR)}; echo $?)"
    session(net, f"{later} > {home}/later 2>&1 & {ssh(net, NEAR)}")
    until(lambda: (home / "later").read_text().endswith("255\n"))
    assert "Permission denied" in (home / "later").read_text()


Opener = Callable[[SessionPlan], AbstractContextManager[OpenSession]]


@pytest.fixture
def opened(net: Network, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Sessions in this process, so that a test knows the one that keeps the key."""
    for name, value in net.host.env.items():
        monkeypatch.setenv(name, value)
    path = net.host.home / ".ssh" / "id_ca"
    return lambda plan: open_session(plan, lambda: open_signer(path, Knows(), selector="virtual:t"))


class Knows(Quiet):
    """Knows the PIN."""

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        return PinCode.parse(PIN)


def plan_of(seconds: int = 600) -> SessionPlan:
    return plan_session(SessionWish(seconds, [ROLE], "test"))


def login(net: Network, session: OpenSession, code: int) -> str:
    net.host.socket = str(session.socket)
    return net.ssh(NEAR, "true", code=code)


def test_it_is_refused_when_its_time_is_over(
    net: Network, opened: Opener, capfd: pytest.CaptureFixture[str]
) -> None:
    """By its agent, and by servers that are shown such a certificate without it."""
    now = int(time.time())
    plan = plan_of()
    past = replace(plan, request=replace(plan.request, validity=(now - 700, now - 100)))
    with opened(past) as session:
        assert "Permission denied" in login(net, session, 255)
    assert "has expired" in capfd.readouterr().err
    net.host.keygen("-t", "ed25519", "-N", "", "-f", "old", "-C", "old")
    pin = ("--pin-file", str(net.host.home / "pin"))
    sign = ("cert", "sign", "-s", ".ssh/id_ca", "-I", "old", "-n", ROLE, "-V", "20250101:20250102")
    net.host.fidokit(*sign, *pin, "old.pub", stdin=b"")
    shown = ("-oIdentityAgent=none", "-i", str(net.host.home / "old"), NEAR, "true")
    assert "Permission denied" in net.ssh(*shown, code=255)
    assert "Certificate invalid: expired" in net.log(NEAR)


def test_a_killed_session_lets_nobody_in(net: Network, opened: Opener) -> None:
    with opened(plan_of()) as session:
        login(net, session, 0)
        os.kill(session.keeper.pid, signal.SIGKILL)
        session.keeper.wait()
        assert "Permission denied" in login(net, session, 255)


def test_it_ends_with_the_command_however_that_ends(net: Network) -> None:
    """Also by a signal that nobody can act upon."""
    program = [sys.executable, "-m", "fidokit", "agent", "session", "10m"]
    pin = ["--pin-file", str(net.host.home / "pin")]
    process = popen(
        [*program, *pin, "--", "sh", "-c", "echo $SSH_AUTH_SOCK; exec sleep 600"],
        env=net.host.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout
    socket = Path(process.stdout.readline().decode().strip())
    assert socket.is_socket()
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not socket.parent.exists())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.root
def test_the_key_is_in_one_locked_page_and_nowhere_else(net: Network, opened: Opener) -> None:
    with opened(plan_of()) as session:
        login(net, session, 0)
        pid = session.keeper.pid
        assert resource.prlimit(pid, resource.RLIMIT_CORE)[0] == 0
        [page] = locked_pages(pid)
        seed, rest = page[:32], page[32:]
        assert len(set(seed)) > 8
        assert not any(rest)
        assert sum(chunk.count(seed) for chunk in memory(pid)) == 1
    for path in net.host.home.rglob("*"):
        if path.is_file():
            assert seed not in path.read_bytes(), path


def locked_pages(pid: int) -> list[bytes]:
    """What a process locked in memory."""
    maps = Path(f"/proc/{pid}/smaps").read_text()
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw(?:.*\n)+?VmFlags:(.*)\n", maps, re.MULTILINE)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:  # noqa: PTH123
        return [
            os.pread(mem.fileno(), int(end, 16) - int(start, 16), int(start, 16))
            for start, end, flags in found
            if "lo" in flags.split()
        ]
