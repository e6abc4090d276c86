"""`server check --require hardware` beside real logins: it never holds where a file key gets in.

Each table has variants of one kind: what our own reading once called refused, unreadable or not
there. Rows that let nobody in must hold, else the check would be useless.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.matrix.__main__ import SUITE
from tests.support.agent_host import stock
from tests.support.openssh_version import openssh
from tests.support.roots import TOO_OLD
from tests.support.sshd import Sshd, running
from tests.support.town import GO_IN

from fidokit.openssh.keys.key_types import RsaPublic
from fidokit.openssh.keys.public import parse_public

pytestmark = [pytest.mark.interop, pytest.mark.root]

SSHD = "/usr/sbin/sshd"
OLD = os.environ.get(SUITE) in TOO_OLD
"""Whether sshd is in another userland than Python: fidokit then goes in there, too."""
ME = pwd.getpwuid(os.geteuid()).pw_name
REFUSED = 255


@dataclass
class Keys:
    """Keys in files."""

    folder: Path

    def path(self, kind: str) -> Path:
        path = self.folder / kind
        if not path.exists():
            size = ("-b", "2048") if kind == "rsa" else ()
            name = kind.partition("-")[0]
            command = [stock("ssh-keygen"), "-q", "-t", name, *size, "-N", "", "-f", str(path)]
            subprocess.run(command, check=True)
        return path

    def line(self, kind: str) -> str:
        return " ".join(self.path(kind).with_suffix(".pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that StrictModes takes, and that both userlands see."""
    with tempfile.TemporaryDirectory(dir=sys.prefix if OLD else "/run") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def serving(
    place: Path, *settings: str, tail: Sequence[str] = (), within: Sequence[str] = ()
) -> Iterator[Sshd]:
    named = any(line.startswith("AuthorizedKeysFile") for line in settings)
    files = () if named else (f"AuthorizedKeysFile {place}/keys",)
    words = (*entered(), *within)
    with running(place / "etc", *files, *settings, sshd=SSHD, tail=tail, within=words) as server:
        yield server


def entered() -> list[str]:
    """What starts a program in the userland that holds sshd."""
    return ["nsenter", f"--mount=/proc/{pid_there()}/ns/mnt"] if OLD else []


def pid_there() -> str:
    """The process that keeps that userland, as the script in sshd's place names it."""
    found = re.search(r"/proc/(\d+)/ns/mnt", Path(stock("sshd")).read_text())
    assert found
    return found[1]


def check(server: Sshd, *more: str) -> dict[str, Any]:
    """What it says of this user under `hardware`."""
    command = [sys.executable, "-m", "fidokit", "--json", "server", "check", "--user", ME]
    if OLD:
        go_in = [sys.executable, "-c", GO_IN, f"/proc/{pid_there()}/root", sys.executable]
        command = [*go_in, *command]
    asked = ["--config", str(server.config), "--require", "hardware", *more]
    done = subprocess.run([*command, *asked], capture_output=True, timeout=120, check=False)
    assert done.returncode in {0, 10}, done
    return {"holds": done.returncode == 0, "said": json.loads(done.stdout)}


def logs_in(server: Sshd, key: Path, *options: str, user: str = ME) -> bool:
    client = server.client("-i", str(key), "-oPreferredAuthentications=publickey", *options)
    done = subprocess.run([*client, f"{user}@127.0.0.1", "true"], capture_output=True, check=False)
    assert done.returncode in {0, REFUSED}, done
    return done.returncode == 0


def agree(server: Sshd, key: Path, gets_in: bool, *more: str) -> dict[str, Any]:
    """The login is as expected, and the check holds exactly where it fails."""
    assert logs_in(server, key) is gets_in, server.log()
    found = check(server, *more)
    assert found["holds"] is not gets_in, found["said"]
    return found


# --- lines -----------------------------------------------------------------------------------


def with_tab(line: str) -> str:
    kind, blob = line.split()
    return f"{kind} {blob[:30]}\v{blob[30:]}"


def with_zero(line: str) -> str:
    """The modulus of an RSA key with a needless zero before it."""
    kind, blob = line.split()
    key = parse_public(b64decode(blob))
    assert isinstance(key, RsaPublic)
    raw = b64decode(blob)
    size = len(raw) - raw.index(b"\x00\x00\x01\x01") - 4
    number = raw[-size:]
    odd = raw[: -size - 4] + (size + 1).to_bytes(4, "big") + b"\x00" + number
    return f"{kind} {b64encode(odd).decode()}"


LINES = [
    ("ed25519", "{line}", True),
    ("ed25519", "{tab}", True),
    ("rsa", "{zero}", True),
    ("ed25519", 'permitopen="h: 22" {line}', True),
    ("ed25519", 'permitlisten="h: 22" {line}', False),
    ("ed25519", 'from="127.0.0.1",permitopen="h: 22" {line}', True),
    ("ed25519", 'from="127.0.0.0/8" {tab}', True),
    ("ed25519", "no-such-option {line}", False),
    ("ed25519", 'expiry-time="20200101" {line}', False),
    ("ed25519", 'principals="x" {line}', False),
    ("ed25519", 'command="a {line}', False),
    ("ed25519", "# {line}", False),
    ("ed25519", "RESTRICT {line}", True),
    ("ed25519", '{line} and a \\ comment "', True),
]


@pytest.mark.parametrize(("kind", "shape", "gets_in"), LINES)
def test_lines(place: Path, keys: Keys, kind: str, shape: str, gets_in: bool) -> None:
    line = keys.line(kind)
    zero = with_zero(line) if kind == "rsa" else ""
    text = shape.format(line=line, tab=with_tab(line), zero=zero)
    (place / "keys").write_text(f"{text}\n")
    with serving(place) as server:
        if 'principals="x"' in shape or "permitlisten" in shape:
            # sshd refuses these for a reason of its own, which the check may or may not know
            assert not (logs_in(server, keys.path(kind)) and check(server)["holds"])
            return
        agree(server, keys.path(kind), gets_in)


def test_a_line_that_nobody_understands_is_named(place: Path) -> None:
    (place / "keys").write_text("# fine\n\n<<<<<<< mine\n")
    with serving(place) as server:
        found = check(server)
    assert not found["holds"]
    (finding,) = [one for one in found["said"]["findings"] if "hardware" in one["rules"]]
    assert (finding["line"], finding["doubt"]) == (3, True)


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "setting", "gets_in"),
    [
        ("my keys/{user}", 'AuthorizedKeysFile "{place}/my keys/%u"', True),
        ("my keys/{user}", "AuthorizedKeysFile '{place}/my keys/%u'", True),
        ("a b", 'AuthorizedKeysFile {place}/none "{place}/a b"', True),
        ("a", "AuthorizedKeysFile {place}/%u {place}/a none", True),
        ("u%{uid}", "AuthorizedKeysFile {place}/u%%%U", True),
        ("other", "AuthorizedKeysFile {place}/keys", False),
        ("keys", "AuthorizedKeysFile none", False),
    ],
)
def test_names_of_files(place: Path, keys: Keys, name: str, setting: str, gets_in: bool) -> None:
    path = place / name.format(user=ME, uid=os.geteuid())
    path.parent.mkdir(exist_ok=True)
    path.write_text(keys.line("ed25519") + "\n")
    if openssh("sshd" if OLD else SSHD) >= (10, 3):  # which takes `none` alone
        setting = setting.replace(" none", "") if gets_in else setting
    with serving(place, setting.format(place=place)) as server:
        agree(server, keys.path("ed25519"), gets_in and understood(setting))


def understood(setting: str) -> bool:
    """Whether sshd takes its quotes for quotes: single ones since 8.7."""
    return "'" not in setting or openssh("sshd" if OLD else SSHD) >= (8, 7)


def test_a_pattern_of_files(place: Path, keys: Keys) -> None:
    """OpenSSH 10 expands patterns, earlier ones take them as they are."""
    (place / "k1").write_text(keys.line("ed25519") + "\n")
    with serving(place, f"AuthorizedKeysFile {place}/k[[:digit:]]") as server:
        assert not (logs_in(server, keys.path("ed25519")) and check(server)["holds"])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o664, 0o666, 0o602])
@pytest.mark.parametrize("folder", [0o755, 0o775, 0o777])
def test_modes(place: Path, keys: Keys, mode: int, folder: int) -> None:
    """Debian's sshd takes what the group may write to, if nobody else is in it."""
    sub = place / "home"
    sub.mkdir()
    (sub / "keys").write_text(keys.line("ed25519") + "\n")
    (sub / "keys").chmod(mode)
    sub.chmod(folder)
    settings = (f"AuthorizedKeysFile {sub}/keys", "StrictModes yes")
    with serving(place, *settings) as server:
        agree(server, keys.path("ed25519"), logs_in(server, keys.path("ed25519")))


@pytest.mark.parametrize("kind", ["sparse", "fifo", "endless"])
def test_files_without_end_are_doubts(place: Path, kind: str) -> None:
    path = place / "keys"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    else:
        path.write_bytes(b"x" * (3 << 20))
    with serving(place) as server:
        assert not check(server)["holds"]


# --- configurations --------------------------------------------------------------------------

OFF = "PubkeyAuthentication no"
ON = "PubkeyAuthentication yes"


@pytest.mark.parametrize(
    ("settings", "tail", "gets_in"),
    [
        ((OFF,), (f"Match User {ME}", ON), True),
        ((OFF,), (f'"Match" User {ME}', ON), True),
        ((OFF,), (f'match user "{ME}"', ON), True),
        ((OFF,), ("Match User *,!" + ME, ON), False),
        ((OFF,), ("Match Address 127.0.0.0/8", ON), True),
        ((OFF,), ("Match Address 10.0.0.0/8,127.0.0.1", ON), True),
        ((OFF,), ("Match Address *,!127.0.0.1", OFF, "Match all", ON), True),
        ((OFF,), ("Match Host 127.0.0.*", ON), True),
        ((OFF,), ("Match LocalAddress 127.0.0.1", ON), True),
        ((OFF,), ("Match Group nobody-such,*", ON), True),
        ((OFF,), (f"Match User {ME} Address 127.*", ON), True),
        ((OFF,), ("Match User nobody", ON), False),
        ((f"AllowUsers {ME}@127.0.0.*",), (), True),
        ((f"AllowUsers {ME}@192.0.2.0/24,127.0.0.0/8",), (), True),
        ((f"AllowUsers nobody {ME}@127.0.0.1",), (), True),
        ((f"DenyUsers {ME}@192.0.2.*",), (), True),
        ((f"DenyUsers {ME}@*,!127.0.0.1",), (), True),
        ((f"DenyUsers {ME}",), (), False),
        (("AllowUsers nobody",), (), False),
        (("AllowGroups nogroup",), (), False),
        (("PubkeyAcceptedKeyTypes sk-*",), (), False),
        (("PermitRootLogin no",), (), False),
    ],
)
def test_configurations(
    place: Path,
    keys: Keys,
    settings: tuple[str, ...],
    tail: tuple[str, ...],
    gets_in: bool,
) -> None:
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    with serving(place, *settings, tail=tail) as server:
        agree(server, keys.path("ed25519"), gets_in)


def test_a_port_that_lets_more_in(place: Path, keys: Keys) -> None:
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    with serving(place, OFF, f"Include {place}/more*.conf") as server:
        (place / "more1.conf").write_text(f"Match LocalPort {server.port}\n{ON}\n")
        server.process.send_signal(1)
        found = check(server)
    assert not found["holds"]


@pytest.mark.parametrize(
    "include",
    [
        '"Include" {0}/x.conf',
        "Include {0}/[[:lower:]].conf",
        "Include '{0}/x.conf'",
        "include={0}/x.conf",
    ],
)
def test_included_files(place: Path, keys: Keys, include: str) -> None:
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    (place / "x.conf").write_text(f"Match User {ME}\n{ON}\n")
    with serving(place, include.format(place), OFF) as server:
        agree(server, keys.path("ed25519"), understood(include))


# --- what runs -------------------------------------------------------------------------------


def test_an_option_of_its_command_line_counts(place: Path, keys: Keys) -> None:
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    script = 'exec "$@" -o PubkeyAuthentication=yes'
    with serving(place, OFF, within=("sh", "-c", script, "sh")) as server:
        agree(server, keys.path("ed25519"), True)


def test_what_was_not_reloaded_is_named(place: Path, keys: Keys) -> None:
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    with serving(place) as server:
        server.config.write_text(f"{OFF}\n{server.config.read_text()}")
        assert logs_in(server, keys.path("ed25519"))
        found = check(server)
        assert not found["holds"]
        said = [one for one in found["said"]["findings"] if "hardware" in one["rules"]]
        assert str(server.config) in said[0]["message"]
        assert "reload" in said[0]["message"]


def test_what_was_changed_a_moment_after_the_start_of_one_without_pid_file(
    place: Path, keys: Keys
) -> None:
    """Nobody can tell whether it read the file before; so it is a doubt, and never holds."""
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    later = place / "later.conf"
    later.write_text("")
    change = f'(sleep 0.005; echo {OFF} >{later}) & exec "$@"'
    settings = ("PidFile none", f"Include {later}")
    with serving(place, *settings, within=("sh", "-c", change, "sh")) as server:
        assert "later.conf" in server.config.read_text()
        while later.read_text() == "":
            pass
        found = check(server)
        assert not (logs_in(server, keys.path("ed25519")) and found["holds"]), found["said"]


# --- keys that stand in no file --------------------------------------------------------------


def command(place: Path, text: str, mode: int = 0o755) -> str:
    path = place / "command"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("text", "arguments", "gets_in"),
    [
        ("echo '{line}'", "%u", True),
        ("[ $1 = " + ME + " ] && echo '{line}'", "%u", True),
        ('[ "$*" = \'' + ME + "' ] && echo '{line}'", "", True),
        ("[ \"$2\" = 'a b' ] && echo '{line}'", '%U "a b" %h', True),
        ("[ $(id -un) = daemon ] && echo '{line}'", "%u", True),
        ("exit 0", "%u", False),
        ("exit 1", "%u", False),
        ("#not to be run", "%u", False),
        ("[ $1 = nobody ] && echo '{line}'; exit 0", "%u", False),
    ],
)
def test_a_command_is_asked_as_sshd_asks_it(
    place: Path, keys: Keys, text: str, arguments: str, gets_in: bool
) -> None:
    mode = 0o644 if text == "#not to be run" else 0o755
    program = command(place, text.replace("{line}", keys.line("ed25519")), mode)
    settings = (f"AuthorizedKeysCommand {program} {arguments}", "AuthorizedKeysCommandUser daemon")
    with serving(place, "AuthorizedKeysFile none", *settings) as server:
        agree(server, keys.path("ed25519"), gets_in)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [("exit 0", "%f"), ("exit 0", "%k %u"), ("sleep 100", "%u"), ("yes", "%u")],
)
def test_a_command_that_cannot_be_listed_is_a_doubt(place: Path, text: str, arguments: str) -> None:
    program = command(place, text)
    settings = (f"AuthorizedKeysCommand {program} {arguments}", "AuthorizedKeysCommandUser daemon")
    with serving(place, "AuthorizedKeysFile none", *settings) as server:
        found = check(server)
    assert not found["holds"]
    assert "AuthorizedKeysCommand" in json.dumps(found["said"]["findings"])


def test_a_command_that_others_may_change_is_not_run(place: Path) -> None:
    mark = place / "ran"
    program = command(place, f"touch {mark}", 0o777)
    settings = (f"AuthorizedKeysCommand {program} %u", "AuthorizedKeysCommandUser root")
    with serving(place, "AuthorizedKeysFile none", *settings) as server:
        assert not check(server)["holds"]
    assert not mark.exists()


@pytest.mark.parametrize("form", ["text", "krl", "none"])
def test_revoked_keys(place: Path, keys: Keys, form: str) -> None:
    (place / "keys").write_text(keys.line("ed25519") + "\n")
    public = keys.path("ed25519").with_suffix(".pub")
    revoked = place / "revoked"
    if form == "krl":
        subprocess.run([stock("ssh-keygen"), "-q", "-k", "-f", revoked, public], check=True)
    else:
        revoked.write_text(public.read_text() if form == "text" else "")
    with serving(place, f"RevokedKeys {revoked}") as server:
        agree(server, keys.path("ed25519"), form == "none")


def certify(keys: Keys, *options: str) -> None:
    certified = keys.path("ed25519-user").with_suffix(".pub")
    subprocess.run(
        [stock("ssh-keygen"), "-q", "-s", keys.path("ed25519-ca"), "-I", "x", *options, certified],
        check=True,
    )


@pytest.mark.parametrize(
    ("settings", "principals", "gets_in"),
    [
        ((), None, True),
        (("AuthorizedPrincipalsFile {place}/principals",), "boss\n", True),
        (("AuthorizedPrincipalsFile {place}/principals",), "# boss\n\n", False),
        (("AuthorizedPrincipalsFile {place}/principals",), None, False),
        (("PubkeyAcceptedKeyTypes sk-*",), None, False),
        (("CASignatureAlgorithms ecdsa-sha2-nistp256",), None, False),
        (("RevokedKeys {place}/ca.pub",), None, False),
    ],
)
def test_certificates(
    place: Path, keys: Keys, settings: tuple[str, ...], principals: str | None, gets_in: bool
) -> None:
    certify(keys, "-n", f"{ME},boss")
    (place / "ca.pub").write_text(keys.line("ed25519-ca") + "\n")
    if principals is not None:
        (place / "principals").write_text(principals)
    lines = [line.format(place=place) for line in settings]
    trusted = f"TrustedUserCAKeys {place}/ca.pub"
    with serving(place, "AuthorizedKeysFile none", trusted, *lines) as server:
        agree(server, keys.path("ed25519-user"), gets_in)
