"""Authenticator data and COSE keys as a token sends them (WebAuthn section 6.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from fidokit.client.answer import Answer, rubbish
from fidokit.client.links.channel import checked_prefix
from fidokit.errors import MalformedKey
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public, SkPublic, parse_public
from fidokit.openssh.keys.public import require_on_curve as _require_on_curve
from fidokit.types import Application, CoseAlg, CredentialId

HEAD: Final = 37
"""Bytes: rpIdHash 32, flags 1, counter 4."""
LONGEST_CREDENTIAL_ID: Final = 1023
_P256_KINDS: Final = {(2, CoseAlg.ES256), (2, CoseAlg.ESP256)}
_ED25519_KINDS: Final = {(1, CoseAlg.EDDSA), (1, CoseAlg.ED25519)}
"""COSE key type and algorithm; curves 1 and 6 of member -1 belong to them (RFC 9053 section 7)."""


class Flag(IntFlag):
    """The flags byte of authenticator data."""

    USER_PRESENT = 0x01
    USER_VERIFIED = 0x04
    ATTESTED = 0x40
    EXTENSIONS = 0x80


@dataclass(frozen=True, slots=True)
class AuthData:
    """rpIdHash (32), flags (1), counter (4), then credential and extensions as the flags say.

    Args:
        credential_id, cose_key: present when ATTESTED is set.
        extensions: outputs; empty when EXTENSIONS is not set.
        raw: the whole, as it was signed.
    """

    rp_id_hash: bytes
    flags: Flag
    counter: int
    credential_id: CredentialId | None
    cose_key: Answer | None
    extensions: Answer
    raw: bytes

    def require_rp(self, application: Application) -> None:
        """The data speaks of this application.

        Raises:
            TokenMisbehaved: it speaks of another one.
        """
        if self.rp_id_hash != hashlib.sha256(application.encode()).digest():
            raise rubbish("it answered for another application")


def parse_auth_data(raw: bytes) -> AuthData:
    """The parts of authenticator data.

    Raises:
        TokenMisbehaved: cut short, bytes behind the end, or CBOR that is not canonical.
    """
    if len(raw) < HEAD:
        raise rubbish(f"its authenticator data has {len(raw)} bytes")
    flags = Flag(raw[32])
    rest = raw[HEAD:]
    credential_id, cose_key, extensions = None, None, Answer({}, "extension outputs")
    if flags & Flag.ATTESTED:
        credential_id, cose_key, rest = _attested(rest)
    if flags & Flag.EXTENSIONS:
        value, rest = checked_prefix(rest, "extension outputs")
        extensions = Answer.of(value, "extension outputs")
    if rest:
        raise rubbish(f"{len(rest)} bytes follow its authenticator data")
    counter = int.from_bytes(raw[33:HEAD], "big")
    return AuthData(raw[:32], flags, counter, credential_id, cose_key, extensions, raw)


def _attested(rest: bytes) -> tuple[CredentialId, Answer, bytes]:
    """Aaguid (16), u16 length, credential id, COSE key; and what follows."""
    size = int.from_bytes(rest[16:18], "big")
    if not 1 <= size <= LONGEST_CREDENTIAL_ID or len(rest) < 18 + size:
        raise rubbish("its credential id has an impossible length")
    value, behind = checked_prefix(rest[18 + size :], "public key")
    return CredentialId(rest[18 : 18 + size]), Answer.of(value, "public key"), behind


def sk_public(key: Answer, application: Application) -> SkPublic | None:
    """The OpenSSH key of a COSE key; None for kinds that OpenSSH does not know.

    Raises:
        TokenMisbehaved: a known kind with members missing, or a point that is not on its curve.
    """
    kind = (key.integer(1), key.integer(3))
    if kind in _P256_KINDS and key.integer(-1) == 1:
        point = b"\x04" + key.exactly(-2, 32) + key.exactly(-3, 32)
        return _on_curve(SkEcdsaPublic(point, application))
    if kind in _ED25519_KINDS and key.integer(-1) == 6:
        return _on_curve(SkEd25519Public(key.exactly(-2, 32), application))
    return None


def _on_curve(public: SkPublic) -> SkPublic:
    try:
        _require_on_curve(parse_public(public.blob()))
    except MalformedKey as error:
        raise rubbish(f"its public key is not a key ({error.message})") from None
    return public
