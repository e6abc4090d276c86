"""Stock ssh logs in by certificates of keys on a token, which come from there or from a folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, Host, lines, make_host, serving, sk_key, virtual_token
from tests.support.ssh_network import USER, Network, network

pytestmark = pytest.mark.interop

TOKEN = "virtual:t"
NEAR = "near.example"


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Where the keys were made: two with room for a blob, one without."""
    host = make_host(tmp_path_factory.mktemp("owner") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "ca", "-C", "ca")
    virtual_token(host)
    resident = ("-t", "ed25519-sk", "-O", "resident")
    roomy = (*resident, "--large-blob")
    sk_key(host, "work", *roomy, "-O", "application=ssh:work")
    sk_key(host, "uv", *roomy, "-O", "application=ssh:uv", "-O", "verify-required")
    sk_key(host, "small", *resident, "-O", "application=ssh:small")
    return host


@pytest.fixture
def fresh(owner: Host, tmp_path: Path) -> Iterator[Network]:
    """A new machine: nothing but the token, and a server that trusts the authority alone."""
    host = make_host(tmp_path / "new")
    host.env["XDG_STATE_HOME"] = owner.env["XDG_STATE_HOME"]
    (host.home / "authorized").write_text("")
    fidokit(owner, "blob", "delete", "--all", "--yes")
    trust = f"TrustedUserCAKeys {owner.home}/ca.pub"
    with network(host, NEAR, more=trust) as net:
        yield net
    assert not list((host.home / ".ssh").iterdir())


def fidokit(host: Host, *args: str, **how: object) -> str:
    command, pin = args[:2], str(host.home / "pin")
    (host.home / "pin").write_text(PIN + "\n")
    return host.fidokit("--token", TOKEN, *command, "--pin-file", pin, *args[2:], **how)


def certify(owner: Host, name: str, *options: str, **how: object) -> str:
    args = ("-s", "ca", "-I", f"{name} of {USER}", "-n", USER, "--force", *options)
    return fidokit(owner, "cert", "sign", *args, f"{name}.pub", **how)


def listed(host: Host) -> list[str]:
    return [line.split()[-1] for line in lines(host.add("-l"))]


@pytest.mark.parametrize("name", ["work", "uv"])
def test_from_the_token_without_files(owner: Host, fresh: Network, name: str) -> None:
    certify(owner, name, "-V", "-1d:+1d", "--on-token")
    host = fresh.host
    with serving(host, "--resident"):
        assert "(ED25519-SK-CERT)" in listed(host)
        host.answers(PIN)
        assert fresh.ssh(NEAR, "echo", "hello") == "hello\n"
    assert f"ID {name} of {USER}" in fresh.log(NEAR).replace('"', "")
    # one question for the listing, and none but the PIN's own for the signature
    assert len(host.asked()) == (2 if name == "uv" else 1)


def test_from_a_folder_that_changes(owner: Host, fresh: Network) -> None:
    host = fresh.host
    folder = host.home / "certificates"
    folder.mkdir()
    (folder / "other.pub").write_bytes((owner.home / "work.pub").read_bytes())
    (folder / "broken-cert.pub").write_text("sk-ssh-ed25519-cert-v01@openssh.com AAAA broken\n")
    certify(owner, "small", "-V", "-1d:+1d")
    with serving(host, "--resident", "--certificates", folder):
        assert "Permission denied" in fresh.ssh(NEAR, "true", code=255)
        assert "broken-cert.pub is not served" in host.said()
        new = (owner.home / "small-cert.pub").read_bytes()
        (folder / "small-cert.pub").write_bytes(new)
        deadline = time.monotonic() + 30
        while "(ED25519-SK-CERT)" not in listed(host) and time.monotonic() < deadline:
            os.utime(Path(host.env["XDG_STATE_HOME"]))
        assert fresh.ssh(NEAR, "echo", "hello") == "hello\n"


def test_a_renewed_one_takes_the_place_of_the_old(owner: Host, fresh: Network) -> None:
    certify(owner, "work", "-V", "20200101Z:20210101Z", "--on-token")
    with serving(fresh.host, "--resident"):
        assert "Permission denied" in fresh.ssh(NEAR, "true", code=255)
        assert f"the certificate 'work of {USER}'" in fresh.host.said()
        assert "has expired" in fresh.host.said()
    certify(owner, "work", "-V", "-1d:+1d", "--on-token")
    with serving(fresh.host, "--resident"):
        assert fresh.ssh(NEAR, "echo", "hello") == "hello\n"


def test_what_is_downloaded_logs_in_by_stock_ssh(owner: Host, fresh: Network) -> None:
    certify(owner, "work", "-V", "-1d:+1d", "--on-token")
    host = fresh.host
    fidokit(host, "key", "download", "--no-passphrase", "ssh:work")
    with serving(host, host.home / "id_ed25519_sk_rk_work"):
        assert fresh.ssh(NEAR, "echo", "hello") == "hello\n"


def test_a_blob_that_is_broken_hides_nothing(owner: Host, fresh: Network) -> None:
    certify(owner, "uv", "-V", "-1d:+1d", "--on-token")
    text = (owner.home / "uv-cert.pub").read_bytes()
    broken = text[:200] + b"\n" + text
    fidokit(owner, "blob", "set", "ssh:work", "-", stdin=broken)
    host = fresh.host
    with serving(host, "--resident"):
        host.answers(PIN)
        assert fresh.ssh(NEAR, "echo", "hello") == "hello\n"
        assert "not served from virtual:t: a certificate of ssh:work" in host.said()
        assert len(lines(host.add("-L"))) >= 4


def test_a_key_without_room_says_what_to_do(owner: Host) -> None:
    certify(owner, "small", "-V", "-1d:+1d")
    pin = ("--pin-file", str(owner.home / "pin"))
    command = (sys.executable, "-m", "fidokit", "--token", TOKEN, "cert", "store", *pin)
    done = owner.run(*command, "small-cert.pub", code=8)
    assert b"--large-blob" in done.stderr
    assert b"--certificates FOLDER" in done.stderr
