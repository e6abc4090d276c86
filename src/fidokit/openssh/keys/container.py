"""The outside of a private key file: armor, cipher, KDF, public half, and the sealed section.

Sources: OpenSSH PROTOCOL.key (sections 1 to 3), PROTOCOL.chacha20poly1305, RFC 4344 (ctr), RFC 4253
(cbc), RFC 5647 (gcm). The primitives are pyca/cryptography's and bcrypt's; only their wiring is
here. Both are imported when a passphrase is at work and not before. What is inside the section is
private.py's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, Protocol

from fidokit.errors import MalformedKey, PassphraseWrong, UsageError
from fidokit.openssh import wire
from fidokit.openssh.wire import Reader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher as AesCipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR

NO_CIPHER: Final = "none"
DEFAULT_CIPHER: Final = "aes256-ctr"
DEFAULT_ROUNDS: Final = 24
"""What ssh-keygen 9.9 writes by default; 9.2 and 9.6 write 16."""

MAX_ROUNDS: Final = 4096
"""A round takes about 7 ms, so these take half a minute; a forged file could ask for a year."""

_SALT_BYTES: Final = 16
_MAX_SALT: Final = 1024


# --- key derivation ------------------------------------------------------------------------


@dataclass(frozen=True)
class Bcrypt:
    """string salt, uint32 rounds: the KDF options of "bcrypt". Source: PROTOCOL.key section 2."""

    salt: bytes
    rounds: int

    @classmethod
    def fresh(cls, rounds: int, random: Callable[[int], bytes]) -> Bcrypt:
        """A new salt of 16 bytes.

        Args:
            rounds: 1 to `MAX_ROUNDS`, each about 7 ms for whoever opens the file, or tries to.
            random: gives as many random bytes as it is asked for.

        Raises:
            UsageError: rounds out of bounds.
        """
        if not 1 <= rounds <= MAX_ROUNDS:
            raise UsageError(
                f"{rounds} bcrypt rounds are outside 1 to {MAX_ROUNDS}",
                hint=f"{DEFAULT_ROUNDS} is the usual number, 100 is a cautious one",
            )
        return cls(random(_SALT_BYTES), rounds)

    @classmethod
    def parse(cls, options: bytes, max_rounds: int) -> Bcrypt:
        """The options in a file, refused before they can cost time.

        Raises:
            MalformedKey: another layout, a salt of no or absurd length, too many rounds.
        """
        reader = Reader(options, "private key's KDF options")
        salt, rounds = reader.string(), reader.u32()
        reader.end()
        if not 1 <= len(salt) <= _MAX_SALT:
            raise MalformedKey(f"private key: a bcrypt salt of {len(salt)} bytes")
        if not 1 <= rounds <= max_rounds:
            raise MalformedKey(
                f"private key: {rounds} bcrypt rounds are outside 1 to {max_rounds}",
                hint="If you chose so many yourself, lower them: ssh-keygen -p -a 100 -f FILE",
            )
        return cls(salt, rounds)

    def encode(self) -> bytes:
        """The options as they stand in the file."""
        return wire.string(self.salt) + wire.u32(self.rounds)

    def derive(self, passphrase: bytes, length: int) -> bytes:
        """`length` bytes of key and IV from a passphrase of at least one byte."""
        import bcrypt

        return bcrypt.kdf(passphrase, self.salt, length, self.rounds, ignore_few_rounds=True)


# --- ciphers -------------------------------------------------------------------------------


class Cipher(Protocol):
    """One of OpenSSH's ciphers as private key files use it; sizes in bytes.

    `block` is what the text is padded to, `secret` the length of key and IV in one piece (the
    KDF makes both), `tag` what follows the sealed text.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def block(self) -> int: ...  # noqa: D102
    @property
    def secret(self) -> int: ...  # noqa: D102
    @property
    def tag(self) -> int: ...  # noqa: D102

    def seal(self, secret: bytes, text: bytes) -> bytes:
        """The sealed text and the tag behind it."""

    def open(self, secret: bytes, sealed: bytes) -> bytes:
        """The text; PassphraseWrong where the tag does not fit the sealed text."""


def passphrase_wrong() -> PassphraseWrong:
    """The one sentence for a wrong passphrase, however it shows."""
    return PassphraseWrong(
        "the passphrase does not open the private key file, or the file is damaged",
        hint="Try again; if it is forgotten, `fidokit key download` restores a resident key",
    )


@dataclass(frozen=True)
class _NoCipher:
    """ "none": the text as it is, padded to 8 bytes."""

    name: ClassVar[str] = NO_CIPHER
    block: ClassVar[int] = 8
    secret: ClassVar[int] = 0
    tag: ClassVar[int] = 0

    def seal(self, secret: bytes, text: bytes) -> bytes:  # noqa: ARG002
        return text

    def open(self, secret: bytes, sealed: bytes) -> bytes:  # noqa: ARG002
        return sealed


@dataclass(frozen=True)
class _Aes:
    """AES in counter (RFC 4344) or CBC mode (RFC 4253); key, then an IV of one block."""

    key_bits: int
    mode: Literal["ctr", "cbc"]

    block: ClassVar[int] = 16
    tag: ClassVar[int] = 0

    @property
    def name(self) -> str:
        return f"aes{self.key_bits}-{self.mode}"

    @property
    def secret(self) -> int:
        return self.key_bits // 8 + self.block

    def _prepare(self, secret: bytes) -> AesCipher[CTR | CBC]:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        key, iv = secret[: -self.block], secret[-self.block :]
        mode = modes.CTR(iv) if self.mode == "ctr" else modes.CBC(iv)
        return Cipher(algorithms.AES(key), mode)

    def seal(self, secret: bytes, text: bytes) -> bytes:
        encryptor = self._prepare(secret).encryptor()
        return encryptor.update(text) + encryptor.finalize()

    def open(self, secret: bytes, sealed: bytes) -> bytes:
        decryptor = self._prepare(secret).decryptor()
        return decryptor.update(sealed) + decryptor.finalize()


@dataclass(frozen=True)
class _AesGcm:
    """AES-GCM (RFC 5647) without associated data; key, then a nonce of 12 bytes."""

    key_bits: int

    block: ClassVar[int] = 16
    tag: ClassVar[int] = 16

    @property
    def name(self) -> str:
        return f"aes{self.key_bits}-gcm@openssh.com"

    @property
    def secret(self) -> int:
        return self.key_bits // 8 + 12

    def seal(self, secret: bytes, text: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(secret[:-12]).encrypt(secret[-12:], text, None)

    def open(self, secret: bytes, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(secret[:-12]).decrypt(secret[-12:], sealed, None)
        except InvalidTag:
            raise passphrase_wrong() from None


@dataclass(frozen=True)
class _ChaCha20Poly1305:
    """chacha20-poly1305@openssh.com, packet number 0: OpenSSH's own wiring of both primitives.

    Two keys of 32 bytes; the second one seals packet lengths, which a file does not have. Block
    0 of the key stream keys Poly1305, the text starts at block 1 (PROTOCOL.chacha20poly1305).
    """

    name: ClassVar[str] = "chacha20-poly1305@openssh.com"
    block: ClassVar[int] = 8
    secret: ClassVar[int] = 64
    tag: ClassVar[int] = 16

    @staticmethod
    def _key_stream(secret: bytes, block: int, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

        start = block.to_bytes(8, "little") + bytes(8)
        return Cipher(algorithms.ChaCha20(secret[:32], start), None).encryptor().update(data)

    def seal(self, secret: bytes, text: bytes) -> bytes:
        from cryptography.hazmat.primitives.poly1305 import Poly1305

        sealed = self._key_stream(secret, 1, text)
        return sealed + Poly1305.generate_tag(self._key_stream(secret, 0, bytes(32)), sealed)

    def open(self, secret: bytes, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.poly1305 import Poly1305

        text, tag = sealed[: -self.tag], sealed[-self.tag :]
        try:
            Poly1305.verify_tag(self._key_stream(secret, 0, bytes(32)), text, tag)
        except InvalidSignature:
            raise passphrase_wrong() from None
        return self._key_stream(secret, 1, text)


_KNOWN: Final[tuple[Cipher, ...]] = (
    _NoCipher(),
    _Aes(128, "ctr"),
    _Aes(192, "ctr"),
    _Aes(256, "ctr"),
    _Aes(128, "cbc"),
    _Aes(192, "cbc"),
    _Aes(256, "cbc"),
    _AesGcm(128),
    _AesGcm(256),
    _ChaCha20Poly1305(),
)

CIPHERS: Final[Mapping[str, Cipher]] = {cipher.name: cipher for cipher in _KNOWN}
"""Every cipher that is read and written, by its SSH name, "none" among them."""


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
    text = binascii.b2a_base64(data, newline=False)
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
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
        return base64.b64decode(b"".join(lines), validate=True)
    except ValueError as error:
        raise MalformedKey(
            "private key: the text between the BEGIN and END lines is not base64"
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

    `kdf` is None if `cipher` is "none", and only there. `sealed` includes the tag.
    """

    cipher: Cipher
    kdf: Bcrypt | None
    public_blob: bytes
    sealed: bytes

    def opened(self, passphrase: bytes) -> bytes:
        """The sealed section, which begins with two check integers that agree.

        A terminal sends a letter such as ü in its own encoding, which may not be the one in which
        the file was locked: where the passphrase does not open it, the same letters in UTF-8 or in
        Latin-1 may.

        Args:
            passphrase: empty if there is no KDF.

        Raises:
            PassphraseWrong: it does not open the section.
            MalformedKey: there is no passphrase, and the check integers differ.
        """
        if self.kdf is None:
            section = self.cipher.open(b"", self.sealed)
            if section[:4] != section[4:8]:
                raise MalformedKey("private key: its two check integers differ")
            return section
        for words in (passphrase, *_recoded(passphrase)):
            with suppress(PassphraseWrong):
                secret = self.kdf.derive(words, self.cipher.secret)
                section = self.cipher.open(secret, self.sealed)
                if section[:4] == section[4:8]:
                    return section
        raise passphrase_wrong()

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


def _recoded(passphrase: bytes) -> list[bytes]:
    """The same letters in the other encoding; nothing if they are ASCII or not Latin-1's."""
    if passphrase.isascii():
        return []
    try:
        text = passphrase.decode("utf-8")
    except UnicodeDecodeError:
        return [passphrase.decode("latin-1").encode("utf-8")]
    try:
        return [text.encode("latin-1")]
    except UnicodeEncodeError:
        return []


def _cipher(name: str) -> Cipher:
    cipher = CIPHERS.get(name)
    if cipher is None:
        raise MalformedKey(
            f"private key: cipher {name[:64]!r} is not known",
            hint="Change it with stock tools: ssh-keygen -p -Z aes256-ctr -f FILE",
        )
    return cipher


def _kdf(cipher: Cipher, name: str, options: bytes, max_rounds: int) -> Bcrypt | None:
    encrypted = cipher.name != NO_CIPHER
    if name == "bcrypt" and encrypted:
        return Bcrypt.parse(options, max_rounds)
    if name != "none" or encrypted:
        raise MalformedKey(
            f"private key: KDF {name[:64]!r} does not go with cipher {cipher.name!r}"
        )
    if options:
        raise MalformedKey('private key: KDF "none" comes with options')
    return None
