from __future__ import annotations

import hashlib

import pytest
from tests.client.conftest import Opened
from tests.support.fake_link import FakeLink, Person, info, ok, session_on

from fidokit.client.credentials.auth_data import parse_auth_data
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.errors import (
    PinNotSet,
    PinWrong,
    StoreFull,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.openssh.keys.public import parse_public
from fidokit.openssh.signatures.attestation import parse_attestation
from fidokit.types import Application, KeyType, SkFlag
from fidokit.virtual.token import VirtualToken

SSH = Application("ssh:")
WORK = Application("ssh:work")
UP, UV, RK = (
    SkFlag.USER_PRESENCE_REQUIRED,
    SkFlag.USER_VERIFICATION_REQUIRED,
    SkFlag.RESIDENT_KEY,
)


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("touch", [True, False])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_every_kind(
    with_pin: Opened, key_type: KeyType, touch: bool, resident: bool, verify: bool
) -> None:
    made = enroll(
        with_pin(),
        Enrollment(key_type, WORK, resident=resident, verify_required=verify, touch_required=touch),
    )
    assert made.public.key_type is key_type
    assert made.public.application == WORK
    assert parse_public(made.public.blob()) == made.public
    assert made.flags == (UP if touch else 0) | (UV if verify else 0) | (RK if resident else 0)
    assert len(made.challenge) == 32


def test_without_pin_a_plain_key_takes_two_messages(opened: Opened) -> None:
    session = opened()
    enroll(session, Enrollment(KeyType.ED25519_SK, SSH))
    assert session.round_trips == 2


def test_attestation_is_what_openssh_stores(opened: Opened) -> None:
    made = enroll(opened(), Enrollment(KeyType.ECDSA_SK, SSH, challenge=b"the challenge"))
    assert made.challenge == b"the challenge"
    attestation = parse_attestation(made.attestation.blob())
    assert attestation == made.attestation
    assert attestation.version == 1
    data = parse_auth_data(attestation.auth_data or b"")
    assert data.rp_id_hash == hashlib.sha256(b"ssh:").digest()
    assert data.credential_id == made.key_handle
    assert attestation.leaf_der.startswith(b"\x30")


@pytest.mark.parametrize(
    ("enrollment", "said"),
    [
        (Enrollment(KeyType.ECDSA_SK, Application("example.com")), "does not begin with ssh:"),
        (Enrollment(KeyType.ECDSA_SK, Application("ssh:a\0b")), "without NUL"),
        (Enrollment(KeyType.ECDSA_SK, Application("ssh:" + "a" * 252)), "1 to 255 bytes"),
        (Enrollment(KeyType.ECDSA_SK, SSH, user="u" * 32), "31 bytes"),
        (Enrollment(KeyType.ECDSA_SK, SSH, user="u\0v"), "31 bytes"),
    ],
)
def test_senseless_requests_never_reach_the_token(enrollment: Enrollment, said: str) -> None:
    link = FakeLink()
    with pytest.raises(UsageError, match=said):
        enroll(session_on(link), enrollment)
    assert link.requests == []


def test_any_application_when_allowed(opened: Opened) -> None:
    wanted = Enrollment(KeyType.ECDSA_SK, Application("example.com"), allow_any_application=True)
    assert enroll(opened(), wanted).public.application == "example.com"


RESIDENT = Enrollment(KeyType.ECDSA_SK, SSH, resident=True)
VERIFIED = Enrollment(KeyType.ECDSA_SK, SSH, verify_required=True)


def info_without(member: int) -> bytes:
    from fidokit import cbor

    members = cbor.decode(info(clientPin=True)[1:])
    assert isinstance(members, dict)
    return ok({key: value for key, value in members.items() if key != member})


@pytest.mark.parametrize(
    ("answer", "enrollment", "error", "hint"),
    [
        (
            info(clientPin=True, rk=False),
            RESIDENT,
            Unsupported,
            "without -O resident",
        ),
        (info_without(2), RESIDENT, Unsupported, "without -O resident and"),
        (info_without(2), VERIFIED, Unsupported, "without -O resident and"),
        (info(), RESIDENT, PinNotSet, "pin set"),
        (info(clientPin=None), RESIDENT, Unsupported, "enroll a finger"),
        (info(clientPin=None, uv=False), VERIFIED, Unsupported, "enroll a finger"),
        (info(), VERIFIED, PinNotSet, "pin set"),
    ],
)
def test_refusals_cost_one_message_and_carry_a_hint(
    answer: bytes, enrollment: Enrollment, error: type[Exception], hint: str
) -> None:
    link = FakeLink(answer)
    with pytest.raises(error) as caught:
        enroll(session_on(link), enrollment)
    assert hint in caught.value.hint  # type: ignore[attr-defined]
    assert link.requests == [b"\x04"]


def test_no_ed25519_names_the_other_type() -> None:
    from fidokit import cbor

    members = cbor.decode(info()[1:])
    assert isinstance(members, dict)
    link = FakeLink(ok({**members, 10: [{"alg": -7, "type": "public-key"}]}))
    with pytest.raises(Unsupported, match="ed25519-sk") as caught:
        enroll(session_on(link), Enrollment(KeyType.ED25519_SK, SSH))
    assert "ecdsa-sk" in caught.value.hint


def test_full_store_is_told_before_anything_is_asked() -> None:
    from fidokit import cbor

    members = cbor.decode(info(clientPin=True)[1:])
    assert isinstance(members, dict)
    link = FakeLink(ok({**members, 0x14: 0}))
    with pytest.raises(StoreFull) as caught:
        enroll(session_on(link), RESIDENT)
    assert "key delete" in caught.value.hint
    assert len(link.requests) == 1


def test_same_application_and_user_is_refused_whatever_the_type(with_pin: Opened) -> None:
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, WORK, user="me", resident=True))
    for key_type in KeyType:
        session = with_pin()
        with pytest.raises(WouldOverwrite) as caught:
            enroll(session, Enrollment(key_type, WORK, user="me", resident=True))
        assert "--force" in caught.value.hint
        assert session.round_trips == 5  # and no makeCredential among them


def test_verify_required_ones_are_seen_too(with_pin: Opened) -> None:
    wanted = Enrollment(KeyType.ECDSA_SK, WORK, resident=True, verify_required=True)
    enroll(with_pin(), wanted)
    with pytest.raises(WouldOverwrite):
        enroll(with_pin(), wanted)


def test_several_users_are_all_looked_at(with_pin: Opened) -> None:
    for user in ("", "a", "b", "c"):
        enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, WORK, user=user, resident=True))
    for user in ("", "a", "b", "c"):
        with pytest.raises(WouldOverwrite):
            enroll(with_pin(), Enrollment(KeyType.ED25519_SK, WORK, user=user, resident=True))


def test_replacing_needs_no_look(with_pin: Opened) -> None:
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, WORK, resident=True))
    session = with_pin()
    made = enroll(session, Enrollment(KeyType.ED25519_SK, WORK, resident=True, replace=True))
    assert made.public.key_type is KeyType.ED25519_SK
    assert session.round_trips == 5


def test_one_prompt_and_one_touch(with_pin: Opened, person: Person) -> None:
    enroll(with_pin(), Enrollment(KeyType.ED25519_SK, WORK, resident=True))
    assert person.asked == [(8, False)]


def test_a_wrong_pin_is_asked_again(with_pin: Opened) -> None:
    forgetful = Person("wrong1", "wrong2", "123456")
    enroll(with_pin(forgetful), Enrollment(KeyType.ED25519_SK, WORK, resident=True))
    assert forgetful.asked == [(8, False), (7, True), (6, True)]


def test_a_script_spends_one_try_on_one_pin(with_pin: Opened) -> None:
    script = Person("not-it")
    with pytest.raises(PinWrong) as caught:
        enroll(with_pin(script), Enrollment(KeyType.ED25519_SK, WORK, resident=True))
    assert caught.value.retries == 7
    assert "7 tries are left" in caught.value.message


def test_the_touch_is_announced() -> None:
    person = Person("1234")
    with VirtualToken(presence="delay 1") as token:
        enroll(session_on(token.link(), person), Enrollment(KeyType.ED25519_SK, SSH))
    assert person.touches == ["making the key"]
    assert person.touches_over == 1
