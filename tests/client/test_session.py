from __future__ import annotations

from typing import Any

import pytest
from tests.client.conftest import PIN, Opened
from tests.support.fake_link import FakeLink, Person, info, ok, session_on

from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.info import U2F_ONLY
from fidokit.client.owner import pin
from fidokit.client.owner.proofs import Permission
from fidokit.client.ports import CBOR, WINK, PinCode
from fidokit.errors import (
    PinNotSet,
    TokenMisbehaved,
    TokenRefused,
    TouchRefused,
    Unsupported,
    UvBlocked,
)
from fidokit.types import Application, KeyType
from fidokit.virtual.token import VirtualToken

SSH = Application("ssh:")
WORK = Application("ssh:work")


def test_info_is_asked_for_once() -> None:
    link = FakeLink(info(), ok())
    session = session_on(link)
    assert session.info is session.info
    assert session.round_trips == 1
    session.forget_info()
    with pytest.raises(TokenMisbehaved):
        _ = session.info  # the second answer is empty


def test_a_token_without_ctap2_is_not_asked() -> None:
    link = FakeLink(capabilities=WINK)
    assert session_on(link).info is U2F_ONLY
    assert link.requests == []


def test_it_closes_its_link() -> None:
    link = FakeLink(info())
    with session_on(link) as session:
        assert session.info
    assert link.closed == 1


def test_wink() -> None:
    link = FakeLink(capabilities=CBOR | WINK)
    session_on(link).wink()
    assert link.winks == 1
    with pytest.raises(Unsupported):
        session_on(FakeLink()).wink()


def test_select(opened: Opened) -> None:
    session = opened()
    session.select()
    assert session.round_trips == 2


def test_select_refused() -> None:
    with pytest.raises(TouchRefused):
        session_on(FakeLink(info(), b"\x27")).select()


def test_reset(with_pin: Opened, token: VirtualToken) -> None:
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, SSH, resident=True))
    token.power_cycle()
    session = with_pin()
    session.reset()
    assert session.info.pin_set is False


def test_reset_too_late_says_how() -> None:
    with pytest.raises(TokenRefused) as caught:
        session_on(FakeLink(info(), b"\x30")).reset()
    assert "within 10 seconds" in caught.value.hint


def test_reset_of_u2f() -> None:
    with pytest.raises(Unsupported):
        session_on(FakeLink(capabilities=0)).reset()


# --- proofs ----------------------------------------------------------------------------------


def test_one_token_serves_one_command(with_pin: Opened, person: Person) -> None:
    session = with_pin()
    first = session.owner.authorize(Permission.CREDENTIAL_MANAGEMENT, None, "a")
    assert session.owner.authorize(Permission.CREDENTIAL_MANAGEMENT, WORK, "b") is first
    assert len(person.asked) == 1
    other = session.owner.authorize(Permission.CONFIG, None, "c")
    assert other is not first
    assert len(person.asked) == 2


def test_a_token_for_one_rp_serves_no_other(with_pin: Opened) -> None:
    session = with_pin()
    bound = session.owner.authorize(Permission.CREDENTIAL_MANAGEMENT, WORK, "a")
    assert bound.covers(Permission.CREDENTIAL_MANAGEMENT, WORK)
    assert not bound.covers(Permission.CREDENTIAL_MANAGEMENT, None)
    assert not bound.covers(Permission.CREDENTIAL_MANAGEMENT, SSH)
    assert not bound.covers(Permission.CONFIG, WORK)


def test_a_token_never_prints_its_secret(with_pin: Opened) -> None:
    proof = with_pin().owner.authorize(Permission.CREDENTIAL_MANAGEMENT, None, "a")
    assert "secret" not in repr(proof)
    assert "b'" not in repr(proof)


@pytest.mark.parametrize("protocols", [(1,), (2,), (1, 2), (2, 1)])
def test_protocol_two_where_offered(protocols: tuple[int, ...]) -> None:
    from dataclasses import replace

    from fidokit.virtual.core.profile import CTAP_2_3

    model = replace(CTAP_2_3, name="test", pin_protocols=protocols)
    with VirtualToken(profile=model, presence="auto") as token:
        pin.set_pin(session_on(token.link()), PinCode.parse(PIN))
        session = session_on(token.link(), Person(PIN))
        proof = session.owner.authorize(Permission.CREDENTIAL_MANAGEMENT, None, "a")
        assert proof.version == max(protocols)


def test_unknown_protocols_alone() -> None:
    from fidokit import cbor

    members = cbor.decode(info(clientPin=True)[1:])
    assert isinstance(members, dict)
    with pytest.raises(Unsupported):
        pin.pin_status(session_on(FakeLink(ok({**members, 6: [3]}))))


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_every_generation(profile: str) -> None:
    person = Person(PIN)
    with VirtualToken(profile=profile, presence="auto") as token:
        pin.set_pin(session_on(token.link()), PinCode.parse(PIN))
        pin.verify_pin(session_on(token.link(), person))
        session = session_on(token.link(), person)
        made = enroll(session, Enrollment(KeyType.ECDSA_SK, SSH))
        assert made.public.application == SSH


# --- the sensor ------------------------------------------------------------------------------


def fingerprint_token(**gestures: Any) -> VirtualToken:
    from dataclasses import replace

    from fidokit.virtual.core.profile import CTAP_2_3

    model = replace(
        CTAP_2_3, name="test", options={**CTAP_2_3.options, "uv": False, "uvAcfg": True}
    )
    return VirtualToken(profile=model, uv_enrolled=True, **gestures)


def test_the_sensor_goes_before_the_pin() -> None:
    person = Person(PIN)
    with fingerprint_token(presence="auto") as token:
        session = session_on(token.link(), person)
        enroll(session, Enrollment(KeyType.ECDSA_SK, SSH, verify_required=True))
        assert person.asked == []


def test_a_locked_sensor_falls_back_to_the_pin() -> None:
    person = Person(PIN)
    with fingerprint_token(presence="script") as token:
        pin.set_pin(session_on(token.link()), PinCode.parse(PIN))
        for _ in range(3):
            token.uv_mismatch()
        token.touch()
        session = session_on(token.link(), person)
        session.owner.authorize(Permission.CREDENTIAL_MANAGEMENT, None, "listing")
        assert person.asked == [(8, False)]


def test_a_locked_sensor_without_a_pin() -> None:
    with fingerprint_token(presence="script") as token:
        for _ in range(12):
            token.uv_mismatch()
        session = session_on(token.link(), Person(PIN))
        with pytest.raises(UvBlocked) as caught:
            session.owner.authorize(Permission.CREDENTIAL_MANAGEMENT, None, "listing")
        assert "pin set" in caught.value.hint


def test_uv_status_counts_the_sensors_tries() -> None:
    with fingerprint_token(presence="auto") as token:
        assert (pin.pin_status(session_on(token.link())).uv_retries or 0) > 0


def test_a_sensor_of_ctap_2_0_proves_within_the_command() -> None:
    from fidokit import cbor

    members = cbor.decode(info(uv=True)[1:])
    assert isinstance(members, dict)
    options = {**members[4], "pinUvAuthToken": False}  # type: ignore[dict-item]
    link = FakeLink(ok({**members, 4: options}), b"\x27")
    session = session_on(link)
    with pytest.raises(TouchRefused):
        enroll(session, Enrollment(KeyType.ECDSA_SK, SSH, verify_required=True))
    sent = cbor.decode(link.requests[-1][1:])
    assert isinstance(sent, dict)
    assert sent[7] == {"uv": True}
    assert 8 not in sent


def test_no_pin_at_all() -> None:
    with pytest.raises(PinNotSet):
        session_on(FakeLink(info())).owner.authorize(
            Permission.CREDENTIAL_MANAGEMENT, None, "listing"
        )


def test_permissions_that_the_pin_does_not_give() -> None:
    link = FakeLink(info(clientPin=True, noMcGaPermissionsWithClientPin=True))
    with pytest.raises(Unsupported, match="sensor"):
        session_on(link).owner.authorize(Permission.GET_ASSERTION, SSH, "signing")
    assert len(link.requests) == 1
