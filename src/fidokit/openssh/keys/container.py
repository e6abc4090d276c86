"""The outside of a private key file: armor, cipher, KDF, public half, and the sealed section.

Source: OpenSSH PROTOCOL.key, sections 1 and 2. What is inside the section is private.py's.
"""

from __future__ import annotations

import binascii
from typing import Final, NamedTuple

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.keys.cipher import CIPHERS, NO_CIPHER, Bcrypt, Cipher
from fidokit.openssh.wire import Reader

MAX_FILE: Final = 1 << 18
"""Longest private key file that is looked at, characters; a token key's has about 600."""

_MAGIC: Final = b"openssh-key-v1\0"
_BEGIN: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_END: Final = b"-----END OPENSSH PRIVATE KEY-----"
_COLUMNS: Final = 70

_WHAT: Final = "private key"


# --- armor --------------------------------------------------------------------------------


def enarmor(data: bytes) -> bytes:
    """The text that ssh-keygen writes around `data`: base64 in lines of 70 columns."""
    base64 = binascii.b2a_base64(data, newline=False)
    lines = [base64[at : at + _COLUMNS] for at in range(0, len(base64), _COLUMNS)]
    return b"\n".join([_BEGIN, *lines, _END, b""])


def dearmor(text: bytes) -> bytes:
    """The bytes inside the armor.

    As stock does, this takes any white space within the base64 and any text behind the last
    line. Beyond it, it takes white space before the first line and a last line without an end,
    which editors and clipboards leave.

    Raises:
        MalformedKey: too long, no armor, another kind of key file, or base64 that is none.
    """
    if len(text) > MAX_FILE:
        raise MalformedKey(f"private key: {len(text)} bytes are more than the {MAX_FILE} allowed")
    text = text.lstrip()
    end = text.find(b"\n" + _END)
    if end < 0 or not text.startswith(_BEGIN):
        raise _no_armor(text)
    try:
        lines = text[len(_BEGIN) : end].split()
        return binascii.a2b_base64(b"".join(lines), strict_mode=True)
    except ValueError as error:
        raise MalformedKey(
            "private key: the text between the BEGIN and END lines is no base64"
        ) from error


def _no_armor(text: bytes) -> MalformedKey:
    if text.startswith(_BEGIN):
        return MalformedKey("private key: the file ends before its END line")
    if text.startswith(b"-----BEGIN "):
        return MalformedKey(
            "this is a key file of another kind, not an OpenSSH private key",
            hint="Have ssh-keygen rewrite it in OpenSSH's own format: ssh-keygen -p -f FILE",
        )
    return MalformedKey(
        "this is not an OpenSSH private key: its BEGIN line is missing",
        hint="Name the private file, the one without .pub",
    )


# --- container -----------------------------------------------------------------------------


class Container(NamedTuple):
    """ "openssh-key-v1" NUL, string cipher, string KDF, string KDF options, uint32 1 (one key),
    string public key, string sealed section; behind it an AEAD cipher's tag.

    `kdf` is None where `cipher` is "none", and only there. `sealed` includes the tag.
    """

    cipher: Cipher
    kdf: Bcrypt | None
    public_blob: bytes
    sealed: bytes

    def encode(self) -> bytes:
        """The whole file, armor and all."""
        sealed_at = len(self.sealed) - self.cipher.tag
        return enarmor(
            _MAGIC
            + wire.text(self.cipher.name)
            + wire.text("bcrypt" if self.kdf else "none")
            + wire.string(self.kdf.encode() if self.kdf else b"")
            + wire.u32(1)
            + wire.string(self.public_blob)
            + wire.string(self.sealed[:sealed_at])
            + self.sealed[sealed_at:]
        )


def parse_container(text: bytes, max_rounds: int) -> Container:
    """Everything that can be known without the passphrase, checked before any is asked for.

    Args:
        text: the file.
        max_rounds: how many bcrypt rounds are bearable.

    Raises:
        MalformedKey: not this layout, an unknown cipher or KDF, several keys, absurd sizes.
    """
    reader = Reader(dearmor(text), _WHAT)
    cipher, kdf = _protection(reader, max_rounds)
    if not reader.skip(_ONE_KEY):
        raise MalformedKey(
            f"private key: the file holds {reader.u32()} keys, and only files with one are read",
            hint="OpenSSH reads no others either; split the file with the program that made it",
        )
    public_blob = reader.string()
    section = reader.string()
    if not section or len(section) % cipher.block:
        raise MalformedKey(
            f"private key: a section of {len(section)} bytes is not in blocks of {cipher.block}"
        )
    sealed = section + reader.raw(cipher.tag)
    reader.end()
    return Container(cipher, kdf, public_blob, sealed)


_ONE_KEY: Final = wire.u32(1)
_UNPROTECTED: Final = _MAGIC + wire.text("none") + wire.text("none") + wire.string(b"")


def _protection(reader: Reader, max_rounds: int) -> tuple[Cipher, Bcrypt | None]:
    """The fields before the number of keys."""
    if reader.skip(_UNPROTECTED):
        return CIPHERS[NO_CIPHER], None
    if not reader.skip(_MAGIC):
        raise MalformedKey("private key: openssh-key-v1 does not stand at its start")
    cipher = _cipher(reader.text())
    return cipher, _kdf(cipher, reader.text(), reader.string(), max_rounds)


def _cipher(name: str) -> Cipher:
    cipher = CIPHERS.get(name)
    if cipher is None:
        raise MalformedKey(
            f"private key: cipher {name[:64]!r} is not known",
            hint="Change it with stock tools: ssh-keygen -p -Z aes256-ctr -f FILE",
        )
    return cipher


def _kdf(cipher: Cipher, name: str, options: bytes, max_rounds: int) -> Bcrypt | None:
    match name, cipher.name == NO_CIPHER:
        case "none", True:
            if options:
                raise MalformedKey('private key: KDF "none" comes with options')
            return None
        case "bcrypt", False:
            return Bcrypt.parse(options, max_rounds)
        case _:
            raise MalformedKey(
                f"private key: KDF {name[:64]!r} does not go with cipher {cipher.name!r}"
            )
