"""Stock ssh-keygen, ssh, ssh-add, ssh-agent and git on virtual tokens, by our library."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.agent_host import (
    PIN,
    WAIT_S,
    Host,
    make_host,
    sk_key,
    stock,
    stock_agent,
    virtual_token,
)
from tests.support.children import popen
from tests.support.sanitized import preload, strict_library
from tests.support.ssh_network import Network, network

from fidokit.keys.holder import open_key_file
from fidokit.openssh.signatures.attestation import parse_attestation

pytestmark = pytest.mark.interop

KINDS = ("ed25519-sk", "ecdsa-sk")
PROVIDER = ("-oSecurityKeyProvider=$SSH_SK_PROVIDER",)
"""ssh alone does not look at that variable by itself."""
ASKING = ("-oBatchMode=no", "-oNumberOfPasswordPrompts=1")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A home with the token `t`, which has a PIN, and SSH_SK_PROVIDER as docs/provider.md says."""
    host = make_host(tmp_path_factory.mktemp("provider") / "home")
    virtual_token(host)
    host.env["SSH_SK_PROVIDER"] = host.fidokit("provider", "path").strip()
    host.env["FIDOKIT_TOKEN"] = "virtual:t"
    return host


@pytest.fixture(autouse=True)
def right_pin(machine: Host) -> None:
    machine.answers(PIN)
    (machine.home / "asked").unlink(missing_ok=True)


@pytest.fixture
def server(machine: Host) -> Iterator[Network]:
    with network(machine, "plain.example") as net:
        yield net


def keygen(host: Host, *args: str, code: int = 0, stdin: bytes = b"", **env: Any) -> str:
    done = host.run(stock("ssh-keygen"), *args, code=code, stdin=stdin, **env)
    return (done.stdout + done.stderr).decode()


def generate(host: Host, file: str, kind: str, *options: str, **how: Any) -> str:
    given = [part for option in options for part in ("-O", option)]
    return keygen(host, "-t", kind, "-N", "", "-C", file, "-f", file, *given, **how)


def fingerprint(host: Host, file: str) -> str:
    return keygen(host, "-lf", file).split()[1]


def pins_asked(host: Host) -> list[str]:
    """What askpass was asked, without the notices that a touch is wanted."""
    return [line for line in host.asked() if "PIN" in line]


def login(net: Network, file: str, *options: str, code: int = 0) -> str:
    """What `ssh HOST echo hello` by this key alone prints, or says."""
    net.authorize((net.host.home / f"{file}.pub").read_text())
    only = (*PROVIDER, "-i", str(net.host.home / file), "-oIdentitiesOnly=yes", *options)
    return net.ssh(*only, "plain.example", "echo", "hello", code=code)


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_made_and_logs_in(machine: Host, server: Network, kind: str) -> None:
    said = generate(machine, f"plain-{kind}", kind)
    assert "Your identification has been saved" in said
    assert login(server, f"plain-{kind}") == "hello\n"
    assert not pins_asked(machine), "none is needed for that"


@pytest.mark.parametrize("kind", KINDS)
def test_verify_required_logs_in_by_askpass(machine: Host, server: Network, kind: str) -> None:
    generate(machine, f"uv-{kind}", kind, "verify-required")
    assert len(pins_asked(machine)) == 1, "the library said that one is needed"
    assert login(server, f"uv-{kind}", *ASKING) == "hello\n"
    assert len(pins_asked(machine)) == 2


def test_a_server_that_demands_verification(machine: Host) -> None:
    generate(machine, "touched", "ed25519-sk")
    generate(machine, "verified", "ed25519-sk", "verify-required")
    demand = "PubkeyAuthOptions verify-required"
    with network(machine, "plain.example", more=demand) as net:
        assert login(net, "verified", *ASKING) == "hello\n"
        assert "Permission denied" in login(net, "touched", code=255)


def test_no_touch(machine: Host) -> None:
    """sshd wants a touch unless the line says otherwise, and always where it is told so."""
    generate(machine, "untouched", "ed25519-sk", "no-touch-required")
    line = f"no-touch-required {(machine.home / 'untouched.pub').read_text()}"
    only = (*PROVIDER, "-i", str(machine.home / "untouched"), "-oIdentitiesOnly=yes")
    with network(machine, "plain.example") as net:
        assert "Permission denied" in login(net, "untouched", code=255)
        net.authorize(line)
        assert net.ssh(*only, "plain.example", "echo", "hello") == "hello\n"
    with network(machine, "plain.example", more="PubkeyAuthOptions touch-required") as net:
        net.authorize(line)
        assert "Permission denied" in net.ssh(*only, "plain.example", "true", code=255)


def test_a_wrong_pin(machine: Host, server: Network) -> None:
    generate(machine, "wrong", "ed25519-sk", "verify-required")
    machine.answers("not the PIN")
    said = login(server, "wrong", *ASKING, code=255)
    assert "fidokit: the PIN of" in said
    assert "is wrong; 7 tries are left" in said
    assert "Permission denied" in said
    machine.fidokit("pin", "verify", "--pin-file", "pin")  # all tries are back


def test_a_wrong_pin_at_making(machine: Host) -> None:
    machine.answers("not the PIN", PIN)
    said = generate(machine, "second-try", "ed25519-sk", "resident", "application=ssh:second")
    assert "is wrong" in said
    assert "Your identification has been saved" in said
    assert len(pins_asked(machine)) == 2


def test_touch_refused(machine: Host, server: Network) -> None:
    generate(machine, "refused", "ed25519-sk")
    with served(machine, "t", "--presence", "deny"):
        said = generate(machine, "never", "ed25519-sk", code=255)
        assert "fidokit: making the key failed" in said
        assert not (machine.home / "never").exists()
        said = login(server, "refused", code=255)
        assert "fidokit: signing failed" in said
        assert "Permission denied" in said
    assert login(server, "refused") == "hello\n"


@contextmanager
def served(host: Host, *options: str) -> Iterator[None]:
    """`fidokit virtual serve`, for the `with` block."""
    command = [sys.executable, "-m", "fidokit", "virtual", "serve", *options]
    with popen(command, env=host.env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as serving:
        assert serving.stdout
        assert serving.stdout.readline(), "it says that it is there"
        try:
            yield
        finally:
            serving.terminate()
            serving.wait(WAIT_S)


def test_the_device_option(machine: Host) -> None:
    other = virtual_token(machine, "other", pin=False)
    generate(machine, "elsewhere", "ed25519-sk", f"device={other}")
    assert "does not hold this key" in keygen(
        machine, "-Y", "sign", "-n", "file", "-f", "elsewhere", stdin=b"text", code=255
    )
    where: dict[str, Any] = {"FIDOKIT_TOKEN": other}
    keygen(machine, "-Y", "sign", "-n", "file", "-f", "elsewhere", stdin=b"text", **where)
    said = generate(machine, "nowhere", "ed25519-sk", "device=/dev/hidraw99", code=255)
    assert "fidokit: no token usb:/dev/hidraw99 is connected" in said
    assert "device not found" in said


def test_an_option_that_nobody_knows(machine: Host) -> None:
    assert "shape" in generate(machine, "round", "ed25519-sk", "shape=round", code=255)


# --- resident keys -----------------------------------------------------------------------------


def test_downloads_both_ways(machine: Host, tmp_path: Path) -> None:
    """What stock ssh-keygen made, fidokit recovers, and the other way round."""
    names = ("resident", "application=ssh:stock", "user=alice")
    generate(machine, "stock", "ed25519-sk", *names)
    options = ("-O", "resident", "-O", "verify-required", "-O", "application=ssh:ours")
    sk_key(machine, "ours", "-t", "ecdsa-sk", *options, "-O", "user=bob")
    by_stock, by_us = machine.home / "by-stock", machine.home / "by-us"
    by_stock.mkdir()
    by_us.mkdir(mode=0o700)
    done = subprocess.run(
        [stock("ssh-keygen"), "-K", "-N", ""],
        cwd=by_stock,
        env=machine.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pin = ("--pin-file", str(machine.home / "pin"))
    machine.fidokit("key", "download", "--no-passphrase", "--dir", str(by_us), *pin)
    for folder in (by_stock, by_us):
        found = {fingerprint(machine, str(file)) for file in folder.glob("*.pub")}
        assert {fingerprint(machine, name) for name in ("stock", "ours")} <= found
    assert (by_stock / "id_ed25519_sk_rk_stock_alice").is_file()
    assert (by_stock / "id_ecdsa_sk_rk_ours_bob").is_file()
    with network(machine, "plain.example") as net:
        assert login(net, "by-stock/id_ecdsa_sk_rk_ours_bob", *ASKING) == "hello\n"
        assert login(net, "by-us/id_ed25519_sk_rk_stock_alice") == "hello\n"


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 255), (b"y\n", 0)])
def test_a_resident_key_is_there_already(machine: Host, answer: bytes, code: int) -> None:
    names = ("resident", f"application=ssh:twice{code}")
    generate(machine, f"first{code}", "ed25519-sk", *names)
    said = generate(machine, f"second{code}", "ed25519-sk", *names, stdin=answer, code=code)
    assert "already exists" in said
    assert (machine.home / f"second{code}").exists() is (code == 0)


def test_attestation(machine: Host) -> None:
    """By pyca/cryptography: the certificate's key signed authData and the challenge's hash."""
    challenge = machine.home / "challenge"
    challenge.write_bytes(os.urandom(32))
    proof = ("write-attestation=proof", f"challenge={challenge}")
    generate(machine, "attested", "ecdsa-sk", *proof)
    attestation = parse_attestation((machine.home / "proof").read_bytes())
    assert attestation.version == 1
    assert attestation.auth_data is not None
    signed = attestation.auth_data + hashlib.sha256(challenge.read_bytes()).digest()
    key = x509.load_der_x509_certificate(attestation.leaf_der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(attestation.signature, signed, ec.ECDSA(hashes.SHA256()))
    made = open_key_file(machine.home / "attested").key
    assert made.key_handle in attestation.auth_data
    given = ("--key", "attested", "--challenge", "challenge")
    assert "Good packed" in machine.fidokit("attestation", "verify", "proof", *given)


# --- ssh-agent ---------------------------------------------------------------------------------


def test_ssh_agent_by_the_configuration_file(machine: Host, server: Network) -> None:
    """Its helper knows nothing of the client's environment: config.toml names the token."""
    generate(machine, "held", "ed25519-sk")
    generate(machine, "held-uv", "ecdsa-sk", "verify-required")
    copy = machine.home / "lib"
    machine.fidokit("provider", "install", "--into", str(copy))
    library = str(copy / "sk_fidokit.so")
    config = machine.home / "config" / "fidokit" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('token = "virtual:t"\n')
    without = {"FIDOKIT_TOKEN": "", "SSH_SK_PROVIDER": ""}
    try:
        with stock_agent(machine, "-P", f"{copy}/*", **without):
            for name in ("held", "held-uv"):
                machine.add("-S", library, name, **without)
                assert login(server, f"{name}", "-oIdentityFile=none", *ASKING) == "hello\n"
            assert len(machine.add("-L").splitlines()) == 2
    finally:
        config.unlink()


def test_ssh_agent_and_the_pin(machine: Host) -> None:
    """Where a server demands verification, ssh-agent asks by its own askpass at each signature."""
    generate(machine, "agent-uv", "ed25519-sk", "verify-required")
    generate(machine, "agent-up", "ed25519-sk")
    folder = str(Path(machine.env["SSH_SK_PROVIDER"]).parent)
    demand = "PubkeyAuthOptions verify-required"
    by_agent = ("-oIdentityFile=none", "plain.example", "echo", "hello")
    with (
        network(machine, "plain.example", more=demand) as net,
        stock_agent(machine, "-P", f"{folder}/*"),
    ):
        for name in ("agent-uv", "agent-up"):
            machine.add(name)
        net.authorize((machine.home / "agent-up.pub").read_text())
        assert "Permission denied" in net.ssh(*by_agent, code=255)
        net.authorize((machine.home / "agent-uv.pub").read_text())
        (machine.home / "asked").unlink(missing_ok=True)
        for logins in (1, 2):
            assert net.ssh(*by_agent) == "hello\n"
            assert len(pins_asked(machine)) == logins, "it keeps none"
        machine.answers("not the PIN")
        said = net.ssh(*by_agent, code=255)
        assert "agent refused operation" in said
        assert len(pins_asked(machine)) == 3, "a wrong one is not asked for again"
    status = json.loads(machine.fidokit("pin", "status", "--json"))
    assert status["pin"]["retries"] == 7
    machine.fidokit("pin", "verify", "--pin-file", "pin")


def test_ssh_agent_without_askpass(machine: Host, server: Network) -> None:
    """It has nobody to ask; no try is spent."""
    generate(machine, "unasked", "ed25519-sk", "verify-required")
    folder = str(Path(machine.env["SSH_SK_PROVIDER"]).parent)
    nobody = {"SSH_ASKPASS": "/bin/false"}
    with stock_agent(machine, "-P", f"{folder}/*", **nobody):
        machine.add("unasked")
        server.authorize((machine.home / "unasked.pub").read_text())
        said = server.ssh("-oIdentityFile=none", "plain.example", "true", code=255)
        assert "agent refused operation" in said
    status = json.loads(machine.fidokit("pin", "status", "--json"))
    assert status["pin"]["retries"] == 8


def test_ssh_add_loads_resident_keys(machine: Host, server: Network) -> None:
    generate(machine, "in-agent", "ed25519-sk", "resident", "application=ssh:agent")
    folder = str(Path(machine.env["SSH_SK_PROVIDER"]).parent)
    with stock_agent(machine, "-P", f"{folder}/*"):
        assert "Resident identity added" in machine.add("-K")
        assert fingerprint(machine, "in-agent") in machine.add("-l")
        public = (machine.home / "in-agent.pub").read_text()
        server.authorize(public)
        (machine.home / "in-agent").rename(machine.home / "away")
        assert server.ssh("plain.example", "echo", "hello") == "hello\n"


# --- signatures --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_sshsig(machine: Host, kind: str) -> None:
    generate(machine, f"signer-{kind}", kind)
    text = machine.home / "text"
    text.write_bytes(b"what is signed")
    keygen(machine, "-Y", "sign", "-n", "file", "-f", f"signer-{kind}", "text")
    public = (machine.home / f"signer-{kind}.pub").read_text()
    (machine.home / "allowed").write_text(f"alice {public}")
    check = ("-Y", "verify", "-n", "file", "-f", "allowed", "-I", "alice", "-s", "text.sig")
    assert "Good" in keygen(machine, *check, stdin=b"what is signed")
    assert "Good" not in keygen(machine, *check, stdin=b"another text", code=255)
    verified = ("key", "verify", "-n", "file", "-f", "allowed", "-I", "alice", "-s", "text.sig")
    machine.fidokit(*verified, "text")
    (machine.home / "text.sig").unlink()


def test_git_signs_a_commit_and_a_tag(machine: Host, tmp_path: Path) -> None:
    generate(machine, "committer", "ed25519-sk")
    public = (machine.home / "committer.pub").read_text()
    (tmp_path / "allowed").write_text(f"alice@example.org {public}")
    git = (stock("git"), "-C", str(tmp_path))
    machine.run(*git, "init", "-q", "-b", "main")
    settings = {
        "user.name": "Alice",
        "user.email": "alice@example.org",
        "gpg.format": "ssh",
        "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
        "user.signingKey": str(machine.home / "committer"),
    }
    for name, value in settings.items():
        machine.run(*git, "config", name, value)
    machine.run(*git, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
    machine.run(*git, "tag", "-s", "v1", "-m", "a tag")
    for check in ("verify-commit", "verify-tag"):
        said = machine.run(*git, check, "HEAD" if check == "verify-commit" else "v1").stderr
        assert b'Good "git" signature for alice@example.org with ED25519-SK key' in said


# --- other ways to a token ---------------------------------------------------------------------


def test_a_token_that_is_served_at_a_socket(machine: Host) -> None:
    """As in a container, into which only the socket was put."""
    virtual_token(machine, "served", pin=False)
    place = machine.home / "served.sock"
    with served(machine, "served", "--socket", str(place)):
        generate(machine, "socketed", "ed25519-sk", FIDOKIT_TOKEN=f"socket:{place}")
    assert (machine.home / "socketed").exists()


def test_under_the_sanitizers(machine: Host, tmp_path: Path) -> None:
    """The whole life of a key by a library whose every misuse of memory would be heard."""
    library = strict_library(tmp_path)
    shutil.copy(f"{machine.env['SSH_SK_PROVIDER']}.python", f"{library}.python")
    watched: dict[str, Any] = {"SSH_SK_PROVIDER": str(library)} | preload()
    names = ("resident", "application=ssh:strict", "user=carol")
    said = generate(machine, "strict", "ecdsa-sk", *names, **watched)
    said += keygen(machine, "-Y", "sign", "-n", "file", "-f", "strict", stdin=b"x", **watched)
    said += keygen(machine, "-K", "-N", "", **watched)
    assert (machine.home / "id_ecdsa_sk_rk_strict_carol").is_file()
    machine.answers("not the PIN")
    said += keygen(machine, "-K", "-N", "", code=255, **watched)
    assert "is wrong" in said
    assert "Sanitizer" not in said
    assert "runtime error" not in said
    machine.fidokit("pin", "verify", "--pin-file", "pin")


# --- the page ----------------------------------------------------------------------------------


def test_the_page_signs_a_commit_in_ci(tmp_path: Path) -> None:
    """The steps under "CI services" from the virtual token on, each in a shell of its own."""
    host = make_host(tmp_path / "home")
    host.run(stock("git"), "init", "-q", ".")
    page = (Path(__file__).parents[2] / "docs" / "provider.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    steps = [textwrap.dedent(step) for step in block.split("- run: |\n")[1:]]
    steps[0] = steps[0][steps[0].index("~/fidokit/bin/fidokit virtual create") :]
    ours = f"{shlex.quote(sys.executable)} -m fidokit"
    told = host.home / "github.env"
    told.write_text("")
    for step in steps:
        script = step.replace("~/fidokit/bin/fidokit", ours)
        env: dict[str, Any] = dict(line.split("=", 1) for line in told.read_text().splitlines())
        host.run("bash", "-e", "-c", script, GITHUB_ENV=str(told), **env)
    assert "FIDOKIT_TOKEN" in told.read_text()
    (host.home / "allowed").write_text(
        f"ci@example.org {(host.home / '.ssh' / 'id_ed25519_sk.pub').read_text()}"
    )
    check = ("-c", "gpg.ssh.allowedSignersFile=allowed", "verify-commit", "HEAD")
    assert b"Good" in host.run(stock("git"), *check).stderr
