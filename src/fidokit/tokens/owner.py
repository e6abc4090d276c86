"""What only a token's owner changes: the PIN, the fingers on its sensor, and its switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fidokit.client.owner import pin as owner_pin
from fidokit.client.owner.bio import (
    Finger,
    Sample,
    delete_finger,
    enroll_finger,
    list_fingers,
    rename_finger,
)
from fidokit.client.owner.config import (
    Configuration,
    configuration,
    enable_enterprise_attestation,
    enable_long_touch_reset,
    set_always_uv,
)
from fidokit.client.owner.pin import (
    PinStatus,
    force_pin_change,
    pin_status,
    set_min_pin_length,
    verify_pin,
)
from fidokit.client.ports import PinCode
from fidokit.errors import NotStored, PinNotSet, UsageError, WouldOverwrite

if TYPE_CHECKING:
    from fidokit.client.session import Session

__all__ = [
    "Configuration",
    "Finger",
    "PinCode",
    "PinStatus",
    "Sample",
    "always_uv",
    "change_pin",
    "configuration",
    "delete_finger",
    "enroll_finger",
    "enterprise_attestation",
    "force_pin_change",
    "list_fingers",
    "long_touch_reset",
    "pin_status",
    "rename_finger",
    "resolve_finger",
    "set_min_pin_length",
    "set_pin",
    "verify_pin",
]

MIN_HEX: Final = 2
"""Hexadecimal digits of an id that are not taken for a name."""


def set_pin(session: Session, new: PinCode | None = None) -> None:
    """Set the first PIN. Asks the session's interaction for it when `new` is None.

    Raises:
        WouldOverwrite: one is set already; change it instead.
        PinPolicy: too short or too long for this token.
        Unsupported: the token has no PIN.
    """
    owner_pin.supported(session)
    if session.info.pin_set:
        raise WouldOverwrite(
            f"{session.name} already has a PIN", hint="change it with `fidokit pin change`"
        )
    owner_pin.set_pin(session, new or _ask_new(session))


def change_pin(session: Session, old: PinCode | None = None, new: PinCode | None = None) -> None:
    """Change the PIN; what is None is asked for.

    Raises:
        PinNotSet, PinWrong, PinLastTry, PinBlocked, PinAuthBlocked, PinPolicy.
    """
    if session.info.pin_set is False:
        raise PinNotSet(f"{session.name} has no PIN yet", hint="set one with `fidokit pin set`")
    old = old or owner_pin.current_pin(session, "changing the PIN")
    owner_pin.change_pin(session, old, new or _ask_new(session))


def _ask_new(session: Session) -> PinCode:
    info = session.info
    return session.interaction.ask_new_pin(session.name, info.min_pin_length, info.max_pin_length)


def resolve_finger(selector: str, fingers: Sequence[Finger]) -> Finger:
    """The one finger of that name, or with an id that begins so.

    Raises:
        NotStored: none fits; UsageError: several do.
    """
    found = [finger for finger in fingers if finger.name == selector != ""]
    if not found and len(selector) >= MIN_HEX:
        start = selector.lower()
        found = [finger for finger in fingers if finger.template_id.hex().startswith(start)]
    if not found:
        raise NotStored(
            f"no fingerprint fits {selector!r}", hint="`fidokit bio list` shows what there is"
        )
    if len(found) > 1:
        ids = ", ".join(finger.template_id.hex() for finger in found)
        raise UsageError(
            f"{selector!r} fits {len(found)} fingerprints", hint=f"name one by its id: {ids}"
        )
    return found[0]


# --- switches (authenticatorConfig, CTAP 2.3 section 6.11) -----------------------------------


def always_uv(session: Session, on: bool | None = None) -> bool:
    """Whether the token verifies its user at every use; turn it on or off first if `on` is given.

    Returns the state after the call. Raises Unsupported if the token lacks alwaysUv and
    it is to be changed.
    """
    if on is not None:
        set_always_uv(session, on)
    return session.info.always_uv


def enterprise_attestation(session: Session, *, enable: bool = False) -> bool | None:
    """Whether the token attests for enterprises; turn it on first if `enable`.

    It cannot be turned off except by a reset. None if the token does not have it.

    Raises:
        Unsupported: it is to be turned on, and the token does not have it.
        PinError: the PIN is wrong or cannot be asked for.
    """
    if enable:
        enable_enterprise_attestation(session)
    return configuration(session).enterprise_attestation


def long_touch_reset(session: Session, *, enable: bool = False) -> bool | None:
    """Whether a reset wants a long touch; turn it on first if `enable`.

    It cannot be turned off except by a reset. None if the token does not have it.

    Raises:
        Unsupported: it is to be turned on, and the token does not have it.
        PinError: the PIN is wrong or cannot be asked for.
    """
    if enable:
        enable_long_touch_reset(session)
    return configuration(session).long_touch_reset
