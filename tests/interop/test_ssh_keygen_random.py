"""What ssh-keygen's -Y operations and ours do with random allowed signers and signatures: the same
status, the same output, the same words where a line is named."""

from __future__ import annotations

import base64
import io
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interop.test_ssh_keygen_complaints import named
from tests.support.agent_host import stock
from tests.support.openssh_version import openssh

from fidokit.cli.ssh_keygen import operate
from fidokit.openssh.signatures.sshsig import BEGIN, END

pytestmark = pytest.mark.interop

ROUNDS = int(os.environ.get("FIDOKIT_SIGNERS", "60"))
"""Files of allowed signers, each asked four questions."""

KINDS = {"ed25519": [], "ecdsa": ["-b", "256"], "rsa": ["-b", "2048"]}
CERTIFICATES = {
    "user": ["-n", "alice,bob", "-V", "20200101:20990101"],
    "expired": ["-n", "alice", "-V", "20200101:20200201"],
    "nobody": ["-n", "dave", "-V", "always:forever"],
    "host": ["-h", "-n", "alice", "-V", "always:forever"],
}


def keygen(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen there."""
    command = [stock("ssh-keygen"), *words]
    return subprocess.run(
        command, cwd=folder, input=stdin, capture_output=True, timeout=60, check=False
    )


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signers")
    (folder / "data").write_bytes(b"data")
    for kind, more in KINDS.items():
        keygen(folder, "-q", "-t", kind, *more, "-N", "", "-C", "", "-f", kind).check_returncode()
    keygen(folder, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "ca").check_returncode()
    for name in KINDS:
        keygen(folder, "-Y", "sign", "-n", "file", "-f", name, "data").check_returncode()
        (folder / "data.sig").rename(folder / f"{name}.sig")
    for name, words in CERTIFICATES.items():
        (folder / f"{name}.pub").write_bytes((folder / "ed25519.pub").read_bytes())
        (folder / name).write_bytes((folder / "ed25519").read_bytes())
        (folder / name).chmod(0o600)
        keygen(folder, "-q", "-s", "ca", "-I", name, *words, f"{name}.pub").check_returncode()
        keygen(folder, "-Y", "sign", "-n", "file", "-f", f"{name}-cert.pub", "data")
        (folder / "data.sig").rename(folder / f"{name}.sig")
    return folder


# --- random input --------------------------------------------------------------------------

NAMES = [b"alice", b"bob", b"carol", b"al*", b"*", b"?ob", b"!alice", b"!bob", b"", b"a\xe9", b"@"]
OPTIONS = [
    *(b"cert-authority", b"CERT-AUTHORITY", b'namespaces="file"', b'namespaces="git,fi*"'),
    *(b'namespaces="git"', b'namespaces="!file,*"', b'namespaces="fi\\"le"', b"namespaces=file"),
    *(b'namespaces="file', b'valid-after="20200101"', b'valid-after="20990101Z"'),
    *(b'valid-before="20990101120000"', b'valid-before="20200101"', b'valid-before="yesterday"'),
    *(b'valid-after="19700101Z"', b"unknown", b"", b'cert-authority="x"', b'Namespaces="file"'),
    *(b'valid-after="20200101', b'namespaces=""', b"cert-authorityx"),
]
BLANKS = [b" "] * 6 + [b"\t", b"  ", b" \t "]
ENDS = [b"\n"] * 8 + [b"\r\n", b" \n", b"\n# comment\n", b" \r\n"]
if openssh() >= (9, 7):  # before, find-principals took a blank line for a broken one
    ENDS += [b"\n\n", b"\n\r\n"]


class Chance:
    """Random lines and signatures.

    Args:
        seed: of this file.
        folder: with the keys.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder

    def sometimes(self, chance: float) -> bool:
        return self.random.random() < chance

    def principals(self) -> bytes:
        field = b",".join(self.random.choices(NAMES, k=self.random.choice([1, 1, 1, 2, 3])))
        if self.sometimes(0.08):
            return b'"' + field + b'"'
        return field + (b'"' if self.sometimes(0.02) else b"")

    def key(self) -> bytes:
        names = ["ed25519"] * 5 + ["ca"] * 4 + ["ecdsa", "rsa", "user-cert", "expired-cert"]
        line = (self.folder / f"{self.random.choice(names)}.pub").read_bytes()
        kind, text = line.split()[:2]
        match self.random.randrange(24):
            case 0:
                text = text[: self.random.randrange(len(text))]
            case 1:
                text += b"AAAA"
            case 2:
                kind = b"ssh-unheard-of"
            case 3:
                kind = b"ssh-rsa"
            case 4:
                return text
            case 5:
                return kind
            case 6:
                text = text[:40] + b"!" + text[40:]
        return kind + self.random.choice(BLANKS) + text

    def options(self) -> bytes:
        if self.sometimes(0.4):
            return b""
        chosen = self.random.choices(OPTIONS, k=self.random.choice([1, 1, 2, 3]))
        weighted = [b"cert-authority", *chosen] if self.sometimes(0.4) else chosen
        return b",".join(weighted) + self.random.choice(BLANKS)

    def line(self) -> bytes:
        parts = [self.principals(), self.random.choice(BLANKS), self.options(), self.key()]
        if self.sometimes(0.06):
            del parts[self.random.randrange(len(parts))]
        text = b"".join(parts) + (b" a comment" if self.sometimes(0.2) else b"")
        if self.sometimes(0.06):
            text = self.random.choice(BLANKS) + text
        if self.sometimes(0.04):
            at = self.random.randrange(len(text) + 1)
            text = text[:at] + self.random.choice([b"\xe9", b"\0", b'"', b"\\", b"#"]) + text[at:]
        return text

    def signers(self) -> bytes:
        lines = (
            self.line() + self.random.choice(ENDS) for _ in range(self.random.choice([1, 2, 4, 6]))
        )
        text = b"".join(lines)
        return text.rstrip(b"\n") if self.sometimes(0.2) else text

    def signature(self) -> bytes:
        name = self.random.choice(["ed25519"] * 3 + ["ecdsa", "rsa"] + list(CERTIFICATES) * 2)
        text = (self.folder / f"{name}.sig").read_bytes()
        if self.sometimes(0.5):
            return text
        return self.random.choice(CHANGES)(text, self.random)


Change = Callable[[bytes, random.Random], bytes]


def blob_of(text: bytes) -> bytearray:
    return bytearray(base64.b64decode(b"".join(text.split(b"\n")[1:-2])))


def armored(blob: bytes | bytearray) -> bytes:
    return BEGIN + b"\n" + base64.b64encode(blob) + b"\n" + END + b"\n"


def a_bit_flipped(text: bytes, chance: random.Random) -> bytes:
    blob = blob_of(text)
    blob[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
    return armored(blob)


def a_character_changed(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text))
    return text[:at] + bytes([chance.choice(b"A=-\n\r \0!~")]) + text[at + 1 :]


def cut(text: bytes, chance: random.Random) -> bytes:
    return text[: chance.randrange(len(text))]


CHANGES: list[Change] = [
    a_bit_flipped,
    a_bit_flipped,
    a_character_changed,
    cut,
    lambda text, _: b"\n" + text,
    lambda text, _: text + b"words behind it\n",
    lambda text, _: text + text,
    lambda text, _: text.replace(b"\n", b" \n", 1),
    lambda text, _: text.replace(b"\n", b"\n \t"),
    lambda text, _: armored(bytes(blob_of(text)[:6] + b"\0\0\0\0" + blob_of(text)[10:])),
    lambda text, _: armored(bytes(blob_of(text)) + b"\0"),
    lambda text, _: armored(bytes(blob_of(text)).replace(b"\4file", b"\4fire")),
    lambda text, _: armored(bytes(blob_of(text)).replace(b"sha512", b"sha256")),
]

if openssh() >= (9, 5):  # before, only a line feed ended the first line
    CHANGES.append(lambda text, _: text.replace(b"\n", b"\r\n"))


# --- both ----------------------------------------------------------------------------------


def questions(chance: random.Random) -> list[list[str]]:
    """The operations that are asked about a file."""
    who = chance.choice(["alice", "bob", "carol", "*", ""])
    namespace = chance.choice(["file", "file", "git"])
    at = chance.choice([[], [], ["-Overify-time=20210101Z"], ["-Overify-time=20200115120000"]])
    return [
        ["verify", "-n", namespace, "-I", who, "-s", "sig", "-f", "al", *at],
        ["find-principals", "-s", "sig", "-f", "al", *at],
        ["match-principals", "-I", who, "-f", "al"],
        ["check-novalidate", "-n", "file", "-s", "sig", "-Oprint-pubkey"],
    ]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_both_do_the_same(
    folder: Path,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    chance = Chance(seed, folder)
    (tmp_path / "al").write_bytes(chance.signers())
    (tmp_path / "sig").write_bytes(chance.signature())
    monkeypatch.chdir(tmp_path)
    for words in questions(chance.random):
        theirs = keygen(tmp_path, "-Y", *words, stdin=b"data")
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"data")))
        status = operate(["-Y", *words])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        ours = (status, out, named(err.decode(errors="surrogateescape")))
        expected = theirs.stderr.decode(errors="surrogateescape")
        assert ours == (theirs.returncode, theirs.stdout, named(expected)), (words, expected, err)
