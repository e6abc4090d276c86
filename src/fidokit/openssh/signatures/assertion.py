"""From what a token returns for an assertion to the signature that OpenSSH wants."""

from __future__ import annotations

from fidokit.errors import TokenMisbehaved, Unsupported
from fidokit.openssh.signatures.wire_forms import (
    ATTESTED_DATA,
    ED25519_LENGTH,
    EXTENSION_DATA,
    SkEcdsaSignature,
    SkEd25519Signature,
)
from fidokit.types import KeyType


def from_assertion(
    key_type: KeyType, flags: int, counter: int, signature: bytes
) -> SkEd25519Signature | SkEcdsaSignature:
    """The OpenSSH signature that says the same as a CTAP assertion.

    OpenSSH rebuilds the authenticator data from flags and counter alone, so an assertion whose
    authenticator data held anything else could never verify (PROTOCOL.u2f).

    Args:
        key_type: what the credential is.
        flags: the authenticator data's flags byte, 0 to 255.
        counter: the authenticator data's counter, 0 to 2**32 - 1.
        signature: DER of r and s (ES256), or 64 bytes (EdDSA).

    Raises:
        Unsupported: the authenticator data held extension outputs or attested data.
        TokenMisbehaved: the signature has not the form that its algorithm gives it.
    """
    if flags & (EXTENSION_DATA | ATTESTED_DATA):
        raise Unsupported(
            "the token put more into its assertion than an OpenSSH signature can carry",
            hint="Ask the token for an assertion without extensions",
        )
    if key_type is KeyType.ECDSA_SK:
        r, s = _split_der(signature)
        return SkEcdsaSignature(r, s, flags, counter)
    if len(signature) != ED25519_LENGTH:
        raise TokenMisbehaved(
            f"the token's Ed25519 signature has {len(signature)} bytes, not {ED25519_LENGTH}"
        )
    return SkEd25519Signature(signature, flags, counter)


def _split_der(signature: bytes) -> tuple[int, int]:
    from cryptography.hazmat.primitives.asymmetric.utils import (
        decode_dss_signature,
    )

    try:
        return decode_dss_signature(signature)
    except ValueError:
        raise TokenMisbehaved("the token's ECDSA signature is not DER of two integers") from None
