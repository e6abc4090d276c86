"""Fixtures of the core's tests: a fresh token, and a platform for it."""

from __future__ import annotations

import pytest
from tests.virtual.core.client import RP, Bench, Platform
from tests.virtual.core.manager import Manager, make

PIN_CODE = "motörhead"


@pytest.fixture
def bench() -> Bench:
    """A fresh ctap2.3 token: no PIN, no built-in verification."""
    return Bench()


@pytest.fixture(params=[1, 2], ids=["protocol1", "protocol2"])
def fresh(request: pytest.FixtureRequest) -> Platform:
    """A platform on a fresh token, under each PIN protocol in turn."""
    return Platform(Bench(), request.param)


@pytest.fixture
def pinned(fresh: Platform) -> Platform:
    """The same with PIN_CODE set."""
    fresh.set_pin(PIN_CODE)
    return fresh


@pytest.fixture(params=[1, 2], ids=["protocol1", "protocol2"])
def sensed(request: pytest.FixtureRequest) -> Platform:
    """A platform on a token with built-in verification configured, and no PIN."""
    return Platform(Bench(uv=True), request.param)


@pytest.fixture
def manager(pinned: Platform) -> Manager:
    """Two credentials of RP and one of another."""
    make(pinned, RP, b"ada")
    make(pinned, RP, b"bob")
    make(pinned, "example.org", b"ada")
    return Manager(pinned)
