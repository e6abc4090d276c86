from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.client.conftest import PATIENT, PIN, Opened
from tests.support.fake_link import FakeLink, Person, info, session_on
from tests.support.spy import Spy

from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.owner import config, pin
from fidokit.client.owner.config import set_always_uv
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import PinPolicy, Unsupported, UsageError
from fidokit.types import Application, KeyType
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3_ENTERPRISE, Profile
from fidokit.virtual.token import VirtualToken


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
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, Application("ssh:")))
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
    pin.set_min_pin_length(with_pin(), 8)
    after = pin.pin_status(with_pin())
    assert after.min_length == 8
    assert after.change_required  # the present PIN has six
    with pytest.raises(PinPolicy, match="only be raised"):
        pin.set_min_pin_length(with_pin(), 6)


@pytest.mark.parametrize("length", [0, 3, 64, -1])
def test_min_length_out_of_range(with_pin: Opened, length: int) -> None:
    with pytest.raises(UsageError):
        pin.set_min_pin_length(with_pin(), length)


def test_too_many_rp_ids(with_pin: Opened) -> None:
    session = with_pin()
    with pytest.raises(UsageError):
        pin.set_min_pin_length(session, 8, [f"ssh:{n}" for n in range(100)])
    assert session.round_trips == 1


def test_force_change(with_pin: Opened) -> None:
    pin.force_pin_change(with_pin())
    assert pin.pin_status(with_pin()).change_required
    with pytest.raises(PinPolicy) as caught:
        pin.verify_pin(with_pin())
    assert "pin change" in caught.value.hint
    pin.change_pin(with_pin(), PinCode.parse("123456"), PinCode.parse("654321"))
    pin.verify_pin(with_pin(Person("654321")))


def test_force_change_on_older_tokens() -> None:
    with pytest.raises(Unsupported):
        pin.force_pin_change(session_on(FakeLink(info(clientPin=True))))


# --- enterprise attestation, long touch, complexity ----------------------------------------------


def on_model(profile: Profile) -> Iterator[tuple[VirtualToken, Person]]:
    with VirtualToken(profile=profile) as token:
        person = Person(PIN)
        pin.set_pin(session_on(token.link(), person, PATIENT), PinCode.parse(PIN))
        yield token, person


@pytest.mark.parametrize(
    ("enable", "option"),
    [
        (config.enable_enterprise_attestation, "enterprise_attestation"),
        (config.enable_long_touch_reset, "long_touch_reset"),
    ],
)
def test_switches_that_only_go_on(enable: Callable[[Session], bool], option: str) -> None:
    for token, person in on_model(CTAP_2_3_ENTERPRISE):
        session = session_on(token.link(), person, PATIENT)
        assert getattr(config.configuration(session), option) is False
        assert enable(session) is True
        assert getattr(config.configuration(session), option) is True
        again = session_on(token.link(), person, PATIENT)
        assert enable(again) is False
        assert again.round_trips == 1  # nothing to change, nobody to ask
        assert len(person.asked) == 1
        token.power_cycle()
        after = session_on(token.link(), person, PATIENT)
        assert getattr(config.configuration(after), option) is True


@pytest.mark.parametrize(
    "enable", [config.enable_enterprise_attestation, config.enable_long_touch_reset]
)
@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.1"])
def test_models_without_them(profile: str, enable: Callable[[Session], bool]) -> None:
    with VirtualToken(profile=profile) as token:
        session = session_on(token.link(), Person(PIN), PATIENT)
        with pytest.raises(Unsupported) as caught:
            enable(session)
    assert caught.value.hint
    assert session.round_trips <= 1


def test_the_request_of_the_long_touch(token: VirtualToken, person: Person) -> None:
    """Subcommand 4 has no parameters, and so nothing of them is authenticated."""
    spy = Spy(token.link())
    config.enable_long_touch_reset(session_on(spy, person, PATIENT))
    assert spy.sent(0x0D) == [{1: 4}]  # no PIN, no proof


def test_what_can_be_changed(opened: Opened) -> None:
    found = config.configuration(opened())
    assert found.changeable == {2, 3, 4}
    assert (found.always_uv, found.long_touch_reset, found.pin_complexity) == (False, False, False)
    assert (found.enterprise_attestation, found.min_pin_length) == (None, 4)


@pytest.mark.parametrize(
    ("answer", "changeable"),
    [
        (info(), set()),
        (info(authnrCfg=True), set()),
        (info(authnrCfg=True, alwaysUv=True, setMinPINLength=True), {2, 3}),
        (info(authnrCfg=True, ep=False), {1}),
        (info(alwaysUv=False, ep=True), set()),
    ],
)
def test_what_older_tokens_imply(answer: bytes, changeable: set[int]) -> None:
    assert config.configuration(session_on(FakeLink(answer))).changeable == changeable


def test_complexity(with_pin: Opened) -> None:
    session = with_pin()
    pin.set_min_pin_length(session, 4, complexity=True)
    assert config.configuration(with_pin()).pin_complexity is True
    with pytest.raises(PinPolicy):
        pin.change_pin(with_pin(), PinCode.parse(PIN), PinCode.parse("111111"))


def test_complexity_on_models_without_it() -> None:
    for token, person in on_model(CTAP_2_1):
        session = session_on(token.link(), person, PATIENT)
        with pytest.raises(Unsupported) as caught:
            pin.set_min_pin_length(session, 4, complexity=True)
        assert "--complexity" in caught.value.hint
        assert person.asked == []
