"""SSHSIG: signatures over files and git commits, as `ssh-keygen -Y sign` writes them; and what an
agent is asked to sign, told apart: a login, a file's signature, or something else.

What is signed is not the file but a small blob with its digest and a namespace, so that a signature
made for one use means nothing in another. Of an agent's requests only what a strict reader takes
counts; all else is "something else". Sources: OpenSSH PROTOCOL.sshsig; RFC 4252 section 7
(publickey), OpenSSH PROTOCOL section 3.4 (publickey-hostbound-v00).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedKey, SignatureInvalid, UsageError
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    Certificate,
    parse_host_key,
    parse_key,
    require_trustworthy,
)
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.signatures import signature as signatures
from fidokit.openssh.signatures.signature import Signature, parse_signature
from fidokit.openssh.wire import Reader

MAGIC: Final = b"SSHSIG"
VERSION: Final = 1

HASH_ALGORITHMS: Final = ("sha512", "sha256")
"""What a message may be hashed with, ssh-keygen's default first."""

BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----"
END: Final = b"-----END SSH SIGNATURE-----"
LINE_WIDTH: Final = 70
"""Characters of base64 in a line, as ssh-keygen wraps it."""

MAX_ARMOR: Final = 1 << 20
"""Longest armored signature that is looked at, bytes."""


@dataclass(frozen=True, slots=True)
class SshSig:
    """byte[6] "SSHSIG", uint32 1, string public key or certificate, string namespace,
    string reserved, string hash algorithm, string signature. Source: PROTOCOL.sshsig.
    """

    public: PublicKey | Certificate
    namespace: str
    hash_alg: str
    signature: Signature
    reserved: bytes = b""
    version: int = VERSION

    @property
    def signing_key(self) -> PublicKey:
        """The plain key that signed, where a certificate is what the blob names."""
        return self.public.public if isinstance(self.public, Certificate) else self.public

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return (
            MAGIC
            + wire.u32(self.version)
            + wire.string(self.public.blob())
            + wire.text(self.namespace)
            + wire.string(self.reserved)
            + wire.text(self.hash_alg)
            + wire.string(self.signature.blob())
        )

    def armor(self) -> bytes:
        """The text form, byte for byte as ssh-keygen writes it."""
        base64 = binascii.b2a_base64(self.blob(), newline=False)
        lines = [base64[at : at + LINE_WIDTH] for at in range(0, len(base64), LINE_WIDTH)]
        return b"\n".join([BEGIN, *lines, END, b""])


# --- parsing -------------------------------------------------------------------------------


def _version(reader: Reader) -> int:
    version = reader.u32()
    if version > VERSION:  # ssh-keygen takes 0 for 1, too
        raise MalformedKey(f"SSH signature: version {version} is newer than {VERSION}")
    return version


def _c_text(reader: Reader, field: str) -> str:
    text = reader.text()
    if "\0" in text:
        raise MalformedKey(f"SSH signature: the {field} holds a NUL")
    return text


def _hash_alg(reader: Reader) -> str:
    hash_alg = reader.text()
    if hash_alg not in HASH_ALGORITHMS:
        raise MalformedKey(f"SSH signature: hash {hash_alg[:64]!r} is neither sha256 nor sha512")
    return hash_alg


def _signer(reader: Reader) -> tuple[int, PublicKey | Certificate]:
    """Version and key, with which a blob begins."""
    if reader.raw(len(MAGIC)) != MAGIC:
        raise MalformedKey("SSH signature: the magic bytes SSHSIG are missing")
    return _version(reader), parse_key(reader.string())


def parse_signer(blob: bytes) -> PublicKey | Certificate:
    """The key or certificate that an SSHSIG blob names; what follows it is not looked at.

    Raises:
        MalformedKey: as `parse_sshsig`.
    """
    return _signer(Reader(blob, "SSH signature"))[1]


def parse_sshsig(blob: bytes) -> SshSig:
    """The signature in an SSHSIG blob, without verifying it.

    Raises:
        MalformedKey: not an SSHSIG blob of a known version, or a part of it that cannot be read.
    """
    reader = Reader(blob, "SSH signature")
    version, public = _signer(reader)
    namespace = _c_text(reader, "namespace")
    reserved = reader.string()
    hash_alg = _hash_alg(reader)
    signature = parse_signature(reader.string())
    reader.end()
    return SshSig(public, namespace, hash_alg, signature, reserved, version)


def parse_armor(text: bytes) -> SshSig:
    """The signature in the text that `ssh-keygen -Y sign` writes.

    Raises:
        MalformedKey: as `dearmored` and `parse_sshsig`.
    """
    return parse_sshsig(dearmored(text))


def dearmored(text: bytes) -> bytes:
    """The blob in the text that `ssh-keygen -Y sign` writes.

    As ssh-keygen reads it: the text begins with the BEGIN line, to the byte; what follows the first
    END line counts for nothing. Line ends may be CRLF, and lines of any width.

    Args:
        text: at most `MAX_ARMOR` bytes.

    Raises:
        MalformedKey: not such a text.
    """
    if len(text) > MAX_ARMOR:
        raise MalformedKey(f"SSH signature: {len(text)} bytes are more than {MAX_ARMOR}")
    body = _ARMOR.match(text)
    if body is None:
        raise _no_armor(text)
    base64 = b"".join(body.group(1).split())
    try:
        blob = binascii.a2b_base64(base64, strict_mode=True)
    except binascii.Error:
        blob = b""
    if binascii.b2a_base64(blob, newline=False) != base64:
        raise MalformedKey("SSH signature: the text between the markers is not base64")
    return blob


_ARMOR: Final = re.compile(BEGIN + rb"\r?\n(.*?)\n" + END, re.DOTALL)


def _no_armor(text: bytes) -> MalformedKey:
    """What is amiss, and what to do."""
    if text.startswith(BEGIN):
        return MalformedKey(
            "SSH signature: the lines from BEGIN to END are not whole",
            hint="Get the .sig file again; it was cut short or changed on its way",
        )
    if BEGIN in text:
        return MalformedKey(
            "SSH signature: it does not begin in the first line, and ssh-keygen refuses it, too",
            hint="Delete what stands before the BEGIN line",
        )
    return MalformedKey(
        "this is not an SSH signature: it does not begin with the BEGIN line",
        hint="Give the .sig file that `ssh-keygen -Y sign` or `fidokit key sign` wrote",
    )


# --- signing and verifying -----------------------------------------------------------------


def _new_hash(hash_alg: str) -> hashlib._Hash:
    if hash_alg not in HASH_ALGORITHMS:
        raise UsageError(f"SSH signatures know sha256 and sha512, not {hash_alg!r}")
    return hashlib.new(hash_alg)


def digest(hash_alg: str, pieces: Iterable[bytes]) -> bytes:
    """The digest of a message that comes in pieces, such as blocks of a file.

    Args:
        hash_alg: sha256 or sha512.
        pieces: the message.

    Raises:
        UsageError: another hash.
    """
    running = _new_hash(hash_alg)
    for piece in pieces:
        running.update(piece)
    return running.digest()


def to_be_signed(namespace: str, hash_alg: str, message_digest: bytes) -> bytes:
    """byte[6] "SSHSIG", string namespace, string reserved, string hash algorithm, string digest.

    This is the message that the key signs (PROTOCOL.sshsig, "Signed Data").

    Args:
        namespace: what the signature is for, such as `file` or `git`; not empty.
        hash_alg: sha256 or sha512.
        message_digest: the message's digest under it, 32 or 64 bytes.

    Raises:
        UsageError: an empty namespace, another hash, or a digest of another length.
    """
    if not namespace:
        raise UsageError(
            "an SSH signature needs a namespace", hint="ssh-keygen uses `file`, git uses `git`"
        )
    if len(message_digest) != _new_hash(hash_alg).digest_size:
        raise UsageError(f"{len(message_digest)} bytes are not a {hash_alg} digest")
    return (
        MAGIC
        + wire.text(namespace)
        + wire.string(b"")
        + wire.text(hash_alg)
        + wire.string(message_digest)
    )


def verify_digest(
    sshsig: SshSig,
    message_digest: bytes,
    namespace: str,
    *,
    require_touch: bool = False,
    require_verification: bool = False,
) -> None:
    """Return where the signature is one over the digest, made for `namespace`.

    As `ssh-keygen -Y check-novalidate`: a certificate has to be signed by the authority that it
    names. Whose key it is, and for whom a certificate speaks, is what `allowed_signers` says.

    Args:
        sshsig: the signature.
        message_digest: by `digest` under `sshsig.hash_alg`.
        namespace: what the signature has to be for.
        require_touch: also demand that a token was touched.
        require_verification: also demand that a token verified a PIN or a fingerprint.

    Raises:
        SignatureInvalid: it is not.
    """
    if sshsig.namespace != namespace:
        raise SignatureInvalid(
            f"the signature was made for namespace {sshsig.namespace!r}, not {namespace!r}",
            hint="Name the namespace that it was signed for, if that is what you want to verify",
        )
    if isinstance(sshsig.public, Certificate):
        require_trustworthy(sshsig.public)
    signatures.verify(
        sshsig.signing_key,
        sshsig.signature,
        to_be_signed(namespace, sshsig.hash_alg, message_digest),
        require_touch=require_touch,
        require_verification=require_verification,
    )


def verify(
    sshsig: SshSig,
    message: bytes,
    namespace: str,
    *,
    require_touch: bool = False,
    require_verification: bool = False,
) -> None:
    """`verify_digest` for a message that is available as a whole.

    Raises:
        SignatureInvalid: the signature is not one over `message`, made for `namespace`.
    """
    verify_digest(
        sshsig,
        digest(sshsig.hash_alg, [message]),
        namespace,
        require_touch=require_touch,
        require_verification=require_verification,
    )


_USERAUTH_REQUEST: Final = 50
_SERVICE: Final = b"ssh-connection"
_PLAIN: Final = b"publickey"
_HOSTBOUND: Final = b"publickey-hostbound-v00@openssh.com"


@dataclass(frozen=True, slots=True)
class Login:
    """A user authentication request.

    Args:
        user: on the server.
        session_id: not empty.
        host_key: the server's key blob, None if the request is not bound to one.
    """

    user: str
    session_id: bytes
    host_key: bytes | None


@dataclass(frozen=True, slots=True)
class FileSignature:
    """An SSHSIG blob to be signed, for a namespace."""

    namespace: str


Meaning = Login | FileSignature


def read_meaning(data: bytes, blob: bytes) -> Meaning | None:
    """What `data` is; None for anything that is neither.

    Args:
        data: the bytes to be signed.
        blob: the key that is asked to sign; a login that names another key is none.
    """
    try:
        return _file_signature(data) if data.startswith(MAGIC) else _login(data, blob)
    except MalformedKey:
        return None


def _file_signature(data: bytes) -> FileSignature:
    """byte[6] "SSHSIG", string namespace, string reserved, string hash, string digest."""
    reader = Reader(data[len(MAGIC) :], "SSHSIG request")
    namespace = reader.text()
    reader.string(), reader.text(), reader.string()
    reader.end()
    return FileSignature(namespace)


def _login(data: bytes, blob: bytes) -> Login:
    """string session id, byte 50, string user, string service, string method, bool 1,
    string algorithm, string key blob; for hostbound string host key."""
    reader = Reader(data, "login request")
    session_id = reader.string()
    number, user = reader.u8(), reader.text()
    reader.expect(_SERVICE)
    method, has_signature = reader.string(), reader.u8()
    algorithm = reader.text()
    reader.expect(blob)
    host_key = reader.string() if method == _HOSTBOUND else None
    reader.end()
    if host_key is not None:
        parse_host_key(host_key)
    if not session_id or number != _USERAUTH_REQUEST or has_signature != 1:
        raise MalformedKey("login request: not one that asks for a signature")
    if method not in {_PLAIN, _HOSTBOUND} or not _fits(algorithm, Reader(blob, "key").text()):
        raise MalformedKey("login request: its method or algorithm is not one for this key")
    return Login(user, session_id, host_key)


def _fits(algorithm: str, key_type: str) -> bool:
    """Whether signatures by this algorithm come from keys of this type (RFC 8332 section 2)."""
    rsa = algorithm.replace("rsa-sha2-256", "ssh-rsa").replace("rsa-sha2-512", "ssh-rsa")
    return key_type in (algorithm, rsa)
