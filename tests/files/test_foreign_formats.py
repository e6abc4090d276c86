"""Files of other forms: named, and converted by the command that the hint gives."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support import agent_keys
from tests.support.signers import _rsa_private

from fidokit.errors import MalformedKey
from fidokit.files.foreign_formats import require_own_form
from fidokit.files.scan import read_key
from fidokit.openssh.keys.public import PublicKey, PublicLine

LINE = PublicLine(agent_keys.rsa().public, "me").encode() + "\n"


def rsa_as(form: PublicFormat) -> bytes:
    return _rsa_private().public_key().public_bytes(Encoding.PEM, form)


def rfc4716(key: PublicKey) -> bytes:
    base64 = b64encode(key.blob())
    body = [base64[at : at + 70] for at in range(0, len(base64), 70)]
    lines = [b"---- BEGIN SSH2 PUBLIC KEY ----", b'Comment: "me"', *body]
    return b"\n".join([*lines, b"---- END SSH2 PUBLIC KEY ----", b""])


FORMS = {
    "UTF-16": (lambda: LINE.encode("utf-16"), "UTF-16"),
    "a byte order mark": (lambda: b"\xef\xbb\xbf" + LINE.encode(), "byte order mark"),
    "RFC 4716": (lambda: rfc4716(agent_keys.rsa().public), "RFC 4716"),
    "PKCS #8": (lambda: rsa_as(PublicFormat.SubjectPublicKeyInfo), "PKCS #8"),
    "PEM": (lambda: rsa_as(PublicFormat.PKCS1), "PEM"),
}


@pytest.mark.parametrize(("made", "named"), FORMS.values(), ids=FORMS)
def test_it_is_named(made: Callable[[], bytes], named: str, tmp_path: Path) -> None:
    path = tmp_path / "a key.pub"
    path.write_bytes(made())
    with pytest.raises(MalformedKey, match=named):
        read_key(path)


@pytest.mark.interop
@pytest.mark.parametrize(("made", "named"), FORMS.values(), ids=FORMS)
def test_the_command_of_the_hint_converts_it(
    made: Callable[[], bytes], named: str, tmp_path: Path
) -> None:
    path = tmp_path / "a key.pub"
    path.write_bytes(made())
    with pytest.raises(MalformedKey, match=named) as caught:
        read_key(path)
    command = (caught.value.hint or "").removeprefix("convert it: ")
    assert shutil.which(command.split()[0])
    subprocess.run(command, shell=True, check=True, timeout=60)
    line, _ = read_key(tmp_path / "a key.pub.converted")
    assert line.key == agent_keys.rsa().public


def test_a_putty_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedKey, match="PuTTY") as caught:
        require_own_form(tmp_path / "k.ppk", b"PuTTY-User-Key-File-3: ssh-ed25519\n")
    assert "puttygen" in (caught.value.hint or "")


@pytest.mark.parametrize("data", [b"", LINE.encode(), b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_own_forms_pass(data: bytes, tmp_path: Path) -> None:
    require_own_form(tmp_path / "k", data)
