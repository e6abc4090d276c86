"""The PIN of an open token: set, change, verify, status, and the rules for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidokit.client.owner.pin import PinStatus
from fidokit.client.ports import PinCode
from fidokit.errors import PinNotSet, WouldOverwrite

if TYPE_CHECKING:
    from fidokit.client.session import Session

__all__ = [
    "PinCode",
    "PinStatus",
    "change_pin",
    "force_pin_change",
    "pin_status",
    "set_min_pin_length",
    "set_pin",
    "verify_pin",
]


def pin_status(session: Session) -> PinStatus:
    """Whether a PIN is set, tries left, length rules, change required. Asks for no PIN."""
    from fidokit.client.owner import pin

    return pin.status(session)


def set_pin(session: Session, new: PinCode | None = None) -> None:
    """Set the first PIN. Asks the session's interaction for it when `new` is None.

    Raises:
        WouldOverwrite: one is set already; change it instead.
        PinPolicy: too short or too long for this token.
        Unsupported: the token has no PIN.
    """
    from fidokit.client.owner import pin

    if session.info.pin_set:
        raise WouldOverwrite(
            f"{session.name} already has a PIN", hint="change it with `fidokit pin change`"
        )
    pin.set_pin(session, new or _ask_new(session))


def change_pin(session: Session, old: PinCode | None = None, new: PinCode | None = None) -> None:
    """Change the PIN; what is None is asked for.

    Raises:
        PinNotSet, PinWrong, PinLastTry, PinBlocked, PinAuthBlocked, PinPolicy.
    """
    from fidokit.client.owner import pin

    if session.info.pin_set is False:
        raise PinNotSet(f"{session.name} has no PIN yet", hint="set one with `fidokit pin set`")
    old = old or _ask_old(session)
    pin.change_pin(session, old, new or _ask_new(session))


def _ask_old(session: Session) -> PinCode:
    from fidokit.client.owner import pin

    retries = pin.status(session).retries
    return session.interaction.ask_pin(session.name, retries, "changing the PIN", False)


def _ask_new(session: Session) -> PinCode:
    info = session.info
    return session.interaction.ask_new_pin(session.name, info.min_pin_length, info.max_pin_length)


def verify_pin(session: Session) -> None:
    """Ask for the PIN and let the token check it. Raises as `change_pin`."""
    from fidokit.client.owner import pin

    pin.verify(session)


def force_pin_change(session: Session) -> None:
    """Refuse the present PIN for all but changing it (CTAP 2.3 section 6.11.4).

    Raises:
        Unsupported: the token cannot; PinError: the PIN is wrong or none is set.
    """
    from fidokit.client.owner import pin

    pin.force_change(session)


def set_min_pin_length(
    session: Session,
    length: int,
    rp_ids: Sequence[str] = (),
    *,
    force_change: bool = False,
    complexity: bool = False,
) -> None:
    """Raise the minimum PIN length; it cannot be lowered except by a reset.

    Args:
        length: code points, 4 to 63.
        rp_ids: RP ids that may read the minimum through the minPinLength extension.
        force_change: demand a new PIN at once.
        complexity: refuse weak PINs from now on, where the token has a policy for that.

    Raises:
        UsageError, PinPolicy, Unsupported.
    """
    from fidokit.client.owner import pin

    pin.set_min_length(session, length, rp_ids, force_change=force_change, complexity=complexity)
