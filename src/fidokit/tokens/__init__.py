"""Tokens as users manage them: find, open, PIN, fingers, settings, reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.client.info import TokenInfo as TokenInfo
    from fidokit.client.owner.pin import pin_status as pin_status
    from fidokit.client.owner.pin import verify_pin as verify_pin
    from fidokit.client.ports import QUIET as QUIET
    from fidokit.client.ports import Candidate as Candidate
    from fidokit.client.ports import Interaction as Interaction
    from fidokit.client.ports import PinCode as PinCode
    from fidokit.client.session import Session as Session
    from fidokit.tokens.access import TokenSummary as TokenSummary
    from fidokit.tokens.access import list_tokens as list_tokens
    from fidokit.tokens.access import open_token as open_token
    from fidokit.tokens.owner import change_pin as change_pin
    from fidokit.tokens.owner import set_pin as set_pin
    from fidokit.tokens.reset import ResetGuide as ResetGuide
    from fidokit.tokens.reset import plan_reset as plan_reset
    from fidokit.tokens.reset import reset_token as reset_token

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.client.info": ("TokenInfo",),
        "fidokit.client.owner.pin": ("pin_status", "verify_pin"),
        "fidokit.client.ports": ("QUIET", "Candidate", "Interaction", "PinCode"),
        "fidokit.client.session": ("Session",),
        "fidokit.tokens.access": ("TokenSummary", "list_tokens", "open_token"),
        "fidokit.tokens.owner": ("change_pin", "set_pin"),
        "fidokit.tokens.reset": ("ResetGuide", "plan_reset", "reset_token"),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
