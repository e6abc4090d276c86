"""Who can log in to a host, and by what: reported, changed and hardened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.server.authorize.authorization import AuthorizeTarget as AuthorizeTarget
    from fidokit.server.authorize.authorization import authorize_keys as authorize_keys
    from fidokit.server.authorize.authorization import revoke_keys as revoke_keys
    from fidokit.server.check.report import CheckRequest as CheckRequest
    from fidokit.server.check.report import check_server as check_server
    from fidokit.server.harden.application import apply_hardening as apply_hardening
    from fidokit.server.harden.application import plan_hardening as plan_hardening
    from fidokit.server.harden.plan import HardeningRequest as HardeningRequest

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.server.authorize.authorization": (
            "AuthorizeTarget",
            "authorize_keys",
            "revoke_keys",
        ),
        "fidokit.server.check.report": ("CheckRequest", "check_server"),
        "fidokit.server.harden.application": ("apply_hardening", "plan_hardening"),
        "fidokit.server.harden.plan": ("HardeningRequest",),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
