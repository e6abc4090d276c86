"""Damaged keys in every form end in a value or in our own errors, and in nothing else.

`FIDOKIT_FUZZ` sets how many damaged inputs each parser gets.
"""

from __future__ import annotations

import pytest
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import PUBLIC_KEYS, SK_KEYS
from tests.support.signers import certificate, ed25519_key

from fidokit.errors import FidokitError, MalformedKey, PassphraseRequired, PassphraseWrong
from fidokit.openssh.keys.container import CIPHERS, Container, dearmor, enarmor, parse_container
from fidokit.openssh.keys.private import (
    PrivateFile,
    SkPrivate,
    encode_private,
    parse_private,
    peek_public,
)
from fidokit.openssh.keys.public import PublicLine, parse_public, parse_public_line
from fidokit.types import KeyHandle, SkFlag

BLOBS = [key.blob() for key in PUBLIC_KEYS]
LINES = [PublicLine(key, "me@here").encode().encode() for key in PUBLIC_KEYS]
FILES = [
    PrivateFile(SkPrivate(key, SkFlag(0x21), KeyHandle(b"handle" * 9), b"", carried), "me@here")
    for key in SK_KEYS
    for carried in (None, certificate(key, ed25519_key(), principals=("alice",), key_id="id"))
]
PLAIN = [encode_private(file) for file in FILES]


def test_fuzz_public_blobs() -> None:
    count = fuzz_count(30_000)
    assert survive(BLOBS, parse_public, MalformedKey, count) > count // 3


def test_fuzz_what_is_accepted_reads_the_same_again() -> None:
    def parse(blob: bytes) -> None:
        assert parse_public(blob).blob() == blob

    survive(BLOBS, parse, MalformedKey, fuzz_count(30_000), seed=2)


def test_fuzz_public_lines() -> None:
    count = fuzz_count(20_000)
    assert survive(LINES, parse_public_line, MalformedKey, count) > count // 3


def test_fuzz_private_files() -> None:
    count = fuzz_count(10_000)
    assert survive(PLAIN, lambda text: parse_private(text, None), MalformedKey, count) > count // 3


def test_fuzz_private_containers() -> None:
    """Inside the armor, where damage reaches the fields and not only the base64."""

    def parse(data: bytes) -> None:
        parse_private(enarmor(data), None)

    corpus = [dearmor(text) for text in PLAIN]
    survive(corpus, parse, (MalformedKey, PassphraseRequired), fuzz_count(15_000))


def test_fuzz_private_sections() -> None:
    """Inside the container, where damage reaches the key, the comment and the padding."""
    container = parse_container(PLAIN[0], 1)

    def parse(section: bytes) -> None:
        section += bytes(-len(section) % 8)
        parse_private(
            Container(CIPHERS["none"], None, container.public_blob, section).encode(), None
        )

    survive([container.sealed], parse, MalformedKey, fuzz_count(10_000))


def test_fuzz_peeking() -> None:
    corpus = [dearmor(text) for text in PLAIN]
    survive(corpus, lambda data: peek_public(enarmor(data)), MalformedKey, fuzz_count(10_000))


@pytest.mark.parametrize("cipher", [name for name in CIPHERS if name != "none"])
def test_fuzz_sealed_files(cipher: str) -> None:
    """Under a passphrase a wrong byte may look like a wrong passphrase; both are ours."""
    text = encode_private(FILES[0], passphrase=b"words", rounds=1, cipher=cipher)
    refused = (MalformedKey, PassphraseWrong)

    def parse(data: bytes) -> None:
        parse_private(enarmor(data), lambda: b"words", max_rounds=1)

    # bcrypt takes 7 ms even for one round: a million of these would take hours.
    survive([dearmor(text)], parse, refused, min(fuzz_count(100), 1_000))
    assert all(issubclass(error, FidokitError) for error in refused)
