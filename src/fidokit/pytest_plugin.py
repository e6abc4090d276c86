"""The pytest plug-in: virtual tokens as fixtures, found by programs built on python-fido2.

pytest imports this module in every run on a machine where fidokit is installed, so it imports
nothing of weight: a fixture that is used fetches what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fido2.hid import CtapHidDevice

    from fidokit.testing import FidoDevices, TokenFactory, WatchedToken

_PATIENCE: Final = "fidokit_patience"
_PATIENCE_S: Final = "10"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a suite say how long its tokens wait."""
    parser.addini(
        _PATIENCE,
        "seconds that a virtual token waits for a touch before the test fails",
        default=_PATIENCE_S,
    )


@pytest.fixture
def virtual_token_factory(request: pytest.FixtureRequest) -> Iterator[TokenFactory]:
    """Make tokens: virtual_token_factory(profile=, pin=, credentials=, presence=, uv=)."""
    from fidokit.testing import TokenFactory

    failed_before = request.session.testsfailed
    factory = TokenFactory(_patience(request.config))
    yield factory
    stalls = factory.close()
    if stalls and request.session.testsfailed == failed_before:
        pytest.fail(f"the test went on, but {stalls[0]}", pytrace=False)


@pytest.fixture
def virtual_token(virtual_token_factory: TokenFactory) -> WatchedToken:
    """A fresh CTAP 2.3 token in memory, without a PIN, touched as soon as it asks."""
    return virtual_token_factory()


@pytest.fixture
def fido_device(virtual_token: WatchedToken) -> Iterator[CtapHidDevice]:
    """The virtual token, opened by python-fido2."""
    from fidokit.testing import open_device

    with open_device(virtual_token) as device:
        yield device


@pytest.fixture
def fido_devices(virtual_token: WatchedToken, monkeypatch: pytest.MonkeyPatch) -> FidoDevices:
    """What python-fido2 finds: the virtual token on USB, and what the test adds; no real ones."""
    from fidokit.testing import FidoDevices

    devices = FidoDevices(monkeypatch)
    devices.plug_in(virtual_token)
    return devices


def _patience(config: pytest.Config) -> float:
    text = str(config.getini(_PATIENCE))
    try:
        patience = float(text)
    except ValueError:
        patience = 0
    if not patience > 0:  # not a number is not greater either
        raise pytest.UsageError(f"{_PATIENCE} must be a number of seconds, not {text!r}")
    return patience
