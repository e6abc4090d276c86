"""Virtual tokens in other people's tests: what the pytest plug-in's fixtures hand out.

The fixtures are in `fidokit.pytest_plugin`; here is what they are made of, for annotations, and
for tests that need something else.
"""

from __future__ import annotations

from fidokit.testing.devices import FidoDevices, open_device
from fidokit.testing.factory import Credential, TokenFactory
from fidokit.testing.token import Stalled, WatchedToken

__all__ = [
    "Credential",
    "FidoDevices",
    "Stalled",
    "TokenFactory",
    "WatchedToken",
    "open_device",
]
