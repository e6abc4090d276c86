"""The public-key arithmetic behind signatures; the one place here that loads `cryptography`.

Each function says whether a signature is true. What cannot even be a key is an error; what
cannot be a signature (r = 0, a number as large as the modulus) is a signature that is not true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.errors import MalformedKey
from fidokit.openssh.foreign_numbers import checked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


def _unusable(kind: str) -> MalformedKey:
    return MalformedKey(
        f"public key: the {kind} numbers are not those of a key",
        hint="The key is damaged or forged; get it again from its owner",
    )


def _ed25519_key(point: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    with checked(lambda: _unusable("Ed25519")):
        return Ed25519PublicKey.from_public_bytes(point)


def ed25519(point: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (64 bytes) over `data` is by the key `point` (RFC 8032 section 5.1.7).

    Raises:
        MalformedKey: `point` is not 32 bytes.
    """
    from cryptography.exceptions import InvalidSignature

    key = _ed25519_key(point)
    try:
        with checked(lambda: _unusable("Ed25519")):
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _ecdsa_key(curve: str, point: bytes) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, ec.EllipticCurve] = {
        "nistp256": ec.SECP256R1(),
        "nistp384": ec.SECP384R1(),
        "nistp521": ec.SECP521R1(),
    }
    with checked(lambda: _unusable("ECDSA")):
        return ec.EllipticCurvePublicKey.from_encoded_point(curves[curve], point)


def ecdsa(curve: str, point: bytes, signature: tuple[int, int], data: bytes) -> bool:
    """Whether (r, s) over `data` is by the key `point`, hashed as RFC 5656 section 6.2.1 says.

    Args:
        curve: nistp256, nistp384 or nistp521.
        point: uncompressed, 65, 97 or 133 bytes.
        signature: r and s, non-negative, of any size.
        data: what was signed, before the hash.

    Raises:
        MalformedKey: `point` is not on the curve.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    digests: dict[str, hashes.HashAlgorithm] = {
        "nistp256": hashes.SHA256(),
        "nistp384": hashes.SHA384(),
        "nistp521": hashes.SHA512(),
    }
    key = _ecdsa_key(curve, point)
    if not all(0 < part < 1 << key.key_size for part in signature):
        return False
    der = utils.encode_dss_signature(*signature)
    try:
        with checked(lambda: _unusable("ECDSA")):
            key.verify(der, data, ec.ECDSA(digests[curve]))
    except InvalidSignature:
        return False
    return True


def _rsa_key(e: int, n: int) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    with checked(lambda: _unusable("RSA")):
        return RSAPublicNumbers(e, n).public_key()


def rsa(e: int, n: int, type_name: str, signature: bytes, data: bytes) -> bool:
    """Whether `signature` over `data` is by the key (e, n), PKCS #1 v1.5 (RFC 8332 section 3).

    A signature shorter than the modulus had its leading zeros dropped by a careless signer;
    OpenSSH puts them back, and so does this.

    Args:
        e: the exponent.
        n: the modulus.
        type_name: rsa-sha2-256 or rsa-sha2-512.
        signature: the number, big-endian.
        data: what was signed, before the hash.

    Raises:
        MalformedKey: (e, n) is not an RSA key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    digests = {"rsa-sha2-256": hashes.SHA256, "rsa-sha2-512": hashes.SHA512}
    key = _rsa_key(e, n)
    whole = signature.rjust((key.key_size + 7) // 8, b"\0")
    try:
        with checked(lambda: _unusable("RSA")):
            key.verify(whole, data, padding.PKCS1v15(), digests[type_name]())
    except InvalidSignature:
        return False
    return True
