from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import PIN, Opened
from tests.support.fake_link import FakeLink, Person, info, ok, session_on

from fidokit.client.answer import Answer
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.resident import (
    ResidentCredential,
    cut,
    decode_display,
    encode_display,
    list_credentials,
)
from fidokit.client.credentials.signature import sign
from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.errors import CredentialNotFound, TokenMisbehaved, Unsupported, UsageError
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, CredProtect, KeyHandle, KeyType, SkFlag
from fidokit.virtual.token import VirtualToken

WORK, HOME = Application("ssh:work"), Application("ssh:home")


def resident_key(application: Application = WORK, **changes: object) -> Enrollment:
    key_type = changes.pop("key_type", KeyType.ECDSA_SK)
    return Enrollment(key_type, application, resident=True, **changes)  # type: ignore[arg-type]


def test_an_empty_token(with_pin: Opened) -> None:
    assert list_credentials(with_pin()) == []
    assert list_credentials(with_pin(), application=WORK) == []


def test_what_was_enrolled_is_listed(with_pin: Opened) -> None:
    made = {
        application: enroll(
            with_pin(),
            resident_key(
                application,
                user="me",
                verify_required=application == WORK,
                touch_required=application == WORK,
                comment="my laptop",
                user_name="me@host",
            ),
        )
        for application in (WORK, HOME)
    }
    found = {cred.application: cred for cred in list_credentials(with_pin())}
    assert set(found) == {WORK, HOME}
    for application, cred in found.items():
        assert cred.public == made[application].public
        assert cred.credential_id == made[application].key_handle
        assert cred.flags == made[application].flags
        assert (cred.user, cred.comment, cred.user_name) == ("me", "my laptop", "me@host")
        assert cred.user_id == b"me".ljust(32, b"\0")
        assert cred.verify_required is (application == WORK)


def test_a_listed_key_signs(with_pin: Opened) -> None:
    enroll(with_pin(), resident_key(key_type=KeyType.ED25519_SK, verify_required=True))
    (cred,) = list_credentials(with_pin(), application=WORK)
    assert cred.public is not None
    private = SkPrivate(cred.public, cred.flags, KeyHandle(cred.credential_id))
    assert sign(with_pin(), private, b"m").user_verified


def test_websites_stay_out_of_sight(with_pin: Opened) -> None:
    site = Application("example.com")
    enroll(with_pin(), resident_key(site, allow_any_application=True))
    enroll(with_pin(), resident_key())
    assert [c.application for c in list_credentials(with_pin())] == [WORK]
    everything = list_credentials(with_pin(), any_rp=True)
    assert {c.application for c in everything} == {WORK, site}
    with pytest.raises(UsageError) as caught:
        list_credentials(with_pin(), application=site)
    assert "--any-rp" in caught.value.hint
    (website,) = list_credentials(with_pin(), application=site, any_rp=True)
    session = with_pin()
    with pytest.raises(UsageError):
        resident.delete(session, website)
    assert session.round_trips == 0
    resident.delete(session, website, any_rp=True)
    assert [c.application for c in list_credentials(with_pin(), any_rp=True)] == [WORK]


def test_delete(with_pin: Opened) -> None:
    enroll(with_pin(), resident_key(user="a"))
    enroll(with_pin(), resident_key(user="b"))
    session = with_pin()
    first, second = sorted(list_credentials(session), key=lambda c: c.user)
    resident.delete(session, first)
    assert list_credentials(with_pin()) == [second]
    with pytest.raises(CredentialNotFound):
        resident.delete(with_pin(), first)


def test_list_and_delete_ask_for_the_pin_once(with_pin: Opened, person: Person) -> None:
    enroll(with_pin(), resident_key())
    asked = len(person.asked)
    session = with_pin()
    resident.delete(session, list_credentials(session)[0])
    assert len(person.asked) == asked + 1


def test_rename(with_pin: Opened) -> None:
    enroll(with_pin(), resident_key(user="me", touch_required=False, comment="old"))
    session = with_pin()
    (cred,) = list_credentials(session)
    resident.rename(session, cred, "me@new", encode_display("new", touch_required=False))
    (renamed,) = list_credentials(with_pin())
    assert (renamed.user_name, renamed.comment, renamed.user) == ("me@new", "new", "me")
    assert renamed.flags == SkFlag.RESIDENT_KEY
    assert renamed == replace(
        cred, user_name="me@new", display_name=encode_display("new", touch_required=False)
    )


def test_rename_to_nothing(with_pin: Opened) -> None:
    enroll(with_pin(), resident_key(comment="old"))
    session = with_pin()
    resident.rename(session, list_credentials(session)[0], "", "")
    (renamed,) = list_credentials(with_pin())
    assert (renamed.user_name, renamed.display_name, renamed.comment) == ("", "", "")


def test_remaining(with_pin: Opened) -> None:
    existing, left = resident.remaining(with_pin())
    enroll(with_pin(), resident_key())
    assert resident.remaining(with_pin()) == (existing + 1, left - 1)


def test_the_preview_command_of_ctap_2_0() -> None:
    person = Person(PIN)
    with VirtualToken(profile="ctap2.0", presence="auto") as token:
        session = session_on(token.link(), person)
        pin.set_pin(session, PinCode.parse(PIN))
        if session.info.has_cred_mgmt is None:
            with pytest.raises(Unsupported) as caught:
                list_credentials(session)
            assert "2.1" in caught.value.hint
            return
        enroll(session_on(token.link(), person), resident_key())
        (cred,) = list_credentials(session_on(token.link(), person))
        with pytest.raises(Unsupported):
            resident.rename(session_on(token.link(), person), cred, "a", "b")
        resident.delete(session_on(token.link(), person), cred)


def test_no_credential_management() -> None:
    link = FakeLink(info(clientPin=True, credMgmt=None))
    with pytest.raises(Unsupported) as caught:
        list_credentials(session_on(link))
    assert "2.1" in caught.value.hint
    assert len(link.requests) == 1


# --- answers, one by one -----------------------------------------------------------------------


def read(rp_id: str = "ssh:", rp_id_hash: bytes | None = None, **members: object) -> object:
    point = {1: 1, 3: -8, -1: 6, -2: bytes.fromhex("d75a980182b10ab7d54bfed3c964073a"
        "0ee172f3daa62325af021a68f707511a")}  # RFC 8032 section 7.1, test 1  # fmt: skip
    whole = {
        6: {"id": b"me".ljust(32, b"\0"), "name": "n", "displayName": "openssh"},
        7: {"id": b"credential", "type": "public-key"},
        8: point,
        0x0A: 2,
        **{int(name[1:], 16): value for name, value in members.items()},
    }
    hashed = hashlib.sha256(rp_id.encode()).digest() if rp_id_hash is None else rp_id_hash
    return resident._credential(
        Answer({k: v for k, v in whole.items() if v is not None}, "list of keys"),
        Application(rp_id),
        hashed,
    )


def credential(**members: object) -> ResidentCredential:
    found = read(**members)  # type: ignore[arg-type]
    assert isinstance(found, ResidentCredential)
    return found


def test_a_key_of_stock_openssh() -> None:
    found = credential()
    assert (found.comment, found.user, found.cred_protect) == ("", "me", 2)
    assert found.flags == SkFlag.RESIDENT_KEY | SkFlag.USER_PRESENCE_REQUIRED
    assert found.public is not None
    assert found.public.key_type is KeyType.ED25519_SK


def test_missing_protection_is_the_lowest() -> None:
    assert credential(_a=None).cred_protect is CredProtect.UV_OPTIONAL


def test_unknown_algorithms_are_listed() -> None:
    rsa = {1: 3, 3: -257, -1: bytes(256), -2: b"\1\0\1"}
    post_quantum = {1: 7, 3: -48, -1: bytes(1312)}
    secp256k1 = {1: 2, 3: -47, -1: 8, -2: bytes(32), -3: bytes(32)}
    for key in (rsa, post_quantum, secp256k1):
        assert credential(_8=key).public is None


def test_a_shortened_application_makes_no_key_file() -> None:
    found = read("ssh:...shortened", bytes(32))
    assert isinstance(found, ResidentCredential)
    assert found.public is None


def test_an_application_with_a_nul_hides_no_other_key() -> None:
    name = "ssh:a\0b"
    found = read(name, hashlib.sha256(name.encode()).digest())
    assert isinstance(found, ResidentCredential)
    assert found.public is None
    assert found.application == name


def test_a_user_id_that_is_no_text() -> None:
    assert credential(_6={"id": b"\xff\xfe\0\0"}).user == "fffe"
    assert credential(_6={"id": b""}).user == ""


@pytest.mark.parametrize(
    "members",
    [
        {"_6": None}, {"_6": {}}, {"_6": {"id": "me"}}, {"_6": {"id": bytes(65)}},
        {"_6": {"id": b"", "name": 1}}, {"_6": {"id": b"", "displayName": "x" * 2000}},
        {"_7": None}, {"_7": {"id": b""}}, {"_7": {"id": bytes(1024)}}, {"_8": None},
        {"_8": {}}, {"_8": {1: 1, 3: -8, -1: 6, -2: bytes(31)}},
        {"_8": {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}},
        {"_8": {1: 1, 3: -8, -1: 6, -2: b"\2" + bytes(31)}},
        {"_a": 0}, {"_a": 4}, {"_a": True}, {"_a": "3"},
    ],
)  # fmt: skip
def test_wrong_members(members: dict[str, object]) -> None:
    with pytest.raises(TokenMisbehaved):
        credential(**members)


@pytest.mark.parametrize("total", [1025, 2**32 - 1, -1, True])
def test_impossible_totals(total: object) -> None:
    answer = ok({3: {"id": "ssh:"}, 4: bytes(32), 5: total})
    session = session_on(FakeLink(info(), answer))

    class Free:
        version = 2

        def covers(self, *_: object) -> bool:
            return True

        def authenticate(self, _message: bytes) -> bytes:
            return bytes(32)

    session.owner._token = Free()  # type: ignore[assignment]
    with pytest.raises(TokenMisbehaved):
        list_credentials(session)


COMMENTS = (
    st.text(max_size=40)
    .map(lambda t: t.encode("utf-8", "replace").decode().strip())
    .filter(lambda t: len(t.encode()) <= 40)
)


@given(COMMENTS, st.booleans())
def test_round_trip(comment: str, touch: bool) -> None:
    assert decode_display(encode_display(comment, touch)) == (comment, touch)


@given(st.text(), st.booleans())
def test_it_always_fits_and_never_loses_the_flag(comment: str, touch: bool) -> None:
    display = encode_display(comment, touch)
    assert len(display.encode()) <= 64
    assert decode_display(display)[1] is touch


@given(st.text())
def test_decoding_is_total(display: str) -> None:
    comment, touch = decode_display(display)
    assert isinstance(comment, str)
    assert touch is (display.partition(" ")[0] != "no-touch-required")


def test_stock_openssh_is_no_comment() -> None:
    assert decode_display("openssh") == ("", True)


@pytest.mark.parametrize("comment", ["openssh", "no-touch-required", "no-touch-required me"])
@pytest.mark.parametrize("touch", [True, False])
def test_comments_that_look_like_marks(comment: str, touch: bool) -> None:
    assert decode_display(encode_display(comment, touch)) == (comment, touch)


def test_a_foreign_name_is_a_comment() -> None:
    assert decode_display("Alice Example") == ("Alice Example", True)


def test_cutting_leaves_whole_characters() -> None:
    assert cut("\u00e9" * 40, 63) == "\u00e9" * 31
    assert encode_display("\u20ac" * 40, True) == "\u20ac" * 21
