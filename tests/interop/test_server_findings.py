"""Findings of `server check` beside stock sshd: the lines that decide, and the advice, executed.

A machine of its own, as root: users, /etc/ssh and homes of the test lie over this one's.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import stock
from tests.server.samples import PLAIN, TOKEN, text
from tests.support.private_etc import USER, PrivateEtc, private_etc

from fidokit.openssh.keys.fingerprint import sha256
from fidokit.server.check.findings.setting_origins import AskedLogin, SettingOrigins
from fidokit.server.sshd.query import LOOPBACK, Sshd, find_sshd

pytestmark = [pytest.mark.interop, pytest.mark.root]

PAGE = (Path(__file__).parents[2] / "docs/findings.md").read_text()
FIDOKIT = Path(sys.executable).parent
HASH = "$6$abcdefgh$" + "x" * 86
SWITCHES = ("PasswordAuthentication", "KbdInteractiveAuthentication", "PermitEmptyPasswords")
PAM = ("auth", "account", "session")
ENTER = """
set -e
mount --bind "$1" /etc/ssh
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
export PATH="$2:$PATH"
shift 2
exec "$@"
"""


# --- the line that decides ---------------------------------------------------------------------


def write_configuration(folder: Path, chance: random.Random) -> tuple[Path, list[str]]:
    """A configuration of several files with Match blocks, and the lines that set a switch."""
    (folder / "d").mkdir()
    host_key = folder / "key"
    subprocess.run(
        [stock("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)], check=True
    )
    set_by = []

    def block(path: Path) -> str:
        found = []
        for number in range(chance.randrange(1, 6)):
            name = chance.choice(SWITCHES)
            name = chance.choice([name, name.lower(), name.upper()])
            if name.lower().startswith("kbd") and chance.random() < 0.3:
                name = "ChallengeResponseAuthentication"
            between = chance.choice([" ", "\t", " = ", "="])
            found.append(
                f"{chance.choice(['', '  '])}{name}{between}{chance.choice(['yes', 'no'])}"
            )
            set_by.append(f"{path}:{number}")
            if chance.random() < 0.4:
                found.append(chance.choice(["# PasswordAuthentication yes", "", "PermitTTY no"]))
        return "\n".join(found) + "\n"

    def matching(path: Path) -> str:
        criteria = ["User root", "User nobody-here", "all", "Address 127.0.0.0/8", "User *,!root"]
        return f"Match {chance.choice(criteria)}\n{block(path)}"

    config = folder / "main conf"
    for name in ("a.conf", "b.conf", "\u00e9.conf"):
        path = folder / "d" / name
        path.write_text(block(path) + (matching(path) if chance.random() < 0.5 else ""))
    parts = [f"HostKey {host_key}\nUsePAM yes\n", f'Include "{folder}/d/*.conf"\n', block(config)]
    chance.shuffle(parts)
    config.write_text("".join(parts) + matching(config) + matching(config))
    return config, set_by


@pytest.mark.parametrize("seed", range(12))
def test_changing_the_named_line_changes_the_setting(tmp_path: Path, seed: int) -> None:
    Path("/run/sshd").mkdir(exist_ok=True)
    config, _ = write_configuration(tmp_path, random.Random(seed))
    sshd = Sshd(find_sshd(), ("-f", str(config)))
    origins = SettingOrigins(lambda asked: sshd.explained(asked.user, LOOPBACK))
    for user, name in itertools.product(("root", "daemon"), SWITCHES):
        before = sshd.settings(user, LOOPBACK)
        (found,) = origins.of(before, (name,), AskedLogin(user))
        assert found.value == before.first(name)
        other = "no" if found.value == "yes" else "yes"
        path = Path(found.path or found.config)
        kept = path.read_text()
        lines = kept.split("\n")
        if found.line:
            lines[found.line - 1] = f"{name} {other}"
        else:
            assert found.why.startswith("by default")
            assert path == config
            lines.insert(0, f"{name} {other}")
        path.write_text("\n".join(lines))
        assert sshd.settings(user, LOOPBACK).first(name) == other, (user, found)
        path.write_text(kept)


# --- advice, executed --------------------------------------------------------------------------


@dataclass
class World:
    """The machine; `otto` is its user."""

    etc: PrivateEtc
    ssh: Path
    tools: Path

    def run(self, command: list[str], code: int | None = 0) -> str:
        inner = ["sh", "-c", ENTER, "sh", str(self.ssh), f"{self.tools}:{FIDOKIT}", *command]
        done = self.etc.run(inner)
        assert code is None or done.returncode == code, done
        return done.stdout

    def shell(self, line: str, code: int | None = 0) -> str:
        return self.run(["sh", "-c", line], code)

    def check(self, *more: str) -> Any:
        words = ["fidokit", "--json", "server", "check", "--user", USER, *more]
        return json.loads(self.run(words, None))

    def found(self, kind: str, *more: str) -> list[Any]:
        return [found for found in self.check(*more)["findings"] if found["id"] == kind]

    def keys(self, data: bytes) -> None:
        folder = self.etc.home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / "authorized_keys"
        path.write_bytes(data)
        path.chmod(0o600)
        for place in (folder, path):
            shutil.chown(place, 64_321, 64_321)

    def password(self, field: str) -> None:
        path = self.etc.folder / "shadow"
        path.write_text(re.sub(rf"(?m)^{USER}:[^:]*:", f"{USER}:{field}:", path.read_text()))

    def configure(self, *lines: str) -> None:
        self.config.write_text("".join(f"{line}\n" for line in lines))

    @property
    def config(self) -> Path:
        return self.ssh / "sshd_config"

    def real(self, path: str) -> Path:
        """A file of the machine, as it is seen from outside."""
        if path.startswith("/etc/ssh"):
            return self.ssh / Path(path).relative_to("/etc/ssh")
        return self.etc.folder / path.lstrip("/")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def make_world(tmp_path: Path) -> World:
    """A machine that has no keys yet."""
    ssh, tools = tmp_path / "ssh", tmp_path / "tools"
    (ssh / "sshd_config.d").mkdir(parents=True)
    tools.mkdir()
    keygen = [stock("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f"]
    subprocess.run([*keygen, str(ssh / "ssh_host_ed25519_key")], check=True)
    for name, body in {"sudo": 'exec "$@"', "systemctl": '[ "$*" = "reload ssh" ]'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    made = World(private_etc(tmp_path / "etc"), ssh, tools)
    made.configure("Include /etc/ssh/sshd_config.d/*.conf", "UsePAM yes")
    made.etc.service("sshd", "".join(f"{kind} required pam_unix.so\n" for kind in PAM))
    (made.etc.folder / "token.pub").write_bytes(text(TOKEN))
    return made


Prepare = Callable[[World], None]


def a_key_in_a_file(world: World) -> None:
    world.keys(text(TOKEN, PLAIN))


def no_key_on_a_token(world: World) -> None:
    world.keys(text(PLAIN))


def a_token(world: World) -> None:
    world.keys(text(TOKEN))


def no_touch(world: World) -> None:
    world.keys(b"no-touch-required " + text(TOKEN))


def password_by_default(world: World) -> None:
    world.keys(text(TOKEN))
    world.password(HASH)


def password_without_key(world: World) -> None:
    world.password(HASH)


def password_by_lines(world: World) -> None:
    password_by_default(world)
    drop_in = world.ssh / "sshd_config.d/10.conf"
    drop_in.write_text("# first\nKbdInteractiveAuthentication yes\n")
    world.configure(
        "Include /etc/ssh/sshd_config.d/*.conf", "UsePAM yes", "PasswordAuthentication yes"
    )


def password_by_match(world: World) -> None:
    password_by_default(world)
    world.configure(
        "PasswordAuthentication no", f"Match User {USER}", "  PasswordAuthentication yes"
    )


def password_from_a_place(world: World) -> None:
    password_by_default(world)
    world.configure(
        "PasswordAuthentication no", "Match Address 10.0.0.0/8", "  PasswordAuthentication yes"
    )


def empty_password(world: World) -> None:
    world.keys(text(TOKEN))
    world.password("")
    world.configure("PermitEmptyPasswords yes", "PasswordAuthentication yes", "UsePAM no")


def host_based(world: World) -> None:
    world.configure("UsePAM yes", "HostbasedAuthentication yes")


def kerberos(world: World) -> None:
    world.configure("UsePAM yes", "GSSAPIAuthentication yes")


def knows_gssapi() -> bool:
    """Whether the installed sshd was built with it; Debian sid's is a package of its own."""
    done = subprocess.run(
        [stock("sshd"), "-T", "-o", "GSSAPIAuthentication=yes"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "gssapiauthentication yes" in done.stdout


def loose_configuration(world: World) -> None:
    world.config.chmod(0o666)


def loose_drop_in(world: World) -> None:
    (world.ssh / "sshd_config.d/10.conf").write_text("PrintMotd no\n")
    (world.ssh / "sshd_config.d/10.conf").chmod(0o664)


def loose_folder(world: World) -> None:
    (world.ssh / "sshd_config.d/10.conf").write_text("PrintMotd no\n")
    (world.ssh / "sshd_config.d").chmod(0o777)


def loose_empty_folder(world: World) -> None:
    (world.ssh / "sshd_config.d").chmod(0o777)


def loose_host_key(world: World) -> None:
    os.chown(world.ssh / "ssh_host_ed25519_key", 64_321, 0)  # sshd minds its own files' modes alone
    world.configure("HostKey /etc/ssh/ssh_host_ed25519_key")


def loose_authorities(world: World) -> None:
    (world.ssh / "ca").write_bytes(text(PLAIN))
    (world.ssh / "ca").chmod(0o666)
    world.configure("TrustedUserCAKeys /etc/ssh/ca")


def loose_revocations(world: World) -> None:
    (world.ssh / "revoked").write_bytes(text(PLAIN))
    (world.ssh / "revoked").chmod(0o646)
    world.configure("RevokedKeys /etc/ssh/revoked")


def loose_principals(world: World) -> None:
    (world.ssh / USER).write_text(f"{USER}\n")
    (world.ssh / USER).chmod(0o666)
    world.configure("AuthorizedPrincipalsFile /etc/ssh/%u")


def loose_command(world: World) -> None:
    (world.ssh / "keys").write_text("#!/bin/sh\n")
    (world.ssh / "keys").chmod(0o777)
    world.configure("AuthorizedKeysCommand /etc/ssh/keys", "AuthorizedKeysCommandUser nobody")


def loose_keys(world: World) -> None:
    world.keys(text(TOKEN))
    (world.etc.home / ".ssh/authorized_keys").chmod(0o666)
    world.configure("StrictModes no")


def odd_lines(world: World) -> None:
    """One that is nothing, and one that sshd takes a key from."""
    odd = b"ssh-ed25519 \x0b" + text(PLAIN).split()[1] + b" x\n"
    world.keys(text(TOKEN) + b"<<<<<<< mine\n" + odd)


HARDWARE, VERIFY, NO_PASSWORD = (
    f"--require={word}" for word in ("hardware", "verify", "no-password")
)
CASES: list[tuple[str, Prepare, tuple[str, ...]]] = [
    ("FK101", a_key_in_a_file, (HARDWARE,)),
    ("FK101", no_key_on_a_token, (HARDWARE,)),
    ("FK102", a_token, (VERIFY,)),
    ("FK106", no_touch, ()),
    ("FK201", password_by_default, (NO_PASSWORD,)),
    ("FK201", password_without_key, (NO_PASSWORD,)),
    ("FK201", password_by_lines, (NO_PASSWORD,)),
    ("FK201", password_by_match, (NO_PASSWORD,)),
    ("FK201", password_from_a_place, (NO_PASSWORD,)),
    ("FK202", empty_password, ()),
    ("FK203", host_based, ()),
    ("FK204", kerberos, ()),
    ("FK301", loose_keys, ()),
    ("FK303", loose_configuration, ()),
    ("FK303", loose_drop_in, ()),
    ("FK303", loose_folder, ()),
    ("FK303", loose_empty_folder, ()),
    ("FK304", loose_host_key, ()),
    ("FK305", loose_authorities, ()),
    ("FK306", loose_revocations, ()),
    ("FK307", loose_principals, ()),
    ("FK308", loose_command, ()),
    ("FK403", odd_lines, (HARDWARE,)),
]


def follow(world: World, step: str) -> None:
    """Do what a step says, as an administrator would."""
    step = step.replace("FILE.pub", str(world.etc.folder / "token.pub"))
    if edit := re.fullmatch(
        r"replace (.*):(\d+) with `(.*)`|put the line `(.*)` at the top of (.*)", step
    ):
        path, number, other, first, main = edit.groups()
        real = world.real(path or main)
        lines = real.read_text().split("\n")
        if number:
            lines[int(number) - 1] = other
        else:
            lines.insert(0, first)
        real.write_text("\n".join(lines))
        world.run(["/usr/sbin/sshd", "-t"])
        return
    if gone := re.match(r"remove (.*):(\d+), or", step):
        path = world.real(gone[1])
        kept = path.read_bytes().split(b"\n")
        kept[int(gone[2]) - 1] = b""  # the numbers of the others stay
        path.write_bytes(b"\n".join(kept))
        return
    if "--dry-run" in step:
        words = step.partition(": ")[2]
        # It cannot prove a touch or a PIN without the token, says so, and names this option.
        assert "otto" in world.shell(words, None)
        world.shell(words.replace(" --dry-run", " --yes-unproved"))
        return
    command = step.partition(": ")[2] if re.match(r"[a-z ]+: ", step) else step
    if command.startswith("make sshd"):
        return
    world.shell(command)


@pytest.mark.parametrize(
    ("kind", "prepare", "more"), CASES, ids=[f"{k}-{p.__name__}" for k, p, _ in CASES]
)
def test_the_next_steps_mend_it(
    world: World, kind: str, prepare: Prepare, more: tuple[str, ...]
) -> None:
    prepare(world)
    before = world.found(kind, *more)
    assert before or (prepare is kerberos and not knows_gssapi())
    for found in before:
        assert found["next"], found
        for step in found["next"]:
            follow(world, step)
    assert world.found(kind, *more) == []
    if more:
        assert world.check(*more)["policy"]["holds"] is True


# --- the page ----------------------------------------------------------------------------------

STATES = {kind: (prepare, more) for kind, prepare, more in reversed(CASES)}
"""A state for each finding with commands on the page."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """What the page tells to type, by finding."""
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        kind = section.partition(":")[0]
        for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
            yield kind, block.splitlines()


def test_there_are_commands_on_the_page() -> None:
    assert {kind for kind, _ in commands()} == {
        "FK101",
        "FK102",
        "FK106",
        "FK112",
        "FK201",
        "FK404",
    }


@pytest.mark.parametrize(("kind", "lines"), [*commands()], ids=[kind for kind, _ in commands()])
def test_the_commands_of_the_page_work(world: World, kind: str, lines: list[str]) -> None:
    prepare, _ = STATES.get(kind, (a_key_in_a_file, ()))
    prepare(world)
    filled = {
        "alice": USER,
        "root:SHA256:...": f"{USER}:{sha256(PLAIN.key.blob())}",
        "SHA256:...": sha256(PLAIN.key.blob()),
        "FILE.pub": str(world.etc.folder / "token.pub"),
    }
    for line in lines:
        for name, value in filled.items():
            line = line.replace(name, value)  # noqa: PLW2901  one after the other
        world.shell(line, None if "--dry-run" in line else 0)


# --- break-glass -------------------------------------------------------------------------------


def rule(line: Any = PLAIN, user: str = USER) -> str:
    return f"--require=break-glass={user}:{sha256(line.key.blob())}"


def test_a_break_glass_key_that_sshd_accepts(world: World) -> None:
    world.keys(text(TOKEN, PLAIN))
    assert world.check(rule())["policy"]["holds"] is True
    assert world.check(rule(TOKEN))["policy"]["holds"] is False, "the touch cannot be known"
    world.keys(b"no-touch-required " + text(TOKEN))
    assert world.check(rule(TOKEN))["policy"]["holds"] is True


@pytest.mark.parametrize(
    ("options", "lines", "doubt"),
    [
        (b"", ("DenyUsers otto",), False),
        (b"", ("RevokedKeys /etc/ssh/revoked",), False),
        (b"", ("AuthenticationMethods publickey,password",), False),
        (b"", ("Match Address 192.0.2.0/24", "AuthenticationMethods publickey,password"), False),
        (b"", ("PubkeyAcceptedAlgorithms sk-*",), False),
        (b"", ("Match User otto", "PubkeyAuthentication no"), False),
        (b"", ("AuthorizedKeysFile none",), False),
        (b'from="192.0.2.77" ', (), False),
        (b'command="/bin/true" ', (), False),
        (b'expiry-time="20200101" ', (), False),
        (b"nonsense ", (), False),
    ],
)
def test_a_break_glass_key_that_does_not_get_in(
    world: World, options: bytes, lines: tuple[str, ...], doubt: bool
) -> None:
    (world.ssh / "revoked").write_bytes(text(PLAIN))
    world.configure("UsePAM yes", *lines)
    world.keys(options + text(PLAIN))
    found = world.check(rule())
    assert found["policy"]["holds"] is False
    (broken,) = (f for f in found["findings"] if f["id"] == "FK112")
    assert broken["doubt"] is doubt
    assert broken["next"]
    assert shlex.split(broken["next"][0].rpartition(": ")[2])
