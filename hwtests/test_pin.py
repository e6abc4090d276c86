"""The PIN: known, mistyped, changed; what stays changed only where erasing is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hwtests.desk import Desk

from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError, PinAuthBlocked, PinPolicy, PinWrong, WouldOverwrite
from fidokit.tokens.owner import change_pin, force_pin_change, pin_status, set_pin, verify_pin

pytestmark = pytest.mark.needs("ctap2", "pin")


@pytest.fixture(autouse=True)
def _tries_given_back(desk: Desk) -> Iterator[None]:
    """A right PIN resets the token's count of wrong ones."""
    yield
    with desk.open() as session:
        verify_pin(session)


def wrong(desk: Desk) -> PinCode:
    """As long as the right one, so that the token itself has to judge it."""
    return PinCode.parse("x" * max(8, desk.info.min_pin_length))


def test_the_right_pin_costs_no_try(token: Session) -> None:
    before = pin_status(token).retries
    verify_pin(token)
    assert pin_status(token).retries == max(before or 0, 8)


def test_a_second_first_pin_is_refused(token: Session) -> None:
    with pytest.raises(WouldOverwrite):
        set_pin(token, PinCode.parse("12345678"))


def test_one_too_short_never_reaches_the_token(token: Session) -> None:
    with pytest.raises(PinPolicy):
        PinCode.parse("123").check_length(token.info.min_pin_length, token.info.max_pin_length)


@pytest.mark.needs("erasing")
def test_a_wrong_pin_costs_one_try(desk: Desk, token: Session) -> None:
    before = pin_status(token).retries
    with pytest.raises(PinWrong) as told:
        change_pin(token, wrong(desk), PinCode.parse("87654321"))
    after = pin_status(token).retries
    assert before is not None
    assert after == before - 1
    assert told.value.retries in {None, after}


@pytest.mark.needs("erasing")
def test_changing_it_and_back(desk: Desk, token: Session, differs: Callable[[str], None]) -> None:
    old = desk.person.pin
    assert old is not None
    new = PinCode.parse("Grüße" + "7" * max(4, token.info.min_pin_length))
    try:
        change_pin(token, old, new)
    except PinPolicy:  # CTAP lets a model have a policy of its own (2.3 section 6.5.5.6)
        new = PinCode.parse("4" + "7" * max(7, token.info.min_pin_length))
        change_pin(token, old, new)
        differs("it takes PINs of digits alone")
    desk.person.pin = new
    with desk.open() as again:
        verify_pin(again)
        change_pin(again, new, old)
    desk.person.pin = old


@pytest.mark.needs("erasing", "min length")
def test_a_change_can_be_demanded(desk: Desk, token: Session) -> None:
    old = desk.person.pin
    assert old is not None
    force_pin_change(token)
    with desk.open() as again:
        assert again.info.force_pin_change
        with pytest.raises(FidokitError):
            verify_pin(again)
        new = PinCode.parse("4" + "7" * max(7, again.info.min_pin_length))
        change_pin(again, old, new)
    desk.person.pin = new
    assert not desk.look().force_pin_change


@pytest.mark.needs("erasing", "replugging")
def test_three_wrong_ones_lock_it_until_it_is_unplugged(desk: Desk) -> None:
    with desk.open() as session:
        for expected in (PinWrong, PinWrong, PinAuthBlocked):
            with pytest.raises(expected):
                change_pin(session, wrong(desk), PinCode.parse("87654321"))
        with pytest.raises(PinAuthBlocked):
            verify_pin(session)
    desk.replug()
    with desk.open() as session:
        verify_pin(session)
