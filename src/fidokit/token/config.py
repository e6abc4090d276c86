"""authenticatorConfig: switches of the token itself (CTAP 2.1 section 6.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fidokit.errors import Unsupported
from fidokit.token import fido2_device
from fidokit.token.authorisation import Permission
from fidokit.token.commands import CONFIG

if TYPE_CHECKING:
    from fidokit.token.session import Session

TOGGLE_ALWAYS_UV: Final = 2


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
    if info.pin_set or info.uv_configured:
        proof = session.authorise(Permission.CONFIG, None, why)
        body = b"" if params is None else fido2_device.encode(params)
        message = b"\xff" * 32 + bytes([CONFIG, subcommand]) + body
        request |= {3: proof.version, 4: proof.authenticate(message)}
    session.request(CONFIG, request, "configuration answer", why=why)


def set_always_uv(session: Session, on: bool) -> bool:
    """Turn on or off that every use wants the PIN or the sensor; asks the token only to change it.

    Returns whether anything changed.

    Raises:
        Unsupported: the token has no such switch, or does not let it be turned off.
        PinError: the PIN is wrong or cannot be asked for.
    """
    now = session.info.options.get("alwaysUv")
    if now is None:
        raise Unsupported(
            f"{session.name} has no alwaysUv", hint="a token of CTAP 2.1 with this option is needed"
        )
    if now == on:
        return False
    configure(session, TOGGLE_ALWAYS_UV, None, "switching alwaysUv")
    session.forget_info()
    return True
