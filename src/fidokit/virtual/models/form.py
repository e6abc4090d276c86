"""The form of a model's document: getInfo as the FIDO metadata writes it, type by type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from fidokit.errors import Malformed
from fidokit.types import Aaguid

LARGEST_DOCUMENT: Final = 1 << 16
_MOST_ITEMS: Final = 64
_LONGEST_TEXT: Final = 1024
_LARGEST_UINT: Final = (1 << 32) - 1
_TERSEST: Final = 256
_SHORTEST_ID: Final = 16
"""Bytes. Below these no model could work; the least that a maker claims is 510, and 16."""

Fits = Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _is_int(value: object) -> bool:
    return type(value) is int and abs(value) <= _LARGEST_UINT


def _is_uint(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_UINT


def _at_least(least: int) -> Fits:
    return lambda value: _is_uint(value) and isinstance(value, int) and value >= least


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _is_hex(value: object) -> bool:
    if not isinstance(value, str) or not _is_text(value):
        return False
    try:
        bytes.fromhex(value)
    except ValueError:
        return False
    return True


def _is_algorithm(value: object) -> bool:
    return isinstance(value, Mapping) and _is_text(value.get("type")) and _is_int(value.get("alg"))


def _list_of(fits: Fits) -> Fits:
    return lambda value: (
        isinstance(value, list) and len(value) <= _MOST_ITEMS and all(map(fits, value))
    )


def _map_to(fits: Fits) -> Fits:
    return lambda value: (
        isinstance(value, Mapping)
        and len(value) <= _MOST_ITEMS
        and all(map(_is_text, value))
        and all(map(fits, value.values()))
    )


@dataclass(frozen=True, slots=True)
class GetInfoMember:
    """One member of getInfo: its number in CTAP, and what it may be in the metadata."""

    number: int
    fits: Fits


MEMBERS: Final[Mapping[str, GetInfoMember]] = MappingProxyType(
    {
        "versions": GetInfoMember(0x01, _list_of(_is_text)),
        "extensions": GetInfoMember(0x02, _list_of(_is_text)),
        "aaguid": GetInfoMember(0x03, _is_text),
        "options": GetInfoMember(0x04, _map_to(_is_flag)),
        "maxMsgSize": GetInfoMember(0x05, _at_least(_TERSEST)),
        "pinUvAuthProtocols": GetInfoMember(0x06, _list_of(_is_uint)),
        "maxCredentialCountInList": GetInfoMember(0x07, _at_least(1)),
        "maxCredentialIdLength": GetInfoMember(0x08, _at_least(_SHORTEST_ID)),
        "transports": GetInfoMember(0x09, _list_of(_is_text)),
        "algorithms": GetInfoMember(0x0A, _list_of(_is_algorithm)),
        "maxSerializedLargeBlobArray": GetInfoMember(0x0B, _is_uint),
        "forcePINChange": GetInfoMember(0x0C, _is_flag),
        "minPINLength": GetInfoMember(0x0D, _is_uint),
        "firmwareVersion": GetInfoMember(0x0E, _is_uint),
        "maxCredBlobLength": GetInfoMember(0x0F, _is_uint),
        "maxRPIDsForSetMinPINLength": GetInfoMember(0x10, _is_uint),
        "preferredPlatformUvAttempts": GetInfoMember(0x11, _is_uint),
        "uvModality": GetInfoMember(0x12, _is_uint),
        "certifications": GetInfoMember(0x13, _map_to(_is_uint)),
        "remainingDiscoverableCredentials": GetInfoMember(0x14, _is_uint),
        "vendorPrototypeConfigCommands": GetInfoMember(0x15, _list_of(_is_uint)),
        "attestationFormats": GetInfoMember(0x16, _list_of(_is_text)),
        "uvCountSinceLastPinEntry": GetInfoMember(0x17, _is_uint),
        "longTouchForReset": GetInfoMember(0x18, _is_flag),
        "encIdentifier": GetInfoMember(0x19, _is_hex),
        "transportsForReset": GetInfoMember(0x1A, _list_of(_is_text)),
        "pinComplexityPolicy": GetInfoMember(0x1B, _is_flag),
        "pinComplexityPolicyURL": GetInfoMember(0x1C, _is_hex),
        "maxPINLength": GetInfoMember(0x1D, _is_uint),
        "encCredStoreState": GetInfoMember(0x1E, _is_hex),
        "authenticatorConfigCommands": GetInfoMember(0x1F, _list_of(_is_uint)),
    }
)
"""Names are those of the FIDO Metadata Statement 3.1 section 3.12, byte strings in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Document:
    """A model's document, checked.

    Args:
        aaguid: of the model.
        description: its maker's name for it.
        info: the known members of getInfo, by name.
        unknown: names of members that CTAP 2.3 does not have.
        algorithms: COSE numbers, for models whose getInfo names none.
        self_attestation: whether the model attests by the credential's own key alone.
    """

    aaguid: Aaguid
    description: str
    info: Mapping[str, Any]
    unknown: tuple[str, ...]
    algorithms: tuple[int, ...]
    self_attestation: bool


def check_document(document: object) -> Document:
    """The document as a value.

    Args:
        document: members `aaguid`, `description`, `getInfo`; optional `algorithms`,
            `selfAttestation`; as `fidokit.metadata` gives it.

    Raises:
        Malformed: a member is missing or of a wrong type.
    """
    if not isinstance(document, Mapping):
        raise Malformed(
            "a model's document is not a map",
            hint="VirtualToken finds a model by its name or AAGUID",
        )
    description, info = document.get("description"), document.get("getInfo")
    if not isinstance(description, str) or not _is_text(description):
        raise Malformed("a model's document has no description")
    if not isinstance(info, Mapping) or not all(map(_is_text, info)):
        raise _wrong(description, "getInfo")
    for name, member in MEMBERS.items():
        if name in info and not member.fits(info[name]):
            raise _wrong(description, name)
    if not info.get("versions"):
        raise _wrong(description, "versions")
    algorithms, own = document.get("algorithms", []), document.get("selfAttestation", False)
    if not isinstance(algorithms, list) or not _list_of(_is_int)(algorithms):
        raise _wrong(description, "algorithms")
    return Document(
        aaguid=_aaguid(document.get("aaguid"), description),
        description=description,
        info=MappingProxyType({name: info[name] for name in MEMBERS if _says(info.get(name))}),
        unknown=tuple(name for name in info if name not in MEMBERS),
        algorithms=tuple(algorithms),
        self_attestation=own is True,
    )


def _says(value: object) -> bool:
    # CTAP 2.3 section 6.4: no list is empty when present; some makers' are
    return value is not None and value not in ([], {})


def _aaguid(value: object, description: str) -> Aaguid:
    try:
        return Aaguid(UUID(str(value)).bytes)
    except ValueError:
        raise _wrong(description, "aaguid") from None


def _wrong(description: str, member: str) -> Malformed:
    return Malformed(
        f"the document of the model {description!r} is not usable: {member} is missing or odd",
        hint="choose another model; `fidokit virtual models` lists those that can be used",
    )


def to_text(document: Mapping[str, object]) -> str:
    """A document as it is kept with a token.

    Raises:
        Malformed: it is not JSON, or has more than 64 KiB.
    """
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Malformed("a model's document is not JSON") from None
    if len(text) > LARGEST_DOCUMENT:
        raise Malformed("a model's document has more than 64 KiB")
    return text


def from_text(text: str) -> Mapping[str, object]:
    """A document as it was kept.

    Raises:
        Malformed: the text is not a JSON object, or has more than 64 KiB.
    """
    try:
        value = json.loads(text) if len(text) <= LARGEST_DOCUMENT else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Malformed("the model that a token was made as cannot be read")
    return value
