"""From what a certified model says of itself to the profile of a token that stands in for it.

What our authenticator cannot do, an impersonated model does not claim: it is withheld, and listed.
All that is asked of the authenticator's own tables, so that nothing here changes when it learns
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar
from uuid import UUID

from fidokit.types import CoseAlg
from fidokit.virtual.core.attestation import statements
from fidokit.virtual.core.commands import config, get_info, table
from fidokit.virtual.core.extensions import table as extensions
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.person import pin_protocol
from fidokit.virtual.core.profile import (
    CONFIGURABLE,
    CTAP_2_0,
    CTAP_2_1,
    Behavior,
    Profile,
)
from fidokit.virtual.models.form import MEMBERS, Document, check_document, from_text, to_text

T = TypeVar("T")

_PUBLIC_KEY: Final = "public-key"
_BEFORE_2_1: Final = frozenset({"U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE"})
_SINCE_2_2: Final = frozenset({"FIDO_2_2", "FIDO_2_3"})
_OF_TOKENS: Final = ("token_usage_ms", "token_has_permissions", "one_pin_token")
_PRESUMED_MSG_SIZE: Final = 1024
_PRESUMED_RESIDENT: Final = 100
_PRESUMED_RESIDENT_OF_2_0: Final = 25
_PRESUMED_ALGORITHMS: Final = (CoseAlg.ES256,)
_PRESUMED_FORMATS: Final = ("packed",)
_ROOM_FOR_CERTIFICATE: Final = 1024
_ROOM_FOR_ENTERPRISE: Final = 896
"""Bytes of a reply that singles the token out by a certificate of its own."""
_ROOM_FOR_CREDENTIAL: Final = 512
_LONG_KEYS: Final[Mapping[CoseAlg, tuple[int, int]]] = MappingProxyType(
    {
        CoseAlg.ML_DSA_44: (1312, 2420),
        CoseAlg.ML_DSA_65: (1952, 3309),
        CoseAlg.ML_DSA_87: (2592, 4627),
    }
)
"""Bytes of public keys and signatures (FIPS 204) that not every model's replies hold."""
_ENROLLMENTS: Final = ("bioEnroll", "userVerificationMgmtPreview")
_FRESH: Final = dict.fromkeys(("clientPin", "uv", *_ENROLLMENTS), False)


@dataclass(frozen=True, slots=True)
class Impersonation:
    """A model that a virtual token can be.

    Args:
        profile: what the authenticator needs; its name is `aaguid:` and the AAGUID.
        description: the maker's name for it, as given.
        withheld: names of options, extensions and getInfo members that the model has and the
            virtual token does not, and `algorithm N`.
        text: the document it was made of, to be kept with the token.
    """

    profile: Profile
    description: str
    withheld: tuple[str, ...]
    text: str


def impersonate(document: Mapping[str, object]) -> Impersonation:
    """The model that a document describes.

    Args:
        document: as `fidokit.metadata.model.Model.document` gives it: `aaguid`, `description`,
            `getInfo` in the metadata's JSON, and optionally `algorithms` and `selfAttestation`.

    Raises:
        Malformed: a member is missing or of a wrong type.
    """
    text = to_text(document)
    given = check_document(document)
    withheld = _Withheld(list(given.unknown))
    profile = _profile(given, withheld)
    return Impersonation(profile, given.description, tuple(withheld.names), text)


def reopen(text: str) -> Impersonation:
    """The model that a token was made as, from `Impersonation.text`.

    Raises:
        Malformed: the text is not what was kept.
    """
    return impersonate(from_text(text))


@dataclass(slots=True)
class _Withheld:
    """What is left out on the way, by name."""

    names: list[str]

    def keep(
        self, items: Iterable[T], is_served: Callable[[T], bool], name: Callable[[T], str]
    ) -> Iterator[T]:
        """The items that are served; the others are noted."""
        for item in items:
            if is_served(item):
                yield item
            else:
                self.names.append(name(item))


def _profile(given: Document, withheld: _Withheld) -> Profile:
    info = given.info
    versions = tuple(info["versions"])
    room = info.get("maxMsgSize", _PRESUMED_MSG_SIZE)
    options = _options(
        info.get("options", {}), withheld, enterprise_fits=room >= _ROOM_FOR_ENTERPRISE
    )
    extensions = tuple(withheld.keep(info.get("extensions", []), has_extension, str))
    algorithms = _algorithms(given, withheld)
    members = _members(info, _features(options, extensions), withheld)
    limits = {
        _FIELD_OF[name]: _LOADED.get(name, _same)(info[name])
        for name in info
        if name in _FIELD_OF and MEMBERS[name].number in members
    }
    plain = _is_2_0(versions)
    presumed: dict[str, Any] = {
        "max_msg_size": _PRESUMED_MSG_SIZE,
        "max_resident": _PRESUMED_RESIDENT_OF_2_0 if plain else _PRESUMED_RESIDENT,
        "self_attestation": _attests_itself(given),
    }
    return Profile(
        name=f"aaguid:{UUID(bytes=given.aaguid)}",
        aaguid=given.aaguid,
        versions=versions,
        options=options,
        pin_protocols=_pin_protocols(info, options),
        algorithms=algorithms,
        extensions=extensions,
        attestation_formats=_formats(info, withheld),
        info_members=members,
        behavior=_behavior(options, versions),
        **{**presumed, **limits},
    )


def _is_2_0(versions: tuple[str, ...]) -> bool:
    return _BEFORE_2_1.issuperset(versions)


def _options(
    given: Mapping[str, bool], withheld: _Withheld, *, enterprise_fits: bool
) -> Mapping[str, bool]:
    def is_served(name: str) -> bool:
        claims = given[name] or name in CONFIGURABLE
        return (has_option(name) and (name != "ep" or enterprise_fits)) or not claims

    kept = {name: given[name] for name in withheld.keep(given, is_served, str)}
    # The makers describe tokens in use; a fresh one has no PIN, and no finger where it learns them.
    fresh = _FRESH if any(name in kept for name in _ENROLLMENTS) else {"clientPin": False}
    return MappingProxyType({name: fresh.get(name, value) for name, value in kept.items()})


def _algorithms(given: Document, withheld: _Withheld) -> tuple[CoseAlg, ...]:
    listed = given.info.get("algorithms", [])
    numbers = [a["alg"] for a in listed if a["type"] == _PUBLIC_KEY] or given.algorithms
    room = given.info.get("maxMsgSize", _PRESUMED_MSG_SIZE)

    def is_served(number: int) -> bool:
        return has_algorithm(number) and _fits(CoseAlg(number), room)

    kept = withheld.keep(dict.fromkeys(numbers), is_served, lambda n: f"algorithm {n}")
    return tuple(map(CoseAlg, kept)) if numbers else _PRESUMED_ALGORITHMS


def _fits(alg: CoseAlg, room: int) -> bool:
    """Whether replies of so many bytes hold the algorithm's keys and signatures (CBR-11)."""
    key, signature = _LONG_KEYS.get(alg, (0, 0))
    beside = _ROOM_FOR_CERTIFICATE if room >= _ROOM_FOR_CERTIFICATE else signature
    return not key or max(key + beside, signature + _ROOM_FOR_CREDENTIAL) <= room


def _features(options: Mapping[str, bool], extensions: tuple[str, ...]) -> frozenset[str]:
    there = (name for name, value in options.items() if value or name in CONFIGURABLE)
    return frozenset((*there, *extensions))


def _members(
    info: Mapping[str, Any], features: frozenset[str], withheld: _Withheld
) -> frozenset[int]:
    def is_served(name: str) -> bool:
        needed = _SAID_WITH.get(name, ())
        return has_member(MEMBERS[name].number) and features.issuperset(needed)

    return frozenset(MEMBERS[name].number for name in withheld.keep(info, is_served, str))


def _pin_protocols(info: Mapping[str, Any], options: Mapping[str, bool]) -> tuple[int, ...]:
    """As listed; tokens from before the member was there speak protocol 1 (CTAP 2.0)."""
    if "pinUvAuthProtocols" in info:
        known = filter(has_pin_protocol, info["pinUvAuthProtocols"])
        return tuple(dict.fromkeys(known))
    return (1,) if {"clientPin", "pinUvAuthToken"} & set(options) else ()


def _formats(info: Mapping[str, Any], withheld: _Withheld) -> tuple[str, ...]:
    listed = info.get("attestationFormats", [])
    kept = withheld.keep(listed, has_format, lambda name: f"attestation {name}")
    return tuple(kept) or _PRESUMED_FORMATS


def _attests_itself(given: Document) -> bool:
    # A certificate of its own would not fit into the replies of the tersest tokens (CBR-11).
    room = given.info.get("maxMsgSize", _PRESUMED_MSG_SIZE)
    return given.self_attestation or room < _ROOM_FOR_CERTIFICATE


def _behavior(options: Mapping[str, bool], versions: tuple[str, ...]) -> Behavior:
    """That of the version; but who offers pinUvAuthToken has such tokens, and who does not has the
    pinToken of CTAP 2.0 whatever version it claims."""
    newest = Behavior() if _SINCE_2_2.intersection(versions) else CTAP_2_1.behavior
    base = CTAP_2_0.behavior if _is_2_0(versions) else newest
    tokens = Behavior() if options.get("pinUvAuthToken") else CTAP_2_0.behavior
    changed = {name: getattr(tokens, name) for name in _OF_TOKENS}
    return replace(base, **changed)


# --- members that are a field of the profile -----------------------------------------------------


def _same(value: Any) -> Any:
    return value


_FIELD_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "maxMsgSize": "max_msg_size",
        "maxCredentialCountInList": "max_credentials_in_list",
        "maxCredentialIdLength": "max_credential_id_length",
        "transports": "transports",
        "maxSerializedLargeBlobArray": "max_large_blob_array",
        "minPINLength": "min_pin_length",
        "firmwareVersion": "firmware_version",
        "maxCredBlobLength": "max_cred_blob",
        "maxRPIDsForSetMinPINLength": "max_min_pin_rp_ids",
        "preferredPlatformUvAttempts": "preferred_uv_attempts",
        "uvModality": "uv_modality",
        "certifications": "certifications",
        "remainingDiscoverableCredentials": "max_resident",
        "vendorPrototypeConfigCommands": "vendor_config_commands",
        "longTouchForReset": "long_touch_for_reset",
        "authenticatorConfigCommands": "config_commands",
        "transportsForReset": "transports_for_reset",
        "pinComplexityPolicy": "pin_complexity",
        "pinComplexityPolicyURL": "pin_complexity_url",
        "maxPINLength": "max_pin_length",
    }
)

_SAID_WITH: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "maxSerializedLargeBlobArray": ("largeBlobs",),
        "forcePINChange": ("clientPin",),
        "minPINLength": ("clientPin",),
        "maxPINLength": ("clientPin",),
        "maxCredBlobLength": ("credBlob",),
        "maxRPIDsForSetMinPINLength": ("setMinPINLength", "minPinLength"),
        "preferredPlatformUvAttempts": ("uv",),
        "uvModality": ("uv",),
        "remainingDiscoverableCredentials": ("rk",),
    }
)
"""Members that getInfo has only with an option or extension (CTAP 2.3 section 6.4)."""

_LOADED: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "transports": tuple,
        "minPINLength": lambda length: min(63, max(4, length)),
        "maxPINLength": lambda length: min(63, max(8, length)),
        "certifications": lambda levels: MappingProxyType(dict(levels)),
        "vendorPrototypeConfigCommands": tuple,
        "authenticatorConfigCommands": tuple,
        "transportsForReset": lambda names: tuple(name.lower() for name in names),
        "pinComplexityPolicyURL": bytes.fromhex,
    }
)
"""Some makers write transports in capitals."""


_INNATE = frozenset(
    {
        "rk",
        "up",
        "uv",
        "plat",
        "alwaysUv",
        "clientPin",
        "pinUvAuthToken",
        "makeCredUvNotRqd",
        "noMcGaPermissionsWithClientPin",
    }
)
"""Options that no command of their own stands behind."""

_COMMAND_BEHIND: Mapping[str, int] = MappingProxyType(
    {
        "credMgmt": 0x0A,
        "credentialMgmtPreview": 0x41,
        "bioEnroll": 0x09,
        "uvBioEnroll": 0x09,
        "userVerificationMgmtPreview": 0x40,
        "largeBlobs": 0x0C,
        "authnrCfg": 0x0D,
        "uvAcfg": 0x0D,
    }
)
_CONFIG_BEHIND: Mapping[str, int] = MappingProxyType({"ep": 0x01, "setMinPINLength": 0x03})
_MEMBER_BEHIND: Mapping[str, int] = MappingProxyType({"perCredMgmtRO": 0x1E})
"""Whoever gives out persistent tokens says by encCredStoreState when they are worth using."""


def has_option(name: str) -> bool:
    """Whether the feature behind an option of getInfo is there."""
    return (
        name in _INNATE
        or _COMMAND_BEHIND.get(name) in table.COMMANDS
        or _CONFIG_BEHIND.get(name) in config.SERVED
        or _MEMBER_BEHIND.get(name) in get_info.MEMBERS
    )


def has_extension(name: str) -> bool:
    """Whether an extension is there, with the command that it is good for."""
    return name in extensions.EXTENSIONS and (name != "largeBlobKey" or has_option("largeBlobs"))


def has_algorithm(number: int) -> bool:
    """Whether keys of a COSE algorithm can be made."""
    return number in CoseAlg._value2member_map_ and CoseAlg(number) in ALGORITHMS


def has_member(number: int) -> bool:
    """Whether getInfo has a member of this number."""
    return number in get_info.MEMBERS


def has_format(name: str) -> bool:
    """Whether attestation statements of this format can be made."""
    return name in statements.FORMATS


def has_pin_protocol(number: int) -> bool:
    """Whether a PIN/UV auth protocol is there."""
    return number in pin_protocol.PROTOCOLS
