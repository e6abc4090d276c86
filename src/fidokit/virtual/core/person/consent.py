"""What makeCredential and getAssertion ask of the platform and the user, in the order of the
specification (CTAP 2.3 sections 6.1.2 and 6.2.2; MC-20..28, MC-37, GA-05..10)."""

from __future__ import annotations

from typing import NamedTuple

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.person import presence
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import CtapRejection, Outcome, Steps
from fidokit.virtual.core.schema import Params


class Evidence(NamedTuple):
    """What is known of the user so far.

    Args:
        verified: by PIN or built-in verification; the UV flag.
        present: verification took a gesture that still counts as the touch.
        token_serial: the pinUvAuthToken that verified, if one did; what the command leaves behind
            ends with it.
        by_sensor: it was verified by the token itself, and not by PIN.
    """

    verified: bool
    present: bool
    token_serial: int | None = None
    by_sensor: bool = False


NO_EVIDENCE = Evidence(verified=False, present=False)


def check_hash(params: Params) -> None:
    """A clientDataHash is a SHA-256.

    Raises:
        CtapRejection: INVALID_LENGTH.
    """
    if len(params["clientDataHash"]) != 32:
        raise CtapRejection(CtapStatus.INVALID_LENGTH)


def check_options(token: TokenContext, params: Params) -> None:
    """An unknown option that is not a bool is ignored, unless the model refuses it.

    Raises:
        CtapRejection: by `Behavior.odd_unknown_option`.
    """
    status = token.profile.behavior.odd_unknown_option
    values = params.get("options", {}).values()
    if status is not None and any(type(value) is not bool for value in values):
        raise CtapRejection(status)


def check_param(token: TokenContext, params: Params) -> Steps[None]:
    """Zero length asks which token the user holds; otherwise the protocol must be offered.

    Raises:
        CtapRejection: PIN_NOT_SET or PIN_INVALID after a touch, OPERATION_DENIED without one;
            MISSING_PARAMETER or INVALID_PARAMETER for the protocol.
    """
    if params.get("pinUvAuthParam") == b"":
        yield from presence.touch(token, CtapStatus.OPERATION_DENIED)
        raise CtapRejection(CtapStatus.PIN_INVALID if token.pin_set else CtapStatus.PIN_NOT_SET)
    if "pinUvAuthParam" in params:
        token.tokens.offered_protocol(params)


def wants_built_in(token: TokenContext, params: Params) -> bool:
    """Option uv, which a pinUvAuthParam overrides.

    Raises:
        CtapRejection: INVALID_OPTION where nothing built in is configured.
    """
    wanted: bool = params.get("options", {}).get("uv", False)
    if not wanted or "pinUvAuthParam" in params:
        return False
    if not token.uv_configured:
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    return True


def has_param(token: TokenContext, params: Params) -> bool:
    """Whether there is a pinUvAuthParam to be looked at: not while nothing is configured.

    Raises:
        CtapRejection: by `Behavior.unprotected_param`.
    """
    if "pinUvAuthParam" not in params or token.protected:
        return "pinUvAuthParam" in params
    if token.profile.behavior.unprotected_param is not None:
        raise CtapRejection(token.profile.behavior.unprotected_param)
    return False


def apply_always_uv(token: TokenContext) -> bool:
    """Under alwaysUv a request without verification gets built-in verification, if there is any.

    Raises:
        CtapRejection: PUAT_REQUIRED where a PIN would do, else OPERATION_DENIED.
    """
    if token.uv_configured:
        return True
    raise CtapRejection(
        CtapStatus.PUAT_REQUIRED if token.pin_usable else CtapStatus.OPERATION_DENIED
    )


class VerificationChoice(NamedTuple):
    """How the user is to be verified.

    Args:
        by_param: the request carries a pinUvAuthParam that counts.
        built_in: by the token's own sensor.
    """

    by_param: bool
    built_in: bool

    @property
    def verifies(self) -> bool:
        """Whether the user is verified at all."""
        return self.by_param or self.built_in


NO_VERIFICATION = VerificationChoice(by_param=False, built_in=False)


def _built_in_failures(token: TokenContext) -> presence.StatusTable:
    """Where a PIN would do, the platform is told so (6.1.2 step 11, 6.2.2 step 6)."""
    by_pin = token.pin_set and token.pin_usable
    return presence.WHERE_A_PIN_WOULD_DO if by_pin else presence.IN_OPERATIONS


def verify(
    token: TokenContext,
    params: Params,
    wish: VerificationChoice,
    permission: TokenPermission,
    rp_id: str,
) -> Steps[Evidence]:
    """Verify the user as wished.

    Args:
        token: the token.
        params: the request, for its pinUvAuthParam over clientDataHash.
        wish: which way.
        permission: mc or ga.
        rp_id: the relying party that the pinUvAuthToken must allow.

    Raises:
        CtapRejection: PIN_AUTH_INVALID, or as built-in verification ends (MC-27).
    """
    if wish.by_param:
        protocol = token.tokens.offered_protocol(params)
        message, param = params["clientDataHash"], params["pinUvAuthParam"]
        token.tokens.authenticate(protocol, message, param, permission)
        token.tokens.verify_user(rp_id)
        return Evidence(
            verified=True,
            present=token.tokens.user_present(),
            token_serial=token.tokens.serial(),
            by_sensor=token.tokens.by_sensor(),
        )
    if wish.built_in:
        yield from presence.verify(token, _built_in_failures(token))
        return Evidence(verified=True, present=True, by_sensor=True)
    return NO_EVIDENCE


def collect_presence(token: TokenContext, evidence: Evidence) -> Steps[None]:
    """Get a touch unless verification already took one; the pinUvAuthToken is spent (TOK-04).

    Raises:
        CtapRejection: OPERATION_DENIED, KEEPALIVE_CANCEL, `Behavior.touch_timeout`.
    """
    if not evidence.present:
        yield from presence.touch(token, token.profile.behavior.touch_timeout)
    token.tokens.spend()


def touched_or_not(token: TokenContext, evidence: Evidence) -> Steps[Outcome]:
    """Get a touch for the sake of the user's privacy alone; how it ends makes no difference.

    Raises:
        CtapRejection: KEEPALIVE_CANCEL.
    """
    if evidence.present:
        return Outcome.TOUCHED
    return (yield from presence.ask(token))
