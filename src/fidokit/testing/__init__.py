"""Virtual tokens in other people's tests: what the pytest plug-in's fixtures hand out.

The fixtures are in `fidokit.pytest_plugin`; here is what they are made of, for annotations, for
unittest, and for tests that need something else. `fidokit.testing.strategies`, which needs
Hypothesis, is imported by itself.
"""

from __future__ import annotations

from fidokit.testing.browser.token import BrowserToken
from fidokit.testing.devices import FidoDevices, open_device
from fidokit.testing.environment import token_environment
from fidokit.testing.factory import Credential, NamedTokens, TokenFactory
from fidokit.testing.test_case import VirtualTokenTestCase
from fidokit.testing.token import Stalled, WatchedToken

__all__ = [
    "BrowserToken",
    "Credential",
    "FidoDevices",
    "NamedTokens",
    "Stalled",
    "TokenFactory",
    "VirtualTokenTestCase",
    "WatchedToken",
    "open_device",
    "token_environment",
]
