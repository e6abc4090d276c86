"""What only root sees: `server check` sends to root, and root, repeating it, is sent no further."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.interop.test_server_findings import (
    HARDWARE,
    NO_PASSWORD,
    Prepare,
    World,
    a_token,
    make_world,
)
from tests.server.samples import PLAIN, TOKEN, text
from tests.support.private_etc import USER

pytestmark = [pytest.mark.interop, pytest.mark.root]

BROKEN = 10
"""Exit status of a rule that does not hold."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


AS_NOBODY = """
import importlib, os, pkgutil, sys, sysconfig
import fidokit.cli, fidokit.server
for package in (fidokit.cli, fidokit.server):  # the way to them may be closed to others
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
sysconfig.get_config_vars()
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sys.argv = ["fidokit", *sys.argv[1:]]
importlib.import_module("fidokit.cli.main").main()
"""


def a_command(world: World) -> None:
    program = world.ssh / "keys-of"
    program.write_text(f"#!/bin/sh\necho '{TOKEN.encode()}'\n")
    program.chmod(0o755)
    world.configure("AuthorizedKeysCommand /etc/ssh/keys-of", "AuthorizedKeysCommandUser nobody")


def a_closed_file(world: World) -> None:
    a_token(world)
    for place in (world.etc.home, world.etc.home / ".ssh"):
        place.chmod(0o755)


def a_closed_folder(world: World) -> None:
    a_token(world)
    closed = world.ssh / "closed"
    closed.mkdir(mode=0o700)
    (closed / "ca").write_bytes(text(PLAIN))
    world.configure("TrustedUserCAKeys /etc/ssh/closed/ca")


def a_hidden_shadow(world: World) -> None:
    a_token(world)


def a_line_for_sshd(world: World) -> None:
    """Which takes no key of such a type, as root is told."""
    odd = b"ssh-ed25519 \x0b" + text(PLAIN).split()[1] + b" x\n"
    world.keys(text(TOKEN) + odd)
    for place in (world.etc.home, world.etc.home / ".ssh"):
        place.chmod(0o755)
    (world.etc.home / ".ssh/authorized_keys").chmod(0o644)
    (world.ssh / "revoked").write_bytes(text(PLAIN))
    world.configure("RevokedKeys /etc/ssh/revoked")


@pytest.mark.parametrize(
    ("kind", "prepare"),
    [
        ("FK403", a_line_for_sshd),
        ("FK109", a_command),
        ("FK402", a_closed_file),
        ("FK405", a_closed_folder),
        ("FK406", a_hidden_shadow),
    ],
)
def test_what_root_is_told_to_repeat(world: World, kind: str, prepare: Prepare) -> None:
    prepare(world)
    rules = (HARDWARE, NO_PASSWORD)
    words = ["fidokit", "--json", "server", "check", "--user", USER, *rules]
    said = world.run([sys.executable, "-c", AS_NOBODY, *words[1:]], BROKEN)
    findings = json.loads(said)["findings"]
    mine = [found for found in findings if found["id"] == kind]
    assert mine, said
    assert "FK304" not in {found["id"] for found in findings}, "the key to ask sshd with is ours"
    steps = {step for found in mine for step in found["next"] if "root can look" in step}
    for step in steps:
        command = step.partition("root can look: ")[2]
        seen = json.loads(world.shell(command, None))
        assert kind not in {found["id"] for found in seen["findings"]}, seen
    assert steps, mine


def test_what_sshd_says_of_a_user_whom_it_cannot_tell_of(world: World) -> None:
    """The step shows it, and names the option that leaves such a user out."""
    odd = "ot,to"
    passwd = world.etc.folder / "passwd"
    passwd.write_text(f"{passwd.read_text()}{odd}:x:64400:64400::/home:/bin/sh\n")
    a_token(world)
    words = ["fidokit", "--json", "server", "check", "--user", USER, "--user", odd, HARDWARE]
    findings = json.loads(world.run(words, 10))["findings"]
    (found,) = [one for one in findings if one["id"] == "FK401"]
    (step,) = found["next"]
    said = world.shell(f"{step.partition(': ')[2]} 2>&1", code=1)
    assert "Invalid test mode specification" in said
    assert world.check(HARDWARE)["policy"]["holds"] is True
