"""Stock ssh-keygen and we read each other's keys, and print the same of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.samples import PUBLIC_KEYS, SK_ECDSA, SK_ED25519, SK_KEYS, key_id
from tests.support.signers import certificate, ed25519_key

from fidokit.openssh.keys.container import CIPHERS
from fidokit.openssh.keys.fingerprint import bubblebabble, md5, randomart, randomart_title, sha256
from fidokit.openssh.keys.private import (
    PrivateFile,
    SkPrivate,
    encode_private,
    parse_private,
    peek_public,
)
from fidokit.openssh.keys.public import PublicKey, PublicLine, SkPublic, parse_public_line
from fidokit.openssh.lines.key_stream import Listed, list_fingerprints
from fidokit.types import Application, KeyHandle, SkFlag

pytestmark = pytest.mark.interop

Run = Callable[..., str]
PASSPHRASE = "correct horse"
EVERY_SK = pytest.mark.parametrize("public", SK_KEYS, ids=key_id)
EVERY_KEY = pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
EVERY_CIPHER = pytest.mark.parametrize("cipher", [name for name in CIPHERS if name != "none"])


def file_of(public: SkPublic, flags: int = 0x21, comment: str = "me@here") -> PrivateFile:
    return PrivateFile(SkPrivate(public, SkFlag(flags), KeyHandle(bytes(range(96)))), comment)


def write_key(folder: Path, data: bytes) -> Path:
    path = folder / "id_sk"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def write_public(folder: Path, key: PublicKey, comment: str = "me@here") -> Path:
    path = folder / "key.pub"
    path.write_text(PublicLine(key, comment).encode() + "\n", encoding="utf-8")
    return path


class TestPublic:
    @EVERY_KEY
    @pytest.mark.parametrize("comment", ["me@here", "", "two  words", "#7", "café"])
    def test_fingerprints(
        self, key: PublicKey, comment: str, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        path = write_public(tmp_path, key, comment)
        (found,) = list_fingerprints(path.read_bytes().splitlines())
        assert isinstance(found, Listed)
        assert ssh_keygen("-l", "-f", path) == found.text() + "\n"

    @EVERY_KEY
    def test_other_hashes(self, key: PublicKey, ssh_keygen: Run, tmp_path: Path) -> None:
        path = write_public(tmp_path, key)
        blob = key.blob()
        assert ssh_keygen("-l", "-E", "md5", "-f", path).split()[1] == md5(blob)
        assert ssh_keygen("-B", "-f", path).split()[1] == bubblebabble(blob)

    @EVERY_KEY
    @pytest.mark.parametrize("hash_name", ["sha256", "md5"])
    def test_randomart(
        self, key: PublicKey, hash_name: str, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        shown = ssh_keygen("-l", "-v", "-E", hash_name, "-f", write_public(tmp_path, key))
        title = randomart_title(key.short_type, key.bits)
        assert shown.partition("\n")[2].strip("\n") == randomart(key.blob(), title, hash_name)

    @EVERY_KEY
    def test_certificates(self, key: PublicKey, ssh_keygen: Run, tmp_path: Path) -> None:
        held = certificate(key, ed25519_key())
        path = tmp_path / "key-cert.pub"
        path.write_text(f"{held.type_name} {b64encode(held.blob()).decode()} me@here\n")
        (found,) = list_fingerprints(path.read_bytes().splitlines())
        assert isinstance(found, Listed)
        assert ssh_keygen("-l", "-f", path) == found.text() + "\n"
        shown = ssh_keygen("-l", "-v", "-f", path)
        title = randomart_title(found.short_type, found.bits)
        assert shown.partition("\n")[2].strip("\n") == randomart(key.blob(), title)

    def test_a_file_of_keys_with_options(self, ssh_keygen: Run, tmp_path: Path) -> None:
        lines = [PublicLine(key, "c").encode() for key in PUBLIC_KEYS]
        text = [
            "# comment",
            "",
            lines[0],
            'restrict,command="a \\" b" ' + lines[1],
            "no key here",
            "host.example,10.0.0.1\t" + lines[2],
            "  " + lines[3] + "  spaces",
            *lines[4:],
        ]
        path = tmp_path / "authorized_keys"
        path.write_text("\n".join(text) + "\n")
        ours = list_fingerprints(path.read_bytes().splitlines())
        listed = [found.text() for found in ours if isinstance(found, Listed)]
        assert ssh_keygen("-l", "-f", path).splitlines() == listed
        assert len(listed) == len(PUBLIC_KEYS)

    @pytest.mark.parametrize("application", ["", "ssh:a b", "https://example.com", "ssh:é"])
    def test_any_application(self, application: str, ssh_keygen: Run, tmp_path: Path) -> None:
        key = type(SK_ECDSA)(SK_ECDSA.point, Application(application))
        shown = ssh_keygen("-l", "-f", write_public(tmp_path, key))
        assert shown.split()[1] == sha256(key.blob())

    @pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
    def test_keys_that_ssh_keygen_makes(self, kind: str, ssh_keygen: Run, tmp_path: Path) -> None:
        ssh_keygen("-q", "-t", kind, "-N", "", "-C", "me@here", "-f", "made")
        text = (tmp_path / "made.pub").read_text()
        line = parse_public_line(text)
        assert line.encode() + "\n" == text
        assert peek_public((tmp_path / "made").read_bytes()) == line.key

    @EVERY_SK
    def test_points_off_the_curve(self, public: SkPublic, ssh_keygen: Run, tmp_path: Path) -> None:
        """What each side says of a damaged point; for Ed25519 stock looks at the length alone."""
        damaged = bytes([*public.point[:-1], public.point[-1] ^ 1])
        path = write_public(tmp_path, type(public)(damaged, public.application))
        (found,) = list_fingerprints(path.read_bytes().splitlines())
        accepted = public is SK_ED25519
        assert isinstance(found, Listed) is accepted
        ssh_keygen("-l", "-f", path, fails=not accepted)


class TestPrivate:
    @EVERY_SK
    @pytest.mark.parametrize("flags", [0x01, 0x05, 0x25, 0x31])
    def test_what_stock_rewrites_is_the_same(
        self, public: SkPublic, flags: int, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        """Byte for byte: stock reads our plain file and writes it again; only the check differs."""
        ours = encode_private(file_of(public, flags))
        path = write_key(tmp_path, ours)
        ssh_keygen("-p", "-P", "", "-N", "", "-f", path)
        theirs = path.read_bytes()
        assert parse_private(theirs, None) == file_of(public, flags)
        check = _check_bytes(theirs)
        assert encode_private(file_of(public, flags), random=lambda n: check[:n]) == theirs

    @EVERY_SK
    def test_public_half_and_fingerprint(
        self, public: SkPublic, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        path = write_key(tmp_path, encode_private(file_of(public)))
        assert ssh_keygen("-y", "-f", path) == PublicLine(public, "me@here").encode() + "\n"
        assert ssh_keygen("-l", "-f", path).split()[1] == sha256(public.blob())
        assert ssh_keygen("-B", "-f", path).split()[1] == bubblebabble(public.blob())

    @EVERY_SK
    @EVERY_CIPHER
    def test_stock_opens_what_we_seal(
        self, public: SkPublic, cipher: str, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        sealed = encode_private(
            file_of(public), passphrase=PASSPHRASE.encode(), rounds=2, cipher=cipher
        )
        path = write_key(tmp_path, sealed)
        assert parse_public_line(ssh_keygen("-y", "-P", PASSPHRASE, "-f", path)).key == public
        ssh_keygen("-p", "-P", PASSPHRASE, "-N", "", "-f", path)
        assert parse_private(path.read_bytes(), None) == file_of(public)

    @EVERY_SK
    @EVERY_CIPHER
    def test_we_open_what_stock_seals(
        self, public: SkPublic, cipher: str, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        path = write_key(tmp_path, encode_private(file_of(public)))
        ssh_keygen("-p", "-a", "2", "-Z", cipher, "-P", "", "-N", PASSPHRASE, "-f", path)
        sealed = path.read_bytes()
        assert parse_private(sealed, PASSPHRASE.encode) == file_of(public)
        assert peek_public(sealed) == public

    @EVERY_SK
    def test_stock_reads_a_file_with_a_certificate(
        self, public: SkPublic, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        """It reads this layout, and never writes it to a file: only agents are sent it."""
        certified = certificate(public, ed25519_key(), principals=("alice",), key_id="id")
        plain = file_of(public)
        file = PrivateFile(plain.key._replace(certificate=certified), plain.comment)
        path = write_key(tmp_path, encode_private(file))
        type_name, base64 = ssh_keygen("-y", "-f", path).split()[:2]
        assert type_name == certified.type_name
        assert b64decode(base64) == certified.blob()
        assert "unsupported key type" in ssh_keygen(
            "-p", "-P", "", "-N", "", "-f", path, fails=True
        )

    def test_our_default_opens(self, ssh_keygen: Run, tmp_path: Path) -> None:
        sealed = encode_private(file_of(SK_ED25519), passphrase=PASSPHRASE.encode())
        path = write_key(tmp_path, sealed)
        assert "sk-ssh-ed25519" in ssh_keygen("-y", "-P", PASSPHRASE, "-f", path)
        assert "incorrect passphrase" in ssh_keygen("-y", "-P", "wrong", "-f", path, fails=True)

    @EVERY_SK
    def test_stock_changes_the_comment(
        self, public: SkPublic, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        path = write_key(tmp_path, encode_private(file_of(public)))
        ssh_keygen("-c", "-C", "another cömment", "-P", "", "-f", path)
        assert parse_private(path.read_bytes(), None) == file_of(public, comment="another cömment")

    @pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
    @pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
    def test_ordinary_keys_are_peeked_at(
        self, kind: str, passphrase: str, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        ssh_keygen("-q", "-t", kind, "-a", "1", "-N", passphrase, "-f", "made")
        public = parse_public_line((tmp_path / "made.pub").read_text()).key
        assert peek_public((tmp_path / "made").read_bytes()) == public

    def test_what_editors_leave_is_read_by_us_at_least_as_well(
        self, ssh_keygen: Run, tmp_path: Path
    ) -> None:
        text = encode_private(file_of(SK_ED25519))
        for changed in (
            text,
            text + b"trailing text\n",
            text.replace(b"\n", b"\n\n", 1),
            text.replace(b"AAAA", b"AA AA"),
        ):
            path = write_key(tmp_path, changed)
            assert parse_public_line(ssh_keygen("-y", "-f", path)).key == SK_ED25519
            assert parse_private(changed, None) == file_of(SK_ED25519)


def _check_bytes(text: bytes) -> bytes:
    """The check integer that stock drew, so that our file can hold the same one."""
    from fidokit.openssh.keys.container import parse_container

    return parse_container(text, 1).sealed[:4]
