"""What protects a private key file: OpenSSH's ciphers, and bcrypt from passphrase to key.

Sources: OpenSSH PROTOCOL.key (section 3), PROTOCOL.chacha20poly1305, RFC 4344 (ctr), RFC 4253
(cbc), RFC 5647 (gcm). The primitives are pyca/cryptography's and bcrypt's; only their wiring is
here. Both are imported when a passphrase is at work and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Protocol

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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
