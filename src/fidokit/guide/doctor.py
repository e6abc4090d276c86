"""What stands between this machine and a working key, named cause by cause."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError
from fidokit.system import hid, openssh_programs, ssh_agent
from fidokit.system.host import Host
from fidokit.system.probes import Finding, Status, probe_folders, probe_pcsc
from fidokit.tokens.access import TokenSummary, list_tokens
from fidokit.types import KeyType

if TYPE_CHECKING:
    from fidokit.client.info import TokenInfo
    from fidokit.client.ports import Backend

__all__ = ["Finding", "Status", "diagnose"]

_PROBES = (hid.probe, probe_pcsc, openssh_programs.probe, ssh_agent.probe, probe_folders)
"""In the order in which a cause should be looked for."""


def diagnose(
    *, host: Host | None = None, backends: Sequence[Backend] | None = None
) -> list[Finding]:
    """Every check, in the order in which a cause should be looked for. Never raises for one.

    Args:
        host: the machine to look at; this one when None.
        backends: where tokens are; all of this machine's when None.
    """
    host = host or Host()
    findings = [finding for probe in _PROBES for finding in probe(host)]
    findings += _half_factors(host)
    findings += _clones(host)
    tokens = list_tokens(with_pin=True, backends=backends)
    if not tokens:
        findings.append(_no_token())
    return findings + [finding for token in tokens for finding in _judge(token)]


def _half_factors(host: Host) -> list[Finding]:
    """A second factor for logins here of which one side was taken away."""
    from fidokit.server.harden.half import half_second_factor

    found = half_second_factor(host.path("/etc/ssh/sshd_config"), host.path("/etc/pam.d"))
    return [Finding("second-factor", Status.FAIL, half.sentence, half.hint) for half in found]


def _clones(host: Host) -> list[Finding]:
    """Keys whose signature counter went back."""
    from fidokit.inventory.store import FOLDER, kept_counters
    from fidokit.keys.bookkeeping import clone_sentence

    check = "clone-suspected"
    try:
        alarms = kept_counters(host.state_folder / FOLDER).read().alarms
    except FidokitError as error:
        return [Finding(check, Status.WARN, error.message, error.hint)]
    return [
        Finding(
            check,
            Status.FAIL,
            clone_sentence(key, alarm),
            f"if you restored the token from a copy yourself: `fidokit lost --not-cloned {key}`;"
            f" else revoke the key: `fidokit lost {key}`",
        )
        for key, alarm in alarms.items()
    ]


def _no_token() -> Finding:
    return Finding(
        "token",
        Status.FAIL,
        "no token is connected, neither hardware nor virtual",
        "plug one in, or try things out on a virtual one: `fidokit virtual create test`",
    )


def _judge(token: TokenSummary) -> list[Finding]:
    name = f"{token.product} ({token.selector})"
    if token.info is None:
        return [Finding("token", Status.FAIL, f"{name}: {token.problem}", token.hint)]
    versions = ", ".join(token.info.versions)
    return [
        Finding("token", Status.OK, f"{name} answers and speaks {versions}"),
        *_judge_pin(name, token),
        *_judge_abilities(name, token.info),
        *(
            Finding("token-departure", Status.OK, f"{name} {one.sentence} ({one.name})", "")
            for one in token.departures
        ),
    ]


def _judge_pin(name: str, token: TokenSummary) -> list[Finding]:
    pin = token.pin
    if pin is None or not pin.supported:
        return []
    for is_so, status, sentence, command in (
        (pin.blocked, Status.FAIL, "has a blocked PIN; a reset destroys every key", "token reset"),
        (pin.change_required, Status.WARN, "wants a new PIN before anything else", "pin change"),
        (
            not pin.set,
            Status.WARN,
            "has no PIN, which resident and verify-required keys need",
            "pin set",
        ),
    ):
        if is_so:
            hint = f"`fidokit --token {shlex.quote(token.selector)} {command}`"
            return [Finding("pin", status, f"{name} {sentence}", hint)]
    if pin.needs_power_cycle:
        return [
            Finding(
                "pin",
                Status.WARN,
                f"{name} heard three wrong PINs in a row and takes none now",
                "unplug it and plug it in again",
            )
        ]
    return [Finding("pin", Status.OK, f"{name} has a PIN; {_tries(pin.retries)}")]


def _tries(retries: int | None) -> str:
    if retries is None:
        return "it does not report the tries left"
    return "1 try is left" if retries == 1 else f"{retries} tries are left"


def _judge_abilities(name: str, info: TokenInfo) -> list[Finding]:
    lacking = {
        "ed25519-sk keys": info.supports(KeyType.ED25519_SK) is not False,
        "resident keys": info.has_resident,
        "verify-required keys (credProtect)": "credProtect" in info.extensions,
        "listing and deleting resident keys": info.has_cred_mgmt is not None,
    }
    missing = [what for what, present in lacking.items() if not present]
    if not missing:
        return []
    return [
        Finding(
            "token-abilities",
            Status.WARN,
            f"{name} lacks {', '.join(missing)}",
            "ecdsa-sk keys in files work on every token",
        )
    ]
