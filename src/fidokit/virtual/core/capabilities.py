"""What this authenticator can do at all, asked of its own tables: no model may claim more."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fidokit.types import CoseAlg
from fidokit.virtual.core.attestation import statements
from fidokit.virtual.core.commands import config, get_info, table
from fidokit.virtual.core.extensions import table as extensions
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.person import pin_protocol

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


def option(name: str) -> bool:
    """Whether the feature behind an option of getInfo is there."""
    return (
        name in _INNATE
        or _COMMAND_BEHIND.get(name) in table.COMMANDS
        or _CONFIG_BEHIND.get(name) in config.SERVED
        or _MEMBER_BEHIND.get(name) in get_info.MEMBERS
    )


def extension(name: str) -> bool:
    """Whether an extension is there, with the command that it is good for."""
    return name in extensions.EXTENSIONS and (name != "largeBlobKey" or option("largeBlobs"))


def algorithm(number: int) -> bool:
    """Whether keys of a COSE algorithm can be made."""
    return number in CoseAlg._value2member_map_ and CoseAlg(number) in ALGORITHMS


def member(number: int) -> bool:
    """Whether getInfo has a member of this number."""
    return number in get_info.MEMBERS


def attestation_format(name: str) -> bool:
    """Whether attestation statements of this format can be made."""
    return name in statements.FORMATS


def pin_protocol_version(number: int) -> bool:
    """Whether a PIN/UV auth protocol is there."""
    return number in pin_protocol.PROTOCOLS
