from __future__ import annotations

import pytest
from tests.client.conftest import Opened
from tests.support.fake_link import FakeLink, Person, info, ok, session_on

from fidokit.client.owner import pin
from fidokit.client.ports import QUIET, PinCode
from fidokit.errors import (
    PinAuthBlocked,
    PinBlocked,
    PinLastTry,
    PinNotSet,
    PinPolicy,
    PinRequired,
    PinWrong,
    Unsupported,
)
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.token import VirtualToken


def code(text: str) -> PinCode:
    return PinCode.parse(text)


def test_status_before_and_after(opened: Opened) -> None:
    before = pin.pin_status(opened())
    assert (before.set, before.retries, before.supported) == (False, None, True)
    session = opened()
    pin.set_pin(session, code("123456"))
    after = pin.pin_status(session)
    assert (after.set, after.retries, after.change_required) == (True, 8, False)
    assert (after.min_length, after.max_length) == (4, 63)


def test_setting_twice_is_refused(with_pin: Opened) -> None:
    with pytest.raises(PinRequired) as caught:
        pin.set_pin(with_pin(), code("654321"))
    assert "pin change" in caught.value.hint


def test_change(with_pin: Opened) -> None:
    pin.change_pin(with_pin(), code("123456"), code("654321"))
    pin.verify_pin(with_pin(Person("654321")))
    with pytest.raises(PinWrong):
        pin.verify_pin(with_pin(Person("123456")))


def test_change_with_a_wrong_pin_tells_the_tries(with_pin: Opened) -> None:
    with pytest.raises(PinWrong) as caught:
        pin.change_pin(with_pin(), code("000000"), code("654321"))
    assert caught.value.retries == 7
    assert pin.pin_status(with_pin()).retries == 7


def test_change_without_a_pin(opened: Opened) -> None:
    with pytest.raises(PinNotSet):
        pin.change_pin(opened(), code("123456"), code("654321"))


def test_unicode_is_one_pin_in_both_forms(opened: Opened) -> None:
    pin.set_pin(opened(), code("p\u00e4ssw\u00f6rd"))
    pin.verify_pin(opened(Person("pa\u0308sswo\u0308rd")))


def test_a_pin_of_63_bytes(opened: Opened) -> None:
    pin.set_pin(opened(), code("\u00e9" * 31 + "1"))
    pin.verify_pin(opened(Person("\u00e9" * 31 + "1")))


def test_verify_asks_once_and_says_what_for(with_pin: Opened, person: Person) -> None:
    session = with_pin()
    pin.verify_pin(session)
    assert person.asked == [(8, False)]
    assert session.round_trips == 4


def test_verify_with_nobody_there(token: VirtualToken, with_pin: Opened) -> None:
    with pytest.raises(PinRequired) as caught:
        pin.verify_pin(session_on(token.link(), QUIET))
    assert "--pin-file" in caught.value.hint


def test_three_wrong_ones_want_a_power_cycle(token: VirtualToken, with_pin: Opened) -> None:
    with pytest.raises(PinAuthBlocked):
        pin.verify_pin(with_pin(Person("wrong1", "wrong2", "wrong3", "123456")))
    assert pin.pin_status(with_pin()).needs_power_cycle
    untouched = Person("123456")
    with pytest.raises(PinAuthBlocked):
        pin.verify_pin(with_pin(untouched))
    assert pin.pin_status(with_pin()).retries == 5  # it refuses, and counts nothing
    token.power_cycle()
    pin.verify_pin(with_pin())


def test_the_last_try_is_kept(token: VirtualToken, with_pin: Opened) -> None:
    spent = 8
    while spent > 1:
        with pytest.raises((PinWrong, PinAuthBlocked, PinLastTry)):
            pin.verify_pin(with_pin(Person("wrong1")))
        spent = pin.pin_status(with_pin()).retries or 0
        token.power_cycle()
    knows = Person("123456")
    with pytest.raises(PinLastTry) as caught:
        pin.verify_pin(with_pin(knows))
    assert "--spend-last-try" in caught.value.hint
    assert knows.asked == []
    with pytest.raises(PinLastTry):
        pin.change_pin(with_pin(), code("123456"), code("654321"))
    session = with_pin()
    session.connection.spend_last_try = True
    pin.verify_pin(session)
    assert pin.pin_status(with_pin()).retries == 8


def test_a_blocked_pin(token: VirtualToken, with_pin: Opened) -> None:
    for _ in range(8):
        session = with_pin(Person("wrong1"))
        session.connection.spend_last_try = True
        with pytest.raises((PinWrong, PinAuthBlocked, PinBlocked)):
            pin.verify_pin(session)
        token.power_cycle()
    with pytest.raises(PinBlocked) as caught:
        pin.verify_pin(with_pin())
    assert "token reset" in caught.value.hint


@pytest.mark.parametrize(("new", "said"), [("123", "short"), ("1" * 64, "long")])
def test_bad_new_pins_never_reach_a_token(new: str, said: str) -> None:
    with pytest.raises(PinPolicy, match=said):
        code(new)


def test_the_tokens_limits_count_before_it_is_asked() -> None:
    from fidokit import cbor

    members = cbor.decode(info()[1:])
    assert isinstance(members, dict)
    for limits, new in (({0x0D: 8}, "1234567"), ({0x1D: 10}, "12345678901")):
        link = FakeLink(ok({**members, **limits}))
        with pytest.raises(PinPolicy):
            pin.set_pin(session_on(link), code(new))
        assert link.requests == [b"\x04"]


def test_a_token_without_pins() -> None:
    link = FakeLink(info(clientPin=None))
    session = session_on(link)
    assert pin.pin_status(session).supported is False
    for refused in (pin.verify_pin, pin.force_pin_change):
        with pytest.raises(Unsupported):
            refused(session)
    with pytest.raises(Unsupported):
        pin.set_pin(session, code("123456"))
    assert len(link.requests) == 1


def test_a_forced_change_is_told_before_a_try_is_spent() -> None:
    from fidokit import cbor

    members = cbor.decode(info(clientPin=True)[1:])
    assert isinstance(members, dict)
    link = FakeLink(ok({**members, 0x0C: True}))
    with pytest.raises(PinPolicy) as caught:
        pin.verify_pin(session_on(link))
    assert "pin change" in caught.value.hint
    assert len(link.requests) == 1


@pytest.mark.parametrize(
    ("options", "told_at_once"),
    [({}, False), ({"credMgmt": True}, True), ({"authnrCfg": True}, True)],
)
def test_the_current_pin_of_a_token_that_keeps_its_uses_for_the_sensor(
    options: dict[str, bool], told_at_once: bool
) -> None:
    """Where it gives nothing else for the PIN either, a wrong one shows when the change is sent."""
    kept = {"noMcGaPermissionsWithClientPin": True, "credMgmt": None, "authnrCfg": None}
    profile = CTAP_2_3.with_options(**(kept | options))
    with VirtualToken(profile=profile, presence="auto") as token:
        pin.set_pin(session_on(token.link()), code("123456"))
        session = session_on(token.link(), Person("000000"))
        if told_at_once:
            with pytest.raises(PinWrong):
                pin.current_pin(session, "changing the PIN")
        else:
            assert pin.current_pin(session, "changing the PIN") == code("000000")
        assert pin.pin_status(session).retries == 8 - told_at_once
