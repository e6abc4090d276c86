"""A key whose comment is not UTF-8, as PuTTY's users on Windows have them: every command that
rewrites the file, or writes its public half, keeps the bytes; so does stock ssh-keygen."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, stock, virtual_token
from tests.support.typist import converse

from fidokit.openssh.keys.private import encode_private, parse_private

pytestmark = pytest.mark.interop

COMMENT = b"Andr\xe9"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path / "h")
    virtual_token(made, pin=False)
    (made.home / "pin").write_text("1234\n")
    path = sk_key(made, "k", "-t", "ed25519-sk")
    file = parse_private(path.read_bytes(), None)
    path.write_bytes(
        encode_private(file._replace(comment=COMMENT.decode("utf-8", "surrogateescape")))
    )
    public = path.with_suffix(".pub")
    public.write_bytes(b" ".join(public.read_bytes().split()[:2]) + b" " + COMMENT + b"\n")
    return made


def comment_of(host: Host) -> bytes:
    """As stock ssh-keygen reads it from the private file."""
    path = host.home / "k"
    return host.run(stock("ssh-keygen"), "-y", "-f", path).stdout.split(b" ", 2)[2]


COMMANDS = {
    "flags": ("key", "flags", "--no-touch", "k"),
    "passphrase": ("key", "passphrase", "--no-passphrase", "k"),
    "public": ("key", "show", "--public", "k"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_it_survives(host: Host, command: tuple[str, ...]) -> None:
    (host.home / "k.pub").unlink()
    out = host.run(sys.executable, "-m", "fidokit", *command, code=None)
    assert out.returncode == 0, out
    assert comment_of(host).startswith(COMMENT)
    if "--public" in command:
        assert out.stdout.rstrip(b"\n").endswith(b" " + COMMENT)


def test_authorize_writes_the_bytes(host: Host) -> None:
    command = (sys.executable, "-m", "fidokit", "server", "authorize", "k.pub", "--path")
    host.run(*command, str(host.home / "authorized"))
    assert (host.home / "authorized").read_bytes().rstrip(b"\n").endswith(b" " + COMMENT)


def test_the_agent_lists_the_bytes(host: Host) -> None:
    with serving(host, host.home / "k", "--no-notify"):
        listed = host.run(stock("ssh-add"), "-L").stdout
    assert COMMENT in listed


WORDS = b"gr\xfc\xdfe"


@pytest.fixture
def locked(host: Host) -> Host:
    """The key under a passphrase in Latin-1, as stock ssh-keygen takes it from its askpass."""
    (host.home / "words").write_bytes(WORDS + b"\n")
    program = host.home / "askpass"
    program.write_text('#!/bin/sh\ncat "$HOME/words"\n')
    program.chmod(0o700)
    host.run(stock("ssh-keygen"), "-p", "-f", "k", "-a", "1", SSH_ASKPASS_REQUIRE="force")
    assert (
        b"none"
        not in base64.b64decode(b"".join((host.home / "k").read_bytes().split(b"\n")[1:-2]))[:40]
    )
    return host


@pytest.mark.parametrize("asked", [False, True], ids=["file", "askpass"])
@pytest.mark.parametrize(
    "command",
    [
        ("key", "flags", "--no-touch", "k"),
        ("key", "passphrase", "--no-passphrase", "k"),
        ("key", "sign", "-f", "k", "data"),
        ("cert", "sign", "-s", "k", "-I", "id", "-n", "me", "k.pub"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_a_latin1_passphrase_opens_its_file(
    locked: Host, command: tuple[str, ...], asked: bool
) -> None:
    (locked.home / "data").write_text("data")
    how = () if asked else ("--passphrase-file", "words")
    locked.run(sys.executable, "-m", "fidokit", *command, *how, SSH_ASKPASS_REQUIRE="force")


def test_stock_opens_what_we_put_under_one(host: Host) -> None:
    (host.home / "words").write_bytes(WORDS + b"\n")
    fidokit = (sys.executable, "-m", "fidokit")
    host.run(*fidokit, "key", "passphrase", "k", "-a", "1", "--new-passphrase-file", "words")
    program = host.home / "askpass"
    program.write_text('#!/bin/sh\ncat "$HOME/words"\n')
    program.chmod(0o700)
    (host.home / "k.pub").unlink()
    out = host.run(stock("ssh-keygen"), "-y", "-f", "k", SSH_ASKPASS_REQUIRE="force").stdout
    assert out.startswith(b"sk-ssh-ed25519@openssh.com ")


@pytest.fixture(scope="module")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables of a terminal in Latin-1, in a locale that is made for it."""
    folder = tmp_path_factory.mktemp("locales")
    source = Path("/usr/share/i18n/locales/de_DE")
    if not source.exists():
        pytest.skip("a locale in Latin-1 is made from Debian's package locales")
    made = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE.iso88591")]
    subprocess.run(made, check=True, capture_output=True)
    return {"LOCPATH": str(folder), "LANG": "de_DE.ISO-8859-1", "LC_ALL": ""}


@pytest.mark.parametrize("charset", ["ISO-8859-1", "UTF-8", "ASCII"])
def test_typed_on_a_terminal_it_opens_its_file(
    locked: Host, charset: str, request: pytest.FixtureRequest
) -> None:
    """A terminal sends the bytes of its character set, which may be another than the file's."""
    (locked.home / "data").write_text("data")
    env = {name: value for name, value in locked.env.items() if not name.startswith("SSH_ASKPASS")}
    if charset == "ISO-8859-1":
        env |= request.getfixturevalue("latin1")
    else:
        env["LC_ALL"] = {"UTF-8": "C.UTF-8", "ASCII": "POSIX"}[charset]
    asks = "import locale, sys; print(locale.getencoding(), sys.flags.utf8_mode)"
    shown = converse([sys.executable, "-c", asks], env=env).text.split()
    assert (shown[0].upper() == "ISO-8859-1") == (charset == "ISO-8859-1"), shown
    command = [sys.executable, "-m", "fidokit", "key", "sign", "-f", str(locked.home / "k")]
    words = [*command, str(locked.home / "data")]
    typed = [("assphrase", WORDS)]
    seen = converse(words, typed, env)
    assert seen.status == 0, seen.text
    assert (locked.home / "data.sig").exists()
    (locked.home / "data.sig").unlink()
    assert converse(words, [("assphrase", "gr\xfc\xdfe")], env).status == 0, "as UTF-8 sends it"
    (locked.home / "data.sig").unlink()
    assert "does not open" in converse(words, [("assphrase", b"gr\xfc\xdf")], env).text
    stock_words = [stock("ssh-keygen"), "-y", "-f", str(locked.home / "k")]
    assert converse(stock_words, typed, env).status == 0
