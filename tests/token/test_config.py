from __future__ import annotations

import pytest
from tests.support.fake_link import FakeLink, Person, info, session_on
from tests.token.conftest import Opened

from fidokit.errors import PinPolicy, Unsupported, UsageError
from fidokit.token import pin
from fidokit.token.config import set_always_uv
from fidokit.token.enroll import Enrolment, enroll
from fidokit.types import Application, KeyType


def test_always_uv_on_and_off(with_pin: Opened, person: Person) -> None:
    session = with_pin()
    assert set_always_uv(session, True) is True
    assert session.info.always_uv
    again = with_pin()
    assert set_always_uv(again, True) is False
    assert again.round_trips == 1  # nothing to change, nobody to ask
    assert set_always_uv(again, False) is True
    assert not again.info.always_uv


def test_always_uv_makes_plain_keys_ask_for_the_pin(with_pin: Opened, person: Person) -> None:
    set_always_uv(with_pin(), True)
    asked = len(person.asked)
    enroll(with_pin(), Enrolment(KeyType.ECDSA_SK, Application("ssh:")))
    assert len(person.asked) == asked + 1


@pytest.mark.parametrize("absent", [{"alwaysUv": None}, {"alwaysUv": False, "authnrCfg": None}])
def test_tokens_without_it(absent: dict[str, bool]) -> None:
    link = FakeLink(info(**absent))
    with pytest.raises(Unsupported) as caught:
        set_always_uv(session_on(link), True)
    assert caught.value.hint
    assert len(link.requests) == 1


def test_a_command_that_the_token_does_not_list() -> None:
    from tests.support.fake_link import ok

    from fidokit import cbor

    members = cbor.decode(info(alwaysUv=False, authnrCfg=True)[1:])
    assert isinstance(members, dict)
    with pytest.raises(Unsupported):
        set_always_uv(session_on(FakeLink(ok({**members, 0x1F: [3]}))), True)


def test_min_length(with_pin: Opened) -> None:
    pin.set_min_length(with_pin(), 8)
    after = pin.status(with_pin())
    assert after.min_length == 8
    assert after.change_required  # the present PIN has six
    with pytest.raises(PinPolicy, match="only be raised"):
        pin.set_min_length(with_pin(), 6)


@pytest.mark.parametrize("length", [0, 3, 64, -1])
def test_min_length_out_of_range(with_pin: Opened, length: int) -> None:
    with pytest.raises(UsageError):
        pin.set_min_length(with_pin(), length)


def test_too_many_rp_ids(with_pin: Opened) -> None:
    session = with_pin()
    with pytest.raises(UsageError):
        pin.set_min_length(session, 8, [f"ssh:{n}" for n in range(100)])
    assert session.round_trips == 1


def test_force_change(with_pin: Opened) -> None:
    pin.force_change(with_pin())
    assert pin.status(with_pin()).change_required
    with pytest.raises(PinPolicy) as caught:
        pin.verify(with_pin())
    assert "pin change" in caught.value.hint
    pin.change_pin(with_pin(), pin.PinCode.parse("123456"), pin.PinCode.parse("654321"))
    pin.verify(with_pin(Person("654321")))


def test_force_change_on_older_tokens() -> None:
    with pytest.raises(Unsupported):
        pin.force_change(session_on(FakeLink(info(clientPin=True))))
