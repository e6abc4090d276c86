"""The documented face of fidokit: everything the command does, as typed functions.

`import fidokit.api` costs nothing: names are fetched from their modules when first used, and the
modules import cryptography, fido2 and sqlite3 inside the functions that need them.

    from fidokit import api

    with api.open_token(interaction=me) as session:
        api.set_pin(session)
        api.generate(session, api.GenerateRequest(api.KeyType.ED25519_SK))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.api.demo import DemoMismatch as DemoMismatch
    from fidokit.api.demo import Step as Step
    from fidokit.api.demo import tour as tour
    from fidokit.api.doctor import Finding as Finding
    from fidokit.api.doctor import Status as Status
    from fidokit.api.doctor import diagnose as diagnose
    from fidokit.api.doctor import udev_rule_path as udev_rule_path
    from fidokit.api.doctor import udev_rules as udev_rules
    from fidokit.api.generating import Generated as Generated
    from fidokit.api.generating import GenerateRequest as GenerateRequest
    from fidokit.api.generating import Orphan as Orphan
    from fidokit.api.generating import OrphanedCredential as OrphanedCredential
    from fidokit.api.generating import delete_orphan as delete_orphan
    from fidokit.api.generating import generate as generate
    from fidokit.api.generating import save_orphan as save_orphan
    from fidokit.api.keyfiles import FlagsChange as FlagsChange
    from fidokit.api.keyfiles import KeyFile as KeyFile
    from fidokit.api.keyfiles import change_passphrase as change_passphrase
    from fidokit.api.keyfiles import describe as describe
    from fidokit.api.keyfiles import public_lines as public_lines
    from fidokit.api.keyfiles import set_flags as set_flags
    from fidokit.api.keys import DownloadResult as DownloadResult
    from fidokit.api.keys import KeyRow as KeyRow
    from fidokit.api.keys import delete_key as delete_key
    from fidokit.api.keys import download as download
    from fidokit.api.keys import list_keys as list_keys
    from fidokit.api.keys import rename_key as rename_key
    from fidokit.api.keys import resolve as resolve
    from fidokit.api.models import ModelList as ModelList
    from fidokit.api.models import ModelSummary as ModelSummary
    from fidokit.api.models import list_models as list_models
    from fidokit.api.models import model_document as model_document
    from fidokit.api.models import virtual_token as virtual_token
    from fidokit.api.pins import PinCode as PinCode
    from fidokit.api.pins import PinStatus as PinStatus
    from fidokit.api.pins import always_uv as always_uv
    from fidokit.api.pins import change_pin as change_pin
    from fidokit.api.pins import force_pin_change as force_pin_change
    from fidokit.api.pins import pin_status as pin_status
    from fidokit.api.pins import set_min_pin_length as set_min_pin_length
    from fidokit.api.pins import set_pin as set_pin
    from fidokit.api.pins import verify_pin as verify_pin
    from fidokit.api.resetting import ResetGuide as ResetGuide
    from fidokit.api.resetting import ResetPlan as ResetPlan
    from fidokit.api.resetting import plan_reset as plan_reset
    from fidokit.api.resetting import reset as reset
    from fidokit.api.selection import configured_selector as configured_selector
    from fidokit.api.showing import ShownKey as ShownKey
    from fidokit.api.showing import fingerprint_lines as fingerprint_lines
    from fidokit.api.showing import show as show
    from fidokit.api.signing import Verified as Verified
    from fidokit.api.signing import open_key as open_key
    from fidokit.api.signing import sign as sign
    from fidokit.api.signing import sign_file as sign_file
    from fidokit.api.signing import token_for_key as token_for_key
    from fidokit.api.signing import verify as verify
    from fidokit.api.tokens import QUIET as QUIET
    from fidokit.api.tokens import Candidate as Candidate
    from fidokit.api.tokens import Interaction as Interaction
    from fidokit.api.tokens import Session as Session
    from fidokit.api.tokens import TokenDetails as TokenDetails
    from fidokit.api.tokens import TokenInfo as TokenInfo
    from fidokit.api.tokens import TokenSummary as TokenSummary
    from fidokit.api.tokens import list_tokens as list_tokens
    from fidokit.api.tokens import open_token as open_token
    from fidokit.api.tokens import token_info as token_info
    from fidokit.api.tokens import wink as wink
    from fidokit.api.virtual import VirtualSummary as VirtualSummary
    from fidokit.api.virtual import create_virtual as create_virtual
    from fidokit.api.virtual import delete_virtual as delete_virtual
    from fidokit.api.virtual import list_virtual as list_virtual
    from fidokit.types import KeyType as KeyType
    from fidokit.types import SkFlag as SkFlag
    from fidokit.types import Transport as Transport

_HOME = {
    "fidokit.api.demo": ("DemoMismatch", "Step", "tour"),
    "fidokit.api.doctor": ("Finding", "Status", "diagnose", "udev_rule_path", "udev_rules"),
    "fidokit.api.generating": (
        "Generated",
        "GenerateRequest",
        "Orphan",
        "OrphanedCredential",
        "delete_orphan",
        "generate",
        "save_orphan",
    ),
    "fidokit.api.keyfiles": (
        "FlagsChange",
        "KeyFile",
        "change_passphrase",
        "describe",
        "public_lines",
        "set_flags",
    ),
    "fidokit.api.keys": (
        "DownloadResult",
        "KeyRow",
        "delete_key",
        "download",
        "list_keys",
        "rename_key",
        "resolve",
    ),
    "fidokit.api.models": (
        "ModelList",
        "ModelSummary",
        "list_models",
        "model_document",
        "virtual_token",
    ),
    "fidokit.api.pins": (
        "PinCode",
        "PinStatus",
        "always_uv",
        "change_pin",
        "force_pin_change",
        "pin_status",
        "set_min_pin_length",
        "set_pin",
        "verify_pin",
    ),
    "fidokit.api.resetting": ("ResetGuide", "ResetPlan", "plan_reset", "reset"),
    "fidokit.api.selection": ("configured_selector",),
    "fidokit.api.showing": ("ShownKey", "fingerprint_lines", "show"),
    "fidokit.api.signing": (
        "Verified",
        "open_key",
        "sign",
        "sign_file",
        "token_for_key",
        "verify",
    ),
    "fidokit.api.tokens": (
        "QUIET",
        "Candidate",
        "Interaction",
        "Session",
        "TokenDetails",
        "TokenInfo",
        "TokenSummary",
        "list_tokens",
        "open_token",
        "token_info",
        "wink",
    ),
    "fidokit.api.virtual": ("VirtualSummary", "create_virtual", "delete_virtual", "list_virtual"),
    "fidokit.types": ("KeyType", "SkFlag", "Transport"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
