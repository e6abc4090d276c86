"""The PIN of an open token: set, change, verify, status, and the rules for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidokit.token.pin import PinCode, PinStatus

if TYPE_CHECKING:
    from fidokit.token.session import Session

__all__ = [
    "PinCode",
    "PinStatus",
    "always_uv",
    "change_pin",
    "force_pin_change",
    "pin_status",
    "set_min_pin_length",
    "set_pin",
    "verify_pin",
]


def pin_status(session: Session) -> PinStatus:
    """Whether a PIN is set, tries left, length rules, change required. Asks for no PIN."""
    raise NotImplementedError


def set_pin(session: Session, new: PinCode | None = None) -> None:
    """Set the first PIN. Asks the session's interaction for it when `new` is None.

    Raises:
        WouldOverwrite when one is set already (change it instead); PinPolicy; Unsupported.
    """
    raise NotImplementedError


def change_pin(session: Session, old: PinCode | None = None, new: PinCode | None = None) -> None:
    """Change the PIN; what is None is asked for.

    Raises:
        PinNotSet, PinWrong, PinLastTry, PinBlocked, PinAuthBlocked, PinPolicy.
    """
    raise NotImplementedError


def verify_pin(session: Session) -> None:
    """Ask for the PIN and let the token check it. Raises as `change_pin`."""
    raise NotImplementedError


def force_pin_change(session: Session) -> None:
    """Refuse the present PIN for all but changing it (CTAP 2.3 section 6.11.4)."""
    raise NotImplementedError


def set_min_pin_length(
    session: Session, length: int, rp_ids: Sequence[str] = (), *, force_change: bool = False
) -> None:
    """Raise the minimum PIN length; it cannot be lowered except by a reset.

    Args:
        length: code points, 4 to 63.
        rp_ids: RP ids that may read the minimum through the minPinLength extension.
    """
    raise NotImplementedError


def always_uv(session: Session, on: bool | None = None) -> bool:
    """Whether the token verifies its user at every use; turn it on or off first if `on` is given.

    Returns the state after the call. Raises Unsupported where the token lacks alwaysUv.
    """
    raise NotImplementedError
