"""Virtual tokens for tests that are written for unittest, whoever runs them."""

from __future__ import annotations

import os
import unittest
from collections.abc import Mapping
from typing import Any, ClassVar

from fidokit.testing.devices import FidoDevices
from fidokit.testing.environment import token_environment
from fidokit.testing.factory import NamedTokens, TokenFactory
from fidokit.testing.token import PATIENCE_S, WatchedToken


class VirtualTokenTestCase(unittest.TestCase):
    """A test case that has a fresh virtual token for each test, found by python-fido2.

    Goes as a mixin before another `TestCase`, too; who overrides `setUp` calls this one first. A
    token that waits in vain fails the test.

    Attributes:
        virtual_token_options: the factory's arguments for `virtual_token`, such as
            `{"pin": "123456"}`; see `TokenFactory`.
        virtual_token_patience: seconds that the tokens wait.
        virtual_token: the token.
        virtual_tokens: more of them by name; one that is not there yet is made when asked for.
        virtual_token_factory: makes others.
        fido_devices: what python-fido2 finds: at first `virtual_token`.
    """

    virtual_token_options: ClassVar[Mapping[str, Any]] = {}
    virtual_token_patience: ClassVar[float] = PATIENCE_S
    virtual_token: WatchedToken
    virtual_tokens: NamedTokens
    virtual_token_factory: TokenFactory
    fido_devices: FidoDevices

    def setUp(self) -> None:
        """Plug the token in; see `unittest.TestCase.setUp`."""
        super().setUp()
        self.virtual_token_factory = TokenFactory(self.virtual_token_patience)
        self.addCleanup(self._unplug)
        self.virtual_token = self.virtual_token_factory(**self.virtual_token_options)
        self.virtual_tokens = NamedTokens(self.virtual_token_factory, {})
        self.fido_devices = FidoDevices(_Patcher(self))
        self.fido_devices.plug_in(self.virtual_token)

    def show_to_programs(self, *tokens: WatchedToken) -> dict[str, str]:
        """Let the programs that this test starts find tokens, as `token_environment` does it.

        Args:
            tokens: `virtual_token` if none is given.

        Returns:
            The variables, which `os.environ` has until the test ends.
        """
        from unittest.mock import patch  # it loads asyncio

        variables = self.enterContext(token_environment(tokens or (self.virtual_token,)))
        self.enterContext(patch.dict(os.environ, variables))
        return variables

    def _unplug(self) -> None:
        stalls = self.virtual_token_factory.close()
        if stalls:
            self.fail(f"a token waited in vain: {stalls[0]}")


class _Patcher:
    """Replaces attributes until a test is over, as pytest's monkeypatch does."""

    def __init__(self, test: unittest.TestCase) -> None:
        self._test = test

    def setattr(self, target: str, name: object) -> None:
        from unittest.mock import patch

        self._test.enterContext(patch(target, name))
