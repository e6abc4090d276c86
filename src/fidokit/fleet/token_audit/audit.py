"""One token held against the rules of a policy.

What the token reports about its own settings is taken from it. Its model is not: anything can
report any AAGUID, so that a model counts only if an attestation proves it, for which the token
makes a key that nobody keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError, Interrupted
from fidokit.fleet.policy.proofs import ProvedKey, prove_key
from fidokit.fleet.policy.values import PolicyKey, TokenRules
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.metadata.certification import firmware_advisory
from fidokit.metadata.model import parse_aaguid
from fidokit.tokens.access import TokenDetails, token_info
from fidokit.types import KeyType

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.metadata.catalog import Catalog


class TokenVerdict(StrEnum):
    """Whether a rule holds for a token."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """One rule, and what was found.

    Attributes:
        rule: the setting of the policy.
        verdict: see `TokenVerdict`.
        why: half a sentence; may quote the token.
        find_out: how to find out, or what to do; else empty.
    """

    rule: str
    verdict: TokenVerdict
    why: str
    find_out: str = ""


@dataclass(frozen=True, slots=True)
class TokenAudit:
    """What was found about one token.

    Attributes:
        details: what the token reports.
        proved: what its attestation proves; None if nothing does.
        checks: one for each rule of the policy.
    """

    details: TokenDetails
    proved: ProvedKey | None
    checks: tuple[TokenCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether every rule is known to hold."""
        return all(check.verdict is TokenVerdict.HOLDS for check in self.checks)


def audit_token(
    session: Session,
    rules: TokenRules,
    *,
    catalog: Catalog | None,
    today: str,
    prove: bool = True,
) -> TokenAudit:
    """Hold an open token against rules.

    Args:
        session: the token.
        rules: of a policy.
        catalog: the FIDO metadata; None if it is not installed, and then no model is proved.
        today: an ISO 8601 date.
        prove: have the token make a key to prove its model, which takes a touch; only if some rule
            is about models. The key is on no disk afterwards, and takes no room on the token.

    Raises:
        TokenGone, TokenBusy: the token cannot be asked.
    """
    details = token_info(session)
    proved: ProvedKey | str = "no attestation was asked for"
    if prove and (rules.models is not None or rules.level or rules.no_advisories):
        proved = _proved(session, catalog, today)
    judge = _Judge(details, proved, catalog, today)
    known = proved if isinstance(proved, ProvedKey) else None
    return TokenAudit(details, known, tuple(judge.checks(rules)))


def _proved(session: Session, catalog: Catalog | None, today: str) -> ProvedKey | str:
    if catalog is None:
        return "the FIDO metadata is not installed (pip install 'fidokit[mds]')"
    with TemporaryDirectory(prefix="fidokit-audit-") as name:
        folder = Path(name)
        request = GenerateRequest(
            KeyType.ECDSA_SK,
            path=folder / "key",
            comment="token audit",
            attestation_file=folder / "attestation",
        )
        try:
            made = generate_key(session, request)
        except Interrupted:
            raise
        except FidokitError as error:
            return f"the token made no key to attest: {error.message}"
        (folder / "challenge").write_bytes(made.challenge)
        key = PolicyKey(
            made.fingerprint, made.public_line, attestation="attestation", challenge="challenge"
        )
        return prove_key(key, folder, catalog, today)


@dataclass(frozen=True)
class _Judge:
    """Judges rules by what is known of a token."""

    details: TokenDetails
    proved: ProvedKey | str
    catalog: Catalog | None
    today: str

    def checks(self, rules: TokenRules) -> Iterator[TokenCheck]:
        if rules.min_pin_length is not None:
            yield self._pin(rules.min_pin_length)
        if rules.always_uv is not None:
            yield self._always_uv(rules.always_uv)
        if rules.enterprise_attestation is not None:
            yield self._enterprise(rules.enterprise_attestation)
        if rules.models is not None:
            yield self._model("models", rules)
        if rules.level is not None:
            yield self._model("level", rules)
        if rules.no_advisories:
            yield self._advisories()

    def _pin(self, least: int) -> TokenCheck:
        pin = self.details.pin
        rule, enforced = "min-pin-length", f"the token accepts PINs of {pin.min_length} or more"
        if not pin.supported:
            return TokenCheck(rule, TokenVerdict.BROKEN, "the token cannot have a PIN")
        if not pin.set:
            return TokenCheck(rule, TokenVerdict.BROKEN, "no PIN is set", "fidokit pin set")
        if pin.change_required:
            why = "the PIN has to be changed first"
            return TokenCheck(rule, TokenVerdict.BROKEN, why, "fidokit pin change")
        if pin.min_length >= least:
            return TokenCheck(rule, TokenVerdict.HOLDS, enforced)
        how = f"make the token demand it: fidokit pin min-length {least}"
        why = f"{enforced}, and does not report how long its PIN is"
        return TokenCheck(rule, TokenVerdict.UNKNOWN, why, how)

    def _always_uv(self, wanted: bool) -> TokenCheck:
        on = self._option("alwaysUv")
        said = "it asks for PIN or finger at each use" if on else "it does not always ask"
        if on is wanted or (on is None and not wanted):
            return TokenCheck("always-uv", TokenVerdict.HOLDS, said)
        if on is None:
            return TokenCheck("always-uv", TokenVerdict.BROKEN, "the token does not support it")
        how = f"fidokit config always-uv {'on' if wanted else 'off'}"
        return TokenCheck("always-uv", TokenVerdict.BROKEN, said, how)

    def _enterprise(self, wanted: bool) -> TokenCheck:
        rule, on = "enterprise-attestation", self._option("ep")
        if bool(on) is wanted:
            return TokenCheck(rule, TokenVerdict.HOLDS, f"it is {'on' if on else 'off'}")
        if on is None:
            return TokenCheck(rule, TokenVerdict.BROKEN, "the token does not support it")
        if wanted:
            how = "fidokit config enterprise-attestation on"
            return TokenCheck(rule, TokenVerdict.BROKEN, "it is off", how)
        return TokenCheck(rule, TokenVerdict.BROKEN, "it is on, and only a reset switches it off")

    def _option(self, name: str) -> bool | None:
        options: Mapping[str, bool] = self.details.info.options
        return options.get(name)

    def _unproved(self, rule: str) -> TokenCheck:
        why = f"its model is not proved: {self.proved}"
        named = self.details.model
        if named:
            why += f"; it reports to be {named}"
        return TokenCheck(rule, TokenVerdict.UNKNOWN, why)

    def _model(self, rule: str, rules: TokenRules) -> TokenCheck:
        found = self.proved
        if not isinstance(found, ProvedKey):
            return self._unproved(rule)
        if rule == "models":
            allowed = found.aaguid in (rules.models or ())
            said = f"its model is {found.model}"
            return TokenCheck(rule, _verdict(allowed), said)
        said = f"its model, {found.model}, is certified for {found.level or 'no level'}"
        enough = rules.level is None or (
            found.level is not None and found.level.rank >= rules.level.rank
        )
        return TokenCheck(rule, _verdict(enough), said)

    def _advisories(self) -> TokenCheck:
        rule = "no-advisories"
        if not isinstance(self.proved, ProvedKey) or self.catalog is None:
            return self._unproved(rule)
        model = self.catalog.by_aaguid(parse_aaguid(self.proved.aaguid))
        if model is None:
            return self._unproved(rule)
        firmware = self.details.info.firmware_version
        found = firmware_advisory(model, firmware, self.today)
        if found.faults:
            return TokenCheck(rule, TokenVerdict.BROKEN, "; ".join(found.faults))
        if found.doubts:
            what = f"firmware {firmware}" if firmware is not None else "no firmware version"
            why = f"{'; '.join(found.doubts)}, and the token reports {what}"
            return TokenCheck(rule, TokenVerdict.UNKNOWN, why)
        return TokenCheck(rule, TokenVerdict.HOLDS, "the FIDO metadata reports nothing against it")


def _verdict(holds: bool) -> TokenVerdict:
    return TokenVerdict.HOLDS if holds else TokenVerdict.BROKEN
