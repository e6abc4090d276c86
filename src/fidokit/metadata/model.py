"""One model of authenticator, as one entry of the FIDO metadata describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from uuid import UUID

from fidokit.types import Aaguid, CoseAlg

COSE_OF: Final[Mapping[str, CoseAlg]] = MappingProxyType(
    {
        "secp256r1_ecdsa_sha256_raw": CoseAlg.ES256,
        "secp256r1_ecdsa_sha256_der": CoseAlg.ES256,
        "secp256k1_ecdsa_sha256_raw": CoseAlg.ES256K,
        "secp256k1_ecdsa_sha256_der": CoseAlg.ES256K,
        "secp384r1_ecdsa_sha384_raw": CoseAlg.ES384,
        "secp521r1_ecdsa_sha512_raw": CoseAlg.ES512,
        "ed25519_eddsa_sha512_raw": CoseAlg.EDDSA,
        "ed448_eddsa_sha512_raw": CoseAlg.ED448,
        "rsassa_pkcsv15_sha256_raw": CoseAlg.RS256,
        "rsassa_pkcsv15_sha256_der": CoseAlg.RS256,
        "rsassa_pss_sha256_raw": CoseAlg.PS256,
        "rsassa_pss_sha256_der": CoseAlg.PS256,
    }
)
"""COSE algorithms by their names in the FIDO Registry of Predefined Values section 3.6.1."""

_UNTRUSTED: Final = frozenset(
    {
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
        "REVOKED",
    }
)
"""Statuses that a relying party should mind (FIDO Metadata Service 3.0 section 3.1.4)."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One report about a model.

    Args:
        status: such as FIDO_CERTIFIED_L1, NOT_FIDO_CERTIFIED or REVOKED.
        effective: the date it holds from, as ISO 8601 text; empty where none is given.
    """

    status: str
    effective: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One model; all its texts are its maker's.

    Args:
        aaguid: what names a FIDO2 model; None for U2F and UAF ones.
        description: its name for people; several models may share one.
        protocol_family: `fido2`, `u2f` or `uaf`.
        get_info: its answer to authenticatorGetInfo as JSON, just as given; None where the entry
            has none.
        authentication_algorithms: by the names of the FIDO registry.
        attestation_types: such as `basic_full`.
        attestation_roots: certificates that its attestation leads to, DER.
        key_identifiers: of U2F attestation certificates, lower-case hexadecimal.
        status_reports: in the order of the metadata.
    """

    aaguid: Aaguid | None
    description: str
    protocol_family: str
    get_info: Mapping[str, object] | None = None
    authentication_algorithms: tuple[str, ...] = ()
    attestation_types: tuple[str, ...] = ()
    attestation_roots: tuple[bytes, ...] = field(default=(), repr=False)
    key_identifiers: tuple[str, ...] = ()
    status_reports: tuple[StatusReport, ...] = ()

    @property
    def name(self) -> str:
        """The AAGUID with dashes, or empty."""
        return "" if self.aaguid is None else str(UUID(bytes=self.aaguid))

    @property
    def certification(self) -> str:
        """The status that holds since most recently, or empty."""
        newest = max(self.status_reports, key=lambda report: report.effective, default=None)
        return newest.status if newest else ""

    @property
    def untrusted(self) -> bool:
        """Whether any report says that the model was broken or revoked."""
        return any(report.status in _UNTRUSTED for report in self.status_reports)

    @property
    def algorithms(self) -> tuple[int, ...]:
        """What it signs with, as COSE numbers; those without one are left out."""
        known = (COSE_OF.get(name) for name in self.authentication_algorithms)
        return tuple(dict.fromkeys(int(alg) for alg in known if alg is not None))

    def document(self) -> dict[str, object]:
        """What an authenticator must know to behave as this model: plain JSON values.

        Returns:
            `aaguid` (text with dashes), `description`, `getInfo` as given, `algorithms` (COSE
            numbers, for models whose getInfo names none) and `selfAttestation`.
        """
        return {
            "aaguid": self.name,
            "description": self.description,
            "getInfo": dict(self.get_info or {}),
            "algorithms": list(self.algorithms),
            "selfAttestation": self.attestation_types == ("basic_surrogate",),
        }
