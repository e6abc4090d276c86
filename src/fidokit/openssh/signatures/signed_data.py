"""What an agent is asked to sign, told apart: a login, a file's signature, or something else.

Sources: RFC 4252 section 7 (publickey), OpenSSH PROTOCOL section 3.4 (publickey-hostbound-v00),
PROTOCOL.sshsig. Only what a strict reader takes counts; all else is "something else".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh.certificates.certificate import parse_key
from fidokit.openssh.signatures.sshsig import MAGIC
from fidokit.openssh.wire import Reader

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
        host_key: the server's key blob, None where the request is not bound to one.
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
        parse_key(host_key)
    if not session_id or number != _USERAUTH_REQUEST or has_signature != 1:
        raise MalformedKey("login request: not one that asks for a signature")
    if method not in {_PLAIN, _HOSTBOUND} or not _fits(algorithm, Reader(blob, "key").text()):
        raise MalformedKey("login request: its method or algorithm is not one for this key")
    return Login(user, session_id, host_key)


def _fits(algorithm: str, key_type: str) -> bool:
    """Whether signatures by this algorithm come from keys of this type (RFC 8332 section 2)."""
    rsa = algorithm.replace("rsa-sha2-256", "ssh-rsa").replace("rsa-sha2-512", "ssh-rsa")
    return key_type in (algorithm, rsa)
