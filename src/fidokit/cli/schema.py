"""The JSON of each command, in one place, as docs/json.md promises it: adding is allowed,
renaming is not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fidokit.cli.render import Json, error_data

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.agent.addition import Added
    from fidokit.agent.holdings import AgentHoldings, ServedKey
    from fidokit.agent.session.opening import OpenSession, SessionPlan
    from fidokit.guide.demo import Step
    from fidokit.guide.doctor import Finding
    from fidokit.keys import KeyRow
    from fidokit.keys.attestation import ShownAttestation
    from fidokit.keys.blobs import BlobTable
    from fidokit.keys.fingerprints import ShownKey
    from fidokit.keys.generation import GeneratedKey
    from fidokit.keys.key_files import FlagsChange, KeyFile
    from fidokit.keys.resident_keys import Backup, DeleteResult, DownloadResult, RpFailure
    from fidokit.keys.secrets import SecretFile
    from fidokit.lab import ModelSummary
    from fidokit.lab.named_tokens import PresetSummary, QuirkSummary, VirtualSummary
    from fidokit.server.authorize.bulk import BulkRow
    from fidokit.server.authorize.outcome import Authorized
    from fidokit.server.authorize.revocation_list import RevocationList
    from fidokit.server.authorize.standing import KeyStanding
    from fidokit.server.harden.lock_out import KeyProof
    from fidokit.server.harden.plan import HardeningPlan
    from fidokit.server.otp.codes import CodeVerdict
    from fidokit.server.otp.enrollment import OtpState
    from fidokit.signing.certificates import (
        IssuedCertificate,
        KeptCertificate,
        ShownCertificate,
    )
    from fidokit.signing.signatures import VerifiedSignature
    from fidokit.tokens import Session
    from fidokit.tokens.access import TokenDetails, TokenSummary
    from fidokit.tokens.owner import Configuration, Finger, PinStatus
    from fidokit.tokens.reset import ResetPlan
    from fidokit.types import SkFlag


def members(value: object, names: str, **given: object) -> dict[str, object]:
    """Attributes of a value as members of a JSON object, in this order.

    Args:
        value: a dataclass, or another object.
        names: names with spaces between; `member=attribute` where the two differ.
        given: members that are not attributes as they stand; they stand in `names`, too.
    """
    found = {}
    for name in names.split():
        member, _, attribute = name.partition("=")
        known = member in given
        found[member] = given[member] if known else _plain(getattr(value, attribute or member))
    return found


def _plain(value: object) -> object:
    """A value as JSON has it: text for enums and paths, hex for bytes, arrays for sequences."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(map(_plain, value)) if isinstance(value, Sequence) else value


def token(summary: TokenSummary) -> Json:
    """One line of `token list`."""
    info = summary.info
    return members(
        summary,
        "selector durable transport path product serial versions pin_set problem hint identifier",
        versions=list(info.versions) if info else None,
        pin_set=info.pin_set if info else None,
    )


def details(found: TokenDetails) -> Json:
    """The JSON of `token info` (docs/json.md)."""
    return members(
        found,
        "name selector durable identifier info pin departures",
        info=members(
            found.info,
            "versions extensions aaguid options pin_protocols algorithms transports"
            " firmware_version remaining_resident max_credential_id_length u2f_only=is_u2f_only",
            aaguid=found.info.aaguid.hex(),
        ),
        pin=pin(found.pin),
        departures=[members(departed, "name sentence") for departed in found.departures],
    )


def backup(state: Backup) -> dict[str, object]:
    """What `key list` says of backups."""
    return {"has_backup": state == "yes", "is_backup": state == "is one"}


def pin(status: PinStatus) -> Json:
    """`pin status`; lengths in code points."""
    return members(
        status,
        "supported set blocked retries uv_retries min_length max_length change_required "
        "needs_power_cycle",
    )


def on_token(session: Session) -> Json:
    """What every command that changed a token says: which one it was."""
    return {"token": members(session, "name selector")}


def configuration(found: Configuration) -> Json:
    """`config show`; null is a setting that the token does not have."""
    return members(
        found,
        "always_uv enterprise_attestation long_touch_reset min_length=min_pin_length"
        " pin_complexity changeable",
        changeable=sorted(found.changeable),
    )


def fingerprint(found: Finger) -> Json:
    """One line of `bio list`."""
    return members(found, "id=template_id name")


def blobs(table: BlobTable) -> Json:
    """`blob list`; sizes in bytes."""
    rows = [members(row, "size stored key", key=key(row.key)) for row in table.blobs]
    return members(table, "blobs others used capacity damaged", blobs=rows)


def key(row: KeyRow) -> Json:
    """One row of `key list`."""
    return members(
        row,
        "fingerprint type=key_type application user user_name comment verify_required"
        " touch_required on_token created files credential_id public_key=public_line"
        " other_type application_cut",
        created=row.created.isoformat() if row.created else None,
    )


def certified(row: KeyRow) -> Json:
    """The certificates that the token keeps for a key, for `key list`."""
    listed = [
        members(
            one,
            "key_id serial principals valid_after valid_before",
            valid_after=moment(one.valid_after, never=0),
            valid_before=moment(one.valid_before, never=(1 << 64) - 1),
        )
        for one in row.certificates
    ]
    return {"certificates": listed}


def unlisted(one: RpFailure) -> Json:
    """An application whose keys the token did not list."""
    return members(one, "application error", error=error_data(one.error))


def undeleted(result: DeleteResult) -> Json:
    """A key that was not deleted, and why."""
    error = error_data(result.error) if result.error else None
    return {**members(result.row, "fingerprint application user credential_id"), "error": error}


def secret_file(path: Path, file: SecretFile) -> Json:
    """A credential that derives secrets; nothing of it is secret."""
    held = file.credential
    return members(
        held,
        "path application credential_id verified salt public_key",
        path=str(path),
        salt=file.salt.hex() if file.salt else None,
        public_key=held.point.hex() or None,
    )


def generated(made: GeneratedKey) -> Json:
    """The JSON of `key generate` (docs/json.md)."""
    return members(
        made,
        "path public_path attestation_path public_key=public_line fingerprint type=key_type"
        " application user comment resident verify_required touch_required warnings",
    )


def downloaded(result: DownloadResult) -> Json:
    """One key of `key download`; `error` is null if it was written."""
    return {
        **members(result, "path public_key=public_line certificate"),
        **members(result.row, "fingerprint application user"),
        "error": error_data(result.error) if result.error else None,
    }


def shown(found: ShownKey) -> Json:
    """One key of `key show`."""
    return members(
        found, "fingerprint comment type=type_label bits line=line_number error randomart"
    )


def key_file(found: KeyFile) -> Json:
    """`key flags` without a change."""
    return members(
        found,
        "path public_key=public_line fingerprint type=type_label application comment encrypted"
        " flags warnings",
        flags=flag_names(found.flags) if found.flags is not None else None,
    )


def flags_change(change: FlagsChange) -> Json:
    """`key flags` with a change."""
    before, after = flag_names(change.before), flag_names(change.after)
    return members(change, "path before after changed", before=before, after=after)


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


def verified(good: VerifiedSignature) -> Json:
    """The JSON of `key verify` (docs/json.md)."""
    return members(good, "fingerprint type=type_label namespace principal touched verified counter")


def certificate(one: IssuedCertificate | ShownCertificate) -> Json:
    """One of `cert sign` and `cert show`; the ends of its validity are null if it has none."""
    cert = one.certificate
    return members(
        one.facts,
        "path type=type_name kind key authority signature_type key_id serial valid_after"
        " valid_before principals critical_options extensions",
        path=str(one.path),
        valid_after=moment(cert.valid_after, never=0),
        valid_before=moment(cert.valid_before, never=(1 << 64) - 1),
        critical_options=[members(option, "name value data") for option in cert.critical_options],
        extensions=[members(option, "name value data") for option in cert.extensions],
    )


def kept_certificate(one: KeptCertificate) -> Json:
    """One of `cert store`, and of `cert sign --on-token`."""
    return members(one, "path key_id fingerprint application user token")


def moment(seconds: int, *, never: int) -> str | None:
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
    return members(plan, "name selector confirm resident credentials others")


def virtual(summary: VirtualSummary) -> Json:
    """One line of `virtual list`."""
    return members(summary, "name selector path profile model withheld quirks sealed problem")


def model(summary: ModelSummary) -> Json:
    """One line of `virtual models`."""
    return members(
        summary, "aaguid description versions transports certification untrusted withheld"
    )


def quirk(summary: QuirkSummary) -> Json:
    """One line of `virtual quirks`."""
    return members(summary, "name effect firmwares text")


def preset(summary: PresetSummary) -> Json:
    """One preset of `virtual quirks`."""
    return members(summary, "name firmware quirks")


def agent(socket: Path, pid: int) -> Json:
    """An agent that was started."""
    return {"socket": str(socket), "pid": pid}


def agent_session(opened: OpenSession, plan: SessionPlan) -> Json:
    """An agent session that was opened; `host_keys` is null where it holds for any host."""
    certificate = opened.certificate
    return {
        "socket": str(opened.socket),
        "key_id": certificate.key_id,
        "serial": certificate.serial,
        "principals": list(certificate.principals),
        "valid_before": moment(certificate.valid_before, never=0),
        "host_keys": plan.host_keys if plan.destinations else None,
    }


def added(result: Added) -> Json:
    """What became of a key that was to go into an agent."""
    return members(
        result,
        "fingerprint comment error",
        fingerprint=result.row.fingerprint,
        error=error_data(result.error) if result.error else None,
    )


def until(key: ServedKey) -> str | None:
    """When the certificate that an agent holds ends; None for one that does not, and for a key."""
    return None if key.valid_before is None else moment(key.valid_before, never=(1 << 64) - 1)


def holdings(found: AgentHoldings) -> Json:
    """What an agent holds; `type` is null for a key of an unknown type."""
    names = "fingerprint comment type on_token application certificate valid_before"
    keys = [
        members(
            key,
            names,
            type=key.type_label or None,
            certificate=key.valid_before is not None,
            valid_before=until(key),
        )
        for key in found.keys
    ]
    return {"agent": members(found, "socket program"), "keys": keys}


def finding(found: Finding) -> Json:
    """One check of `doctor`; its status is ok, warn or fail."""
    return members(found, "id check status sentence hint")


def step(done: Step) -> Json:
    """One step of `demo`."""
    return members(done, "title explanation commands result")


def authorized(done: Authorized, dry_run: bool) -> Json:
    """The JSON of `server authorize` (docs/json.md)."""
    from fidokit.server.authorize.lines import line_name

    change = done.change
    return members(
        done,
        "where dry_run added changed present removed unreadable_lines files keys failures proved "
        "warnings",
        dry_run=dry_run,
        added=list(map(line_name, change.added)),
        changed=list(map(line_name, change.changed)),
        present=list(map(line_name, change.present)),
        removed=list(map(line_name, change.removed)),
        unreadable_lines=[line.line_number for line in change.unreadable],
        files=[
            members(file, "user path=where changed", changed=not file.change.is_empty)
            for file in done.files
        ],
        keys=[_standing(one) for one in done.standings],
    )


def _standing(one: KeyStanding) -> Json:
    """What is proved of one key."""
    return members(
        one,
        "fingerprint comment options standing why how",
        fingerprint=one.key.fingerprint,
        comment=one.key.comment,
        options=[members(option, "name value") for option in one.key.options],
    )


def authorized_row(row: BulkRow, dry_run: bool) -> Json:
    """One line of `server authorize --from-file`."""
    return members(
        row,
        "line=number user error authorized",
        authorized=authorized(row.done, dry_run) if row.done else None,
    )


def revocation_list(done: RevocationList) -> Json:
    """The JSON of `server revoke-list` (docs/json.md)."""
    return members(
        done,
        "path form keys certificates added removed present read_by_sshd confirmed why advice",
    )


def otp(state: OtpState) -> Json:
    """What a user has of one-time codes; no secrets."""
    limit = state.rate_limit
    return members(
        state,
        "user path method window rate_limit reuse emergency_codes problem blocked_seconds "
        "skew_seconds",
        rate_limit=limit and members(limit, "attempts seconds"),
    )


def otp_code(verdict: CodeVerdict, state: OtpState) -> Json:
    """The JSON of `otp verify` (docs/json.md)."""
    from fidokit.server.otp.enrollment import lets_in

    steps = state.method == "totp" and verdict.position is not None
    counts = state.method == "hotp" and verdict.position is not None
    return members(
        verdict,
        "judgment accepted ahead_seconds ahead_codes",
        accepted=lets_in(verdict, state),
        ahead_seconds=verdict.distance * state.step_seconds if steps else None,
        ahead_codes=verdict.distance if counts else None,
    )


def hardening(plan: HardeningPlan, *, done: bool, reloaded: bool) -> Json:
    """The JSON of `server harden` (docs/json.md)."""
    return members(
        plan,
        "level done reloaded files directives users codes outside warnings",
        done=done,
        reloaded=reloaded,
        files=[str(edit.path) for edit in plan.edits],
        directives=[str(directive) for directive in plan.directives],
        users=[
            members(proof, "user keys", keys=list(map(_key_proof, proof.keys)))
            for proof in plan.proofs
        ],
        codes=[members(code, "user works why") for code in plan.codes],
    )


def _key_proof(key: KeyProof) -> Json:
    from fidokit.server.authorize.lines import line_name

    return members(key, "key proof why", key=line_name(key.line))


def attestation(shown: ShownAttestation) -> Json:
    """`attestation show`, and what `attestation verify` adds to."""
    leaf = shown.leaf
    return members(
        shown,
        "version application aaguid model key_handle user_present user_verified certificate",
        certificate=leaf
        and members(leaf, "subject issuer serial not_before not_after", serial=str(leaf.serial)),
    )
