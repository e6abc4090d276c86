from __future__ import annotations

import pytest
from tests.support.desk import PIN, Desk

from fidokit.client.ports import PinCode
from fidokit.errors import PinPolicy, Unsupported
from fidokit.tokens import pin, settings
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")


def test_always_uv(desk: Desk) -> None:
    with desk.open() as session:
        assert settings.always_uv(session) is False
        assert settings.always_uv(session, True) is True
        assert settings.always_uv(session) is True
        assert settings.always_uv(session, False) is False


def test_switches_that_only_go_on() -> None:
    desk = Desk()
    desk.plug("E", VirtualToken(profile="ctap2.3-enterprise"))
    with desk.open() as session:
        pin.set_pin(session, PinCode.parse(PIN))
        for switch in (settings.enterprise_attestation, settings.long_touch_reset):
            assert switch(session) is False
            assert switch(session, enable=True) is True
            assert switch(session) is True
        found = settings.configuration(session)
        assert (found.enterprise_attestation, found.long_touch_reset) == (True, True)
        assert found.changeable == {1, 2, 3, 4}
    desk.close()


def test_a_token_without(desk: Desk) -> None:
    with desk.open() as session:
        assert settings.enterprise_attestation(session) is None
        with pytest.raises(Unsupported):
            settings.enterprise_attestation(session, enable=True)
    assert desk.person.asked == []


def test_complexity(desk: Desk) -> None:
    with desk.open() as session:
        pin.set_min_pin_length(session, 4, complexity=True)
        with pytest.raises(PinPolicy):
            pin.change_pin(session, PinCode.parse(PIN), PinCode.parse("1111"))
