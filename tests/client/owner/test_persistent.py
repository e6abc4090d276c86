"""Reading without PIN: by a token that lasts, against an authenticator that shares no code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import PATIENT, PIN, Opened
from tests.support.fake_link import Person, session_on
from tests.support.spy import Spy

from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.owner import pin
from fidokit.client.owner.persistent import KeptToken, Reading, recognized, selector_of, unseal
from fidokit.client.owner.proofs import Permission
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import PinRequired
from fidokit.types import Application, KeyType
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.token import VirtualToken


class Shelf:
    """A `Keeper` in memory."""

    def __init__(self) -> None:
        self.tokens: list[KeptToken] = []
        self.forgotten: list[KeptToken] = []

    def kept(self) -> Iterable[KeptToken]:
        return tuple(self.tokens)

    def keep(self, kept: KeptToken) -> None:
        same = [k for k in self.tokens if k.identifier == kept.identifier]
        self.tokens = [k for k in self.tokens if k not in same] + [kept]

    def forget(self, kept: KeptToken) -> None:
        self.tokens.remove(kept)
        self.forgotten.append(kept)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def stocked(with_pin: Opened) -> Opened:
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, Application("ssh:work"), resident=True))
    return with_pin


def reading(session: Session, shelf: Shelf, *, wanted: bool = False) -> Session:
    session.owner.reading = Reading(shelf, wanted=wanted)
    return session


def applications(session: Session) -> list[str]:
    return [credential.application for credential in resident.list_credentials(session)]


def sealed(secret: bytes, identifier: bytes, iv: bytes = bytes(16)) -> bytes:
    key = HKDF(hashes.SHA256(), 16, bytes(32), b"encIdentifier").derive(secret)
    encryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(identifier) + encryptor.finalize()


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_identifiers_round_trip(secret: bytes, identifier: bytes) -> None:
    assert unseal(secret, sealed(secret, identifier, identifier)) == identifier
    assert unseal(bytes(reversed(secret + b"x"))[:32], sealed(secret, identifier)) != identifier


@pytest.mark.parametrize("size", [0, 15, 16, 31, 33, 48])
def test_identifiers_of_another_size(size: int) -> None:
    assert unseal(bytes(32), bytes(size)) is None


def test_the_pin_is_asked_for_once(stocked: Opened, person: Person, shelf: Shelf) -> None:
    asked = len(person.asked)
    assert applications(reading(stocked(), shelf, wanted=True)) == ["ssh:work"]
    assert len(person.asked) == asked + 1
    assert applications(reading(stocked(), shelf)) == ["ssh:work"]
    assert resident.remaining(reading(stocked(), shelf))[0] == 1
    assert len(person.asked) == asked + 1
    assert len(shelf.tokens) == 1


def test_it_outlives_a_power_cycle(stocked: Opened, shelf: Shelf, token: VirtualToken) -> None:
    applications(reading(stocked(), shelf, wanted=True))
    token.power_cycle()
    assert applications(reading(stocked(Nobody()), shelf)) == ["ssh:work"]


class Nobody(Person):
    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        raise PinRequired("nobody knows the PIN")


def test_only_what_was_asked_for_is_kept(stocked: Opened, shelf: Shelf) -> None:
    applications(reading(stocked(), shelf))
    assert shelf.tokens == []
    applications(stocked())
    assert shelf.tokens == []


def test_it_is_asked_for_alone(stocked: Opened, shelf: Shelf, token: VirtualToken) -> None:
    spy = Spy(token.link())
    applications(reading(session_on(spy, Person(PIN), PATIENT), shelf, wanted=True))
    assert [request[9] for request in spy.sent(6) if 9 in request] == [0x40]


def test_changing_asks_for_the_pin(stocked: Opened, person: Person, shelf: Shelf) -> None:
    applications(reading(stocked(), shelf, wanted=True))
    asked = len(person.asked)
    session = reading(stocked(), shelf)
    (key,) = resident.list_credentials(session)
    assert len(person.asked) == asked
    resident.delete(session, key)
    assert len(person.asked) == asked + 1
    assert applications(session) == []
    assert len(person.asked) == asked + 1


def test_a_changed_pin_ends_it_and_the_next_listing_renews_it(
    stocked: Opened, shelf: Shelf, person: Person
) -> None:
    applications(reading(stocked(), shelf, wanted=True))
    (old,) = shelf.tokens
    pin.change_pin(stocked(), PinCode.parse(PIN), PinCode.parse("654321"))
    person.pins = ["654321"]
    asked = len(person.asked)
    assert applications(reading(stocked(), shelf)) == ["ssh:work"]
    assert len(person.asked) == asked + 1
    (new,) = shelf.tokens  # in the old one's place: the token is the same
    assert new.identifier == old.identifier
    assert new.secret != old.secret
    assert applications(reading(stocked(Nobody()), shelf)) == ["ssh:work"]


def test_a_selector_that_lasts_for_now_renews_nothing(stocked: Opened, shelf: Shelf) -> None:
    applications(reading(stocked(), shelf, wanted=True))
    pin.change_pin(stocked(), PinCode.parse(PIN), PinCode.parse(PIN))
    session = reading(stocked(), shelf)
    session.connection.durable = False
    (old,) = shelf.tokens
    assert applications(session) == ["ssh:work"]
    assert shelf.tokens == [old]


def test_a_dead_one_is_noticed_by_its_refusal(
    stocked: Opened, shelf: Shelf, person: Person
) -> None:
    """A token without encIdentifier shows only then that what was kept is dead."""
    applications(reading(stocked(), shelf, wanted=True))
    (kept,) = shelf.tokens
    dead = replace(kept, secret=bytes(32), identifier=None)
    shelf.tokens = [dead]
    session = reading(hiding(stocked()), shelf)
    asked = len(person.asked)
    assert applications(session) == ["ssh:work"]
    assert len(person.asked) == asked + 1
    assert shelf.forgotten == [dead]
    assert [k.identifier for k in shelf.tokens] == [None]
    assert applications(reading(hiding(stocked(Nobody())), shelf)) == ["ssh:work"]


def hiding(session: Session) -> Session:
    """The session of a token without encIdentifier."""
    fetch = session.connection._fetch_info
    session.connection._fetch_info = lambda: replace(fetch(), enc_identifier=None)  # type: ignore[method-assign]
    return session


def test_a_token_that_refuses_the_new_one_too_is_an_error(
    stocked: Opened, shelf: Shelf, token: VirtualToken, person: Person
) -> None:
    class Refusing(Spy):
        def cbor(self, request, on_keepalive, canceled):  # type: ignore[no-untyped-def]
            if request[0] == 0x0A:
                return b"\x33"
            return super().cbor(request, on_keepalive, canceled)

    applications(reading(stocked(), shelf, wanted=True))
    asked = len(person.asked)
    with pytest.raises(PinRequired):
        applications(reading(session_on(Refusing(token.link()), person, PATIENT), shelf))
    assert len(person.asked) == asked + 1
    assert shelf.tokens == []


def test_models_without_it_ask_as_ever(shelf: Shelf) -> None:
    for profile in ("ctap2.1", CTAP_2_3.with_options(perCredMgmtRO=None)):
        with VirtualToken(profile=profile) as plain:
            person = Person(PIN)
            pin.set_pin(session_on(plain.link(), person, PATIENT), PinCode.parse(PIN))
            session = reading(session_on(plain.link(), person, PATIENT), shelf, wanted=True)
            assert applications(session) == []
            assert len(person.asked) == 1
        assert shelf.tokens == []


def test_tokens_are_recognized(stocked: Opened, shelf: Shelf) -> None:
    assert recognized(stocked().info.enc_identifier, shelf) is None
    applications(reading(stocked(), shelf, wanted=True))
    name = recognized(stocked().info.enc_identifier, shelf)
    assert name is not None
    assert name.startswith("id:")
    assert name == recognized(stocked().info.enc_identifier, shelf)  # though the bytes differ
    with VirtualToken() as stranger:
        session = session_on(stranger.link())
        assert recognized(session.info.enc_identifier, shelf) is None
    assert recognized(None, shelf) is None


def test_another_token_s_right_is_not_tried(stocked: Opened, shelf: Shelf) -> None:
    applications(reading(stocked(), shelf, wanted=True))
    with VirtualToken() as other:
        person = Person(PIN)
        pin.set_pin(session_on(other.link(), person, PATIENT), PinCode.parse(PIN))
        spy = Spy(other.link())
        session = session_on(spy, person, PATIENT)
        session.connection.selector = "virtual:other"
        assert applications(reading(session, shelf)) == []
    assert len(person.asked) == 1
    assert len(spy.sent(0x0A)) == 1


def test_a_selector_does_not_tell_the_identifier() -> None:
    identifier = bytes(range(16))
    assert identifier.hex()[:8] not in selector_of(identifier)
    assert len(selector_of(identifier)) == len("id:") + 16


def test_secrets_do_not_print() -> None:
    kept = KeptToken(2, b"\xab" * 32, b"\xcd" * 16, "usb:1", "token")
    assert "abab" not in repr(kept)
    assert "\\xab" not in repr(kept)
    assert "\\xcd" not in repr(kept)
    assert "\\xab" not in repr(kept.as_pin_token())


def test_it_covers_nothing_else() -> None:
    token = KeptToken(2, bytes(32), None, "usb:1").as_pin_token()
    for permission in Permission:
        assert token.covers(permission, None) is (permission is Permission.PERSISTENT_READ)
