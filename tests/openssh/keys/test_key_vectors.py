"""Files that stock ssh-keygen wrote (tests/vectors/keys, made by make_keys.py beside it)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vectors.make_keys import CIPHERS, HERE, ORDINARY, PASSPHRASE, ROUNDS, SK, file_of

from fidokit.errors import MalformedKey, PassphraseRequired, PassphraseWrong
from fidokit.openssh.keys.container import parse_container
from fidokit.openssh.keys.fingerprint import bubblebabble, randomart, randomart_title
from fidokit.openssh.keys.private import encode_private, parse_private, peek_public
from fidokit.openssh.keys.public import parse_public_line
from fidokit.openssh.lines.key_stream import Listed, list_fingerprints

EVERY_SK = pytest.mark.parametrize("name", SK)
EVERY_KEY = pytest.mark.parametrize("name", [*SK, *ORDINARY])
EVERY_CIPHER = pytest.mark.parametrize("cipher", CIPHERS)


def read(name: str, suffix: str = "") -> str:
    return (HERE / f"{name}{suffix}").read_text(encoding="utf-8")


def sealed(name: str, cipher: str) -> bytes:
    return (HERE / f"{name}.{cipher.removesuffix('@openssh.com')}").read_bytes()


@EVERY_KEY
def test_public_line(name: str) -> None:
    text = read(name, ".pub")
    line = parse_public_line(text)
    assert line.comment == f"{name} vector"
    assert line.encode() + "\n" == text


@EVERY_KEY
@pytest.mark.parametrize(("suffix", "hash_name"), [(".lv", "sha256"), (".lv_md5", "md5")])
def test_fingerprint_and_randomart(name: str, suffix: str, hash_name: str) -> None:
    key = parse_public_line(read(name, ".pub")).key
    title = randomart_title(key.short_type, key.bits)
    fingerprint, _, art = read(name, suffix).rstrip("\n").partition("\n")
    assert art == randomart(key.blob(), title, hash_name)
    if hash_name == "sha256":
        (found,) = list_fingerprints([read(name, ".pub").encode()])
        assert isinstance(found, Listed)
        assert found.text() == fingerprint


@EVERY_KEY
def test_bubblebabble(name: str) -> None:
    key = parse_public_line(read(name, ".pub")).key
    assert read(name, ".B").split()[1] == bubblebabble(key.blob())


@EVERY_SK
def test_plain_file_byte_for_byte(name: str) -> None:
    text = read(name).encode()
    assert parse_private(text, None) == file_of(name)
    check = parse_container(text, 1).sealed[:4]
    assert encode_private(file_of(name), random=lambda n: check[:n]) == text


@EVERY_SK
@EVERY_CIPHER
def test_sealed_file_byte_for_byte(name: str, cipher: str) -> None:
    text = sealed(name, cipher)
    assert parse_private(text, PASSPHRASE.encode) == file_of(name)
    container = parse_container(text, ROUNDS)
    assert container.kdf is not None
    secret = container.kdf.derive(PASSPHRASE.encode(), container.cipher.secret)
    check = container.cipher.open(secret, container.sealed)[:4]
    drawn = {16: container.kdf.salt, 4: check}
    ours = encode_private(
        file_of(name),
        passphrase=PASSPHRASE.encode(),
        rounds=ROUNDS,
        cipher=cipher,
        random=drawn.__getitem__,
    )
    assert ours == text


@EVERY_SK
@EVERY_CIPHER
def test_without_the_right_passphrase(name: str, cipher: str) -> None:
    text = sealed(name, cipher)
    assert peek_public(text) == file_of(name).key.public
    with pytest.raises(PassphraseRequired):
        parse_private(text, None)
    with pytest.raises(PassphraseWrong):
        parse_private(text, PASSPHRASE.upper().encode)


@EVERY_SK
def test_stocks_own_default(name: str) -> None:
    text = sealed(name, "default")
    container = parse_container(text, 16)
    assert container.cipher.name == "aes256-ctr"
    assert container.kdf is not None
    assert container.kdf.rounds == 16
    assert parse_private(text, PASSPHRASE.encode) == file_of(name)


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_private_files(name: str) -> None:
    text = read(name).encode()
    public = parse_public_line(read(name, ".pub")).key
    assert peek_public(text) == public
    with pytest.raises(MalformedKey, match=f"ordinary key \\({public.type_name}\\)"):
        parse_private(text, None)


def test_every_vector_is_read_by_some_test() -> None:
    described = {f"{name}{end}" for name in (*SK, *ORDINARY) for end in DESCRIPTIONS}
    seals = {f"{name}.{cipher.partition('@')[0]}" for name in SK for cipher in CIPHERS}
    defaults = {f"{name}.default" for name in SK}
    assert {path.name for path in Path(HERE).iterdir()} == described | seals | defaults


DESCRIPTIONS = ("", ".pub", ".lv", ".lv_md5", ".B")
