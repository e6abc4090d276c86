"""Stock ssh-keygen, ssh and ssh-agent on a token that lies on a card reader, by our library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hwtests import plug
from tests.support.agent_host import PIN, Host, make_host, stock, stock_agent
from tests.support.pcscd import PLACE, SELECTOR, Pcscd, wait_for_card
from tests.support.ssh_network import network

pytestmark = pytest.mark.interop


@pytest.fixture
def reader(pcscd: Pcscd, tmp_path: Path) -> Iterator[Host]:
    """A home whose programs know of no token but the one on the reader, which has a PIN."""
    host = make_host(tmp_path / "home")
    host.env[PLACE] = os.environ[PLACE]
    host.fidokit("virtual", "create", "card")
    plug.insert(host.home / "pid", ["card", "--vpcd", f"127.0.0.1:{pcscd.port}"], host.env)
    wait_for_card()
    host.env["XDG_STATE_HOME"] = str(host.home / "elsewhere")
    host.env["SSH_SK_PROVIDER"] = host.fidokit("provider", "path").strip()
    host.env["FIDOKIT_TOKEN"] = SELECTOR
    (host.home / "pin").write_text(PIN + "\n")
    host.fidokit("pin", "set", "--new-pin-file", "pin")
    yield host
    plug.unplug(host.home / "pid")
    wait_for_card(there=False)


def signs(host: Host, file: str) -> None:
    """`-Y sign` by the token, `-Y check-novalidate` by nobody's help."""
    told = ("-Y", "sign", "-n", "file", "-f", file)
    signature = host.run(stock("ssh-keygen"), *told, stdin=b"what is signed").stdout
    (host.home / "signature").write_bytes(signature)
    check = ("-Y", "check-novalidate", "-n", "file", "-s", "signature")
    assert b"Good" in host.run(stock("ssh-keygen"), *check, stdin=b"what is signed").stdout
    host.run(stock("ssh-keygen"), *check, stdin=b"another text", code=255)


@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_a_key_is_made_and_signs(reader: Host, kind: str) -> None:
    reader.keygen("-t", kind, "-N", "", "-f", "id")
    assert not any("PIN" in line for line in reader.asked()), "none is needed for that"
    signs(reader, "id")


def test_the_token_by_the_device_option(reader: Host) -> None:
    del reader.env["FIDOKIT_TOKEN"]
    reader.keygen("-t", "ed25519-sk", "-N", "", "-O", f"device={SELECTOR}", "-f", "id")
    signs(reader, "id")  # found unasked: it is the only token there is


def test_a_resident_key_that_wants_the_pin(reader: Host) -> None:
    """Made, lost, loaded from the token again; logs in by ssh alone, and by ssh-agent."""
    home = reader.home
    only = ("-O", "resident", "-O", "application=ssh:card", "-O")
    reader.keygen("-t", "ed25519-sk", "-N", "", *only, "verify-required", "-f", "id")
    made = (home / "id.pub").read_text()
    (home / "id").unlink()
    reader.keygen("-K", "-N", "")
    found = home / "id_ed25519_sk_rk_card"
    assert found.with_suffix(".pub").read_text().split()[:2] == made.split()[:2]
    signs(reader, found.name)
    asking = ("-oBatchMode=no", "-oNumberOfPasswordPrompts=1", "-oIdentitiesOnly=yes")
    by_library = (f"-oSecurityKeyProvider={reader.env['SSH_SK_PROVIDER']}", "-i", str(found))
    with network(reader, "plain.example", more="PubkeyAuthOptions verify-required") as net:
        net.authorize(made)
        assert net.ssh(*by_library, *asking, "plain.example", "echo", "hello") == "hello\n"
        folder = str(Path(reader.env["SSH_SK_PROVIDER"]).parent)
        with stock_agent(reader, "-P", f"{folder}/*"):
            reader.add("-K")
            found.unlink()
            assert net.ssh("plain.example", "echo", "hello") == "hello\n"


def test_without_the_card(reader: Host) -> None:
    """It was lifted: ssh-keygen says so, and leaves no file."""
    plug.unplug(reader.home / "pid")
    wait_for_card(there=False)
    made = ("-t", "ed25519-sk", "-N", "", "-f", "never")
    done = reader.run(stock("ssh-keygen"), *made, code=255)
    assert b"device not found" in done.stdout + done.stderr
    assert not (reader.home / "never").exists()
