"""Certificates that we issue: judged by `ssh-keygen -L` and `-s`, taken by a real sshd and ssh."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_host import PIN, Host, make_host, serving, sk_key, virtual_token
from tests.support.openssh_version import openssh
from tests.support.sshd import Sshd, running

from fidokit.openssh.certificates.certificate import Certificate, encode_tbs, parse_certificate

pytestmark = pytest.mark.interop

NOW = ("-V", "20200101:20380101")
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
FIDOKIT = (sys.executable, "-m", "fidokit")
USER = pwd.getpwuid(os.geteuid()).pw_name
AUTHORITIES = ("ca", "ca_rsa", "ca_sk", "ca_uv")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Host:
    for program in ("ssh-keygen", "ssh", "/usr/sbin/sshd"):
        stock(program)
    host = make_host(tmp_path_factory.mktemp("cert") / "home")
    virtual_token(host)
    host.keygen("-t", "ed25519", "-N", "", "-f", "ca", "-C", "ca")
    host.keygen("-t", "rsa", "-b", "2048", "-N", "", "-f", "ca_rsa", "-C", "ca")
    sk_key(host, "ca_sk", "-t", "ed25519-sk")
    sk_key(host, "ca_uv", "-t", "ecdsa-sk", "-O", "verify-required")
    host.keygen("-t", "ed25519", "-N", "", "-f", "user", "-C", "a comment")
    host.keygen("-t", "ecdsa", "-N", "", "-f", "host", "-C", "host")
    sk_key(host, "user_sk", "-t", "ed25519-sk")
    return host


def read(path: Path) -> Certificate:
    return parse_certificate(base64.b64decode(path.read_bytes().split()[1]))


def ours(machine: Host, *args: str | Path, ca: str = "ca", **env: str) -> Certificate:
    machine.answers(PIN)
    words = ("cert", "sign", "-s", ca, "-I", "an id", "--force", *map(str, args), "user.pub")
    assert machine.fidokit(*words, **env).startswith("Signed ")
    return read(machine.home / "user-cert.pub")


def stocks(machine: Host, *args: str) -> Certificate:
    machine.keygen("-s", "ca", "-I", "an id", *args, "user.pub")
    return read(machine.home / "user-cert.pub")


SAYINGS = [
    (),
    ("-n", "alice,bob", "-z", "7"),
    ("-h", "-n", "host.example", *NOW),
    ("-h", "-O", "force-command=x", "-O", "permit-pty"),
    ("-O", "clear"),
    ("-O", "no-x11-forwarding", "-O", "No-Pty", "-O", "no-user-rc"),
    ("-O", "clear", "-O", "permit-agent-forwarding", "-O", "no-touch-required"),
    ("-O", "verify-required", "-O", "source-address=10.0.0.0/8,::1/128"),
    ("-O", "force-command=/bin/echo a=b c", "-O", "critical:zz@x=1", "-O", "critical:aa"),
    ("-O", "extension:b=2", "-O", "extension:a", "-O", "extension:a", "-O", "extension:a=1"),
    ("-V", "always:forever"),
    ("-V", "20200101120000Z:0x6e0be100"),
    ("-z", "18446744073709551615", "-V", "always:20300101"),
]


@pytest.mark.parametrize("args", SAYINGS, ids=" ".join)
def test_the_same_bytes_apart_from_the_nonce(machine: Host, args: tuple[str, ...]) -> None:
    theirs = stocks(machine, *args)
    made = ours(machine, *args)
    assert len(made.nonce) == len(theirs.nonce)
    assert made.nonce != theirs.nonce
    cut = encode_tbs(made).replace(made.nonce, theirs.nonce)
    assert cut == encode_tbs(theirs)
    assert made.signature.type_name == theirs.signature.type_name


@pytest.mark.parametrize("validity", ["+52w", "-1d:+52w", "+1:+2w3d", "-5m:forever", "always:+1h"])
def test_times_from_now(machine: Host, validity: str) -> None:
    """Both clocks run on between the two, by less than a minute."""
    theirs = stocks(machine, "-V", validity)
    made = ours(machine, "-V", validity)
    assert 0 <= made.valid_after - theirs.valid_after <= 60
    assert 0 <= made.valid_before - theirs.valid_before <= 60


@pytest.mark.parametrize(
    ("validity", "in_summer"),
    [
        ("20260701:20260801123456", (True, True)),
        ("20260101:20260701", (False, True)),
        ("20260328:20260330", (False, True)),
        ("20261024:20261026", (True, False)),
        ("20260328Z:20260330Z", (False, False)),
        ("20260701Z:20260801123456", (False, True)),
    ],
)
def test_local_times_have_summer_time(
    machine: Host, validity: str, in_summer: tuple[bool, bool]
) -> None:
    """OpenSSH before 10.6 takes them for standard time all the year: an hour late in summer."""
    late = 0 if openssh() >= (10, 6) else 3600
    (machine.home / "user-cert.pub").unlink(missing_ok=True)
    words = ("-q", "-s", "ca", "-I", "an id", "-V", validity, "user.pub")
    machine.run("ssh-keygen", *words, TZ=BERLIN)
    theirs = read(machine.home / "user-cert.pub")
    made = ours(machine, "-V", validity, TZ=BERLIN)
    assert theirs.valid_after - made.valid_after == in_summer[0] * late
    assert theirs.valid_before - made.valid_before == in_summer[1] * late


@pytest.mark.parametrize("ca", AUTHORITIES)
def test_every_authority_is_believed(machine: Host, ca: str) -> None:
    ours(machine, "-n", "alice", "-z", "9", ca=ca)
    said = machine.run("ssh-keygen", "-L", "-f", "user-cert.pub").stdout.decode()
    kind = {"ca": "ED25519", "ca_rsa": "RSA", "ca_sk": "ED25519-SK", "ca_uv": "ECDSA-SK"}[ca]
    assert f"Signing CA: {kind} SHA256:" in said
    assert machine.fidokit("cert", "show", "user-cert.pub") == said
    assert (machine.home / "user-cert.pub").read_text().endswith(" a comment\n")


@pytest.mark.parametrize("args", SAYINGS, ids=" ".join)
def test_show_prints_what_ssh_keygen_prints(machine: Host, args: tuple[str, ...]) -> None:
    stocks(machine, *args)
    said = machine.run("ssh-keygen", "-L", "-f", "user-cert.pub").stdout.decode()
    assert machine.fidokit("cert", "show", "user-cert.pub") == said


REFUSED = [
    ("-O", "bogus"),
    ("-O", "force-command="),
    ("-O", "source-address=10.0.0.1/8"),
    ("-O", "source-address=foo"),
    ("-O", "source-address=10.0.0.0/8,"),
    ("-O", "force-command=a", "-O", "force-command=b"),
    ("-V", "20200101:20200101"),
    ("-V", "+1x"),
    ("-V", "a:b"),
    ("-n", "a,,b"),
    ("-z", "x"),
    ("-z", "18446744073709551616"),
]


@pytest.mark.parametrize("args", REFUSED, ids=" ".join)
@pytest.mark.parametrize("program", [("ssh-keygen",), (*FIDOKIT, "cert", "sign", "--force")])
def test_what_ssh_keygen_refuses(
    machine: Host, program: tuple[str, ...], args: tuple[str, ...]
) -> None:
    (machine.home / "user-cert.pub").unlink(missing_ok=True)
    done = machine.run(*program, "-s", "ca", "-I", "id", *args, "user.pub", code=None)
    assert done.returncode != 0
    assert not (machine.home / "user-cert.pub").exists()


# --- the agent -----------------------------------------------------------------------------


@pytest.mark.parametrize("ca", ["ca", "ca_sk"])
def test_by_the_agent(machine: Host, ca: str) -> None:
    with serving(machine, machine.home / ca) as served:
        env: dict[str, Any] = {"SSH_AUTH_SOCK": served.socket}
        made = ours(machine, "-U", "-n", "alice", ca=f"{ca}.pub", **env)
        words = ("-U", "-s", f"{ca}.pub", "-I", "an id", "-n", "alice", "user.pub")
        machine.run("ssh-keygen", "-q", *words, **env)
    theirs = read(machine.home / "user-cert.pub")
    assert encode_tbs(made).replace(made.nonce, theirs.nonce) == encode_tbs(theirs)


# --- logins --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(
    machine: Host, tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]
) -> Iterator[Sshd]:
    """Trusts the authorities for users, and shows a host certificate by the token's."""
    folder = tmp_path_factory.mktemp("sshd")
    machine.answers(PIN)
    machine.fidokit("cert", "sign", "-s", "ca_sk", "-I", "h", "-h", "-n", "127.0.0.1", "host.pub")
    keys = "".join((machine.home / f"{name}.pub").read_text() for name in AUTHORITIES)
    (folder / "trusted").write_text(keys)
    for suffix in ("", ".pub"):
        shutil.copy(machine.home / f"host{suffix}", folder / f"host_key{suffix}")
    with running(
        folder,
        f"HostCertificate {machine.home}/host-cert.pub",
        f"TrustedUserCAKeys {folder}/trusted",
        "AuthorizedKeysFile none",
        sshd=stock("/usr/sbin/sshd"),
    ) as found:
        yield found


def logs_in(
    machine: Host, server: Sshd, known_hosts: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """ssh with the certificate; the host is known by its key, or as `known_hosts` says."""
    known = known_hosts or server.folder / "known_hosts"
    options = ("-i", "user", "-o", "CertificateFile=user-cert.pub", "-F", "none")
    trust = ("-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes")
    where = ("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-p", str(server.port))
    return machine.run("ssh", *options, *trust, *where, f"{USER}@127.0.0.1", "echo in", code=None)


@pytest.mark.parametrize("ca", AUTHORITIES)
def test_login(machine: Host, server: Sshd, ca: str) -> None:
    ours(machine, "-n", USER, "-V", "-1h:+1h", ca=ca)
    done = logs_in(machine, server)
    assert done.stdout == b"in\n", (done.stderr, server.log())


def test_a_forced_command(machine: Host, server: Sshd) -> None:
    ours(machine, "-n", USER, "-O", "force-command=echo forced", ca="ca_sk")
    assert logs_in(machine, server).stdout == b"forced\n"


@pytest.mark.parametrize(
    "args",
    [
        ("-n", "somebody"),
        (),
        ("-n", USER, "-V", "20200101:20210101"),
        ("-n", USER, "-O", "source-address=192.0.2.0/24"),
        ("-n", USER, "-O", "critical:unknown@example.org=1"),
        ("-h", "-n", USER),
    ],
    ids=" ".join,
)
def test_no_login(machine: Host, server: Sshd, args: tuple[str, ...]) -> None:
    ours(machine, *args, ca="ca_sk")
    assert b"Permission denied" in logs_in(machine, server).stderr


def test_an_authority_that_is_not_trusted(machine: Host, server: Sshd) -> None:
    machine.keygen("-t", "ed25519", "-N", "", "-f", "ca_other", "-C", "x")
    ours(machine, "-n", USER, ca="ca_other")
    done = logs_in(machine, server)
    assert b"Permission denied" in done.stderr


def test_a_host_certificate_is_known_by_its_authority(machine: Host, server: Sshd) -> None:
    ours(machine, "-n", USER, ca="ca")
    known = machine.home / "known"
    authority = (machine.home / "ca_sk.pub").read_text()
    known.write_text(f"@cert-authority 127.0.0.1,[127.0.0.1]:{server.port} {authority}")
    done = logs_in(machine, server, known)
    assert done.stdout == b"in\n", done.stderr
    known.write_text(f"@cert-authority * {(machine.home / 'ca.pub').read_text()}")
    assert b"Host key verification failed" in logs_in(machine, server, known).stderr
