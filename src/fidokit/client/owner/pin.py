"""The PIN of an open token: status, set, change, verify, force a change, raise its minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.client.owner import proofs as auth
from fidokit.client.owner.config import SET_MIN_PIN_LENGTH, configure, require_taken
from fidokit.client.owner.proofs import Permission, PinCommand
from fidokit.client.ports import PinCode
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import PinPolicy, PinRequired, Unsupported, UsageError
from fidokit.types import CtapStatus

if TYPE_CHECKING:
    from fidokit.client.pin_protocol import Secret
    from fidokit.client.session import Session


@dataclass(frozen=True, slots=True)
class PinStatus:
    """What a token says about its PIN.

    Args:
        set: whether there is one.
        retries: tries left, None if no PIN is set.
        uv_retries: tries left on the built-in sensor, None if there is none in use.
        min_length, max_length: in code points.
        change_required: whether it must be changed before it is good for anything.
        needs_power_cycle: whether three wrong PINs in a row want the token unplugged.
        supported: whether the token can have a PIN.
    """

    set: bool
    retries: int | None
    uv_retries: int | None
    min_length: int
    max_length: int
    change_required: bool
    needs_power_cycle: bool
    supported: bool

    @property
    def blocked(self) -> bool:
        """Whether no try is left, so that only a reset gives the token a PIN again."""
        return self.retries == 0


def pin_status(session: Session) -> PinStatus:
    """The state of the PIN; spends no try.

    Raises:
        TokenMisbehaved, TokenSilent, TokenGone: the token does, is, or went.
    """
    info = session.info
    retries, power_cycle = auth.pin_retries(session.connection) if info.pin_set else (None, False)
    return PinStatus(
        set=bool(info.pin_set),
        retries=retries,
        uv_retries=_uv_retries(session),
        min_length=info.min_pin_length,
        max_length=info.max_pin_length,
        change_required=info.force_pin_change,
        needs_power_cycle=power_cycle,
        supported=info.pin_set is not None,
    )


def _uv_retries(session: Session) -> int | None:
    if not (session.info.uv_configured and session.info.has_pin_token_permissions):
        return None
    why = "counting the sensor's tries"
    try:
        return auth.client_pin(session.connection, PinCommand.GET_UV_RETRIES, {}, why).uint(5)
    except CtapRefusal as refusal:
        raise error_for(refusal.status, why) from None


def set_pin(session: Session, new: PinCode) -> None:
    """Give a token that has no PIN its first one.

    Raises:
        PinPolicy: it is too short or too long for this token; checked before the token is asked.
        PinRequired: there already is one.
        Unsupported: the token has no PIN.
    """
    supported(session)
    if session.info.pin_set:
        raise PinRequired(
            f"{session.name} already has a PIN", hint="change it with `fidokit pin change`"
        )
    new.check_length(session.info.min_pin_length, session.info.max_pin_length)
    why = "setting the PIN"
    try:
        secret = auth.shared_secret(session.connection, why)
        encrypted = secret.encrypt(new.padded())
        proof = {4: secret.authenticate(encrypted), 5: encrypted}
        auth.client_pin(
            session.connection, PinCommand.SET_PIN, {3: secret.key_agreement, **proof}, why
        )
    except CtapRefusal as refusal:
        raise error_for(refusal.status, why) from None
    finally:
        session.forget_info()
    require_taken(session, bool(session.info.pin_set), "the new PIN")


def change_pin(session: Session, old: PinCode, new: PinCode) -> None:
    """Replace the PIN; spends one try if `old` is wrong.

    Raises:
        PinPolicy: the new one is too short or too long, before the token is asked, or against
            the token's policy.
        PinWrong, PinLastTry, PinBlocked, PinAuthBlocked: about the old one.
        PinNotSet, Unsupported: there is none.
    """
    supported(session)
    why = "changing the PIN"
    if not session.info.pin_set:
        raise error_for(CtapStatus.PIN_NOT_SET, why)
    new.check_length(session.info.min_pin_length, session.info.max_pin_length)
    tries = auth.guard_tries(session.connection)
    try:
        members = _change(auth.shared_secret(session.connection, why), old, new)
        auth.client_pin(session.connection, PinCommand.CHANGE_PIN, members, why)
    except CtapRefusal as refusal:
        if refusal.status == CtapStatus.PIN_INVALID:
            raise auth.wrong_pin(session.connection, tries.left - 1) from None
        raise auth.refused_pin(session.connection, refusal, why, tries.left) from None
    finally:
        session.forget_info()


def _change(secret: Secret, old: PinCode, new: PinCode) -> dict[int, object]:
    encrypted = secret.encrypt(new.padded())
    old_hash = secret.encrypt(auth.pin_hash(old))
    return {
        3: secret.key_agreement,
        4: secret.authenticate(encrypted + old_hash),
        5: encrypted,
        6: old_hash,
    }


def verify_pin(session: Session) -> None:
    """Ask for the PIN and let the token check it.

    Raises:
        PinWrong, PinLastTry, PinBlocked, PinAuthBlocked, PinRequired, PinNotSet: as said.
    """
    why = "verifying the PIN"
    auth.check_pin(session.connection, _harmless(session), why)


def _harmless(session: Session) -> Permission:
    """A permission that this token gives for its PIN; the token obtained is thrown away."""
    if session.info.options.get("credMgmt", False):
        return Permission.CREDENTIAL_MANAGEMENT
    if session.info.options.get("authnrCfg", False):
        return Permission.CONFIG
    return Permission.GET_ASSERTION


def current_pin(session: Session, why: str) -> PinCode:
    """The PIN that is about to be replaced, asked for, and checked if the token can do that.

    One whose PIN has to be changed gives nothing for it but the change (CTAP 2.1 section
    6.5.5.7.1): there a wrong one shows only when the new one is sent.

    Raises:
        PinNotSet, Unsupported: there is none.
        PinWrong, PinLastTry, PinBlocked, PinAuthBlocked: as said.
    """
    supported(session)
    if not session.info.pin_set:
        raise error_for(CtapStatus.PIN_NOT_SET, why)
    if not session.info.force_pin_change and _tells_by_pin(session):
        return auth.check_pin(session.connection, _harmless(session), why)
    tries = auth.guard_tries(session.connection)
    return session.interaction.ask_pin(session.name, tries.left, why, False)


def _tells_by_pin(session: Session) -> bool:
    """Whether the token gives anything for its PIN that shows that it is right."""
    sensor_alone = session.info.options.get("noMcGaPermissionsWithClientPin", False)
    return not sensor_alone or _harmless(session) is not Permission.GET_ASSERTION


def force_pin_change(session: Session) -> None:
    """Make the token refuse its PIN until it is changed.

    Raises:
        Unsupported: the token cannot.
        PinError: the PIN is wrong, or none is set.
    """
    why = "forcing a change of the PIN"
    _minimum_supported(session, why)
    auth.require_pin(session.connection, why)
    configure(session, SET_MIN_PIN_LENGTH, {3: True}, why)
    require_taken(session, session.info.force_pin_change, "a forced change of the PIN")


def set_min_pin_length(
    session: Session,
    length: int,
    rp_ids: Sequence[str] = (),
    *,
    force_change: bool = False,
    complexity: bool = False,
) -> None:
    """Raise the minimum length of the PIN; only a reset lowers it again.

    Args:
        length: in code points, 4 to 63.
        rp_ids: the applications that may learn the minimum.
        force_change: whether the PIN must be changed in any case.
        complexity: whether the token is to refuse weak PINs from now on, by a rule of its maker's.

    Raises:
        UsageError: a length outside 4 to 63, or more RP ids than the token takes.
        PinPolicy: it is lower than the present minimum.
        Unsupported: the token cannot.
    """
    why = "raising the PIN's minimum length"
    _minimum_supported(session, why)
    _check_policy(session, length, rp_ids, complexity)
    members = {
        1: length,
        2: list(rp_ids) or None,
        3: force_change or None,
        4: complexity or None,
    }
    params = {key: value for key, value in members.items() if value is not None}
    configure(session, SET_MIN_PIN_LENGTH, params, why)
    now = session.info
    require_taken(session, now.min_pin_length >= length, f"a minimum of {length} characters")
    require_taken(session, now.force_pin_change or not force_change, "a forced change of the PIN")
    require_taken(session, bool(now.pin_complexity) or not complexity, "a rule for weak PINs")


def _check_policy(session: Session, length: int, rp_ids: Sequence[str], complexity: bool) -> None:
    info = session.info
    if not 4 <= length <= info.max_pin_length:
        raise UsageError(f"a minimum length is 4 to {info.max_pin_length} characters, not {length}")
    if length < info.min_pin_length:
        raise PinPolicy(
            f"the minimum length is already {info.min_pin_length} and can only be raised",
            hint="only `fidokit token reset` lowers it, and it destroys every key",
        )
    if len(rp_ids) > info.max_rp_ids_for_min_pin_length:
        raise UsageError(
            f"{session.name} accepts {info.max_rp_ids_for_min_pin_length} RP IDs, not {len(rp_ids)}"
        )
    if complexity and info.pin_complexity is None:
        raise Unsupported(
            f"{session.name} has no policy on the complexity of PINs",
            hint="leave out --complexity; you can still raise the minimum length",
        )


def supported(session: Session) -> None:
    """Raise Unsupported if the token can have no PIN."""
    if session.info.pin_set is None:
        raise Unsupported(
            f"{session.name} cannot have a PIN", hint="a FIDO2 token is needed for that"
        )


def _minimum_supported(session: Session, why: str) -> None:
    supported(session)
    if not session.info.options.get("setMinPINLength", False):
        raise Unsupported(
            f"{why} is not possible on {session.name}", hint="a token of CTAP 2.1 is needed"
        )
