"""The wheel and the one-file program on fresh machines, as users install them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.packages.conftest import RELEASES, Fresh

Make = Callable[..., Fresh]
TESTS = Path(__file__).parents[2] / "debian/tests"
SSH = ("openssh-client", "openssh-server")


@pytest.mark.parametrize("release", RELEASES)
def test_the_wheel_by_pipx(release: str, fresh: Make, artifacts: Path) -> None:
    machine = fresh(release, artifacts=artifacts, tests=TESTS)
    machine.install("pipx", "man-db", "gcc", "libc6-dev", *SSH)
    wheel = next(artifacts.glob("*.whl")).name

    machine.run("pipx", "install", f"/artifacts/{wheel}", user="ana")
    assert "fidokit 0." in machine.run("fidokit", "--version", user="ana")
    machine.run("fidokit", "demo", "--fast", user="ana")

    # the page comes with the wheel; pipx of Debian 13 puts it where man looks, that of 12 does not
    page = machine.run("sh", "-c", "find -L ~ -name fidokit.1", user="ana").splitlines()[0]
    assert "FIDO" in machine.run("man", page, user="ana", MANPAGER="cat")
    if release != "bookworm":
        assert "FIDO" in machine.run("man", "fidokit", user="ana", MANPAGER="cat")

    assert "fidokit" in machine.run("fidokit", "completion", "bash", user="ana")

    # stock ssh, and ssh-agent with its own allow list, by what the Debian package is tested with
    said = machine.run("/home/ana/.local/bin/fidokit", "provider", "install")
    assert "/usr/local/lib/fidokit/sk_fidokit.so" in said
    machine.run("mkdir", "-p", "/run/sshd")
    machine.run("/tests/provider-login", user="ana")

    # what a hint says about an extra works
    said = machine.run("fidokit", "virtual", "models", user="ana", code=8)
    command = re.search(r"pipx inject fidokit .*", said)
    assert command, said
    machine.run(*command[0].split(), user="ana")
    assert "YubiKey" in machine.run("fidokit", "virtual", "models", user="ana")


@pytest.mark.parametrize("release", RELEASES)
def test_the_one_file_program(release: str, fresh: Make, artifacts: Path) -> None:
    machine = fresh(release, artifacts=artifacts)
    machine.install("python3", *SSH)
    program = ("python3", "/artifacts/fidokit.pyz")
    assert "fidokit 0." in machine.run(*program, "--version", user="ana")
    assert "server check" in machine.run(*program, "--help", user="ana")
    machine.run("sh", "-c", "mkdir -p /run/sshd; ssh-keygen -A")
    machine.run("sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f id", user="ana")
    theirs = machine.run("ssh-keygen", "-lf", "id.pub", user="ana")
    assert machine.run(*program, "key", "show", "id.pub", user="ana") == theirs
    machine.run("sh", "-c", "mkdir .ssh && cp id.pub .ssh/authorized_keys", user="ana")
    found = json.loads(machine.run(*program, "--json", "server", "check"))
    assert found["ways"]["file-key"] == ["ana"]


def test_the_wheel_by_pip_and_uv_with_and_without_extras(fresh: Make, artifacts: Path) -> None:
    """The extra [pcsc] is left out: pyscard has to be compiled."""
    machine = fresh("trixie", artifacts=artifacts)
    machine.install("python3-venv")
    wheel = f"/artifacts/{next(artifacts.glob('*.whl')).name}"
    machine.run("python3", "-m", "venv", "env", user="ana")
    machine.run("env/bin/pip", "install", "--quiet", wheel, "uv", user="ana")
    fidokit = "/home/ana/env/bin/fidokit"
    machine.run(fidokit, "virtual", "create", "test", user="ana")
    said = machine.run(fidokit, "virtual", "models", user="ana", code=8)
    assert "/home/ana/env/bin/python" in said
    machine.run("env/bin/pip", "install", "--quiet", f"{wheel}[otp,mds]", user="ana")
    assert "YubiKey" in machine.run(fidokit, "virtual", "models", user="ana")

    tool = ("env/bin/uv", "tool", "install", "--force")
    machine.run(*tool, wheel, user="ana")
    fidokit = "/home/ana/.local/bin/fidokit"
    said = machine.run(fidokit, "virtual", "models", user="ana", code=8)
    command = re.search(r"uv pip install .*", said)
    assert command, said
    machine.run("env/bin/uv", *command[0].split()[1:], user="ana")
    assert "YubiKey" in machine.run(fidokit, "virtual", "models", user="ana")
    machine.run(*tool, f"{wheel}[otp,mds]", user="ana")
    assert "YubiKey" in machine.run(fidokit, "virtual", "models", user="ana")
