"""The authenticator side of CTAP: a software token that stands in for hardware in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.virtual.core.profile import Behavior as Behavior
    from fidokit.virtual.core.profile import Profile as Profile
    from fidokit.virtual.token import VirtualToken as VirtualToken
    from fidokit.virtual.world import ManualClock as ManualClock
    from fidokit.virtual.world import SeededRng as SeededRng

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.virtual.core.profile": ("Behavior", "Profile"),
        "fidokit.virtual.token": ("VirtualToken",),
        "fidokit.virtual.world": ("ManualClock", "SeededRng"),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
