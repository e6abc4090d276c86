"""PIN, fingers and switches as their owner changes them: what is not given is asked for, once."""

from __future__ import annotations

import pytest
from tests.support.desk import PIN, Desk

from fidokit.client.ports import PinCode
from fidokit.errors import (
    NotStored,
    PinError,
    PinNotSet,
    PinPolicy,
    PinRequired,
    PinWrong,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.tokens import owner
from fidokit.tokens.owner import Finger, Sample
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

OLD, NEW = PinCode.parse(PIN), PinCode.parse("another pin")


def test_set_asks_for_the_pin(bare_desk: Desk) -> None:
    with bare_desk.open() as session:
        assert not owner.pin_status(session).set
        owner.set_pin(session)
        assert owner.pin_status(session).set
        owner.verify_pin(session)
    assert len(bare_desk.person.asked) == 1


def test_set_refuses_a_second_time(desk: Desk) -> None:
    desk.person.new_pin = None
    with desk.open() as session, pytest.raises(WouldOverwrite, match="already has a PIN"):
        owner.set_pin(session)


def test_set_without_anybody(bare_desk: Desk) -> None:
    bare_desk.person.new_pin = None
    with bare_desk.open() as session:
        with pytest.raises(PinRequired):
            owner.set_pin(session)
        assert not owner.pin_status(session).set


def test_change(desk: Desk) -> None:
    with desk.open() as session:
        owner.change_pin(session, OLD, NEW)
    desk.person.pin = "another pin"
    with desk.open() as session:
        owner.verify_pin(session)


def test_change_asks_for_both(desk: Desk) -> None:
    desk.person.new_pin = "another pin"
    with desk.open() as session:
        owner.change_pin(session)
        assert desk.person.asked == ["changing the PIN"]
        desk.person.pin = "another pin"
        owner.verify_pin(session)


def test_a_wrong_old_pin_costs_a_try(desk: Desk) -> None:
    with desk.open() as session:
        with pytest.raises(PinWrong) as caught:
            owner.change_pin(session, NEW, OLD)
        assert caught.value.retries == 7
        assert owner.pin_status(session).retries == 7


def test_change_without_a_pin(bare_desk: Desk) -> None:
    with bare_desk.open() as session, pytest.raises(PinNotSet, match="no PIN yet"):
        owner.change_pin(session, OLD, NEW)


def test_verify_a_wrong_one(desk: Desk) -> None:
    desk.person.pin = "wrong"
    with desk.open() as session, pytest.raises(PinError):
        owner.verify_pin(session)


@pytest.mark.parametrize("text", ["123", "x" * 64, "é" * 32])
def test_impossible_pins_never_reach_the_token(text: str) -> None:
    with pytest.raises(PinPolicy):
        PinCode.parse(text)


def test_min_length_and_force_change(desk: Desk) -> None:
    with desk.open() as session:
        owner.set_min_pin_length(session, 6)
        status = owner.pin_status(session)
        assert (status.min_length, status.change_required) == (6, True)
        with pytest.raises(PinPolicy):
            owner.change_pin(session, OLD, PinCode.parse("12345"))
        with pytest.raises(UsageError):
            owner.set_min_pin_length(session, 64)


def test_force_change_alone(desk: Desk) -> None:
    with desk.open() as session:
        owner.force_pin_change(session)
        assert owner.pin_status(session).change_required
        owner.change_pin(session, OLD, NEW)
        assert not owner.pin_status(session).change_required


def test_always_uv(desk: Desk) -> None:
    with desk.open() as session:
        assert owner.always_uv(session) is False
        assert owner.always_uv(session, True) is True
        assert owner.always_uv(session) is True
        assert owner.always_uv(session, False) is False


def test_switches_that_only_go_on() -> None:
    desk = Desk()
    desk.plug("E", VirtualToken(profile="ctap2.3-enterprise"))
    with desk.open() as session:
        owner.set_pin(session, PinCode.parse(PIN))
        for switch in (owner.enterprise_attestation, owner.long_touch_reset):
            assert switch(session) is False
            assert switch(session, enable=True) is True
            assert switch(session) is True
        found = owner.configuration(session)
        assert (found.enterprise_attestation, found.long_touch_reset) == (True, True)
        assert found.changeable == {1, 2, 3, 4}
    desk.close()


def test_a_token_without(desk: Desk) -> None:
    with desk.open() as session:
        assert owner.enterprise_attestation(session) is None
        with pytest.raises(Unsupported):
            owner.enterprise_attestation(session, enable=True)
    assert desk.person.asked == []


def test_complexity(desk: Desk) -> None:
    with desk.open() as session:
        owner.set_min_pin_length(session, 4, complexity=True)
        with pytest.raises(PinPolicy):
            owner.change_pin(session, PinCode.parse(PIN), PinCode.parse("1111"))


KNOWN = [
    Finger(bytes.fromhex("a1b2c3"), "thumb"),
    Finger(bytes.fromhex("a1ffff"), "index"),
    Finger(bytes.fromhex("ccdd00"), ""),
    Finger(bytes.fromhex("ee0000"), "index"),
]


def test_the_life_of_a_finger(desk: Desk) -> None:
    heard: list[Sample] = []
    with desk.open() as session:
        made = owner.enroll_finger(session, "thumb", heard.append)
        assert len(heard) == 5
        assert owner.list_fingers(session) == [made]
        renamed = owner.rename_finger(session, made, "left thumb")
        assert owner.list_fingers(session) == [renamed]
        owner.delete_finger(session, made)
        assert owner.list_fingers(session) == []
    assert len(desk.person.asked) == 1


@pytest.mark.parametrize(
    ("typed", "number"), [("thumb", 0), ("a1b2c3", 0), ("A1B2", 0), ("a1f", 1), ("cc", 2)]
)
def test_choosing(typed: str, number: int) -> None:
    assert owner.resolve_finger(typed, KNOWN) == KNOWN[number]


@pytest.mark.parametrize("typed", ["nobody", "", "c", "ccdd0000"])
def test_choosing_what_is_not_there(typed: str) -> None:
    with pytest.raises(NotStored) as caught:
        owner.resolve_finger(typed, KNOWN)
    assert caught.value.hint


@pytest.mark.parametrize("typed", ["index", "a1"])
def test_choosing_among_several(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        owner.resolve_finger(typed, KNOWN)
    assert "a1ffff" in caught.value.hint
