from __future__ import annotations

import pytest
from tests.api.desk import PIN, Desk

from fidokit.api import configuring, pins
from fidokit.errors import PinPolicy, Unsupported
from fidokit.token.ports import PinCode
from fidokit.virtual.token import VirtualToken


def test_always_uv(desk: Desk) -> None:
    with desk.open() as session:
        assert configuring.always_uv(session) is False
        assert configuring.always_uv(session, True) is True
        assert configuring.always_uv(session) is True
        assert configuring.always_uv(session, False) is False


def test_switches_that_only_go_on() -> None:
    desk = Desk()
    desk.plug("E", VirtualToken(profile="ctap2.3-enterprise"))
    with desk.open() as session:
        pins.set_pin(session, PinCode.parse(PIN))
        for switch in (configuring.enterprise_attestation, configuring.long_touch_reset):
            assert switch(session) is False
            assert switch(session, enable=True) is True
            assert switch(session) is True
        found = configuring.configuration(session)
        assert (found.enterprise_attestation, found.long_touch_reset) == (True, True)
        assert found.changeable == {1, 2, 3, 4}
    desk.close()


def test_a_token_without(desk: Desk) -> None:
    with desk.open() as session:
        assert configuring.enterprise_attestation(session) is None
        with pytest.raises(Unsupported):
            configuring.enterprise_attestation(session, enable=True)
    assert desk.person.asked == []


def test_complexity(desk: Desk) -> None:
    with desk.open() as session:
        pins.set_min_pin_length(session, 4, complexity=True)
        with pytest.raises(PinPolicy):
            pins.change_pin(session, PinCode.parse(PIN), PinCode.parse("1111"))
