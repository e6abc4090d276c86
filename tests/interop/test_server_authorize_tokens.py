"""Keys on a token: the advice after `key generate` logs in as pasted; what flags prove."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, Host, make_host, virtual_token
from tests.support.hardened import USER
from tests.support.sshd import Sshd, running

pytestmark = pytest.mark.interop

OPTIONS = [(), ("-O", "no-touch-required"), ("-O", "verify-required")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    made = make_host(tmp_path_factory.mktemp("tokens") / "home")
    virtual_token(made)
    made.env["SSH_SK_PROVIDER"] = made.fidokit("provider", "path").strip()
    made.env["FIDOKIT_TOKEN"] = "virtual:t"
    (made.home / "pin").write_text(PIN)
    return made


@pytest.fixture
def server(tmp_path: Path, host: Host, stock: Callable[[str], str]) -> Iterator[Sshd]:
    admin = host.home / "admin"
    if not admin.exists():
        host.keygen("-t", "ed25519", "-N", "", "-f", admin)
    (tmp_path / USER).write_text(admin.with_suffix(".pub").read_text())
    program = stock("/usr/sbin/sshd")
    with running(tmp_path / "sshd", f"AuthorizedKeysFile {tmp_path}/%u", sshd=program) as found:
        yield found


def generate(host: Host, folder: Path, *options: str) -> list[str]:
    """Make a key; the lines of advice, without what stands around them."""
    more = ("--no-passphrase", "--pin-file", str(host.home / "pin"), "-f", str(folder / "my key"))
    said = host.fidokit("key", "generate", "-t", "ed25519-sk", *options, *more)
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


def ssh(server: Sshd, key: Path) -> list[str]:
    provider = "-oSecurityKeyProvider=$SSH_SK_PROVIDER"
    return server.client(provider, "-oBatchMode=no", "-i", str(key))


def logs_in(host: Host, server: Sshd, key: Path) -> bool:
    host.answers(PIN)
    command = [*ssh(server, key), f"{USER}@127.0.0.1", "true"]
    return host.run(*command, code=None).returncode == 0


@pytest.mark.parametrize("options", OPTIONS)
def test_the_advised_line_and_the_advised_command_log_in(
    host: Host, server: Sshd, tmp_path: Path, options: tuple[str, ...]
) -> None:
    advice = generate(host, tmp_path, *options)
    command = next(line for line in advice if line.startswith("fidokit server authorize"))
    line = next(line for line in advice if " AAAA" in line)
    keys = tmp_path / USER
    admin = keys.read_text()
    keys.write_text(f"{admin}{line}\n")
    assert logs_in(host, server, tmp_path / "my key")
    keys.write_text(admin)
    assert not logs_in(host, server, tmp_path / "my key")
    there = f"{USER}@127.0.0.1 -e {shlex.quote(shlex.join(ssh(server, host.home / 'admin')))}"
    words = shlex.split(command.replace("user@host", there))[1:]
    said = host.run(sys.executable, "-m", "fidokit", *words).stdout.decode()
    assert "lets in: " in said
    assert logs_in(host, server, tmp_path / "my key")


def authorize(host: Host, server: Sshd, *arguments: str, code: int) -> str:
    place = ("--config", str(server.config), "server", "authorize")
    words = [*place[2:], *place[:2], *arguments]
    done = host.run(sys.executable, "-m", "fidokit", *words, code=code)
    return (done.stdout + done.stderr).decode()


def test_flags_that_do_not_satisfy_sshd(host: Host, server: Sshd, tmp_path: Path) -> None:
    generate(host, tmp_path, "-O", "no-touch-required")
    said = authorize(host, server, str(tmp_path / "my key.pub"), code=1)
    assert "does not let in" in said
    assert "add --no-touch-required" in said
    assert not logs_in(host, server, tmp_path / "my key")
    said = authorize(host, server, str(tmp_path / "my key.pub"), "--no-touch-required", code=0)
    assert "lets in: " in said
    assert logs_in(host, server, tmp_path / "my key")
    said = authorize(host, server, str(tmp_path / "my key.pub"), "--verify-required", code=0)
    assert "accepted: " in said
    assert not logs_in(host, server, tmp_path / "my key")


@pytest.mark.root
@pytest.mark.parametrize("options", OPTIONS[:2])
def test_a_break_glass_key_holds_where_it_logs_in(
    host: Host, server: Sshd, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Its touch is not seen from the public half: bare, the line is a doubt for either kind."""
    generate(host, tmp_path, *options)
    key = tmp_path / "my key"
    line = key.with_suffix(".pub").read_text()
    shown = host.fidokit("key", "show", str(key.with_suffix(".pub")))
    rule = f"break-glass={USER}:{shown.split()[1]}"
    check = ("check", "--config", str(server.config), "--user", USER, "--require", rule)
    words = (sys.executable, "-m", "fidokit", "server", *check)
    (tmp_path / USER).write_text(line)
    assert logs_in(host, server, key) is (not options)
    assert b"log in with it once" in host.run(*words, code=10).stdout
    (tmp_path / USER).write_text(f"no-touch-required {line}")
    assert logs_in(host, server, key)
    host.run(*words, code=0)


def test_the_public_half_alone_is_accepted_until_a_login(
    host: Host, server: Sshd, tmp_path: Path
) -> None:
    generate(host, tmp_path)
    alone = tmp_path / "alone.pub"
    alone.write_text((tmp_path / "my key.pub").read_text())
    said = authorize(host, server, str(alone), code=0)
    assert "accepted: " in said
    assert "asks for the touch" in said
    assert "lets in: " in authorize(host, server, str(tmp_path / "my key.pub"), code=0)


def test_attested_keys_alone(host: Host, server: Sshd, tmp_path: Path) -> None:
    challenge, proof = tmp_path / "challenge", tmp_path / "proof"
    challenge.write_bytes(b"c" * 32)
    generate(host, tmp_path, "-O", f"challenge={challenge}", "-O", f"write-attestation={proof}")
    key = str(tmp_path / "my key.pub")
    attested = ("--attestation", str(proof), "--challenge", str(challenge))
    keys = tmp_path / USER
    before = keys.read_text()
    said = authorize(host, server, key, *attested, "--require-certified", code=1)
    assert "certified" in said
    (tmp_path / "other").write_bytes(b"d" * 32)
    wrong = ("--attestation", str(proof), "--challenge", str(tmp_path / "other"))
    authorize(host, server, key, *wrong, code=1)
    authorize(host, server, str(host.home / "admin.pub"), *attested, code=2)
    assert keys.read_text() == before
    assert "lets in: " in authorize(host, server, key, *attested, code=0)
    assert logs_in(host, server, tmp_path / "my key")
