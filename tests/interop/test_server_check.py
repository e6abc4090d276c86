"""`fidokit server check` beside stock sshd: what it says gets in gets in, and nothing else."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_host import Host, make_host, sk_key, stock, virtual_token
from tests.support.json_members import require_documented
from tests.support.sshd import Sshd, running

pytestmark = pytest.mark.interop

ROOT = os.geteuid() == 0
as_root = pytest.mark.root
ME = pwd.getpwuid(os.geteuid()).pw_name
OTHER = "daemon"
"""A user that every Debian has, without a password; its shell ends at once with status 1."""
USERS = (ME, OTHER) if ROOT else (ME,)
SSHD = "/usr/sbin/sshd"
REFUSED = 255
PLAIN = {
    "ed25519": ("-t", "ed25519"),
    "ecdsa": ("-t", "ecdsa"),
    "rsa1024": ("-t", "rsa", "-b", "1024"),
    "rsa3072": ("-t", "rsa", "-b", "3072"),
    "ca": ("-t", "ed25519"),
}
TOKEN = {"sk": (), "quiet": ("-O", "no-touch-required"), "verified": ("-O", "verify-required")}


@dataclass
class Bench:
    """Keys, a folder that other users can look into, and what is asked of both sides."""

    host: Host
    folder: Path

    def public(self, name: str) -> str:
        return (self.host.home / f"{name}.pub").read_text().strip()

    def fingerprint(self, name: str) -> str:
        done = self.host.run(stock("ssh-keygen"), "-lf", f"{name}.pub")
        return done.stdout.decode().split()[1]

    def authorize(self, *lines: str | bytes, users: Sequence[str] = USERS) -> None:
        """Put these lines, and nothing else, into users' files."""
        data = b"".join((x.encode() if isinstance(x, str) else x) + b"\n" for x in lines)
        for user in users:
            path = self.folder / user
            path.write_bytes(data)
            path.chmod(0o644)

    @contextmanager
    def serving(self, *settings: str, sshd: str = SSHD) -> Iterator[Sshd]:
        keys = f"AuthorizedKeysFile {self.folder}/%u"
        home = Path(tempfile.mkdtemp(dir=self.host.home))
        at = next((n for n, line in enumerate(settings) if line.startswith("Match")), None)
        tail = settings[at:] if at is not None else ()
        with running(home, keys, *settings[:at], sshd=sshd, tail=tail) as server:
            yield server

    def check(
        self,
        server: Sshd,
        *options: str,
        users: Sequence[str] = USERS,
        within: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The report of these users, for logins from loopback."""
        chosen = [part for user in users for part in ("--user", user)]
        given = ("--config", str(server.config), "-C", "addr=127.0.0.1", *options)
        program = (*within, sys.executable, "-m", "fidokit", "--json", "server", "check")
        done = self.host.run(*program, *chosen, *given, code=None)
        assert done.returncode in {0, 10}, done
        require_documented(("--json", "server", "check"), done.stdout.decode())
        return {user["user"]: user for user in json.loads(done.stdout)["users"]}

    def logs_in(self, server: Sshd, key: str, user: str) -> bool:
        """Whether stock ssh gets in by a key, with our provider for those on a token."""
        done = self.host.run(
            *(stock("ssh"), "-F", "none", "-i", key, f"-oPort={server.port}"),
            f"-oUserKnownHostsFile={server.folder / 'known_hosts'}",
            *("-oIdentitiesOnly=yes", "-oPreferredAuthentications=publickey"),
            f'-oSecurityKeyProvider="{self.host.env["SSH_SK_PROVIDER"]}"',
            *(f"{user}@127.0.0.1", "true"),
            code=None,
        )
        assert done.returncode in {0, 1, REFUSED}, done
        return done.returncode != REFUSED


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("check") / "home")
    for name, kind in PLAIN.items():
        host.keygen(*kind, "-N", "", "-f", name, "-C", name)
    virtual_token(host)
    for name, options in TOKEN.items():
        sk_key(host, name, *options)
    host.env["SSH_SK_PROVIDER"] = host.fidokit("provider", "path").strip()
    host.env["FIDOKIT_TOKEN"] = "virtual:t"
    return host


@pytest.fixture
def bench(machine: Host) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(dir="/run" if ROOT else None) as folder:
        Path(folder).chmod(0o755)
        yield Bench(machine, Path(folder))


def keys_of(user: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What check says of each key, by fingerprint."""
    lines = [line for file in user["files"] for line in file["lines"]]
    return {line["fingerprint"]: line for line in lines if "fingerprint" in line}


# --- types and settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ((), 4),
        (("PubkeyAcceptedAlgorithms sk-*",), 0),
        (("PubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512",), 3),
        (("PubkeyAcceptedAlgorithms -ecdsa-*,rsa-*",), 1),
        (("RequiredRSASize 2048",), 3),
        (("PubkeyAuthentication no",), 0),
        (("AuthenticationMethods password", "PasswordAuthentication yes"), 0),
    ],
)
def test_types_of_keys(bench: Bench, settings: tuple[str, ...], taken: int) -> None:
    names = [name for name in PLAIN if name != "ca"]
    bench.authorize(*(bench.public(name) for name in names))
    with bench.serving(*settings) as server:
        said = keys_of(bench.check(server, users=[ME])[ME])
        says = {name: not said[bench.fingerprint(name)]["refused"] for name in names}
        does = {name: bench.logs_in(server, name, ME) for name in names}
    assert says == does
    assert sum(does.values()) == taken


@pytest.mark.parametrize(
    "server_wants", ["none", "touch-required", "verify-required", "touch-required verify-required"]
)
def test_what_is_demanded_of_tokens(bench: Bench, server_wants: str) -> None:
    gives = {"sk": {"touch"}, "quiet": set(), "verified": {"touch", "verify"}}
    lists = ["", "no-touch-required,verify-required "]
    if server_wants == "none":
        lists += ["no-touch-required ", "verify-required "]
    outcomes = []
    with bench.serving(f"PubkeyAuthOptions {server_wants}") as server:
        for options in lists:
            bench.authorize(*(options + bench.public(name) for name in gives), users=[ME])
            said = keys_of(bench.check(server, users=[ME])[ME])
            for name, given in gives.items():
                key = said[bench.fingerprint(name)]
                assert key["hardware"] is True
                wanted = {word for word in ("touch", "verify") if key[f"{word}_required"]}
                assert bench.logs_in(server, name, ME) is (wanted <= given), (name, options)
                outcomes.append(wanted <= given)
    assert True in outcomes
    assert False in outcomes


def test_verify_required_asks_nothing_of_a_key_in_a_file(bench: Bench) -> None:
    bench.authorize("verify-required " + bench.public("ed25519"), users=[ME])
    with bench.serving("PubkeyAuthOptions verify-required") as server:
        key = keys_of(bench.check(server, "--require", "verify", users=[ME])[ME])
        assert bench.logs_in(server, "ed25519", ME)
    (said,) = key.values()
    assert (said["hardware"], said["verify_required"]) == (False, None)
    assert [broken["rule"] for broken in said["violates"]] == ["verify"]


@pytest.mark.parametrize(
    ("settings", "gets_in"),
    [
        ((), True),
        (("PubkeyAcceptedAlgorithms sk-*",), False),
        (("PubkeyAcceptedAlgorithms ssh-ed25519",), False),
        (("CASignatureAlgorithms ecdsa-sha2-nistp256",), False),
    ],
)
def test_authorities(bench: Bench, settings: tuple[str, ...], gets_in: bool) -> None:
    if not (bench.host.home / "ed25519-cert.pub").exists():
        bench.host.keygen("-s", "ca", "-I", "x", "-n", ME, "ed25519.pub")
    bench.authorize("cert-authority " + bench.public("ca"), users=[ME])
    with bench.serving(*settings) as server:
        (said,) = keys_of(bench.check(server, users=[ME])[ME]).values()
        assert bench.logs_in(server, "ed25519", ME) is gets_in
    assert said["authority"] is True
    if gets_in:
        assert (said["hardware"], said["refused"]) == (None, [])
    else:
        assert said["refused"] or said["hardware"]
    (bench.host.home / "ed25519-cert.pub").unlink()


# --- who -----------------------------------------------------------------------------------------

GROUP = "daemon"


@as_root
@pytest.mark.parametrize(
    ("settings", "let_in"),
    [
        ((), {ME, OTHER}),
        ((f"AllowUsers {OTHER}",), {OTHER}),
        ((f"AllowUsers {OTHER}@127.0.0.0/8 {ME}@10.0.0.0/8",), {OTHER}),
        ((f"AllowUsers d*@127.0.0.1 {ME}@127.0.0.?",), {ME, OTHER}),
        ((f"DenyUsers {OTHER}",), {ME}),
        ((f"DenyUsers {ME}@10.0.0.1 {OTHER}@127.*",), {ME}),
        ((f"AllowGroups {GROUP}",), {OTHER}),
        (("DenyGroups d*",), {ME}),
        (("PermitRootLogin no",), {OTHER}),
        (("PermitRootLogin forced-commands-only",), {OTHER}),
        ((f"Match User {OTHER}", "PubkeyAuthentication no"), {ME}),
        ((f"Match Group {GROUP}", "PubkeyAcceptedAlgorithms sk-*"), {ME}),
        (("Match User *,!root", "AuthorizedKeysFile none"), {ME}),
        (("Match Address 127.0.0.1", "PubkeyAuthentication no"), set()),
        (("Match Address 10.0.0.0/8", "PubkeyAuthentication no"), {ME, OTHER}),
        (("Match LocalPort 1", "PubkeyAuthentication no"), {ME, OTHER}),
    ],
)
def test_users(bench: Bench, settings: tuple[str, ...], let_in: set[str]) -> None:
    bench.authorize(bench.public("ed25519"))
    with bench.serving("UseDNS no", *settings) as server:
        found = bench.check(server)
        does = {user for user in USERS if bench.logs_in(server, "ed25519", user)}
    says = {
        name
        for name, user in found.items()
        if not user["refused"] and any(not key["refused"] for key in keys_of(user).values())
    }
    assert says == does == let_in


@as_root
def test_a_forced_command_lets_root_in(bench: Bench) -> None:
    bench.authorize(f'command="true" {bench.public("ed25519")}', users=[ME])
    with bench.serving("PermitRootLogin forced-commands-only") as server:
        (said,) = keys_of(bench.check(server, users=[ME])[ME]).values()
        assert bench.logs_in(server, "ed25519", ME)
    assert said["refused"] == []


def test_a_match_block_that_another_place_sees(bench: Bench) -> None:
    bench.authorize(bench.public("ed25519"), users=[ME])
    settings = ("Match Address 127.0.0.1", "PubkeyAuthentication no")
    with bench.serving(*settings) as server:
        assert bench.check(server, users=[ME])[ME]["refused"]
        assert not bench.check(server, "-C", "addr=10.0.0.1", users=[ME])[ME]["refused"]
        assert not bench.logs_in(server, "ed25519", ME)


# --- files ---------------------------------------------------------------------------------------


def spoil_nothing(path: Path) -> None:
    """Leave it as it is."""


def let_others_write(path: Path) -> None:
    path.chmod(0o666)


def let_the_group_write(path: Path) -> None:
    path.chmod(0o664)


def open_the_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def link_to_a_good_file(path: Path) -> None:
    real = path.with_name("real")
    path.rename(real)
    path.symlink_to(real)


def link_to_a_loose_file(path: Path) -> None:
    link_to_a_good_file(path)
    path.chmod(0o666)


def make_it_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_it_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def give_it_to_a_stranger(path: Path) -> None:
    os.chown(path, 12345, 12345)


def hide_it_from_its_user(path: Path) -> None:
    path.chmod(0o600)  # it is root's


@as_root
@pytest.mark.parametrize("strict", ["yes", "no"])
@pytest.mark.parametrize(
    ("spoil", "read"),
    [
        (spoil_nothing, {"yes", "no"}),
        (let_others_write, {"no"}),
        (let_the_group_write, {"no"}),
        (open_the_folder, {"no"}),
        (link_to_a_good_file, {"yes", "no"}),
        (link_to_a_loose_file, {"no"}),
        (make_it_a_fifo, set()),
        (make_it_a_folder, set()),
        (give_it_to_a_stranger, {"no"}),
        (hide_it_from_its_user, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_files(bench: Bench, spoil: Callable[[Path], None], read: set[str], strict: str) -> None:
    bench.authorize(bench.public("ed25519"), users=[OTHER])
    spoil(bench.folder / OTHER)
    with bench.serving(f"StrictModes {strict}") as server:
        (file,) = bench.check(server, users=[OTHER])[OTHER]["files"]
        gets_in = bench.logs_in(server, "ed25519", OTHER)
    assert gets_in is (strict in read)
    assert bool(file["refused"]) is not gets_in


def test_a_folder_that_everybody_may_write_to(bench: Bench) -> None:
    """What an ordinary user can show too."""
    bench.authorize(bench.public("ed25519"), users=[ME])
    bench.folder.chmod(0o777)
    with bench.serving("StrictModes yes") as server:
        (file,) = bench.check(server, users=[ME])[ME]["files"]
        assert not bench.logs_in(server, "ed25519", ME)
    assert file["refused"]


def test_hostile_lines(bench: Bench) -> None:
    """Each line has a key of its own: sshd takes those that check says it takes."""
    megabyte = "x" * (1 << 20)
    shapes = [
        "{key}",
        "{key}\r",
        "restrict {key}\r",
        "{key} \x00junk",
        "\x00{key}",
        "{key}" + megabyte,
        "{megabyte} {key}",
        'environment="A={megabyte}" {key}',
        "\t {key}",
        "# {key}",
        "no-such-option {key}",
        'from="10.*" {key}',
        'from="127.0.0.1" {key}',
        'expiry-time="20200101" {key}',
        'expiry-time="20990101" {key}',
        'command="true {key}',
        "ssh-rsa {blob}",
        "\udcff\udcfe{key}",
    ]
    names = [f"line{number}" for number in range(len(shapes))]
    lines = []
    for name, shape in zip(names, shapes, strict=True):
        if not (bench.host.home / name).exists():
            bench.host.keygen("-t", "ed25519", "-N", "", "-f", name, "-C", name)
        key = bench.public(name)
        text = shape.format(key=key, blob=key.split()[1], megabyte=megabyte)
        lines.append(text.encode("utf-8", "surrogateescape"))
    bench.authorize(*lines, users=[ME])
    with bench.serving("PermitUserEnvironment yes") as server:
        report = bench.check(server, "--require", "hardware", users=[ME])[ME]
        does = {name: bench.logs_in(server, name, ME) for name in names}
    said = {line["line"]: line for line in report["files"][0]["lines"]}
    for number, (name, shape) in enumerate(zip(names, shapes, strict=True), 1):
        line = said.get(number, {"unreadable": "a comment"})
        if does[name]:
            doubt = line.get("unreadable") and line["violates"]  # it counts as any key
            assert doubt or line["refused"] == [], shape
        elif "from=" not in shape:  # that one depends on where one comes from
            assert line.get("unreadable") or line["refused"], shape
    assert 5 < sum(does.values()) < len(names) - 5


# --- passwords -----------------------------------------------------------------------------------

SECRET = "correct horse"
HASH = (
    "$6$fidokit$6uDWcGNiPFqpdDOJOjBHfO/41/ilqlUZoMwpR1v/uMQoMgrbt63ARWIoR08Iv1Sq3OtzwcWDs4Lf"
    "jshNM/TfC/"
)
"""Of SECRET, as `openssl passwd -6` makes it."""
STATES = {"set": HASH, "locked": f"!{HASH}", "none": "*", "empty": ""}


@pytest.fixture(scope="module")
def namespaces() -> None:
    unshare = shutil.which("unshare")
    probe = [unshare or "unshare", "--mount", "true"]
    if not ROOT or unshare is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("only root, where it may have a file system of its own, can try passwords")


def with_shadow(folder: Path, field: str) -> list[str]:
    """What starts a program that sees another /etc/shadow, where OTHER has this password field."""
    shadow = folder / "shadow"
    shadow.write_text(f"root:*:19000:0:99999:7:::\n{OTHER}:{field}:19000:0:99999:7:::\n")
    shadow.chmod(0o600)
    inner = 'mount --bind "$0" /etc/shadow && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", inner, str(shadow)]


def program_in(folder: Path, within: Sequence[str]) -> str:
    """A program that starts sshd so."""
    path = folder / "sshd"
    path.write_text(f'#!/bin/sh\nexec {shlex.join([*within, SSHD])} "$@"\n')
    path.chmod(0o755)
    return str(path)


def password_logs_in(bench: Bench, server: Sshd, password: str) -> bool:
    bench.host.answers(password)
    done = bench.host.run(
        *(stock("ssh"), "-F", "none", f"-oPort={server.port}", "-oPubkeyAuthentication=no"),
        f"-oUserKnownHostsFile={server.folder / 'known_hosts'}",
        *("-oNumberOfPasswordPrompts=1", f"{OTHER}@127.0.0.1", "true"),
        code=None,
    )
    assert done.returncode in {1, REFUSED}, done
    return done.returncode != REFUSED


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "settings",
    [
        ("PasswordAuthentication yes",),
        ("PasswordAuthentication yes", "PermitEmptyPasswords yes"),
        ("PasswordAuthentication no",),
        ("PasswordAuthentication yes", "AuthenticationMethods publickey,password"),
        ("PasswordAuthentication yes", "AuthenticationMethods publickey password"),
        ("PasswordAuthentication no", "KbdInteractiveAuthentication yes"),
        ("PasswordAuthentication yes", "UsePAM yes"),
        ("PasswordAuthentication yes", "UsePAM yes", "PermitEmptyPasswords yes"),
        ("PasswordAuthentication no", "UsePAM yes", "KbdInteractiveAuthentication yes"),
        (
            *("UsePAM yes", "KbdInteractiveAuthentication yes"),
            "AuthenticationMethods publickey,keyboard-interactive",
        ),
        (
            *("UsePAM yes", "KbdInteractiveAuthentication yes"),
            "AuthenticationMethods keyboard-interactive:pam",
        ),
    ],
    ids=lambda settings: "+".join(settings).replace(" ", "-"),
)
def test_passwords(bench: Bench, state: str, settings: tuple[str, ...]) -> None:
    bench.authorize(users=[OTHER])
    within = with_shadow(bench.folder, STATES[state])
    with bench.serving(*settings, sshd=program_in(bench.folder, within)) as server:
        does = password_logs_in(bench, server, "" if state == "empty" else SECRET)
        says = bench.check(server, users=[OTHER], within=within)[OTHER]
    assert says["password_login"] is does, says["password_why"]
