"""What the certificate says that a token signs a new key with."""

from __future__ import annotations

from dataclasses import dataclass

from fidokit.types import Aaguid


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the leaf certificate says; its texts are its maker's.

    Args:
        aaguid: the model that it is good for, None where it does not say.
        key_identifier: SHA-1 of its public key, by which U2F models are known.
    """

    subject: str
    issuer: str
    serial: int
    not_before: str
    not_after: str
    aaguid: Aaguid | None
    key_identifier: str
