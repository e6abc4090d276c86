"""Keys inside lines: fields, aliases, mismatches, and how a C program sees a line."""

from __future__ import annotations

import base64
import io

import pytest
from tests.support.samples import PUBLIC_KEYS, RSA, SK_ECDSA, SK_ED25519, key_id
from tests.support.signers import certificate, ed25519_key

from fidokit.errors import MalformedKey
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines import key_text


def words(key: PublicKey, type_name: str | None = None) -> bytes:
    return (type_name or key.type_name).encode() + b" " + base64.b64encode(key.blob())


@pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
def test_key_and_comment(key: PublicKey) -> None:
    assert key_text.read_key(words(key)) == (key, "")
    assert key_text.read_key(words(key) + b" a  comment") == (key, "a  comment")
    assert key_text.read_key(words(key).replace(b" ", b"\t  ") + b"\tc") == (key, "c")
    assert key_text.starts_with_key(words(key))


def test_certificate() -> None:
    sample = certificate(SK_ED25519, ed25519_key())
    line = sample.type_name.encode() + b" " + base64.b64encode(sample.blob()) + b" c"
    assert key_text.read_key(line) == (sample, "c")


@pytest.mark.parametrize("alias", ["rsa-sha2-256", "rsa-sha2-512"])
def test_signature_names_stand_for_rsa(alias: str) -> None:
    assert key_text.read_key(words(RSA, alias)) == (RSA, "")


def test_webauthn_stands_for_its_key() -> None:
    alias = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
    assert key_text.read_key(words(SK_ECDSA, alias)) == (SK_ECDSA, "")


def test_comment_bytes_that_are_not_text_are_kept() -> None:
    assert key_text.read_key(words(SK_ED25519) + b" caf\xe9") == (SK_ED25519, "caf\udce9")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no key of a known type"),
        (b"ssh-dss AAAA", "no key of a known type"),
        (b"ED25519 AAAA", "no key of a known type"),
        (b"ssh-ed25519", "another type"),
        (b"ssh-ed25519 ", "another type"),
        (b"ssh-ed25519 !!!!", "base64"),
        (b"ssh-ed25519 AAAAB3NzaC1yc2E=", "another type"),
        (words(RSA, "ssh-ed25519"), "another type"),
        (words(SK_ED25519)[:-8], "need"),
    ],
)
def test_what_is_no_key(text: bytes, reason: str) -> None:
    with pytest.raises(MalformedKey, match=reason):
        key_text.read_key(text)


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (b"a b\n", b"a b"),
        (b"a b\r\n", b"a b"),
        (b" \ta b \t\n", b"a b"),
        (b"a\0b\n", b"a"),
        (b"\0a", b""),
        (b"", b""),
    ],
)
def test_content(raw: bytes, seen: bytes) -> None:
    assert key_text.content(raw) == seen


def test_lines_are_read_in_bounded_pieces() -> None:
    exact = b"x" * (key_text.MAX_LINE - 1) + b"\n"
    longer = b"y" * (key_text.MAX_LINE + 1) + b"\n"
    file = io.BytesIO(exact + longer + b"end")
    assert list(key_text.read_lines(file)) == [
        (1, exact, True),
        (2, b"y" * key_text.MAX_LINE, False),
        (2, b"y\n", False),
        (3, b"end", True),
    ]
