"""Reading one entry of the FIDO metadata, member by member: a `Model`, or what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from fidokit.errors import MalformedFile
from fidokit.metadata.model import Model, StatusReport
from fidokit.types import Aaguid

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
        raise MalformedFile(f"{text[:64]!r} is no AAGUID")
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
    return StatusReport(_text(report.get("status"), "status"), date)


def _object(value: object, what: str) -> Members:
    if not isinstance(value, dict):
        raise MalformedFile(f"{what} is no object")
    return value


def _text(value: object, what: str, *, least: int = 1, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str) or not least <= len(value) <= longest:
        raise MalformedFile(f"{what} is no text of {least} to {longest} characters")
    return value


def _list(members: Members, name: str) -> list[object]:
    value = members.get(name, [])
    if not isinstance(value, list):
        raise MalformedFile(f"{name} is no list")
    return value


def _texts(members: Members, name: str, *, longest: int = _LONGEST_TEXT) -> tuple[str, ...]:
    return tuple(_text(value, name, longest=longest) for value in _list(members, name))
