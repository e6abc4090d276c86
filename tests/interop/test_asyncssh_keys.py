"""asyncssh, written by other people from the same specifications, as an oracle for keys."""

from __future__ import annotations

import asyncssh
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.samples import PUBLIC_KEYS, SK_KEYS, key_id, sk_keys

from fidokit.openssh.keys.container import parse_container
from fidokit.openssh.keys.fingerprint import md5, sha256
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private, parse_private
from fidokit.openssh.keys.public import (
    PublicKey,
    PublicLine,
    SkPublic,
    parse_public,
    parse_public_line,
)
from fidokit.types import KeyHandle, SkFlag

PASSPHRASE = "correct horse"
EVERY_KEY = pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
EVERY_SK = pytest.mark.parametrize("public", SK_KEYS, ids=key_id)
CIPHERS = pytest.mark.parametrize(
    "cipher",
    [
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
        "aes128-cbc",
        "aes192-cbc",
        "aes256-cbc",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ],
)


def file_of(public: SkPublic) -> PrivateFile:
    return PrivateFile(SkPrivate(public, SkFlag(0x21), KeyHandle(bytes(range(64)))), "me@here")


@EVERY_KEY
def test_public_lines_both_ways(key: PublicKey) -> None:
    line = PublicLine(key, "me@here").encode()
    theirs = asyncssh.import_public_key(line)
    assert theirs.public_data == key.blob()
    assert theirs.export_public_key("openssh").decode() == line + "\n"
    assert parse_public_line(theirs.export_public_key("openssh")) == PublicLine(key, "me@here")


@EVERY_KEY
def test_fingerprints(key: PublicKey) -> None:
    theirs = asyncssh.import_public_key(PublicLine(key, "").encode())
    assert theirs.get_fingerprint("sha256") == sha256(key.blob())
    assert theirs.get_fingerprint("md5") == md5(key.blob())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sk_keys)
def test_any_token_key(key: SkPublic) -> None:
    theirs = asyncssh.import_public_key(PublicLine(key, "").encode())
    assert parse_public(theirs.public_data) == key


@EVERY_SK
def test_plain_private_files_byte_for_byte(public: SkPublic) -> None:
    file = file_of(public)
    theirs = asyncssh.import_private_key(encode_private(file)).export_private_key("openssh")
    assert parse_private(theirs, None) == file
    check = parse_container(theirs, 1).sealed[:4]
    assert encode_private(file, random=lambda n: check[:n]) == theirs


@EVERY_SK
@CIPHERS
def test_sealed_private_files_both_ways(public: SkPublic, cipher: str) -> None:
    file = file_of(public)
    ours = encode_private(file, passphrase=PASSPHRASE.encode(), rounds=2, cipher=cipher)
    key = asyncssh.import_private_key(ours, PASSPHRASE)
    theirs = key.export_private_key(
        "openssh", PASSPHRASE, cipher_name=cipher, rounds=2, ignore_few_rounds=True
    )
    assert parse_private(theirs, PASSPHRASE.encode) == file


@settings(deadline=None, max_examples=30)
@given(sk_keys, st.integers(0, 255), st.binary(max_size=300))
def test_any_private_file(public: SkPublic, flags: int, handle: bytes) -> None:
    file = PrivateFile(SkPrivate(public, SkFlag(flags), KeyHandle(handle)), "")
    theirs = asyncssh.import_private_key(encode_private(file)).export_private_key("openssh")
    assert parse_private(theirs, None) == file
