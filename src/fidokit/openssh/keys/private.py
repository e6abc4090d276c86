"""Private key files of keys on tokens: what is inside OpenSSH's container.

Sources: OpenSSH PROTOCOL.key section 3, PROTOCOL.u2f ("SSH U2F Key Formats"). The private part
of such a key is a handle that only its token can use; a passphrase still protects it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.errors import MalformedKey, PassphraseRequired, UsageError
from fidokit.openssh import wire
from fidokit.openssh.keys.container import (
    CIPHERS,
    DEFAULT_CIPHER,
    DEFAULT_ROUNDS,
    MAX_ROUNDS,
    NO_CIPHER,
    Bcrypt,
    Container,
    parse_container,
    passphrase_wrong,
)
from fidokit.openssh.keys.public import (
    PublicKey,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
    as_bytes,
    check_comment,
    is_certificate_type,
    parse_public,
    read_public_fields,
)
from fidokit.openssh.wire import Reader
from fidokit.types import KeyHandle, SkFlag

if TYPE_CHECKING:
    from fidokit.openssh.certificates.certificate import Certificate

_WHAT: Final = "private key"


class SkPrivate(NamedTuple):
    """The public key's fields, byte flags, string key handle, string reserved.

    With a certificate: string certificate type, string certificate, string point (ed25519-sk
    alone), string application, then the same from the flags on. The point there is what OpenSSH
    9.2 writes and demands, against PROTOCOL.u2f; files that follow the document are read too.
    Unknown flag bits and `reserved` are kept as they are.
    """

    public: SkPublic
    flags: SkFlag
    key_handle: KeyHandle
    reserved: bytes = b""
    certificate: Certificate | None = None

    def public_blob(self) -> bytes:
        """The half that stands outside: the certificate if there is one, else the key."""
        return self.certificate.blob() if self.certificate else self.public.blob()

    def encode(self) -> bytes:
        """The wire form, as it stands in files and in an agent's add request."""
        public = _certified(self.public, self.certificate) or self.public.blob()
        return (
            public + wire.u8(self.flags) + wire.string(self.key_handle) + wire.string(self.reserved)
        )


def _certified(public: SkPublic, certificate: Certificate | None) -> bytes:
    """What stands before the flags if there is a certificate; nothing if there is none."""
    if certificate is None:
        return b""
    return (
        wire.text(certificate.type_name)
        + wire.string(certificate.blob())
        + (wire.string(public.point) if isinstance(public, SkEd25519Public) else b"")
        + wire.text(public.application)
    )


class PrivateFile(NamedTuple):
    """One private key and its comment, which may be empty."""

    key: SkPrivate
    comment: str


# --- reading -------------------------------------------------------------------------------


def read_private(reader: Reader) -> SkPrivate:
    """A private key as `SkPrivate` describes it, off the front of `reader`.

    Raises:
        MalformedKey: another layout, or a key that does not live on a token.
    """
    type_name = reader.text()
    certificate = None
    if is_certificate_type(type_name):
        certificate = _read_certificate(type_name, reader)
        public = _on_a_token(certificate.public)
        _expect_of_certificate(public, reader)
    else:
        public = _on_a_token(read_public_fields(type_name, reader))
    return _read_secrets(reader, public, certificate)


def _read_secrets(reader: Reader, public: SkPublic, certificate: Certificate | None) -> SkPrivate:
    """byte flags, string key handle, string reserved."""
    flags, key_handle, reserved = reader.u8(), reader.string(), reader.string()
    return SkPrivate(public, _flag_set(flags), KeyHandle(key_handle), reserved, certificate)


_flag_set: Final = lru_cache(maxsize=256)(SkFlag)  # making a flag set takes as long as a field


def _read_certificate(type_name: str, reader: Reader) -> Certificate:
    from fidokit.openssh.certificates.certificate import parse_certificate

    certificate = parse_certificate(reader.string())
    if certificate.type_name != type_name:
        raise MalformedKey("private key: its certificate is of another type than it says")
    return certificate


def _expect_of_certificate(public: SkPublic, reader: Reader) -> None:
    """The point, which may be left out, and the application must be the certificate's."""
    field = reader.string()
    if isinstance(public, SkEd25519Public) and field == public.point:
        field = reader.string()
    if field != public.application.encode():
        raise MalformedKey("private key: its point or application is not its certificate's")


def _on_a_token(public: PublicKey) -> SkPublic:
    if isinstance(public, (SkEd25519Public, SkEcdsaPublic)):
        return public
    raise MalformedKey(
        f"this is an ordinary key ({public.type_name}), not one on a token",
        hint="Make a key on a token: fidokit key generate",
    )


def _outer_public(blob: bytes) -> PublicKey:
    type_name = blob[4 : 4 + int.from_bytes(blob[:4], "big")]
    if is_certificate_type(type_name.decode("latin-1")):
        from fidokit.openssh.certificates.certificate import parse_certificate

        return parse_certificate(blob).public
    return parse_public(blob)


def peek_public(text: bytes) -> PublicKey:
    """The public half that stands outside the passphrase, of an ordinary key too.

    Args:
        text: the private key file.

    Raises:
        MalformedKey: not an OpenSSH private key file.
    """
    return _outer_public(parse_container(text, max_rounds=(1 << 32) - 1).public_blob)


def parse_private(
    text: bytes,
    passphrase: Callable[[], bytes] | None,
    *,
    max_rounds: int = MAX_ROUNDS,
) -> PrivateFile:
    """The key in a private key file.

    Everything that can be checked without the passphrase is checked before it is asked for.

    Args:
        text: the file, at most `private_container.MAX_FILE` bytes.
        passphrase: asks for the passphrase; called at most once, and only if it is needed.
            None if nobody can be asked.
        max_rounds: bcrypt rounds that are bearable, about 7 ms each.

    Raises:
        MalformedKey: not such a file, an ordinary key, or one that contradicts itself.
        PassphraseRequired: it is under a passphrase, and `passphrase` is None.
        PassphraseWrong: the passphrase does not open it.
    """
    container = parse_container(text, max_rounds)
    public = _on_a_token(_outer_public(container.public_blob))
    section = container.opened(_words(container, passphrase))
    return _read_section(section, container, public)


def _words(container: Container, passphrase: Callable[[], bytes] | None) -> bytes:
    if container.kdf is None:
        return b""
    if passphrase is None:
        raise PassphraseRequired(
            "the private key file is under a passphrase, and nobody can be asked for it",
            hint="Run this on a terminal, or give --passphrase-file",
        )
    words = passphrase()
    if not words:
        raise passphrase_wrong()
    return words


def _read_section(section: bytes, container: Container, public: SkPublic) -> PrivateFile:
    """uint32 check, uint32 check (the same), the key, string comment, bytes 1, 2, 3...

    The padding is checked after all else parsed, of any length, as stock does: some programs
    write a whole block of it.
    """
    reader = Reader(section, _WHAT)
    reader.raw(8)
    key = _read_key(reader, container.public_blob, public)
    comment = _read_comment(reader)
    padding = reader.raw(reader.remaining)
    if padding != (_PADDING * (len(padding) // 256 + 1))[: len(padding)]:
        raise MalformedKey("private key: the padding at its end is not 1, 2, 3...")
    return PrivateFile(key, comment)


_PADDING: Final = bytes((at + 1) & 0xFF for at in range(256))


def _read_key(reader: Reader, public_blob: bytes, public: SkPublic) -> SkPrivate:
    """The key, whose public half must be the one outside."""
    if reader.skip(public_blob):
        return _read_secrets(reader, public, None)  # the same bytes were parsed outside
    key = read_private(reader)
    if key.public_blob() != public_blob:
        raise MalformedKey("private key: the public half outside is not the one inside")
    return key


def _read_comment(reader: Reader) -> str:
    comment = reader.string().decode("utf-8", "surrogateescape")
    if "\0" in comment:
        raise MalformedKey(
            "private key: its comment holds a NUL",
            hint="Give it another one with stock tools: ssh-keygen -c -f FILE",
        )
    return comment


# --- writing -------------------------------------------------------------------------------


def encode_private(
    file: PrivateFile,
    *,
    passphrase: bytes | None = None,
    rounds: int = DEFAULT_ROUNDS,
    cipher: str = DEFAULT_CIPHER,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """The private key file, as ssh-keygen writes it.

    Args:
        file: the key and its comment.
        passphrase: None or empty writes the file without protection, as `ssh-keygen -N ''`.
        rounds: bcrypt rounds, 1 to `private_cipher.MAX_ROUNDS`, about 7 ms each.
        cipher: a name in `private_cipher.CIPHERS` other than "none".
        random: gives as many random bytes as it is asked for: 16 for the salt if there is a
            passphrase, then 4 for the check integers.

    Raises:
        UsageError: a cipher, a number of rounds or a comment that cannot be written.
    """
    check_comment(file.comment, forbidden="\0")
    chosen = CIPHERS.get(cipher if passphrase else NO_CIPHER)
    if chosen is None or (passphrase and chosen.name == NO_CIPHER):
        names = ", ".join(name for name in CIPHERS if name != NO_CIPHER)
        raise UsageError(f"no private key is written with cipher {cipher!r}", hint=f"Use {names}")
    kdf = Bcrypt.fresh(rounds, random) if passphrase else None
    section = _section(file, random(4), chosen.block)
    secret = kdf.derive(passphrase, chosen.secret) if kdf and passphrase else b""
    return Container(chosen, kdf, file.key.public_blob(), chosen.seal(secret, section)).encode()


def _section(file: PrivateFile, check: bytes, block: int) -> bytes:
    text = check + check + file.key.encode() + wire.string(as_bytes(file.comment))
    return text + bytes(range(1, 1 + -len(text) % block))
