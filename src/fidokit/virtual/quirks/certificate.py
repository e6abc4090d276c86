"""An attestation certificate with the serial number 0, which X.509 forbids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fidokit.virtual.core.keys.algorithms import p256_from_scalar

if TYPE_CHECKING:
    from fidokit.virtual.core.ports import DurableState

_VERSION_3 = bytes.fromhex("A003020102")
_ECDSA_WITH_SHA256 = bytes.fromhex("300A06082A8648CE3D040302")
_INTEGER, _BIT_STRING, _SEQUENCE = 0x02, 0x03, 0x30


def with_serial_zero(state: DurableState) -> DurableState:
    """The state of a token whose batch certificate has the serial number 0 (RFC 5280 section
    4.1.2.2 wants a positive one)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    signed = x509.load_der_x509_certificate(state.attestation_certificate).tbs_certificate_bytes
    content = signed[signed.index(_VERSION_3) + len(_VERSION_3) :]
    behind = content[2 + content[1] :]  # what follows the INTEGER of the serial number
    changed = _der(_SEQUENCE, _VERSION_3 + _der(_INTEGER, b"\0") + behind)
    key = p256_from_scalar(state.attestation_key)
    signature = key.sign(changed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    proof = _ECDSA_WITH_SHA256 + _der(_BIT_STRING, b"\0" + signature)
    return replace(state, attestation_certificate=_der(_SEQUENCE, changed + proof))


def _der(tag: int, content: bytes) -> bytes:
    """An element of DER with a length of up to 65535."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    if size <= 0xFF:
        return bytes([tag, 0x81, size]) + content
    return bytes([tag, 0x82]) + size.to_bytes(2) + content
