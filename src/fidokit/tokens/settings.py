"""The switches that a token itself keeps (authenticatorConfig, CTAP 2.3 section 6.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.client.owner.config import Configuration

if TYPE_CHECKING:
    from fidokit.client.session import Session

__all__ = [
    "Configuration",
    "always_uv",
    "configuration",
    "enterprise_attestation",
    "long_touch_reset",
]


def configuration(session: Session) -> Configuration:
    """Every switch of the token, and which of them can be changed. Asks for no PIN."""
    from fidokit.client.owner import config

    return config.configuration(session)


def always_uv(session: Session, on: bool | None = None) -> bool:
    """Whether the token verifies its user at every use; turn it on or off first if `on` is given.

    Returns the state after the call. Raises Unsupported where the token lacks alwaysUv and
    it is to be changed.
    """
    from fidokit.client.owner import config

    if on is not None:
        config.set_always_uv(session, on)
    return session.info.always_uv


def enterprise_attestation(session: Session, *, enable: bool = False) -> bool | None:
    """Whether the token attests for enterprises; turn it on first if `enable`.

    It cannot be turned off except by a reset. None where the token does not have it.

    Raises:
        Unsupported: it is to be turned on, and the token does not have it.
        PinError: the PIN is wrong or cannot be asked for.
    """
    from fidokit.client.owner import config

    if enable:
        config.enable_enterprise_attestation(session)
    return config.configuration(session).enterprise_attestation


def long_touch_reset(session: Session, *, enable: bool = False) -> bool | None:
    """Whether a reset wants a long touch; turn it on first if `enable`. As the above."""
    from fidokit.client.owner import config

    if enable:
        config.enable_long_touch_reset(session)
    return config.configuration(session).long_touch_reset
