"""The PIN through the face: what is not given is asked for, once."""

from __future__ import annotations

import pytest
from tests.support.desk import PIN, Desk

from fidokit.client.ports import PinCode
from fidokit.errors import (
    PinError,
    PinNotSet,
    PinPolicy,
    PinRequired,
    PinWrong,
    UsageError,
    WouldOverwrite,
)
from fidokit.tokens import pin

pytestmark = pytest.mark.usefixtures("home")

OLD, NEW = PinCode.parse(PIN), PinCode.parse("another pin")


def test_set_asks_for_the_pin(bare_desk: Desk) -> None:
    with bare_desk.open() as session:
        assert not pin.pin_status(session).set
        pin.set_pin(session)
        assert pin.pin_status(session).set
        pin.verify_pin(session)
    assert len(bare_desk.person.asked) == 1


def test_set_refuses_a_second_time(desk: Desk) -> None:
    desk.person.new_pin = None
    with desk.open() as session, pytest.raises(WouldOverwrite, match="already has a PIN"):
        pin.set_pin(session)


def test_set_without_anybody(bare_desk: Desk) -> None:
    bare_desk.person.new_pin = None
    with bare_desk.open() as session:
        with pytest.raises(PinRequired):
            pin.set_pin(session)
        assert not pin.pin_status(session).set


def test_change(desk: Desk) -> None:
    with desk.open() as session:
        pin.change_pin(session, OLD, NEW)
    desk.person.pin = "another pin"
    with desk.open() as session:
        pin.verify_pin(session)


def test_change_asks_for_both(desk: Desk) -> None:
    desk.person.new_pin = "another pin"
    with desk.open() as session:
        pin.change_pin(session)
        assert desk.person.asked == ["changing the PIN"]
        desk.person.pin = "another pin"
        pin.verify_pin(session)


def test_a_wrong_old_pin_costs_a_try(desk: Desk) -> None:
    with desk.open() as session:
        with pytest.raises(PinWrong) as caught:
            pin.change_pin(session, NEW, OLD)
        assert caught.value.retries == 7
        assert pin.pin_status(session).retries == 7


def test_change_without_a_pin(bare_desk: Desk) -> None:
    with bare_desk.open() as session, pytest.raises(PinNotSet, match="no PIN yet"):
        pin.change_pin(session, OLD, NEW)


def test_verify_a_wrong_one(desk: Desk) -> None:
    desk.person.pin = "wrong"
    with desk.open() as session, pytest.raises(PinError):
        pin.verify_pin(session)


@pytest.mark.parametrize("text", ["123", "x" * 64, "é" * 32])
def test_impossible_pins_never_reach_the_token(text: str) -> None:
    with pytest.raises(PinPolicy):
        PinCode.parse(text)


def test_min_length_and_force_change(desk: Desk) -> None:
    with desk.open() as session:
        pin.set_min_pin_length(session, 6)
        status = pin.pin_status(session)
        assert (status.min_length, status.change_required) == (6, True)
        with pytest.raises(PinPolicy):
            pin.change_pin(session, OLD, PinCode.parse("12345"))
        with pytest.raises(UsageError):
            pin.set_min_pin_length(session, 64)


def test_force_change_alone(desk: Desk) -> None:
    with desk.open() as session:
        pin.force_pin_change(session)
        assert pin.pin_status(session).change_required
        pin.change_pin(session, OLD, NEW)
        assert not pin.pin_status(session).change_required
