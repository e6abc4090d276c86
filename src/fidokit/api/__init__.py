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
    from fidokit.api.agent_adding import Added as Added
    from fidokit.api.agent_adding import AddOptions as AddOptions
    from fidokit.api.agent_adding import add_to_agent as add_to_agent
    from fidokit.api.agent_client import AgentClient as AgentClient
    from fidokit.api.agent_serving import AgentOptions as AgentOptions
    from fidokit.api.agent_serving import AgentService as AgentService
    from fidokit.api.agent_serving import harden as harden
    from fidokit.api.agent_units import install_systemd_units as install_systemd_units
    from fidokit.api.agent_units import systemd_units as systemd_units
    from fidokit.api.attesting import Origin as Origin
    from fidokit.api.attesting import ShownAttestation as ShownAttestation
    from fidokit.api.attesting import VerifiedAttestation as VerifiedAttestation
    from fidokit.api.attesting import show_attestation as show_attestation
    from fidokit.api.attesting import verify_attestation as verify_attestation
    from fidokit.api.authorizing import Authorized as Authorized
    from fidokit.api.authorizing import Place as Place
    from fidokit.api.authorizing import authorize as authorize
    from fidokit.api.authorizing import key_options as key_options
    from fidokit.api.authorizing import line_name as line_name
    from fidokit.api.authorizing import revoke as revoke
    from fidokit.api.backing_up import Backup as Backup
    from fidokit.api.backing_up import backup_of as backup_of
    from fidokit.api.backing_up import backup_states as backup_states
    from fidokit.api.backing_up import check_ceremony as check_ceremony
    from fidokit.api.backing_up import with_backups as with_backups
    from fidokit.api.certifying import CertificateRequest as CertificateRequest
    from fidokit.api.certifying import IssuedCertificate as IssuedCertificate
    from fidokit.api.certifying import ShownCertificate as ShownCertificate
    from fidokit.api.certifying import certificate_request as certificate_request
    from fidokit.api.certifying import certify as certify
    from fidokit.api.certifying import show_certificate as show_certificate
    from fidokit.api.checking import CheckEvent as CheckEvent
    from fidokit.api.checking import CheckRequest as CheckRequest
    from fidokit.api.checking import CheckRule as CheckRule
    from fidokit.api.checking import CheckTally as CheckTally
    from fidokit.api.checking import CheckVerdict as CheckVerdict
    from fidokit.api.checking import FileReport as FileReport
    from fidokit.api.checking import KeyLine as KeyLine
    from fidokit.api.checking import ServerReport as ServerReport
    from fidokit.api.checking import UnreadableLine as UnreadableLine
    from fidokit.api.checking import UserReport as UserReport
    from fidokit.api.checking import Violation as Violation
    from fidokit.api.checking import check_server as check_server
    from fidokit.api.configuring import Configuration as Configuration
    from fidokit.api.configuring import always_uv as always_uv
    from fidokit.api.configuring import configuration as configuration
    from fidokit.api.configuring import enterprise_attestation as enterprise_attestation
    from fidokit.api.configuring import long_touch_reset as long_touch_reset
    from fidokit.api.demo import DemoMismatch as DemoMismatch
    from fidokit.api.demo import Step as Step
    from fidokit.api.demo import tour as tour
    from fidokit.api.doctor import Finding as Finding
    from fidokit.api.doctor import Status as Status
    from fidokit.api.doctor import diagnose as diagnose
    from fidokit.api.fingers import Fingerprint as Fingerprint
    from fidokit.api.fingers import Sample as Sample
    from fidokit.api.fingers import delete_fingerprint as delete_fingerprint
    from fidokit.api.fingers import enroll_fingerprint as enroll_fingerprint
    from fidokit.api.fingers import list_fingerprints as list_fingerprints
    from fidokit.api.fingers import rename_fingerprint as rename_fingerprint
    from fidokit.api.fingers import resolve_fingerprint as resolve_fingerprint
    from fidokit.api.generating import Generated as Generated
    from fidokit.api.generating import GenerateRequest as GenerateRequest
    from fidokit.api.generating import Orphan as Orphan
    from fidokit.api.generating import OrphanedCredential as OrphanedCredential
    from fidokit.api.generating import delete_orphan as delete_orphan
    from fidokit.api.generating import generate as generate
    from fidokit.api.generating import save_orphan as save_orphan
    from fidokit.api.hardening import HARDENING_LEVELS as HARDENING_LEVELS
    from fidokit.api.hardening import apply_hardening as apply_hardening
    from fidokit.api.hardening import plan_hardening as plan_hardening
    from fidokit.api.hardening import plan_unhardening as plan_unhardening
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
    from fidokit.api.large_blobs import LARGEST_BLOB as LARGEST_BLOB
    from fidokit.api.large_blobs import BlobRow as BlobRow
    from fidokit.api.large_blobs import BlobTable as BlobTable
    from fidokit.api.large_blobs import delete_all_blobs as delete_all_blobs
    from fidokit.api.large_blobs import delete_blobs as delete_blobs
    from fidokit.api.large_blobs import delete_orphaned_blobs as delete_orphaned_blobs
    from fidokit.api.large_blobs import download_blob as download_blob
    from fidokit.api.large_blobs import get_blob as get_blob
    from fidokit.api.large_blobs import list_blobs as list_blobs
    from fidokit.api.large_blobs import set_blob as set_blob
    from fidokit.api.models import ModelList as ModelList
    from fidokit.api.models import ModelSummary as ModelSummary
    from fidokit.api.models import list_models as list_models
    from fidokit.api.models import model_document as model_document
    from fidokit.api.opening import open_key as open_key
    from fidokit.api.opening import token_for_key as token_for_key
    from fidokit.api.opening import token_holding as token_holding
    from fidokit.api.otp import OtpPlan as OtpPlan
    from fidokit.api.otp import OtpRequest as OtpRequest
    from fidokit.api.otp import OtpState as OtpState
    from fidokit.api.otp import check_otp_files as check_otp_files
    from fidokit.api.otp import confirm_otp as confirm_otp
    from fidokit.api.otp import new_emergency_codes as new_emergency_codes
    from fidokit.api.otp import otp_state as otp_state
    from fidokit.api.otp import plan_otp as plan_otp
    from fidokit.api.otp import qr_matrix as qr_matrix
    from fidokit.api.otp import resync_otp as resync_otp
    from fidokit.api.otp import save_otp as save_otp
    from fidokit.api.otp import verify_otp as verify_otp
    from fidokit.api.otp import write_codes as write_codes
    from fidokit.api.otp import write_qr as write_qr
    from fidokit.api.pins import PinCode as PinCode
    from fidokit.api.pins import PinStatus as PinStatus
    from fidokit.api.pins import change_pin as change_pin
    from fidokit.api.pins import force_pin_change as force_pin_change
    from fidokit.api.pins import pin_status as pin_status
    from fidokit.api.pins import set_min_pin_length as set_min_pin_length
    from fidokit.api.pins import set_pin as set_pin
    from fidokit.api.pins import verify_pin as verify_pin
    from fidokit.api.providing import InstalledProvider as InstalledProvider
    from fidokit.api.providing import ProviderTokens as ProviderTokens
    from fidokit.api.providing import install_provider as install_provider
    from fidokit.api.providing import provider_api as provider_api
    from fidokit.api.providing import provider_path as provider_path
    from fidokit.api.providing import trusted_provider as trusted_provider
    from fidokit.api.remembering import forget_token as forget_token
    from fidokit.api.remembering import forget_tokens as forget_tokens
    from fidokit.api.resetting import ResetGuide as ResetGuide
    from fidokit.api.resetting import ResetPlan as ResetPlan
    from fidokit.api.resetting import plan_reset as plan_reset
    from fidokit.api.resetting import reset as reset
    from fidokit.api.selection import configured_selector as configured_selector
    from fidokit.api.serving import Reached as Reached
    from fidokit.api.serving import Ways as Ways
    from fidokit.api.serving import plug as plug
    from fidokit.api.serving import reachable as reachable
    from fidokit.api.showing import ShownKey as ShownKey
    from fidokit.api.showing import fingerprint_lines as fingerprint_lines
    from fidokit.api.showing import show as show
    from fidokit.api.signers import Signer as Signer
    from fidokit.api.signers import open_signer as open_signer
    from fidokit.api.signing import sign as sign
    from fidokit.api.signing import sign_by as sign_by
    from fidokit.api.signing import sign_file as sign_file
    from fidokit.api.signing import sign_file_by as sign_file_by
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
    from fidokit.api.udev import install_udev_rules as install_udev_rules
    from fidokit.api.udev import udev_rule_path as udev_rule_path
    from fidokit.api.udev import udev_rules as udev_rules
    from fidokit.api.verifying import Verified as Verified
    from fidokit.api.verifying import check as check
    from fidokit.api.verifying import find_principals as find_principals
    from fidokit.api.verifying import match_principals as match_principals
    from fidokit.api.verifying import verify as verify
    from fidokit.api.verifying import verify_time as verify_time
    from fidokit.api.virtual import VirtualSummary as VirtualSummary
    from fidokit.api.virtual import create_virtual as create_virtual
    from fidokit.api.virtual import delete_virtual as delete_virtual
    from fidokit.api.virtual import export_virtual as export_virtual
    from fidokit.api.virtual import import_virtual as import_virtual
    from fidokit.api.virtual import list_virtual as list_virtual
    from fidokit.api.virtual import serve_virtual as serve_virtual
    from fidokit.api.virtual_token import VirtualToken as VirtualToken
    from fidokit.files.pieces import pieces as pieces
    from fidokit.server.otp_codes import EMERGENCY_DIGITS as EMERGENCY_DIGITS
    from fidokit.server.otp_codes import Verdict as Verdict
    from fidokit.server.planning import HardeningPlan as HardeningPlan
    from fidokit.server.planning import HardeningRequest as HardeningRequest
    from fidokit.server.planning import HardeningTarget as HardeningTarget
    from fidokit.token.attestation_leaf import Leaf as Leaf
    from fidokit.types import KeyType as KeyType
    from fidokit.types import SkFlag as SkFlag
    from fidokit.types import Transport as Transport

_HOME = {
    "fidokit.api.agent_adding": ("AddOptions", "Added", "add_to_agent"),
    "fidokit.api.agent_client": ("AgentClient",),
    "fidokit.api.agent_serving": ("AgentOptions", "AgentService", "harden"),
    "fidokit.api.agent_units": ("install_systemd_units", "systemd_units"),
    "fidokit.api.attesting": (
        "Origin",
        "ShownAttestation",
        "VerifiedAttestation",
        "show_attestation",
        "verify_attestation",
    ),
    "fidokit.api.authorizing": (
        "Authorized",
        "Place",
        "authorize",
        "key_options",
        "line_name",
        "revoke",
    ),
    "fidokit.api.backing_up": (
        "Backup",
        "backup_of",
        "backup_states",
        "check_ceremony",
        "with_backups",
    ),
    "fidokit.api.certifying": (
        "CertificateRequest",
        "IssuedCertificate",
        "ShownCertificate",
        "certificate_request",
        "certify",
        "show_certificate",
    ),
    "fidokit.api.checking": (
        "CheckEvent",
        "CheckRequest",
        "FileReport",
        "KeyLine",
        "CheckRule",
        "ServerReport",
        "CheckTally",
        "CheckVerdict",
        "UnreadableLine",
        "UserReport",
        "Violation",
        "check_server",
    ),
    "fidokit.api.configuring": (
        "Configuration",
        "always_uv",
        "configuration",
        "enterprise_attestation",
        "long_touch_reset",
    ),
    "fidokit.api.demo": ("DemoMismatch", "Step", "tour"),
    "fidokit.api.doctor": ("Finding", "Status", "diagnose"),
    "fidokit.api.fingers": (
        "Fingerprint",
        "Sample",
        "delete_fingerprint",
        "enroll_fingerprint",
        "list_fingerprints",
        "rename_fingerprint",
        "resolve_fingerprint",
    ),
    "fidokit.api.generating": (
        "Generated",
        "GenerateRequest",
        "Orphan",
        "OrphanedCredential",
        "delete_orphan",
        "generate",
        "save_orphan",
    ),
    "fidokit.api.hardening": (
        "HARDENING_LEVELS",
        "apply_hardening",
        "plan_hardening",
        "plan_unhardening",
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
    "fidokit.api.large_blobs": (
        "LARGEST_BLOB",
        "BlobRow",
        "BlobTable",
        "delete_all_blobs",
        "delete_blobs",
        "delete_orphaned_blobs",
        "download_blob",
        "get_blob",
        "list_blobs",
        "set_blob",
    ),
    "fidokit.api.models": (
        "ModelList",
        "ModelSummary",
        "list_models",
        "model_document",
    ),
    "fidokit.api.opening": ("open_key", "token_for_key", "token_holding"),
    "fidokit.api.otp": (
        "OtpPlan",
        "OtpRequest",
        "OtpState",
        "check_otp_files",
        "confirm_otp",
        "new_emergency_codes",
        "otp_state",
        "plan_otp",
        "qr_matrix",
        "resync_otp",
        "save_otp",
        "verify_otp",
        "write_codes",
        "write_qr",
    ),
    "fidokit.api.pins": (
        "PinCode",
        "PinStatus",
        "change_pin",
        "force_pin_change",
        "pin_status",
        "set_min_pin_length",
        "set_pin",
        "verify_pin",
    ),
    "fidokit.api.providing": (
        "InstalledProvider",
        "ProviderTokens",
        "install_provider",
        "provider_api",
        "provider_path",
        "trusted_provider",
    ),
    "fidokit.api.remembering": ("forget_token", "forget_tokens"),
    "fidokit.api.resetting": ("ResetGuide", "ResetPlan", "plan_reset", "reset"),
    "fidokit.api.selection": ("configured_selector",),
    "fidokit.api.serving": ("Reached", "Ways", "plug", "reachable"),
    "fidokit.api.showing": ("ShownKey", "fingerprint_lines", "show"),
    "fidokit.api.signers": ("Signer", "open_signer"),
    "fidokit.api.signing": ("sign", "sign_by", "sign_file", "sign_file_by"),
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
    "fidokit.api.verifying": (
        "Verified",
        "check",
        "find_principals",
        "match_principals",
        "verify",
        "verify_time",
    ),
    "fidokit.api.udev": ("install_udev_rules", "udev_rule_path", "udev_rules"),
    "fidokit.api.virtual": (
        "VirtualSummary",
        "create_virtual",
        "delete_virtual",
        "export_virtual",
        "import_virtual",
        "list_virtual",
        "serve_virtual",
    ),
    "fidokit.api.virtual_token": ("VirtualToken",),
    "fidokit.files.pieces": ("pieces",),
    "fidokit.token.attestation_leaf": ("Leaf",),
    "fidokit.server.otp_codes": ("EMERGENCY_DIGITS", "Verdict"),
    "fidokit.server.planning": ("HardeningPlan", "HardeningRequest", "HardeningTarget"),
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
