"""The composite signature of ML-DSA-44 and Ed25519: two signatures over one message, both of which
have to hold. The primitives are `cryptography`'s, loaded when called; only their wiring is here.

Sources: draft-ietf-lamps-pq-composite-sigs (COMPSIG-MLDSA44-Ed25519-SHA512, sections 2.2 and 3),
draft-miller-sshm-mldsa44-ed25519-composite-sigs, OpenSSH's ssh-mldsa-eddsa.c.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from fidokit.errors import MalformedKey, Unsupported
from fidokit.openssh.foreign_numbers import checked
from fidokit.openssh.signatures import primitives

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

ML_DSA_PUBLIC: Final = 1312
"""Bytes of an ML-DSA-44 public key (FIPS 204 table 2); the Ed25519 point follows it."""
ML_DSA_SIGNATURE: Final = 2420
"""Bytes of an ML-DSA-44 signature; the Ed25519 one of 64 bytes follows it."""
SIGNATURE: Final = ML_DSA_SIGNATURE + 64

_PREFIX: Final = b"CompositeAlgorithmSignatures2025"
_LABEL: Final = b"COMPSIG-MLDSA44-Ed25519-SHA512"


def _representative(message: bytes) -> bytes:
    """Prefix, label, the length of a context that is empty, SHA-512 of the message."""
    return _PREFIX + _LABEL + b"\0" + hashlib.sha512(message).digest()


def _missing() -> Unsupported:
    return Unsupported(
        "keys of type ssh-mldsa44-ed25519 are read here, but this Python's cryptography library "
        "has no ML-DSA to sign and verify with",
        hint="install cryptography 48 or later from PyPI, which brings an OpenSSL that has it",
    )


def ml_dsa_private(seed: bytes) -> MLDSA44PrivateKey:
    """The ML-DSA-44 key of a seed of 32 bytes.

    Raises:
        Unsupported: `cryptography`, or the OpenSSL below it, has no ML-DSA.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

        return MLDSA44PrivateKey.from_seed_bytes(seed)
    except (ImportError, UnsupportedAlgorithm):
        raise _missing() from None


def ed25519_private(seed: bytes) -> Ed25519PrivateKey:
    """The Ed25519 key of a seed of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def sign(ml_dsa: MLDSA44PrivateKey, ed25519: Ed25519PrivateKey, message: bytes) -> bytes:
    """Both signatures, one behind the other: 2484 bytes."""
    representative = _representative(message)
    return ml_dsa.sign(representative, _LABEL) + ed25519.sign(representative)


def _ml_dsa_public(point: bytes) -> MLDSA44PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        return MLDSA44PublicKey.from_public_bytes(point)
    except (ImportError, UnsupportedAlgorithm):
        raise _missing() from None


def verify(points: bytes, signature: bytes, message: bytes) -> bool:
    """Whether both signatures over a message hold.

    Args:
        points: an ML-DSA-44 key of 1312 bytes and an Ed25519 point of 32.
        signature: as `sign` makes it.
        message: what was signed, before any hash.

    Raises:
        MalformedKey: the points are none of a key.
        Unsupported: `cryptography`, or the OpenSSL below it, has no ML-DSA.
    """
    from cryptography.exceptions import InvalidSignature

    representative = _representative(message)
    with checked(lambda: MalformedKey("public key: the ML-DSA-44 numbers are not those of a key")):
        key = _ml_dsa_public(points[:ML_DSA_PUBLIC])
    try:
        key.verify(signature[:ML_DSA_SIGNATURE], representative, _LABEL)
    except InvalidSignature:
        return False
    rest = signature[ML_DSA_SIGNATURE:]
    return primitives.ed25519(points[ML_DSA_PUBLIC:], rest, representative)
