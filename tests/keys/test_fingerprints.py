"""Fingerprints of whatever file holds keys, as ssh-keygen shows them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.keys import fingerprints
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
from fidokit.openssh.keys.public import Ed25519Public, PublicLine, SkEd25519Public
from fidokit.types import Application, KeyHandle, SkFlag

pytestmark = pytest.mark.usefixtures("home")

KEY = SkEd25519Public(b"k" * 32, Application("ssh:"))
LINE = PublicLine(KEY, "a comment").encode()
SHA, MD5 = fingerprint.sha256(KEY.blob()), fingerprint.md5(KEY.blob())


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_text(LINE + "\n")
    return path


def test_a_public_file(public: Path) -> None:
    (shown,) = fingerprints.show(public)
    assert (shown.fingerprint, shown.comment, shown.type_label) == (SHA, "a comment", "ED25519-SK")
    assert (shown.bits, shown.line_number, shown.error, shown.randomart) == (256, 1, "", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [("sha256", SHA), ("md5", MD5), ("bubblebabble", fingerprint.bubblebabble(KEY.blob()))],
)
def test_hashes(public: Path, name: fingerprints.HashName, text: str) -> None:
    assert next(fingerprints.show(public, hash_name=name)).fingerprint == text
    assert list(fingerprints.fingerprint_lines(public, hash_name=name)) == [
        f"256 {text} a comment (ED25519-SK)"
    ]


def test_an_unknown_hash(public: Path) -> None:
    with pytest.raises(UsageError, match="sha1"):
        list(fingerprints.show(public, hash_name="sha1"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "frame"), [("sha256", "[SHA256]"), ("md5", "[MD5]")])
def test_pictures(public: Path, name: fingerprints.HashName, frame: str) -> None:
    picture = next(fingerprints.show(public, hash_name=name, randomart=True)).randomart.splitlines()
    assert "[ED25519-SK 256]" in picture[0]
    assert frame in picture[-1]
    assert len(picture) == 11


def test_authorized_keys_with_everything_in_it(tmp_path: Path) -> None:
    plain = PublicLine(Ed25519Public(b"e" * 32), "plain").encode()
    path = tmp_path / "authorized_keys"
    path.write_text(f'# comment\n\n{LINE}\nrubbish\nfrom="10.0.0.0/8" {plain}\n')
    good, bad, other = fingerprints.show(path, randomart=True)
    assert (good.line_number, good.error) == (3, "")
    assert (bad.line_number, bad.fingerprint, bad.randomart) == (4, "", "")
    assert bad.error
    assert (other.type_label, other.comment, other.options) == (
        "ED25519",
        "plain",
        'from="10.0.0.0/8"',
    )
    assert other.randomart != good.randomart
    assert len(list(fingerprints.fingerprint_lines(path))) == 2


@pytest.mark.parametrize("text", ["", "# comment\n", "rubbish\nmore\n", "\0\xff" * 1000])
def test_a_file_without_keys(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text, "latin-1")
    for read in (fingerprints.show, fingerprints.fingerprint_lines):
        with pytest.raises(MalformedKey, match="holds no key"):
            list(read(tmp_path / "file"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FidokitError) as caught:
            list(fingerprints.show(path))
        assert caught.value.hint


@pytest.mark.parametrize(("passphrase", "comment"), [(None, "inside"), (b"secret", "")])
def test_private_files(tmp_path: Path, passphrase: bytes | None, comment: str) -> None:
    file = PrivateFile(SkPrivate(KEY, SkFlag(1), KeyHandle(b"h")), "inside")
    path = tmp_path / "key"
    path.write_bytes(encode_private(file, passphrase=passphrase, rounds=1))
    (shown,) = fingerprints.show(path, randomart=True)
    assert (shown.fingerprint, shown.comment, shown.line_number) == (SHA, comment, 0)
    assert shown.randomart
    (tmp_path / "key.pub").write_text(LINE)
    assert next(fingerprints.show(path)).comment == (comment or "a comment")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE.encode())))
    assert next(fingerprints.show(fingerprints.STDIN)).fingerprint == SHA
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(MalformedKey, match="standard input"):
        list(fingerprints.show(fingerprints.STDIN))


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(LINE))
    writer.start()
    assert next(fingerprints.show(tmp_path / "pipe")).fingerprint == SHA
    writer.join()


def test_a_long_file_streams(tmp_path: Path) -> None:
    path = tmp_path / "many"
    path.write_text((LINE + "\n") * 10_000)
    lines = fingerprints.fingerprint_lines(path)
    assert next(lines).startswith("256 SHA256:")
    assert sum(1 for _ in lines) == 9_999


@pytest.mark.interop
def test_ssh_keygen_says_the_same(tmp_path: Path) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("ssh-keygen is missing: install openssh-client")
        pytest.skip("ssh-keygen is not installed")
    path = tmp_path / "authorized_keys"
    plain = PublicLine(Ed25519Public(b"e" * 32), "plain").encode()
    path.write_text(f'{LINE}\nfrom="10.0.0.0/8" {plain}\n')
    for option, name in (("sha256", "sha256"), ("md5", "md5")):
        theirs = subprocess.run(
            [program, "-l", "-E", option, "-f", str(path)],
            capture_output=True,
            check=True,
            text=True,
        )
        ours = list(fingerprints.fingerprint_lines(path, hash_name=name))  # type: ignore[arg-type]
        assert ours == theirs.stdout.splitlines()


@pytest.mark.interop
def test_a_certificate(tmp_path: Path, public: Path) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("ssh-keygen is missing: install openssh-client")
        pytest.skip("ssh-keygen is not installed")
    authority = tmp_path / "authority"
    for argv in (
        ["-q", "-t", "ed25519", "-N", "", "-f", str(authority)],
        ["-q", "-s", str(authority), "-I", "identity", "-n", "me", str(public)],
    ):
        subprocess.run([program, *argv], check=True, capture_output=True)
    certificate = tmp_path / "key-cert.pub"
    theirs = subprocess.run(
        [program, "-lf", str(certificate)], capture_output=True, check=True, text=True
    )
    assert list(fingerprints.fingerprint_lines(certificate)) == theirs.stdout.splitlines()
    (shown,) = fingerprints.show(certificate, randomart=True)
    assert shown.type_label == "ED25519-SK-CERT"
