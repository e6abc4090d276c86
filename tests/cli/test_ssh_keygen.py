"""`fidokit-ssh-keygen` beside ssh-keygen: what each operation prints, writes and ends with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.keygen import line
from tests.support.sandbox import SRC
from tests.support.signers import certificate, ed25519_key, ed25519_token
from tests.support.suites import brings

from fidokit.cli import ssh_keygen

OURS = "import sys; from fidokit.cli.ssh_keygen import main; sys.argv[0] = 'x'; main()"


@dataclass(frozen=True)
class Did:
    """How a run ended, and what is in the folder after it."""

    status: int
    out: str
    err: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class Both:
    """The same command by ssh-keygen and by us, in folders with the same files."""

    theirs: Path
    ours: Path

    def write(self, name: str, data: bytes) -> None:
        for folder in (self.theirs, self.ours):
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o600)

    def keygen(self, *args: str) -> None:
        """Prepare both folders by stock ssh-keygen."""
        run(["ssh-keygen", "-q", *args], self.theirs, b"")
        for path in self.theirs.iterdir():
            shutil.copy(path, self.ours)

    def run(self, *args: str, stdin: bytes = b"", **env: str) -> tuple[Did, Did]:
        """What ssh-keygen did, and what we did."""
        theirs = run(["ssh-keygen", *args], self.theirs, stdin, **env)
        return theirs, run([sys.executable, "-c", OURS, *args], self.ours, stdin, **env)

    def same(self, *args: str, stdin: bytes = b"", **env: str) -> Did:
        """As `run`; both did the same, but for words on standard error."""
        theirs, ours = self.run(*args, stdin=stdin, **env)
        assert (ours.status, ours.out) == (theirs.status, theirs.out), (theirs.err, ours.err)
        assert ours.files == theirs.files
        assert bool(ours.err) is bool(theirs.err) or ours.status != 0
        assert "Traceback" not in ours.err
        return ours


def run(command: list[str], folder: Path, stdin: bytes, **env: str) -> Did:
    base = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "TZ": "UTC"}
    done = subprocess.run(
        command,
        cwd=folder,
        input=stdin,
        capture_output=True,
        timeout=60,
        env=base | {"LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "error"} | env,
        check=False,
        start_new_session=True,
    )
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    return Did(done.returncode, done.stdout.decode(), done.stderr.decode(), files)


@pytest.fixture
@brings("interop")
def both(tmp_path: Path) -> Both:
    if shutil.which("ssh-keygen") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ssh-keygen is not installed")
        pytest.skip("ssh-keygen is not installed")
    made = Both(tmp_path / "theirs", tmp_path / "ours")
    made.theirs.mkdir()
    made.ours.mkdir()
    made.write("text", b"a text\n")
    made.write("other", b"another text\n")
    made.keygen("-t", "ed25519", "-N", "", "-C", "k", "-f", "k")
    return made


@pytest.fixture
def signed(both: Both) -> Both:
    """`text.sig` by the key k, which `allowed` lets sign for alice."""
    both.same("-Y", "sign", "-n", "file", "-f", "k", "text")
    key = (both.ours / "k.pub").read_bytes()
    both.write("allowed", b"alice,al* " + key + b'bob namespaces="git" ' + key)
    both.write("revoked", key)
    return both


# --- sign ----------------------------------------------------------------------------------


def test_sign_a_file(both: Both) -> None:
    did = both.same("-Y", "sign", "-n", "file", "-f", "k", "text")
    assert did.status == 0
    assert did.files["text.sig"].startswith(b"-----BEGIN SSH SIGNATURE-----\n")
    assert did.err == "Signing file text\nWrite signature to text.sig\n"


@pytest.mark.parametrize(
    "args",
    [
        ("-f", "k", "text", "other"),
        ("-q", "-f", "k", "text"),
        ("-f", "k.pub", "text"),
        ("-qfk", "-Ohashalg=sha256", "text"),
        ("-f", "k", "-O", "HASHALG=sha512", "text"),
        ("-f", "k", "./text"),
        ("-f", "k"),
        ("-f", "k", "-"),
        ("-f", "k", "--", "text"),
    ],
    ids=" ".join,
)
def test_sign(both: Both, args: tuple[str, ...]) -> None:
    assert both.same("-Y", "sign", "-nfile", *args, stdin=b"a message").status == 0


@pytest.mark.parametrize(
    "args",
    [
        ("-n", "file", "-f", "k", "text", "-"),
        ("-n", "file", "-f", "k", "missing", "text"),
        ("-n", "file", "-f", "missing", "text"),
        ("-n", "file", "-f", "text", "text"),
        ("-n", "file", "-f", "k", "-O", "hashalg=md5", "text"),
        ("-n", "file", "-f", "k", "-O", "verify-time=20200101", "text"),
        ("-n", "file", "-f", "k", "-O", "bogus", "text"),
        ("-n", "file", "-U", "-f", "k.pub", "text"),
        ("-f", "k", "text"),
        ("-n", "", "-f", "k", "text"),
        ("-n", "file", "text"),
        ("-n", "file", "-f"),
    ],
    ids=" ".join,
)
def test_sign_is_refused(both: Both, args: tuple[str, ...]) -> None:
    theirs, ours = both.run("-Y", "sign", *args)
    assert ours.status == theirs.status != 0
    assert (ours.out, set(ours.files)) == (theirs.out, set(theirs.files))
    assert ours.err


def test_a_public_key_alone(both: Both) -> None:
    (both.ours / "k").unlink()
    (both.theirs / "k").unlink()
    assert both.same("-Y", "sign", "-n", "file", "-f", "k.pub", "text").status == 255


@pytest.mark.parametrize("answer", [b"y\n", b"Yes\n", b"n\n", b"\n", b""])
def test_overwriting(both: Both, answer: bytes) -> None:
    both.write("text.sig", b"in the way")
    did = both.same("-Y", "sign", "-n", "file", "-f", "k", "text", stdin=answer)
    assert did.status == 0
    assert (did.files["text.sig"] == b"in the way") is (answer[:1] not in b"yY" or not answer)
    assert did.out == "text.sig already exists.\nOverwrite (y/n)? "


@pytest.mark.parametrize("kind", [("ecdsa",), ("rsa", "-b", "2048")], ids=lambda kind: kind[0])
def test_other_kinds_of_keys(both: Both, kind: tuple[str, ...]) -> None:
    both.keygen("-t", *kind, "-N", "", "-f", "other_key")
    theirs, ours = both.run("-Y", "sign", "-n", "file", "-f", "other_key", "text")
    assert ours.status == theirs.status == 0
    if kind[0] == "rsa":  # the one of the two that signs the same way each time
        assert ours.files == theirs.files
    both.write("signature", ours.files["text.sig"])
    args = ("-n", "file", "-s", "signature")
    theirs, ours = both.run("-Y", "check-novalidate", *args, stdin=b"a text\n")
    assert (ours.status, ours.out) == (theirs.status, theirs.out)
    assert ours.status == 0


def test_a_passphrase_by_askpass(both: Both) -> None:
    both.keygen("-t", "ed25519", "-N", "secret words", "-a", "1", "-f", "locked")
    both.write("ask", b"#!/bin/sh\necho secret words\n")
    for folder in (both.ours, both.theirs):
        (folder / "ask").chmod(0o700)
    env: dict[str, Any] = {"SSH_ASKPASS": "./ask", "SSH_ASKPASS_REQUIRE": "force"}
    args = ("-Y", "sign", "-n", "file", "-f", "locked", "text")
    assert both.same(*args, **env).status == 0
    both.write("ask", b"#!/bin/sh\necho other words\n")
    for folder in (both.ours, both.theirs):
        (folder / "ask").chmod(0o700)
        (folder / "text.sig").unlink()
    theirs, ours = both.run(*args, **env)
    assert ours.status == theirs.status == 255
    assert "text.sig" not in ours.files


def test_a_certificate_that_is_named_signs(both: Both) -> None:
    both.keygen("-t", "ed25519", "-N", "", "-f", "ca")
    both.keygen("-s", "ca", "-I", "id", "-n", "alice", "k.pub")
    did = both.same("-Y", "sign", "-n", "file", "-f", "k-cert.pub", "text")
    assert did.status == 0
    both.write("allowed", b"alice cert-authority " + did.files["ca.pub"])
    args = ("-n", "file", "-f", "allowed", "-I", "alice", "-s", "text.sig")
    checked = both.same("-Y", "verify", *args, stdin=b"a text\n")
    assert "ED25519-CERT key" in checked.out
    both.same("-Y", "find-principals", "-s", "text.sig", "-f", "allowed")
    both.write("revoked", did.files["ca.pub"])
    assert both.same("-Y", "verify", *args, "-r", "revoked", stdin=b"a text\n").status == 255


def test_a_certificate_of_another_key(both: Both) -> None:
    both.write("k-cert.pub", line(certificate(ed25519_token().public, ed25519_key()), "").lstrip())
    assert both.same("-Y", "sign", "-n", "file", "-f", "k-cert.pub", "text").status == 255


# --- verify --------------------------------------------------------------------------------

GOOD = {"-n": "file", "-f": "allowed", "-I": "alice", "-s": "text.sig"}


def words(changes: dict[str, str | None]) -> list[str]:
    return [
        word
        for name, value in (GOOD | changes).items()
        if value is not None
        for word in (name, value)
    ]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0),
        ({"-I": "albert"}, 0),
        ({"-I": "mallory"}, 255),
        ({"-I": "bob"}, 255),
        ({"-n": "git"}, 255),
        ({"-s": "missing"}, 255),
        ({"-s": "text"}, 255),
        ({"-f": "missing"}, 255),
        ({"-f": "text"}, 255),
        ({"-r": "revoked"}, 255),
        ({"-r": "other"}, 255),
        ({"-r": "missing"}, 255),
        ({"-O": "verify-time=20300101"}, 0),
        ({"-O": "Verify-Time=203001011200Z"}, 0),
        ({"-O": "verify-time=then"}, 255),
        ({"-O": "verify-time=19700101Z"}, 255),
        ({"-O": "hashalg=sha256"}, 255),
        ({"-n": None}, 1),
        ({"-n": ""}, 1),
        ({"-s": None}, 1),
        ({"-f": None}, 1),
        ({"-I": None}, 1),
    ],
    ids=str,
)
def test_verify(signed: Both, changes: dict[str, str | None], status: int) -> None:
    did = signed.same("-Y", "verify", *words(changes), stdin=b"a text\n")
    assert did.status == status
    if status == 255:
        assert did.out == "Could not verify signature.\n"
        assert did.err


def test_verify_another_message(signed: Both) -> None:
    assert signed.same("-Y", "verify", *words({}), stdin=b"another\n").status == 255
    assert signed.same("-Y", "verify", "-q", *words({}), stdin=b"another\n").status == 255
    assert signed.same("-Y", "verify", "-q", *words({}), stdin=b"a text\n").out == ""


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("-n", "file", "-s", "text.sig"), 0),
        (("-n", "git", "-s", "text.sig"), 255),
        (("-n", "file", "-s", "text"), 255),
        (("-n", "file", "-s", "text.sig", "-O", "bogus=1"), 255),
        (("-s", "text.sig"), 1),
        (("-n", "file"), 1),
    ],
    ids=str,
)
def test_check_novalidate(signed: Both, args: tuple[str, ...], status: int) -> None:
    assert signed.same("-Y", "check-novalidate", *args, stdin=b"a text\n").status == status


def test_print_pubkey(signed: Both) -> None:
    """As OpenSSH from 9.4 on; Debian 12's does not know the option."""
    args = ["-Y", "verify", "-O", "print-pubkey", *words({})]
    did = run([sys.executable, "-c", OURS, *args], signed.ours, b"a text\n")
    key = " ".join(did.files["k.pub"].decode().split()[:2])
    assert did.out.splitlines()[1:] == [key]


# --- principals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("-s", "text.sig", "-f", "allowed"), 0),
        (("-s", "text.sig", "-f", "allowed", "-O", "verify-time=20300101"), 0),
        (("-s", "text.sig", "-f", "allowed", "-O", "verify-time=x"), 255),
        (("-s", "text.sig", "-f", "missing"), 255),
        (("-s", "text.sig", "-f", "text"), 255),
        (("-s", "text", "-f", "allowed"), 255),
        (("-s", "missing", "-f", "allowed"), 255),
        (("-s", "text.sig"), 1),
        (("-f", "allowed"), 1),
    ],
    ids=str,
)
def test_find_principals(signed: Both, args: tuple[str, ...], status: int) -> None:
    assert signed.same("-Y", "find-principals", *args).status == status


@pytest.mark.parametrize("names", ["a", "a,b", "a,,b", "a,", '"a b,c"', "*,!d"])
def test_principals_are_listed_alike(signed: Both, names: str) -> None:
    signed.write("allowed", names.encode() + b" " + (signed.ours / "k.pub").read_bytes())
    signed.same("-Y", "find-principals", "-s", "text.sig", "-f", "allowed")
    signed.same("-Y", "match-principals", "-I", "a", "-f", "allowed")


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("-I", "alice", "-f", "allowed"), 0),
        (("-I", "bob", "-f", "allowed"), 0),
        (("-I", "mallory", "-f", "allowed"), 210),
        (("-I", "a", "-f", "bad"), 252),
        (("-I", "alice", "-f", "missing"), 232),
        (("-I", "alice", "-f", "allowed", "-O", "bogus"), 246),
        (("-I", "alice"), 1),
        (("-f", "allowed"), 1),
    ],
    ids=str,
)
def test_match_principals(signed: Both, args: tuple[str, ...], status: int) -> None:
    signed.write("bad", b"a junk\n")
    theirs, ours = signed.run("-Y", "match-principals", *args)
    assert ours.status == theirs.status == status
    assert ours.out == theirs.out


# --- the command line ----------------------------------------------------------------------


@pytest.mark.parametrize("args", [(), ("-Y", "bogus"), ("-Y",), ("-9",), ("-l", "-f", "k")])
def test_what_it_does_not_do(args: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert ssh_keygen.run(args) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: fidokit-ssh-keygen" in said.err


def test_prefixes_are_compared_as_ssh_keygen_does(signed: Both) -> None:
    assert signed.same("-Y", "verifying", *words({}), stdin=b"a text\n").status == 0


def test_names_of_any_bytes_come_back_as_they_are(signed: Both) -> None:
    signed.write("allowed", "jürgen ".encode() + (signed.ours / "k.pub").read_bytes())
    assert signed.same("-Y", "match-principals", "-I", "jürgen", "-f", "allowed").status == 0
    did = signed.same("-Y", "verify", *words({"-I": "jürgen"}), stdin=b"a text\n")
    assert "jürgen" in did.out


SLOW = ("click", "fido2", "rich", "sqlite3", "asyncio", "bcrypt", "logging", "subprocess")


@pytest.mark.parametrize("operation", ["verify", "find-principals"])
def test_what_git_asks_for_imports_nothing_heavy(signed: Both, operation: str) -> None:
    probe = (
        "import sys; from fidokit.cli import ssh_keygen; status = ssh_keygen.run(sys.argv[1:])\n"
        f"print([status, *(name for name in {SLOW!r} if name in sys.modules)])"
    )
    options = words({}) if operation == "verify" else ["-s", "text.sig", "-f", "allowed"]
    command = [sys.executable, "-c", probe, "-Y", operation, *options]
    did = run(command, signed.ours, b"a text\n")
    assert did.out.splitlines()[-1] == "[0]"
