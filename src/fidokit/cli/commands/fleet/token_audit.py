"""`fidokit token audit`: one token held against a policy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import agent_option, old_passphrase_option, open_signer
from fidokit.cli.render import Check, Checks, Json, home_path, show
from fidokit.cli.schema import members
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode, UsageError
from fidokit.prompt.text import BAD, DOUBT, GOOD, note

if TYPE_CHECKING:
    from fidokit.fleet.policy.values import FleetPolicy
    from fidokit.fleet.token_audit.audit import TokenAudit
    from fidokit.fleet.token_audit.signed_log import LoggedAudit

_COLORS: Final = {"holds": GOOD, "broken": BAD, "unknown": DOUBT}


@verb(pin=True)
@click.option(
    "--policy",
    metavar="FILE",
    default="policy.toml",
    help="The policy.  [default: policy.toml]",
)
@click.option(
    "--no-touch",
    is_flag=True,
    help="Make no key to prove the token's model; it then cannot be known.",
)
@click.option("--log", metavar="FILE", help="Add what was found to FILE, and sign it (FILE.sig).")
@click.option(
    "--signer",
    metavar="FILE",
    help="The key file that signs the log.  [default: one in ~/.ssh that the policy names]",
)
@agent_option
@old_passphrase_option
@click.pass_context
def audit(
    ctx: click.Context,
    settings: Settings,
    *,
    policy: str,
    no_touch: bool,
    log: str | None,
    signer: str | None,
    agent: bool,
    passphrase_file: str | None,
) -> None:
    """Hold a token against the token-rules of a policy.

    Checks the least length of its PIN, always-uv, enterprise attestation, the model and its
    certification, and what the FIDO metadata reports about its firmware. If a rule is about the
    model, the token makes a key that is thrown away, to prove its model: that takes a touch.

    With --log, adds a line of JSON to FILE and signs the whole file with a key that the policy
    names. `ssh-keygen -Y verify -n fidokit-audit` verifies FILE.sig.

    The exit status is 10 if a rule does not hold or cannot be known to.
    """
    from fidokit.fleet.policy.reading import read_policy
    from fidokit.fleet.policy.values import TokenRules
    from fidokit.fleet.token_audit.audit import audit_token
    from fidokit.keys.attestation import available_metadata

    known = read_policy(Path(policy))
    if known.token_rules == TokenRules():
        raise UsageError(
            f"{policy} has no rules for tokens", hint="add a table [token-rules], see docs/fleet.md"
        )
    key = _signer(known, policy, signer) if log is not None else None
    now = datetime.now(UTC)
    with open_token(settings) as session:
        found = audit_token(
            session,
            known.token_rules,
            catalog=available_metadata(),
            today=now.date().isoformat(),
            prove=not no_touch,
        )
    logged = None
    if log is not None and key is not None:
        from fidokit.fleet.token_audit.signed_log import append_entry

        entry = {"schema": 1, "time": now.isoformat(timespec="seconds"), **_data(found)}
        with open_signer(settings, key, agent=agent, passphrase_file=passphrase_file) as who:
            trusted = {one.fingerprint for one in known.signers}
            logged = append_entry(Path(log), entry, who, trusted)
    _show(settings, found, logged)
    if not found.holds:
        ctx.exit(ExitCode.POLICY)


def _signer(policy: FleetPolicy, name: str, given: str | None) -> Path:
    """The key file that signs, before anything is touched."""
    from fidokit.fleet.token_audit.signing_key import signing_key

    if not policy.signers:
        raise UsageError(
            f"{name} names no key that signs the log",
            hint="add a table [audit-log] with signers, see docs/fleet.md",
        )
    return Path(given) if given is not None else signing_key(policy.signers)


def _data(found: TokenAudit) -> Json:
    """The audit as JSON; nothing of it is secret."""
    details = found.details
    return {
        "token": {
            **members(details, "name selector durable"),
            "aaguid": details.info.aaguid.hex(),
            "model": details.model or None,
            "firmware_version": details.info.firmware_version,
            "proved": found.proved
            and members(found.proved, "aaguid model level untrusted", level=_level(found)),
        },
        "holds": found.holds,
        "checks": [
            members(check, "rule verdict why find_out", find_out=check.find_out or None)
            for check in found.checks
        ],
    }


def _level(found: TokenAudit) -> str | None:
    return str(found.proved.level) if found.proved and found.proved.level else None


def _show(settings: Settings, found: TokenAudit, logged: LoggedAudit | None) -> None:
    log = logged and members(logged, "path signature signer entries")
    checks = [
        Check(check.verdict, _COLORS[check.verdict], f"{check.rule}: {check.why}", check.find_out)
        for check in found.checks
    ]
    show(settings, {"audit": _data(found), "log": log}, Checks(checks))
    if logged is not None and not settings.json:
        path, signature = home_path(logged.path), home_path(logged.signature)
        note(f"added line {logged.entries:,} to {path}, signed in {signature}")
