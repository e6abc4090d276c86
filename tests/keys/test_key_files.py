"""Flags and passphrases of key files, replaced in one step under the same protection."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.agent_host import stock

from fidokit.errors import (
    MalformedKey,
    PassphraseRequired,
    PassphraseWrong,
    UsageError,
    WouldOverwrite,
)
from fidokit.keys import fingerprints, key_files
from fidokit.openssh.keys.container import parse_container
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private, parse_private
from fidokit.openssh.keys.public import PublicLine, SkEd25519Public
from fidokit.types import Application, KeyHandle, PassphraseSource, SkFlag

pytestmark = pytest.mark.usefixtures("home")

UP, UV, RESIDENT = (
    SkFlag.USER_PRESENCE_REQUIRED,
    SkFlag.USER_VERIFICATION_REQUIRED,
    SkFlag.RESIDENT_KEY,
)
KEY = SkEd25519Public(b"k" * 32, Application("ssh:test"))
FILE = PrivateFile(SkPrivate(KEY, UP | RESIDENT, KeyHandle(b"handle" * 10)), "my comment")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "files" / "plain"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(encode_private(FILE))
    path.chmod(0o600)
    return path


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    path = tmp_path / "locked"
    path.write_bytes(encode_private(FILE, passphrase=b"old", rounds=2, cipher="aes256-cbc"))
    path.chmod(0o600)
    return path


def never(_path: Path) -> bytes:
    pytest.fail("nothing is encrypted, so nobody is to be asked")


def saying(word: bytes) -> PassphraseSource:
    """Answers once."""
    words = [word]
    return lambda _: words.pop()


def test_describe_a_plain_file(plain: Path) -> None:
    found = key_files.describe_key_file(plain, passphrase=never)
    assert (found.application, found.comment, found.flags) == (
        "ssh:test",
        "my comment",
        UP | RESIDENT,
    )
    assert (found.encrypted, found.type_label, found.warnings) == (False, "ED25519-SK", ())
    assert found.public_line == PublicLine(KEY, "my comment").encode()


def test_describe_a_locked_file(locked: Path) -> None:
    found = key_files.describe_key_file(locked)
    assert (found.encrypted, found.flags, found.comment) == (True, None, "")
    locked.with_name("locked.pub").write_text(PublicLine(KEY, "from the line").encode())
    assert key_files.describe_key_file(locked).comment == "from the line"
    assert key_files.describe_key_file(locked, passphrase=saying(b"old")).comment == "my comment"
    with pytest.raises(PassphraseWrong):
        key_files.describe_key_file(locked, passphrase=saying(b"new"))


def test_describe_warns_of_modes(plain: Path) -> None:
    plain.chmod(0o644)
    assert "chmod 600" in key_files.describe_key_file(plain).warnings[0]


@pytest.mark.parametrize(
    ("touch", "verify", "after"),
    [
        (None, None, UP | RESIDENT),
        (False, None, RESIDENT),
        (None, True, UP | UV | RESIDENT),
        (False, True, UV | RESIDENT),
        (True, False, UP | RESIDENT),
    ],
)
def test_flags(plain: Path, touch: bool | None, verify: bool | None, after: SkFlag) -> None:
    before = plain.stat().st_ino
    change = key_files.set_key_flags(plain, touch=touch, verify=verify, passphrase=never)
    assert (change.before, change.after) == (UP | RESIDENT, after)
    assert change.changed is (after != UP | RESIDENT)
    assert (plain.stat().st_ino == before) is not change.changed
    file = parse_private(plain.read_bytes(), None)
    assert file.key.flags == after
    assert file.comment == "my comment"
    assert plain.stat().st_mode & 0o777 == 0o600


def test_unknown_flag_bits_stay(plain: Path) -> None:
    odd = PrivateFile(SkPrivate(KEY, SkFlag(0xB1), KeyHandle(b"h"), b"reserved"), "")
    plain.write_bytes(encode_private(odd))
    key_files.set_key_flags(plain, verify=True)
    key = parse_private(plain.read_bytes(), None).key
    assert (int(key.flags), key.reserved) == (0xB5, b"reserved")


def test_flags_of_a_locked_file_keep_its_protection(locked: Path) -> None:
    key_files.set_key_flags(locked, verify=True, passphrase=saying(b"old"))
    container = parse_container(locked.read_bytes(), 1 << 10)
    assert container.cipher.name == "aes256-cbc"
    assert container.kdf is not None
    assert container.kdf.rounds == 2
    assert parse_private(locked.read_bytes(), lambda: b"old").key.flags == UP | UV | RESIDENT


def test_flags_of_a_locked_file_need_its_passphrase(locked: Path) -> None:
    content = locked.read_bytes()
    with pytest.raises(PassphraseRequired):
        key_files.set_key_flags(locked, verify=True)
    with pytest.raises(PassphraseWrong):
        key_files.set_key_flags(locked, verify=True, passphrase=saying(b"wrong"))
    assert locked.read_bytes() == content


def test_a_link_is_not_replaced(plain: Path) -> None:
    link = plain.with_name("link")
    link.symlink_to(plain)
    with pytest.raises(WouldOverwrite, match="symbolic link"):
        key_files.set_key_flags(link, verify=True)
    assert link.is_symlink()


def test_passphrase_set_changed_removed(plain: Path) -> None:
    key_files.change_passphrase(plain, old=never, new=lambda _: b"first", rounds=1)
    assert parse_private(plain.read_bytes(), lambda: b"first") == FILE
    key_files.change_passphrase(plain, old=saying(b"first"), new=lambda _: b"second", rounds=3)
    container = parse_container(plain.read_bytes(), 1 << 10)
    assert container.kdf is not None
    assert (container.kdf.rounds, container.cipher.name) == (3, "aes256-ctr")
    key_files.change_passphrase(plain, old=saying(b"second"), new=None)
    assert parse_private(plain.read_bytes(), None) == FILE
    assert plain.stat().st_mode & 0o777 == 0o600
    assert list(plain.parent.iterdir()) == [plain]


def test_a_wrong_passphrase_changes_nothing(locked: Path) -> None:
    content = locked.read_bytes()

    def asked(_path: Path) -> bytes:
        pytest.fail("the new one is asked only when the old one is right")

    with pytest.raises(PassphraseWrong):
        key_files.change_passphrase(locked, old=saying(b"wrong"), new=asked)
    with pytest.raises(PassphraseRequired):
        key_files.change_passphrase(locked, old=None, new=None)
    with pytest.raises(UsageError):
        key_files.change_passphrase(locked, old=saying(b"old"), new=lambda _: b"x", cipher="rot13")
    with pytest.raises(UsageError):
        key_files.change_passphrase(locked, old=saying(b"old"), new=lambda _: b"x", rounds=0)
    assert locked.read_bytes() == content


def test_public_lines(plain: Path, locked: Path, tmp_path: Path) -> None:
    public = tmp_path / "a.pub"
    public.write_text("  " + PublicLine(KEY, "its comment").encode() + "\n")
    assert list(key_files.public_lines([plain, locked, public])) == [
        PublicLine(KEY, "my comment").encode(),
        PublicLine(KEY, "").encode(),
        PublicLine(KEY, "its comment").encode(),
    ]
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(MalformedKey):
        list(key_files.public_lines([tmp_path / "junk"]))


@pytest.mark.interop
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_ordinary_private_file_keeps_its_comment(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    program = [stock("ssh-keygen"), "-q"]
    made = [*program, "-t", kind, "-N", "", "-C", "my comment", "-f", str(path)]
    subprocess.run(made, check=True)
    line = path.with_name(f"{path.name}.pub")
    expected = line.read_text().strip()
    line.unlink()
    assert list(key_files.public_lines([path])) == [expected]
    assert [shown.comment for shown in fingerprints.show(path)] == ["my comment"]
    subprocess.run([*program, "-p", "-P", "", "-N", "words", "-f", str(path)], check=True)
    assert [shown.comment for shown in fingerprints.show(path)] == [""]
    line.write_text(expected)
    assert list(key_files.public_lines([path])) == [expected]
