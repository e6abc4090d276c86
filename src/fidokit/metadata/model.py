"""One model of authenticator as an entry of the FIDO metadata describes it, and reading such an
entry, member by member: a `Model`, or what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from uuid import UUID

from fidokit.errors import MalformedFile
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

UNTRUSTED: Final = frozenset(
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
        effective: the date it holds from, as ISO 8601 text; empty if none is given.
        version: the firmware that it relates to; None if it names none.
    """

    status: str
    effective: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model; all its texts are its maker's.

    Args:
        aaguid: what names a FIDO2 model; None for U2F and UAF ones.
        description: its name for people; several models may share one.
        protocol_family: `fido2`, `u2f` or `uaf`.
        get_info: its answer to authenticatorGetInfo as JSON, just as given; None if the entry
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
        return any(report.status in UNTRUSTED for report in self.status_reports)

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


_LONGEST_TEXT: Final = 1024
_AAGUID: Final = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Members = Mapping[str, object]


def parse_entry(entry: object) -> Model:
    """The model that an entry describes.

    Args:
        entry: a MetadataBLOBPayloadEntry as JSON (FIDO Metadata Service 3.0 section 3.1.1); members
            that nothing here needs may be missing or odd.

    Raises:
        MalformedFile: a member that is needed is missing or of a wrong type.
    """
    members = _object(entry, "the entry")
    statement = _object(members.get("metadataStatement"), "metadataStatement")
    aaguid = members.get("aaguid")
    info = statement.get("authenticatorGetInfo")
    return Model(
        aaguid=None if aaguid is None else parse_aaguid(_text(aaguid, "aaguid")),
        description=_text(statement.get("description"), "description"),
        protocol_family=_text(statement.get("protocolFamily"), "protocolFamily"),
        get_info=None if info is None else _get_info(info),
        authentication_algorithms=_texts(statement, "authenticationAlgorithms"),
        attestation_types=_texts(statement, "attestationTypes"),
        attestation_roots=_certificates(statement),
        key_identifiers=_texts(members, "attestationCertificateKeyIdentifiers"),
        status_reports=tuple(map(_report, _list(members, "statusReports"))),
    )


def parse_aaguid(text: str) -> Aaguid:
    """An AAGUID from 32 hexadecimal digits, with or without the dashes of a UUID.

    Raises:
        MalformedFile: it is none.
    """
    if not is_aaguid(text):
        raise MalformedFile(f"{text[:64]!r} is not an AAGUID")
    return Aaguid(UUID(text).bytes)


def is_aaguid(text: str) -> bool:
    """Whether `parse_aaguid` reads it."""
    return _AAGUID.fullmatch(text) is not None


def _get_info(value: object) -> Members:
    info = _object(value, "authenticatorGetInfo")
    if not _texts(info, "versions"):
        raise MalformedFile("authenticatorGetInfo names no versions")
    return info


def _certificates(statement: Members) -> tuple[bytes, ...]:
    try:
        return tuple(
            base64.b64decode("".join(text.split()), validate=True)
            for text in _texts(statement, "attestationRootCertificates", longest=1 << 16)
        )
    except (binascii.Error, ValueError):
        raise MalformedFile("attestationRootCertificates is not Base64") from None


def _report(value: object) -> StatusReport:
    report = _object(value, "statusReports")
    date = _text(report.get("effectiveDate", ""), "effectiveDate", least=0)
    version = report.get("authenticatorVersion")
    if not isinstance(version, int) or isinstance(version, bool):
        version = None
    return StatusReport(_text(report.get("status"), "status"), date, version)


def _object(value: object, what: str) -> Members:
    if not isinstance(value, dict):
        raise MalformedFile(f"{what} is not an object")
    return value


def _text(value: object, what: str, *, least: int = 1, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str) or not least <= len(value) <= longest:
        raise MalformedFile(f"{what} is not text of {least} to {longest} characters")
    return value


def _list(members: Members, name: str) -> list[object]:
    value = members.get(name, [])
    if not isinstance(value, list):
        raise MalformedFile(f"{name} is not a list")
    return value


def _texts(members: Members, name: str, *, longest: int = _LONGEST_TEXT) -> tuple[str, ...]:
    return tuple(_text(value, name, longest=longest) for value in _list(members, name))
