"""The pytest plug-in: virtual tokens as fixtures, found by programs built on python-fido2.

pytest imports this module in every run on a machine where fidokit is installed, so it imports
nothing of weight: a fixture that is used fetches what it needs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from fido2.hid import CtapHidDevice

    from fidokit.testing import (
        BrowserToken,
        FidoDevices,
        NamedTokens,
        Stalled,
        TokenFactory,
        WatchedToken,
    )

_PATIENCE: Final = "fidokit_patience"
_PATIENCE_S: Final = "10"
_AUTOUSE: Final = "fidokit_autouse"
_FOR_ALL: Final = ("fido_devices", "fido_environ")
_MARK: Final = "virtual_token"
_STRATEGIES: Final = "fidokit.testing.strategies"

_shared: Final[pytest.StashKey[list[TokenFactory]]] = pytest.StashKey()
_failed_before: Final = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a suite say how long its tokens wait, and which fixtures all of its tests have."""
    parser.addini(
        _PATIENCE,
        "seconds that a virtual token waits for a touch before the test fails",
        default=_PATIENCE_S,
    )
    parser.addini(
        _AUTOUSE, f"fixtures that every test has: {' or '.join(_FOR_ALL)}", type="args", default=[]
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and the fixtures that every test shall have."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(name=None, **order): how virtual_token, or the token virtual_tokens[name], shall "
        "be, by the arguments of virtual_token_factory",
    )
    config.stash[_shared] = []
    if wanted := config.getini(_AUTOUSE):
        config.pluginmanager.register(_for_all(wanted), "fidokit-autouse")


def _for_all(wanted: Sequence[str]) -> object:
    """A plug-in with a fixture that brings these into every test; other suites have none."""
    if wrong := [name for name in wanted if name not in _FOR_ALL]:
        raise pytest.UsageError(f"{_AUTOUSE} is {' or '.join(_FOR_ALL)}, not {wrong[0]!r}")

    class ForAll:
        @pytest.fixture(autouse=True)
        def _fidokit_autouse(self, request: pytest.FixtureRequest) -> None:
            """The fixtures of fidokit_autouse."""
            for name in wanted:
                request.getfixturevalue(name)

    return ForAll()


# --- fixtures of one test -------------------------------------------------------------------------


@pytest.fixture
def virtual_token_factory(request: pytest.FixtureRequest) -> Iterator[TokenFactory]:
    """Make tokens: virtual_token_factory(profile=, pin=, credentials=, presence=, uv=)."""
    from fidokit.testing import TokenFactory

    failed_before = request.session.testsfailed
    factory = TokenFactory(_patience(request.config))
    yield factory
    _judge(factory.close(), request.session, failed_before)


@pytest.fixture
def virtual_token(
    request: pytest.FixtureRequest, virtual_token_factory: TokenFactory
) -> WatchedToken:
    """A fresh CTAP 2.3 token in memory, without a PIN, touched as soon as it asks."""
    return virtual_token_factory(**_orders(request).get(None, {}))


@pytest.fixture
def virtual_tokens(
    request: pytest.FixtureRequest, virtual_token_factory: TokenFactory
) -> NamedTokens:
    """More tokens by names of the test's choice: virtual_tokens["backup"]."""
    from fidokit.testing import NamedTokens

    orders = {name: order for name, order in _orders(request).items() if name is not None}
    return NamedTokens(virtual_token_factory, orders)


@pytest.fixture
def fido_device(virtual_token: WatchedToken) -> Iterator[CtapHidDevice]:
    """The virtual token, opened by python-fido2."""
    from fidokit.testing import open_device

    with open_device(virtual_token) as device:
        yield device


@pytest.fixture
def fido_devices(
    virtual_token: WatchedToken, virtual_tokens: NamedTokens, monkeypatch: pytest.MonkeyPatch
) -> FidoDevices:
    """What python-fido2 finds: the virtual token on USB, and what the test adds; no real ones."""
    return _devices([virtual_token, *virtual_tokens.values()], monkeypatch)


@pytest.fixture
def fido_environ(
    virtual_token: WatchedToken, virtual_tokens: NamedTokens
) -> Iterator[dict[str, str]]:
    """What the programs that the test starts find: the virtual token as a USB key."""
    yield from _environ([virtual_token, *virtual_tokens.values()])


@pytest.fixture
def fido_browser(
    request: pytest.FixtureRequest, virtual_token: WatchedToken
) -> Iterator[BrowserToken]:
    """The virtual token, to answer navigator.credentials: fido_browser.playwright(page)."""
    from fidokit.testing import BrowserToken

    browser = BrowserToken(virtual_token, pin=_orders(request).get(None, {}).get("pin"))
    yield browser
    browser.close()


@pytest.fixture
def fido_page(request: pytest.FixtureRequest, fido_browser: BrowserToken) -> Any:
    """The fixture `page` of pytest-playwright, whose pages the virtual token answers."""
    fido_browser.playwright(request.getfixturevalue("context"))
    return request.getfixturevalue("page")


@pytest.fixture
def fido_driver(request: pytest.FixtureRequest, fido_browser: BrowserToken) -> Any:
    """The fixture `driver` of pytest-selenium, whose pages the virtual token answers."""
    driver = request.getfixturevalue("driver")
    fido_browser.selenium(driver)
    return driver


# --- fixtures of a module, and of a run -----------------------------------------------------------


@pytest.fixture(scope="module")
def module_virtual_token_factory(request: pytest.FixtureRequest) -> Iterator[TokenFactory]:
    """Make tokens that all tests of a module share."""
    yield from _sharing(request)


@pytest.fixture(scope="module")
def module_virtual_token(
    request: pytest.FixtureRequest, module_virtual_token_factory: TokenFactory
) -> WatchedToken:
    """One token for all tests of a module: what is put on it stays."""
    return module_virtual_token_factory(**_orders(request).get(None, {}))


@pytest.fixture(scope="module")
def module_fido_devices(module_virtual_token: WatchedToken) -> Iterator[FidoDevices]:
    """What python-fido2 finds during a module: its token on USB, no real ones."""
    with pytest.MonkeyPatch.context() as patcher:
        yield _devices([module_virtual_token], patcher)


@pytest.fixture(scope="module")
def module_fido_environ(module_virtual_token: WatchedToken) -> Iterator[dict[str, str]]:
    """What programs find that the tests of a module start, and those that live as long as it."""
    yield from _environ([module_virtual_token])


@pytest.fixture(scope="session")
def session_virtual_token_factory(request: pytest.FixtureRequest) -> Iterator[TokenFactory]:
    """Make tokens that all tests of a run share (of one worker, with pytest-xdist)."""
    yield from _sharing(request)


@pytest.fixture(scope="session")
def session_virtual_token(session_virtual_token_factory: TokenFactory) -> WatchedToken:
    """One token for all tests of a run: what is put on it stays."""
    return session_virtual_token_factory()


@pytest.fixture(scope="session")
def session_fido_devices(session_virtual_token: WatchedToken) -> Iterator[FidoDevices]:
    """What python-fido2 finds during the run: its token on USB, no real ones."""
    with pytest.MonkeyPatch.context() as patcher:
        yield _devices([session_virtual_token], patcher)


@pytest.fixture(scope="session")
def session_fido_environ(session_virtual_token: WatchedToken) -> Iterator[dict[str, str]]:
    """What programs find that the tests of a run start, and those that live as long as it."""
    yield from _environ([session_virtual_token])


# --- what they are made of ------------------------------------------------------------------------


def _orders(request: pytest.FixtureRequest) -> Mapping[str | None, Mapping[str, Any]]:
    """How the marks want tokens, by name; None for `virtual_token`. The closest mark counts."""
    found: dict[str | None, Mapping[str, Any]] = {}
    for mark in request.node.iter_markers(_MARK):
        if len(mark.args) > 1 or not all(isinstance(name, str) for name in mark.args):
            raise pytest.UsageError(f"@pytest.mark.{_MARK} takes one name, or none")
        found.setdefault(mark.args[0] if mark.args else None, mark.kwargs)
    return found


def _devices(tokens: Sequence[WatchedToken], patcher: pytest.MonkeyPatch) -> FidoDevices:
    from fidokit.testing import FidoDevices

    devices = FidoDevices(patcher)
    for token in tokens:
        devices.plug_in(token)
    return devices


def _environ(tokens: Sequence[WatchedToken]) -> Iterator[dict[str, str]]:
    from fidokit.testing import token_environment

    with token_environment(tokens) as variables, pytest.MonkeyPatch.context() as patcher:
        for name, text in variables.items():
            patcher.setenv(name, text)
        yield variables


def _sharing(request: pytest.FixtureRequest) -> Iterator[TokenFactory]:
    from fidokit.testing import TokenFactory

    factory = TokenFactory(_patience(request.config))
    watched = request.config.stash[_shared]
    watched.append(factory)
    yield factory
    watched.remove(factory)
    factory.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note how many tests failed before this one."""
    item.stash[_failed_before] = item.session.testsfailed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the test that left a stall on a token it shares with others."""
    watched = [*item.config.stash[_shared]]  # the last test of a module ends them
    stalls: list[Stalled] = []
    try:
        result = yield
    finally:  # none of them is the next test's
        for factory in watched:
            stalls += factory.between_tests()
        if _STRATEGIES in sys.modules:
            from fidokit.testing import strategies

            stalls += strategies.take_stalls()
    _judge(stalls, item.session, item.stash[_failed_before])
    return result


def _judge(stalls: Sequence[Stalled], session: pytest.Session, failed_before: int) -> None:
    """Fail the test, unless it failed by itself."""
    if stalls and session.testsfailed == failed_before:
        pytest.fail(f"the test went on, but {stalls[0]}", pytrace=False)


def _patience(config: pytest.Config) -> float:
    text = str(config.getini(_PATIENCE))
    try:
        patience = float(text)
    except ValueError:
        patience = 0
    if not patience > 0:  # not a number is not greater either
        raise pytest.UsageError(f"{_PATIENCE} must be a number of seconds, not {text!r}")
    return patience
