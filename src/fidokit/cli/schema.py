"""The JSON of each command, in one place, as docs/json.md promises it: adding is allowed,
renaming is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.agent.addition import Added
    from fidokit.cli.render import Json
    from fidokit.client.info import TokenInfo
    from fidokit.client.session import Session
    from fidokit.guide.demo import Step
    from fidokit.guide.doctor import Finding
    from fidokit.inventory import KeyRow
    from fidokit.keys.attestation import ShownAttestation
    from fidokit.keys.backup import Backup
    from fidokit.keys.blobs import BlobTable
    from fidokit.keys.fingerprints import ShownKey
    from fidokit.keys.generation import Generated
    from fidokit.keys.key_files import FlagsChange, KeyFile
    from fidokit.keys.resident_keys import DownloadResult
    from fidokit.lab.named_tokens import VirtualSummary
    from fidokit.server.authorize.authorization import Authorized
    from fidokit.server.harden.plan import HardeningPlan
    from fidokit.server.otp.codes import Verdict
    from fidokit.server.otp.enrollment import OtpState
    from fidokit.signing.certificates import IssuedCertificate, ShownCertificate
    from fidokit.signing.signatures import Verified
    from fidokit.tokens.access import TokenDetails, TokenSummary
    from fidokit.tokens.owner import Configuration, Finger, PinStatus
    from fidokit.tokens.reset import ResetPlan
    from fidokit.types import SkFlag
    from fidokit.virtual.models.search import ModelSummary


def token(summary: TokenSummary) -> Json:
    """One line of `token list`."""
    return {
        "selector": summary.selector,
        "durable": summary.durable,
        "transport": str(summary.transport),
        "path": summary.path,
        "product": summary.product,
        "serial": summary.serial,
        "versions": list(summary.info.versions) if summary.info else None,
        "pin_set": summary.info.pin_set if summary.info else None,
        "problem": summary.problem,
        "hint": summary.hint,
        "identifier": summary.identifier,
    }


def details(found: TokenDetails) -> Json:
    """`token info`."""
    return {
        "name": found.name,
        "selector": found.selector,
        "durable": found.durable,
        "identifier": found.identifier,
        "info": _info(found.info),
        "pin": pin(found.pin),
    }


def backup(state: Backup) -> dict[str, object]:
    """What `key list` says of backups."""
    return {"has_backup": state == "yes", "is_backup": state == "is one"}


def _info(info: TokenInfo) -> Json:
    return {
        "versions": list(info.versions),
        "extensions": list(info.extensions),
        "aaguid": info.aaguid.hex(),
        "options": dict(info.options),
        "pin_protocols": list(info.pin_protocols),
        "algorithms": list(info.algorithms),
        "transports": list(info.transports),
        "firmware_version": info.firmware_version,
        "remaining_resident": info.remaining_resident,
        "max_credential_id_length": info.max_credential_id_length,
        "u2f_only": info.is_u2f_only,
    }


def pin(status: PinStatus) -> Json:
    """`pin status`; lengths in code points."""
    return {
        "supported": status.supported,
        "set": status.set,
        "retries": status.retries,
        "uv_retries": status.uv_retries,
        "min_length": status.min_length,
        "max_length": status.max_length,
        "change_required": status.change_required,
        "needs_power_cycle": status.needs_power_cycle,
    }


def on_token(session: Session) -> Json:
    """What every command that changed a token says: which one it was."""
    return {"token": {"name": session.name, "selector": session.selector}}


def configuration(found: Configuration) -> Json:
    """`config show`; null is a setting that the token does not have."""
    return {
        "always_uv": found.always_uv,
        "enterprise_attestation": found.enterprise_attestation,
        "long_touch_reset": found.long_touch_reset,
        "min_length": found.min_pin_length,
        "pin_complexity": found.pin_complexity,
        "changeable": sorted(found.changeable),
    }


def fingerprint(found: Finger) -> Json:
    """One line of `bio list`."""
    return {"id": found.template_id.hex(), "name": found.name}


def blobs(table: BlobTable) -> Json:
    """`blob list`; sizes in bytes."""
    return {
        "blobs": [
            {"size": row.size, "stored": row.stored, "key": key(row.key)} for row in table.blobs
        ],
        "others": table.others,
        "used": table.used,
        "capacity": table.capacity,
        "damaged": table.damaged,
    }


def key(row: KeyRow) -> Json:
    """One row of `key list`."""
    return {
        "fingerprint": row.fingerprint,
        "type": str(row.key_type) if row.key_type else None,
        "application": row.application,
        "user": row.user,
        "user_name": row.user_name,
        "comment": row.comment,
        "verify_required": row.verify_required,
        "touch_required": row.touch_required,
        "on_token": row.on_token,
        "created": row.created.isoformat() if row.created else None,
        "files": _paths(row.files),
        "credential_id": row.credential_id.hex() if row.credential_id else None,
        "public_key": row.public_line,
    }


def generated(made: Generated) -> Json:
    """`key generate`."""
    return {
        "path": str(made.path),
        "public_path": str(made.public_path),
        "attestation_path": str(made.attestation_path) if made.attestation_path else None,
        "public_key": made.public_line,
        "fingerprint": made.fingerprint,
        "type": str(made.key_type),
        "application": made.application,
        "user": made.user,
        "comment": made.comment,
        "resident": made.resident,
        "verify_required": made.verify_required,
        "touch_required": made.touch_required,
        "warnings": list(made.warnings),
    }


def downloaded(result: DownloadResult) -> Json:
    """One key of `key download`; `error` is null where it was written."""
    from fidokit.cli.render import error_data

    return {
        "path": str(result.path),
        "public_key": result.public_line,
        "fingerprint": result.row.fingerprint,
        "application": result.row.application,
        "user": result.row.user,
        "error": error_data(result.error) if result.error else None,
    }


def shown(found: ShownKey) -> Json:
    """One key of `key show`."""
    return {
        "fingerprint": found.fingerprint,
        "comment": found.comment,
        "type": found.type_label,
        "bits": found.bits,
        "line": found.line_number,
        "error": found.error,
        "randomart": found.randomart,
    }


def key_file(found: KeyFile) -> Json:
    """`key flags` without a change."""
    return {
        "path": str(found.path),
        "public_key": found.public_line,
        "fingerprint": found.fingerprint,
        "type": found.type_label,
        "application": found.application,
        "comment": found.comment,
        "encrypted": found.encrypted,
        "flags": flag_names(found.flags) if found.flags is not None else None,
        "warnings": list(found.warnings),
    }


def flags_change(change: FlagsChange) -> Json:
    """`key flags` with a change."""
    return {
        "path": str(change.path),
        "before": flag_names(change.before),
        "after": flag_names(change.after),
        "changed": change.changed,
    }


def flag_names(flags: SkFlag) -> list[str]:
    """The flags of a key file by stable names."""
    from fidokit.types import SkFlag

    names = {
        SkFlag.USER_PRESENCE_REQUIRED: "touch-required",
        SkFlag.USER_VERIFICATION_REQUIRED: "verify-required",
        SkFlag.FORCE_OPERATION: "force",
        SkFlag.RESIDENT_KEY: "resident",
    }
    return [name for flag, name in names.items() if flag in flags]


def verified(good: Verified) -> Json:
    """`key verify`."""
    return {
        "fingerprint": good.fingerprint,
        "type": good.type_label,
        "namespace": good.namespace,
        "principal": good.principal,
        "touched": good.touched,
        "verified": good.verified,
        "counter": good.counter,
    }


def certificate(one: IssuedCertificate | ShownCertificate) -> Json:
    """One of `cert sign` and `cert show`; the ends of its validity are null where it has none."""
    cert, facts = one.certificate, one.facts
    return {
        "path": str(one.path),
        "type": facts.type_name,
        "kind": facts.kind,
        "key": facts.key,
        "authority": facts.authority,
        "signature_type": facts.signature_type,
        "key_id": facts.key_id,
        "serial": facts.serial,
        "valid_after": _moment(cert.valid_after, never=0),
        "valid_before": _moment(cert.valid_before, never=(1 << 64) - 1),
        "principals": list(facts.principals),
        "critical_options": [
            {"name": option.name, "value": option.value, "data": option.data.hex()}
            for option in cert.critical_options
        ],
        "extensions": [
            {"name": option.name, "value": option.value, "data": option.data.hex()}
            for option in cert.extensions
        ],
    }


def _moment(seconds: int, *, never: int) -> str | None:
    """ISO 8601 in UTC; years beyond 9999 are the number of seconds since 1970."""
    import time

    if seconds == never:
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def reset_plan(plan: ResetPlan) -> Json:
    """What `token reset` destroys, or destroyed."""
    return {
        "name": plan.name,
        "selector": plan.selector,
        "confirm": plan.confirm,
        "resident": plan.resident,
        "credentials": list(plan.credentials) if plan.credentials is not None else None,
        "others": plan.others,
    }


def virtual(summary: VirtualSummary) -> Json:
    """One line of `virtual list`."""
    return {
        "name": summary.name,
        "selector": summary.selector,
        "path": str(summary.path),
        "profile": summary.profile,
        "model": summary.model,
        "withheld": list(summary.withheld),
        "sealed": summary.sealed,
        "problem": summary.problem,
    }


def model(summary: ModelSummary) -> Json:
    """One line of `virtual models`."""
    return {
        "aaguid": summary.aaguid,
        "description": summary.description,
        "versions": list(summary.versions),
        "transports": list(summary.transports),
        "certification": summary.certification,
        "untrusted": summary.untrusted,
        "withheld": list(summary.withheld),
    }


def agent(socket: Path, pid: int) -> Json:
    """An agent that was started."""
    return {"socket": str(socket), "pid": pid}


def added(result: Added) -> Json:
    """What became of a key that was to go into an agent."""
    from fidokit.cli.render import error_data

    return {
        "fingerprint": result.row.fingerprint,
        "comment": result.comment,
        "error": error_data(result.error) if result.error else None,
    }


def finding(found: Finding) -> Json:
    """One check of `doctor`; its status is ok, warn or fail."""
    return {
        "check": found.check,
        "status": str(found.status),
        "sentence": found.sentence,
        "hint": found.hint,
    }


def step(done: Step) -> Json:
    """One step of `demo`."""
    return {
        "title": done.title,
        "explanation": done.explanation,
        "commands": list(done.commands),
        "result": list(done.result),
    }


def _paths(paths: tuple[Path, ...]) -> list[str]:
    return [str(path) for path in paths]


def authorized(done: Authorized, dry_run: bool) -> Json:
    """`server authorize`."""
    from fidokit.server.authorize.authorization import line_name

    change = done.change
    return {
        "where": done.where,
        "dry_run": dry_run,
        "added": [line_name(line) for line in change.added],
        "changed": [line_name(line) for line in change.changed],
        "present": [line_name(line) for line in change.present],
        "removed": [line_name(line) for line in change.removed],
        "unreadable_lines": [line.line_number for line in change.unreadable],
        "warnings": list(done.warnings),
    }


def otp(state: OtpState) -> Json:
    """What a user has of one-time codes; no secrets."""
    limit = state.rate_limit
    return {
        "user": state.user,
        "path": str(state.path),
        "method": state.method and str(state.method),
        "window": state.window,
        "rate_limit": limit and {"attempts": limit.attempts, "seconds": limit.seconds},
        "reuse": state.reuse,
        "emergency_codes": state.emergency_codes,
        "problem": state.problem,
    }


def otp_code(verdict: Verdict, state: OtpState) -> Json:
    """`otp verify`."""
    steps = state.method == "totp" and verdict.position is not None
    counts = state.method == "hotp" and verdict.position is not None
    return {
        "judgment": str(verdict.judgment),
        "accepted": verdict.is_accepted,
        "ahead_seconds": verdict.distance * state.step_seconds if steps else None,
        "ahead_codes": verdict.distance if counts else None,
    }


def hardening(plan: HardeningPlan, *, done: bool, reloaded: bool) -> Json:
    """`server harden`."""
    from fidokit.server.authorize.authorization import line_name

    return {
        "level": plan.level,
        "done": done,
        "reloaded": reloaded,
        "files": [str(edit.path) for edit in plan.edits],
        "directives": [str(directive) for directive in plan.directives],
        "users": [
            {
                "user": proof.user,
                "keys": [
                    {"key": line_name(key.line), "proof": key.proof.value, "why": key.why}
                    for key in proof.keys
                ],
            }
            for proof in plan.proofs
        ],
        "warnings": list(plan.warnings),
    }


def attestation(shown: ShownAttestation) -> Json:
    """`attestation show`, and what `attestation verify` adds to."""
    leaf = shown.leaf
    return {
        "version": shown.version,
        "application": shown.application,
        "aaguid": shown.aaguid,
        "model": shown.model,
        "key_handle": shown.key_handle.hex() if shown.key_handle else None,
        "user_present": shown.user_present,
        "user_verified": shown.user_verified,
        "certificate": {
            "subject": leaf.subject,
            "issuer": leaf.issuer,
            "serial": str(leaf.serial),
            "not_before": leaf.not_before,
            "not_after": leaf.not_after,
        }
        if leaf
        else None,
    }
