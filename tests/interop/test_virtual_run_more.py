"""Under `fidokit virtual run`: every option of ssh-keygen, libu2f-host, an ordinary user."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fido2.ctap1 import RegistrationData, SignatureData
from fido2.utils import websafe_decode, websafe_encode
from tests.interop import test_virtual_run as basics
from tests.interop.test_virtual_run import machine, plain, under
from tests.support.agent_host import PIN, Host, make_host, stock
from tests.support.rights import as_ordinary
from tests.support.ssh_network import network

from fidokit.lab import program
from fidokit.provider import library as provider_library
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop
__all__ = ["machine", "plain", "under"]  # fixtures, of these tests as well

KINDS = ("ed25519-sk", "ecdsa-sk")
CHALLENGE = bytes(range(32))


def made(host: Host, kind: str, *options: str, file: str = "id") -> None:
    """By stock ssh-keygen, by its own means."""
    given = [word for option in options for word in ("-O", option)]
    again = [host.home / file, host.home / f"{file}.pub"]
    for path in again:
        path.unlink(missing_ok=True)
    host.run(stock("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", file, *given)


def listed(host: Host) -> str:
    """What the token keeps for the application."""
    done = host.run(
        stock("fido2-token"), "-L", "-k", "ssh:work", "/dev/hidraw90", stdin=f"{PIN}\n".encode()
    )
    return done.stdout.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_ssh_keygen(under: Host, kind: str) -> None:
    """application, challenge, device, resident, user, verify-required, write-attestation."""
    (under.home / "challenge").write_bytes(CHALLENGE)
    (under.home / "said").unlink(missing_ok=True)
    options = ["resident", "verify-required", "application=ssh:work", f"user={kind}"]
    files = ["challenge=challenge", "device=/dev/hidraw90", "write-attestation=said"]
    made(under, kind, *options, *files)
    user = base64.b64encode(kind.encode().ljust(32, b"\0")).decode()
    (line,) = [line for line in listed(under).splitlines() if user in line]
    assert line.endswith(f"{'eddsa' if kind == 'ed25519-sk' else 'es256'} uvreq")
    # the attestation is about this key, and this challenge
    verify = ("attestation", "verify", "said", "--key", "id.pub", "--challenge", "challenge")
    under.fidokit(*verify)
    flags = json.loads(under.fidokit("key", "flags", "id", "--json"))["file"]["flags"]
    assert set(flags) == {"touch-required", "verify-required", "resident"}


def test_a_device_that_is_not_there(under: Host) -> None:
    done = under.run(
        stock("ssh-keygen"),
        *("-q", "-t", "ed25519-sk", "-N", "", "-f", "none", "-O", "device=/dev/hidraw99"),
        code=None,
    )
    assert done.returncode != 0
    assert not (under.home / "none").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_no_touch_required_both_ways(under: Host, kind: str) -> None:
    made(under, kind, "no-touch-required")
    public = (under.home / "id.pub").read_text()
    login = ["-oIdentitiesOnly=yes", "-i", str(under.home / "id"), "untouched.example", "echo hi"]
    with network(under, "untouched.example") as net:
        net.authorize(public)
        assert "Permission denied" in net.ssh(*login, code=255)
        net.authorize(f"no-touch-required {public}")
        assert net.ssh(*login) == "hi\n"


def test_git_signs(under: Host) -> None:
    """By ssh-keygen, which it starts: a commit whose signature it finds good."""
    made(under, "ed25519-sk")
    script = """
        set -e
        git init -q work && cd work
        git config user.name ana && git config user.email ana@site.example
        git config gpg.format ssh && git config user.signingKey "$HOME/id.pub"
        echo "ana@site.example $(cat "$HOME/id.pub")" >"$HOME/allowed"
        git config gpg.ssh.allowedSignersFile "$HOME/allowed"
        git commit -q --allow-empty -S -m signed && git verify-commit HEAD 2>&1
    """
    shutil.rmtree(under.home / "work", ignore_errors=True)
    said = under.run("sh", "-c", script).stdout.decode()
    assert said.startswith('Good "git" signature for ana@site.example')


def by_python(host: Host, script: str) -> bytes:
    """What a script says; its libraries open files before a sanitizer is ready."""
    environ = host.env
    if "asan" in environ["LD_PRELOAD"]:
        environ = environ | {"LD_PRELOAD": str(program.library(environ))}
    return replace(host, env=environ).run(sys.executable, "-c", script).stdout


CLIENT = f"""if True:
    from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
    from fido2.hid import CtapHidDevice
    from fido2.server import Fido2Server

    class Ana(UserInteraction):
        def request_pin(self, *_):
            return {PIN!r}

    (device,) = CtapHidDevice.list_devices()
    client = Fido2Client(device, DefaultClientDataCollector("https://site.example"), Ana())
    server = Fido2Server({{"id": "site.example", "name": "Site"}})
    ana = {{"id": b"ana", "name": "ana"}}
    options, state = server.register_begin(ana, user_verification="required")
    made = server.register_complete(state, client.make_credential(options.public_key))
    options, state = server.authenticate_begin([made.credential_data], "required")
    found = client.get_assertion(options.public_key).get_response(0)
    server.authenticate_complete(state, [made.credential_data], found)
    print(device.descriptor.path, found.response.authenticator_data.is_user_verified())
"""


def test_python_fido2s_client_registers_and_logs_in(under: Host) -> None:
    """With a PIN; its own server judges."""
    assert by_python(under, CLIENT) == b"/dev/hidraw90 True\n"


ASYNCSSH = f"""if True:
    import asyncssh
    kind = "sk-ecdsa-sha2-nistp256@openssh.com"
    key = asyncssh.generate_private_key(kind, pin={PIN!r})
    print(key.convert_to_public().verify(b"a message", key.sign(b"a message", kind.encode())))
"""


def test_asyncssh_makes_a_key_and_signs(under: Host) -> None:
    assert by_python(under, ASYNCSSH) == b"True\n"


# --- libu2f-host, over hidapi --------------------------------------------------------------------


APP = "https://site.example"


def asked(host: Host, action: str, **more: str) -> dict[str, str]:
    """u2f-host: the challenge on standard input, the response on standard output."""
    challenge = {"challenge": websafe_encode(CHALLENGE), "version": "U2F_V2", "appId": APP, **more}
    done = host.run(
        stock("u2f-host"), f"-a{action}", "-o", APP, stdin=json.dumps(challenge).encode()
    )
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="u2f-host is on the host alone")
def test_u2f_host_registers_and_authenticates(plain: Host) -> None:
    """Yubico's U2F client, which finds tokens by hidapi's hidraw backend."""
    app = hashlib.sha256(APP.encode()).digest()
    answer = asked(plain, "register")
    data = hashlib.sha256(websafe_decode(answer["clientData"])).digest()
    registered = RegistrationData(websafe_decode(answer["registrationData"]))
    registered.verify(app, data)
    answer = asked(plain, "authenticate", keyHandle=websafe_encode(registered.key_handle))
    data = hashlib.sha256(websafe_decode(answer["clientData"])).digest()
    signed = SignatureData(websafe_decode(answer["signatureData"]))
    signed.verify(app, data, registered.public_key)


# --- an ordinary user, in an environment that says nothing ---------------------------------------


def plain_host(home: Path) -> Host:
    host = make_host(home)
    kept = ("HOME", "LC_ALL", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE")
    usual = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    host.env = {name: host.env[name] for name in kept} | usual
    # askpass's Python is the tests', which may lie where this user cannot read
    (home / "askpass").write_text(f"#!/bin/sh\necho {PIN}\n")
    return host


def whole_way(folder: Path) -> None:
    """What the tests beside this one see as root, in the rights of somebody else."""
    assert os.geteuid() == os.getuid() != 0
    host = plain_host(folder / "home")
    with VirtualToken() as token, program.plugged_in([token], host.env) as environ:
        with_pin = replace(host, env=environ)
        with_pin.run(stock("fido2-token"), "-S", "/dev/hidraw90", stdin=f"{PIN}\n{PIN}\n".encode())
        basics.test_it_is_found_and_told_of(with_pin)
        basics.test_a_credential_is_made_and_used(with_pin)
        basics.test_an_agent_signs_by_its_own_means(with_pin, folder)
        made(with_pin, "ecdsa-sk", "resident", "application=ssh:work", "verify-required")
        assert "openssh" in listed(with_pin)
    with VirtualToken() as token, program.plugged_in([token], host.env) as environ:
        without = replace(host, env=environ)
        basics.test_hidapi_finds_and_talks_to_it(without)
        basics.test_pamu2fcfg_registers(without)
        basics.test_systemd_cryptenroll_enrolls(without)
        said = without.run("/usr/bin/python3", "-c", LIST).stdout
        assert said == b"/dev/hidraw90 True\n"


LIST = """if True:
    import os
    path = "/dev/hidraw90"
    file = os.open(path, os.O_RDWR)
    os.write(file, bytes.fromhex("00ffffffff860008") + bytes(57))
    print(path, os.read(file, 64)[4] == 0x86)
"""


@pytest.mark.root
@pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="once is enough")
def test_an_ordinary_user_in_a_plain_environment(public_folder: Path) -> None:
    """No root, no group, no variable of the caller's, no home of root's."""
    assert provider_library
    os.chown(public_folder, 65534, 65534)
    as_ordinary(lambda: whole_way(public_folder))
