"""Derived secrets open what age encrypted and LUKS sealed; other programs take our lines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.fake_link import Person, session_on

from fidokit.keys.secrets import (
    SecretForm,
    create_secret,
    derive_secret,
    encoded,
    read_secret_file,
)
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

FAST = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "-q")


def run(*command: str | Path, stdin: bytes = b"", status: int = 0) -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture
def derive(tmp_path: Path) -> Callable[[Path], bytes]:
    """The secret of a file that this token made, `secret` first."""
    token = VirtualToken(presence="auto")
    with session_on(token.link(), Person("1234")) as session:
        create_secret(session, tmp_path / "secret", verified=False, force=False)

    def derived(path: Path) -> bytes:
        with session_on(token.link(), Person("1234")) as session:
            return derive_secret(session, read_secret_file(path))

    return derived


def test_age(stock: Callable[[str], str], derive: Callable[[Path], bytes], tmp_path: Path) -> None:
    age, keygen = stock("age"), stock("age-keygen")
    identity = tmp_path / "identity"
    identity.write_bytes(encoded(derive(tmp_path / "secret"), SecretForm.AGE))
    recipient = run(keygen, "-y", identity).decode().strip()
    sealed = run(age, "-r", recipient, stdin=b"what nobody else reads")
    (tmp_path / "again").write_bytes(encoded(derive(tmp_path / "secret"), SecretForm.AGE))
    assert run(age, "-d", "-i", tmp_path / "again", stdin=sealed) == b"what nobody else reads"


def test_a_luks_file(
    stock: Callable[[str], str], derive: Callable[[Path], bytes], tmp_path: Path
) -> None:
    """Opened by the secret, and by one derived from the token that its header has."""
    cryptsetup = stock("cryptsetup")
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"")
    with disk.open("r+b") as file:
        file.truncate(20 << 20)
    secret = derive(tmp_path / "secret")
    run(cryptsetup, "luksFormat", "--type", "luks2", *FAST, disk, "-", stdin=secret)
    opening = (cryptsetup, "open", "--test-passphrase", "--key-file=-", disk)
    run(*opening, stdin=derive(tmp_path / "secret"))
    run(*opening, stdin=bytes(32), status=2)
    written = (tmp_path / "secret").read_bytes()
    run(cryptsetup, "token", "import", "--json-file=-", disk, stdin=written)
    exported = run(cryptsetup, "token", "export", "--token-id", "0", disk)
    (tmp_path / "exported").write_bytes(exported)
    run(*opening, stdin=derive(tmp_path / "exported"))


def test_a_slot_as_systemd_cryptenroll_fills_it(
    stock: Callable[[str], str], derive: Callable[[Path], bytes], tmp_path: Path
) -> None:
    """Its passphrase is the base64 of the secret."""
    cryptsetup = stock("cryptsetup")
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"")
    with disk.open("r+b") as file:
        file.truncate(20 << 20)
    passphrase = encoded(derive(tmp_path / "secret"), SecretForm.BASE64)
    run(cryptsetup, "luksFormat", "--type", "luks2", *FAST, disk, "-", stdin=passphrase)
    opening = (cryptsetup, "open", "--test-passphrase", disk)
    run(*opening, stdin=passphrase + b"\n")  # as somebody would type it
