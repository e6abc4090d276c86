"""authenticatorConfig: switches of the token itself (CTAP 2.3 section 6.11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.client import fido2_device
from fidokit.client.owner.proofs import Permission, PinToken, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import NotTaken, Unsupported
from fidokit.types import CtapCommand

if TYPE_CHECKING:
    from fidokit.client.info import TokenInfo
    from fidokit.client.session import Session

ENABLE_ENTERPRISE_ATTESTATION: Final = 1
TOGGLE_ALWAYS_UV: Final = 2
SET_MIN_PIN_LENGTH: Final = 3
ENABLE_LONG_TOUCH_FOR_RESET: Final = 4
"""Subcommands (CTAP 2.3 section 6.11)."""


def configure(
    session: Session, subcommand: int, params: Mapping[int, object] | None, why: str
) -> None:
    """One subcommand of authenticatorConfig, under PIN or sensor where either is set up.

    Raises:
        Unsupported: the token has no such command.
        PinError: the PIN is wrong or cannot be asked for.
    """
    info = session.info
    known = info.config_commands is None or subcommand in info.config_commands
    if not info.options.get("authnrCfg", False) or not known:
        raise Unsupported(
            f"{why} is not possible on {session.name}", hint="a token of CTAP 2.1 is needed"
        )
    request: dict[int, object] = {1: subcommand}
    if params is not None:
        request[2] = params
    body = b"" if params is None else fido2_device.encode(params)
    message = b"\xff" * 32 + bytes([CtapCommand.CONFIG, subcommand]) + body

    def send(proof: PinToken | None) -> None:
        shown = {3: proof.version, 4: proof.authenticate(message)} if proof else {}
        session.connection.attempt(
            CtapCommand.CONFIG, request | shown, "configuration answer", why=why
        )

    try:
        if info.pin_set or info.uv_configured:
            session.owner.proved(Wish(Permission.CONFIG, None, why), send)
        else:
            send(None)
    except CtapRefusal as refusal:
        raise error_for(refusal.status, why) from None
    session.forget_info()  # what the token says now decides whether it took the setting


def require_taken(session: Session, taken: bool, setting: str) -> None:
    """Check that a setting, read back, is what the token was asked for.

    Args:
        session: the open token.
        taken: whether it is.
        setting: which one, such as "always-uv on".

    Raises:
        NotTaken: the token accepted the change and did not make it.
    """
    if not taken:
        raise NotTaken(
            f"{session.name} accepted {setting} and did not apply it",
            hint="unplug it, plug it in again and look with `fidokit config show`; "
            "its firmware may not support the setting",
        )


def set_always_uv(session: Session, on: bool) -> bool:
    """Turn on or off that every use wants the PIN or the sensor; asks the token only to change it.

    Returns whether anything changed.

    Raises:
        Unsupported: the token has no such switch, or does not let it be turned off.
        PinError: the PIN is wrong or cannot be asked for.
        NotTaken: the token said yes and did not change it.
    """
    now = session.info.options.get("alwaysUv")
    if now is None:
        raise Unsupported(
            f"{session.name} has no alwaysUv", hint="a token of CTAP 2.1 with this option is needed"
        )
    if now == on:
        return False
    configure(session, TOGGLE_ALWAYS_UV, None, "switching alwaysUv")
    taken = session.info.options.get("alwaysUv") == on
    require_taken(session, taken, f"always-uv {'on' if on else 'off'}")
    return True


@dataclass(frozen=True, slots=True)
class Configuration:
    """The switches of a token; None is one that it does not have.

    Args:
        always_uv: every use wants the PIN or the sensor.
        enterprise_attestation: it may tell an enterprise which token a key was made on.
        long_touch_reset: a reset wants a touch of five seconds or more.
        min_pin_length: in code points.
        pin_complexity: weak PINs are refused, by a rule of the maker's own.
        changeable: the subcommands of authenticatorConfig that the token lists or, before
            CTAP 2.3, that its options imply.
    """

    always_uv: bool | None
    enterprise_attestation: bool | None
    long_touch_reset: bool | None
    min_pin_length: int | None
    pin_complexity: bool | None
    changeable: frozenset[int]


def configuration(session: Session) -> Configuration:
    """What the token says of its switches; neither PIN nor touch is needed."""
    info = session.info
    return Configuration(
        always_uv=info.options.get("alwaysUv"),
        enterprise_attestation=info.options.get("ep"),
        long_touch_reset=info.long_touch_for_reset,
        min_pin_length=info.min_pin_length if "clientPin" in info.options else None,
        pin_complexity=info.pin_complexity,
        changeable=_changeable(info),
    )


def _changeable(info: TokenInfo) -> frozenset[int]:
    if not info.options.get("authnrCfg", False):
        return frozenset()
    if info.config_commands is not None:
        return frozenset(info.config_commands)
    implied = {
        ENABLE_ENTERPRISE_ATTESTATION: "ep" in info.options,
        TOGGLE_ALWAYS_UV: "alwaysUv" in info.options,
        SET_MIN_PIN_LENGTH: info.options.get("setMinPINLength", False),
        ENABLE_LONG_TOUCH_FOR_RESET: info.long_touch_for_reset is not None,
    }
    return frozenset(subcommand for subcommand, there in implied.items() if there)


def enable_enterprise_attestation(session: Session) -> bool:
    """Let the token tell enterprises which token a key was made on; only a reset undoes it.

    Returns whether anything changed.

    Raises:
        Unsupported: the token has no enterprise attestation.
        PinError: the PIN is wrong or cannot be asked for.
    """
    return _enable(session, ENABLE_ENTERPRISE_ATTESTATION, lambda: session.info.options.get("ep"))


def enable_long_touch_reset(session: Session) -> bool:
    """Make a reset want a long touch, against resets by accident; only a reset undoes it.

    Returns whether anything changed.

    Raises:
        Unsupported: the token has no such switch.
        PinError: the PIN is wrong or cannot be asked for.
    """
    return _enable(session, ENABLE_LONG_TOUCH_FOR_RESET, lambda: session.info.long_touch_for_reset)


_ENABLED: Final[Mapping[int, tuple[str, str]]] = {
    ENABLE_ENTERPRISE_ATTESTATION: ("enterprise attestation", "a token sold to enterprises has it"),
    ENABLE_LONG_TOUCH_FOR_RESET: ("long touch for a reset", "some tokens of CTAP 2.3 have it"),
}


def _enable(session: Session, subcommand: int, state: Callable[[], bool | None]) -> bool:
    name, where = _ENABLED[subcommand]
    now = state()
    if now is None:
        raise Unsupported(f"{session.name} has no {name}", hint=where)
    if now:
        return False
    configure(session, subcommand, None, f"enabling {name}")
    require_taken(session, bool(state()), name)
    return True
