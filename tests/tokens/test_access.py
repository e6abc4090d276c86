"""Listing never fails for one token's sake; opening takes the one that is meant."""

from __future__ import annotations

import pytest
from tests.support.desk import Desk

from fidokit.errors import (
    Interrupted,
    NoPermission,
    SeveralTokens,
    TokenBusy,
    TokenGone,
    TokenNotFound,
    UsageError,
)
from fidokit.tokens import access
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")


def test_a_list_with_info(desk: Desk) -> None:
    (found,) = access.list_tokens(backends=[desk])
    assert (found.selector, found.durable, found.serial) == ("usb:ONE", True, "ONE")
    assert found.info is not None
    assert found.info.pin_set is True
    assert (found.problem, found.hint) == ("", "")


def test_a_list_without_info_opens_nothing(desk: Desk) -> None:
    desk.refusals["ONE"] = AssertionError("opened")
    (found,) = access.list_tokens(with_info=False, backends=[desk])
    assert found.info is None
    assert found.problem == ""


@pytest.mark.parametrize("error", [NoPermission, TokenBusy, TokenGone])
def test_a_token_that_cannot_be_opened_is_listed_with_its_problem(
    desk: Desk, error: type[NoPermission]
) -> None:
    desk.plug("TWO")
    desk.refusals["ONE"] = error("this is why", hint="do that")
    one, two = access.list_tokens(backends=[desk])
    assert (one.info, one.problem, one.hint) == (None, "this is why", "do that")
    assert two.info is not None


def test_ctrl_c_ends_the_list(desk: Desk) -> None:
    desk.refusals["ONE"] = Interrupted("interrupted")
    with pytest.raises(Interrupted):
        access.list_tokens(backends=[desk])


def test_nothing_to_list() -> None:
    assert access.list_tokens(backends=[Desk()]) == []


def test_the_only_token_needs_no_selector(desk: Desk) -> None:
    with desk.open() as session:
        assert session.selector == "usb:ONE"
        assert session.durable


def test_one_of_several(desk: Desk) -> None:
    desk.plug("TWO")
    with desk.open("usb:TWO") as session:
        assert session.selector == "usb:TWO"
    with pytest.raises(SeveralTokens), desk.open():
        pytest.fail("nobody chose")


def test_the_environment_chooses(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.plug("TWO")
    monkeypatch.setenv("FIDOKIT_TOKEN", "usb:TWO")
    with desk.open() as session:
        assert session.selector == "usb:TWO"
    with desk.open("usb:ONE") as session:
        assert session.selector == "usb:ONE"


@pytest.mark.parametrize(
    ("selector", "error"), [("usb:NONE", TokenNotFound), ("nonsense", UsageError)]
)
def test_a_selector_that_names_none(desk: Desk, selector: str, error: type[UsageError]) -> None:
    with pytest.raises(error), desk.open(selector):
        pytest.fail("there is no such token")


def test_info_tells_of_the_pin(desk: Desk) -> None:
    with desk.open() as session:
        details = access.token_info(session)
    assert details.pin.set
    assert details.pin.retries == 8
    assert details.info.pin_set is True
    assert details.selector == "usb:ONE"


def test_wink(desk: Desk) -> None:
    with desk.open() as session:
        session.wink()
    assert isinstance(desk.tokens["ONE"], VirtualToken)
    assert desk.tokens["ONE"].winks == 1
