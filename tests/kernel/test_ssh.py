"""Stock OpenSSH on a token in the kernel: every option of ssh-keygen, -K, an agent, logins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.conftest import PIN, Plugged, plugged_in
from tests.kernel.vm import Done, Machine

KINDS = ("ed25519-sk", "ecdsa-sk")
NO_PASSPHRASE = "-N ''"


def make(token: Plugged, kind: str, *options: str, file: str = "id") -> Done:
    """ssh-keygen, on a terminal that knows the PIN."""
    given = " ".join(f"-O {option}" for option in options)
    return token.machine.typed(
        f"cd {token.path} && ssh-keygen -t {kind} {NO_PASSPHRASE} -f {file} {given}",
        ("PIN|Your identification", PIN),
    )


def shown(token: Plugged, file: str) -> str:
    return token.machine.run(f"ssh-keygen -lf {token.path}/{file}").ok().split()[1]


def login(token: Plugged, file: str = "id", **options: object) -> Done:
    """As charlie, to the sshd of the guest, with the key alone."""
    return token.machine.run(
        f"ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        f"-o IdentitiesOnly=yes -o BatchMode=yes -i {token.path}/{file} -p 2222 "
        "charlie@127.0.0.1 id -un",
        **options,  # type: ignore[arg-type]
    )


def login_with_pin(token: Plugged, file: str = "id") -> Done:
    return token.machine.typed(
        f"ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        f"-o IdentitiesOnly=yes -o PreferredAuthentications=publickey -i {token.path}/{file} "
        "-p 2222 charlie@127.0.0.1 id -un",
        ("PIN", PIN),
    )


@pytest.fixture(scope="module")
def sshd(machine: Machine) -> Iterator[None]:
    """A second sshd in the guest, whose demands a test writes into a file that it includes."""
    machine.run(
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/host; touch /tmp/demands; "
        "printf '%s\\n' 'Include /tmp/demands' 'Port 2222' 'ListenAddress 127.0.0.1' "
        "'HostKey /tmp/host' 'PidFile /tmp/sshd.pid' 'AuthorizedKeysFile /tmp/letting_in' "
        "'StrictModes no' 'PasswordAuthentication no' 'UsePAM no' >/tmp/sshd_config; "
        "/usr/sbin/sshd -f /tmp/sshd_config -E /tmp/sshd.log"
    ).ok()
    yield
    machine.run("kill $(cat /tmp/sshd.pid)").ok()


def let_in(token: Plugged, options: str = "", demands: str = "", file: str = "id") -> None:
    """Set authorized_keys to this one key, and sshd's demands."""
    token.machine.run(
        f"{{ printf '%s' '{options}'; cat {token.path}/{file}.pub; }} >/tmp/letting_in; "
        f"echo '{demands}' >/tmp/demands; kill -HUP $(cat /tmp/sshd.pid); "
        "for i in $(seq 100); do (echo >/dev/tcp/127.0.0.1/2222) 2>/dev/null && break; "
        "sleep 0.1; done"
    ).ok()


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_with_a_touch(token: Plugged, sshd: None, kind: str) -> None:
    make(token, kind).ok()
    let_in(token, demands="PubkeyAuthOptions touch-required")
    assert login(token).ok() == "charlie\n"


@pytest.mark.parametrize("kind", KINDS)
def test_no_touch_required_both_ways(token: Plugged, sshd: None, kind: str) -> None:
    """sshd refuses a signature without touch, unless authorized_keys lets it pass."""
    make(token, kind, "no-touch-required").ok()
    let_in(token)
    assert login(token).code != 0
    let_in(token, options="no-touch-required ")
    assert login(token).ok() == "charlie\n"
    let_in(token, options="no-touch-required ", demands="PubkeyAuthOptions touch-required")
    assert login(token).code != 0


@pytest.mark.parametrize("kind", KINDS)
def test_verify_required(owned: Plugged, sshd: None, kind: str) -> None:
    """A key that asks for its PIN gets in where one without is refused."""
    make(owned, kind, "verify-required").ok()
    make(owned, kind, file="weak").ok()
    demand = "PubkeyAuthOptions verify-required"
    let_in(owned, demands=demand)
    assert login_with_pin(owned).ok().splitlines()[-1] == "charlie"
    let_in(owned, demands=demand, file="weak")
    assert login(owned, "weak").code != 0


def test_every_option_at_birth(owned: Plugged) -> None:
    """application, challenge, device, resident, user, write-attestation."""
    owned.machine.run(f"head -c 32 /dev/urandom >{owned.path}/challenge").ok()
    make(
        owned,
        "ed25519-sk",
        "resident",
        "application=ssh:work",
        "user=alice",
        f"challenge={owned.path}/challenge",
        f"device={owned.node}",
        f"write-attestation={owned.path}/attestation",
    ).ok()
    assert owned.machine.run(f"head -c 21 {owned.path}/attestation | tail -c 17").ok() == (
        "ssh-sk-attest-v01"
    )
    listed = owned.machine.typed(f"fido2-token -L -k ssh:work {owned.node}", ("PIN", PIN)).ok()
    assert "openssh" in listed


@pytest.mark.parametrize("kind", KINDS)
def test_download_and_agent(owned: Plugged, sshd: None, kind: str) -> None:
    """-K restores the key that was made, ssh-add -K has it without a file; both log in."""
    run, typed = owned.machine.run, owned.machine.typed
    make(owned, kind, "resident", "application=ssh:work", "user=alice").ok()
    let_in(owned)
    typed(
        f"mkdir {owned.path}/new && cd {owned.path}/new && ssh-keygen -K {NO_PASSPHRASE}",
        ("PIN", PIN),
    ).ok()
    name = f"new/id_{kind.replace('-', '_')}_rk_work_alice"
    assert shown(owned, name) == shown(owned, "id")
    assert login(owned, name).ok() == "charlie\n"
    agent = run(
        "eval $(ssh-agent) >/dev/null; python3 /opt/fidokit/guest/typed.py; "
        "ssh-add -L; ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        "-p 2222 charlie@127.0.0.1 id -un; ssh-agent -k >/dev/null",
        stdin=f'{{"command": "ssh-add -K", "answers": [["PIN", "{PIN}"]]}}',
    ).ok()
    assert run(f"cut -d' ' -f2 {owned.path}/id.pub").ok().strip() in agent
    assert agent.splitlines()[-1] == "charlie"


def test_ours_and_theirs_are_the_same_key(owned: Plugged) -> None:
    """What stock ssh-keygen made on the token, ours lists and downloads."""
    make(owned, "ed25519-sk", "resident", "application=ssh:both").ok()
    pin = f"echo {PIN} | "
    listed = owned.machine.run(
        f"{pin} python3 -m fidokit --token usb:{owned.node} key list --pin-file - --json"
    ).ok()
    assert shown(owned, "id") in listed
    owned.machine.run(
        f"mkdir {owned.path}/ours && {pin} python3 -m fidokit --token usb:{owned.node} "
        f"key download --pin-file - --no-passphrase --dir {owned.path}/ours"
    ).ok()
    assert shown(owned, "ours/id_ed25519_sk_rk_both") == shown(owned, "id")


def test_a_touch_that_is_refused(machine: Machine) -> None:
    with plugged_in(machine, presence="deny") as token:
        done = make(token, "ed25519-sk")
        assert done.code != 0
        assert token.machine.run(f"ls {token.path}").ok() == ""
