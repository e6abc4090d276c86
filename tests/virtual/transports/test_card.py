"""A token as a contactless card, APDU by APDU (CTAP 2.3 section 11.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fidokit import cbor
from fidokit.errors import TokenGone
from fidokit.types import CtapStatus
from fidokit.virtual.core.ports import PresenceKind
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.framing.apdu import StatusWord
from fidokit.virtual.presence import Taps
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.card import AID, CardSession
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.world import ManualClock

SELECT = bytes.fromhex("00a40400") + bytes([len(AID)]) + AID + b"\0"
GET_INFO = bytes.fromhex("80100000010400")
GET_INFO_POLLING = bytes.fromhex("80108000010400")
GET_INFO_EXTENDED = bytes.fromhex("80100000000001040000")
U2F_VERSION = bytes.fromhex("0003000000")
POLL, CANCEL = bytes.fromhex("8011000000"), bytes.fromhex("8011110000")
SELECTION_BLOCKING, SELECTION = (bytes.fromhex(f"8010{p1}00010b00") for p1 in ("00", "80"))
U2F_REGISTER = bytes.fromhex("0001000040") + bytes(64) + b"\0"
PING_SIZE = 700


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as token:
        yield token


@pytest.fixture
def card(token: VirtualToken) -> Iterator[CardSession]:
    """Selected, and its tap used up: what wants a touch waits for one."""
    session = selected(token)
    assert session.transmit(SELECTION_BLOCKING) == (b"\0", StatusWord.OK)
    yield session
    session.close()


def selected(token: VirtualToken) -> CardSession:
    session = CardSession(token, poll_s=0.01)
    assert session.transmit(SELECT) == (b"U2F_V2", StatusWord.OK)
    return session


def make_credential(user: str = "ada") -> bytes:
    return b"\x01" + cbor.encode(
        {
            1: bytes(32),
            2: {"id": "example.org"},
            3: {"id": bytes(64), "name": user, "displayName": "x" * 200},
            4: [{"type": "public-key", "alg": -7}],
        }
    )


def fetched(card: CardSession, answer: tuple[bytes, int], cla: int = 0) -> tuple[bytes, int]:
    data, status = answer
    while status & 0xFF00 == StatusWord.MORE:
        piece, status = card.transmit(bytes([cla, 0xC0, 0, 0, status & 0xFF]))
        data += piece
    return data, status


@pytest.mark.check("NFC-01")
@pytest.mark.parametrize(
    ("profile", "says"), [("u2f", b"U2F_V2"), ("ctap2.0", b"U2F_V2"), ("ctap2.3", b"U2F_V2")]
)
def test_select(profile: str, says: bytes) -> None:
    with VirtualToken(profile=profile) as token:
        assert CardSession(token).transmit(SELECT) == (says, StatusWord.OK)


@pytest.mark.check("NFC-01")
def test_select_without_u2f(token: VirtualToken) -> None:
    class Plain:
        capabilities = 0x0D
        manners = token.manners
        link = token.link

    card = CardSession(Plain())
    assert card.transmit(SELECT) == (b"FIDO_2_0", StatusWord.OK)
    assert card.transmit(U2F_VERSION) == (b"", StatusWord.WRONG_INSTRUCTION)


def test_other_applications_are_not_here(card: CardSession) -> None:
    other = SELECT.replace(AID, bytes(8))
    assert card.transmit(other) == (b"", StatusWord.NOT_FOUND)
    assert card.transmit(GET_INFO) == (b"", StatusWord.NOT_ALLOWED)


@pytest.mark.check("NFC-14")
@pytest.mark.parametrize("command", [GET_INFO, U2F_VERSION])
def test_nothing_before_select(token: VirtualToken, command: bytes) -> None:
    assert CardSession(token).transmit(command) == (b"", StatusWord.NOT_ALLOWED)


@pytest.mark.check("NFC-14")
def test_u2f(card: CardSession) -> None:
    assert card.transmit(U2F_VERSION) == (b"U2F_V2", StatusWord.OK)
    assert card.transmit(bytes.fromhex("00030000000000")) == (b"U2F_V2", StatusWord.OK)


def test_u2f_registration_in_links(card: CardSession, token: VirtualToken) -> None:
    token.touch()
    body = bytes(range(64))
    assert card.transmit(bytes.fromhex("1001030020") + body[:32]) == (b"", StatusWord.OK)
    data, status = fetched(card, card.transmit(bytes.fromhex("0001030020") + body[32:] + b"\0"))
    assert (data[0], status) == (5, StatusWord.OK)


@pytest.mark.parametrize("command", [GET_INFO, SELECTION])
def test_ctap2_on_a_u2f_token(command: bytes) -> None:
    with VirtualToken(profile="u2f") as token:
        card = CardSession(token)
        card.transmit(SELECT)
        assert card.transmit(command) == (b"", StatusWord.WRONG_INSTRUCTION)


@pytest.mark.check("NFC-02")
def test_one_extended_apdu(card: CardSession, token: VirtualToken) -> None:
    token.touch()
    request = make_credential()
    raw = bytes.fromhex("8010000000") + len(request).to_bytes(2) + request + b"\0\0"
    data, status = card.transmit(raw)
    assert (data[0], status) == (CtapStatus.OK, StatusWord.OK)


@pytest.mark.check("NFC-03", "NFC-08")
@pytest.mark.parametrize("get_response_cla", [0x00, 0x80])
@pytest.mark.parametrize("size", [240, 250, 255])
def test_chained_short_apdus(
    card: CardSession, token: VirtualToken, size: int, get_response_cla: int
) -> None:
    token.touch()
    request = make_credential()
    while len(request) > size:
        link, request = request[:size], request[size:]
        assert card.transmit(bytes([0x90, 0x10, 0, 0, size]) + link) == (b"", StatusWord.OK)
    first = card.transmit(bytes([0x80, 0x10, 0, 0, len(request)]) + request + b"\0")
    assert first[1] & 0xFF00 == StatusWord.MORE
    data, status = fetched(card, first, get_response_cla)
    assert (data[0], status) == (CtapStatus.OK, StatusWord.OK)
    assert cbor.decode(data[1:], max_depth=4)


@pytest.mark.check("NFC-08")
def test_a_long_answer_at_once_where_the_client_has_room(card: CardSession) -> None:
    whole, status = card.transmit(GET_INFO_EXTENDED)
    assert status == StatusWord.OK
    pieces, status = fetched(card, card.transmit(GET_INFO[:-1] + b"\x20"))
    assert (pieces[:64], len(pieces), status) == (whole[:64], len(whole), StatusWord.OK)


@pytest.mark.check("NFC-05", "NFC-07")
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("8013000001 04", StatusWord.WRONG_INSTRUCTION),
        ("8013000000000104", StatusWord.WRONG_INSTRUCTION),
        ("0010000001 04", StatusWord.WRONG_INSTRUCTION),
        ("e010000001 04", StatusWord.WRONG_CLASS),
        ("ff00", StatusWord.WRONG_LENGTH),
    ],
)
def test_commands_that_no_token_knows(card: CardSession, raw: str, status: StatusWord) -> None:
    assert card.transmit(bytes.fromhex(raw)) == (b"", status)


@pytest.mark.check("NFC-09")
def test_a_ctap_error_is_data(card: CardSession) -> None:
    unknown = bytes.fromhex("80100000017f00")
    assert card.transmit(unknown) == (bytes([CtapStatus.INVALID_COMMAND]), StatusWord.OK)


@pytest.mark.check("NFC-10")
def test_polling_until_the_touch(card: CardSession, token: VirtualToken) -> None:
    answers = [card.transmit(SELECTION), card.transmit(POLL)]
    assert answers[-1] == (b"\x02", StatusWord.UPDATE)
    token.touch()
    while answers[-1][1] == StatusWord.UPDATE:
        answers.append(card.transmit(POLL))
    assert answers[-1] == (bytes([CtapStatus.OK]), StatusWord.OK)
    assert card.transmit(POLL) == (b"", StatusWord.NOT_ALLOWED)


@pytest.mark.check("NFC-10")
def test_a_client_that_cannot_poll_waits(card: CardSession, token: VirtualToken) -> None:
    token.touch()
    done = card.transmit(SELECTION_BLOCKING)
    assert done == (bytes([CtapStatus.OK]), StatusWord.OK)


@pytest.mark.check("NFC-11")
def test_cancel(card: CardSession) -> None:
    assert card.transmit(SELECTION)[1] == StatusWord.UPDATE
    answer = card.transmit(CANCEL)
    while answer[1] == StatusWord.UPDATE:
        answer = card.transmit(POLL)
    assert answer == (bytes([CtapStatus.KEEPALIVE_CANCEL]), StatusWord.OK)


def test_a_poll_with_unknown_parameters(card: CardSession) -> None:
    card.transmit(SELECTION)
    strange = bytes.fromhex("8011220000")
    assert card.transmit(strange) == (b"", StatusWord.WRONG_PARAMETERS)


@pytest.mark.check("NFC-12")
def test_another_command_discards_the_rest(card: CardSession) -> None:
    data, status = card.transmit(GET_INFO[:-1] + b"\x10")
    assert (len(data), status & 0xFF00) == (16, StatusWord.MORE)
    card.transmit(U2F_VERSION)
    assert card.transmit(bytes.fromhex("00c0000000")) == (b"", StatusWord.OK)


def test_a_defect_ends_that_command_alone(
    card: CardSession, token: VirtualToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryLink, "cbor", broken)
        with pytest.raises(TokenGone, match="broke off"):
            card.transmit(GET_INFO_POLLING)
    assert fetched(card, card.transmit(GET_INFO_POLLING))[1] == StatusWord.OK


@pytest.mark.check("NFC-13")
def test_the_end_of_a_session(card: CardSession) -> None:
    assert card.transmit(bytes.fromhex("80120100")) == (b"", StatusWord.OK)
    assert card.transmit(GET_INFO) == (b"", StatusWord.NOT_ALLOWED)
    assert card.transmit(SELECT) == (b"U2F_V2", StatusWord.OK)
    assert fetched(card, card.transmit(GET_INFO))[1] == StatusWord.OK


# --- the tap ---------------------------------------------------------------------------------


@pytest.mark.check("NFC-15")
def test_the_tap_is_one_touch(token: VirtualToken) -> None:
    for _ in range(2):  # each time that it is laid down
        card = selected(token)
        assert card.transmit(SELECTION_BLOCKING) == (b"\0", StatusWord.OK)
        assert card.transmit(SELECTION)[1] == StatusWord.UPDATE
        card.close()


@pytest.mark.check("NFC-15")
def test_the_tap_is_one_touch_for_u2f(token: VirtualToken) -> None:
    card = selected(token)
    data, status = fetched(card, card.transmit(U2F_REGISTER))
    assert (data[0], status) == (5, StatusWord.OK)
    assert card.transmit(U2F_REGISTER) == (b"", StatusWord.NOT_ALLOWED)
    token.touch()
    assert fetched(card, card.transmit(U2F_REGISTER))[1] == StatusWord.OK


@pytest.mark.check("NFC-15")
def test_a_tap_of_long_ago() -> None:
    clock = ManualClock()
    with VirtualToken(presence="script", clock=clock) as token:
        young, old = selected(token), selected(token)
        clock.advance(120_000)
        assert fetched(young, young.transmit(U2F_REGISTER))[1] == StatusWord.OK
        clock.advance(1)
        assert old.transmit(U2F_REGISTER) == (b"", StatusWord.NOT_ALLOWED)


@pytest.mark.check("NFC-15")
def test_on_a_contact_reader_there_is_no_tap() -> None:
    contact = replace(CTAP_2_3, behavior=replace(CTAP_2_3.behavior, tap_is_touch=False))
    with VirtualToken(profile=contact, presence="script") as token:
        card = selected(token)
        assert card.transmit(U2F_REGISTER) == (b"", StatusWord.NOT_ALLOWED)
        assert card.transmit(SELECTION)[1] == StatusWord.UPDATE


def test_what_the_person_does_comes_before_the_tap(token: VirtualToken) -> None:
    card = selected(token)
    token.refuse()
    refused = bytes([CtapStatus.OPERATION_DENIED])
    assert card.transmit(SELECTION_BLOCKING) == (refused, StatusWord.OK)
    assert card.transmit(SELECTION_BLOCKING) == (b"\0", StatusWord.OK)


def test_who_denies_everything_does_not_tap() -> None:
    with VirtualToken(presence="deny") as token:
        refused = bytes([CtapStatus.OPERATION_DENIED])
        assert selected(token).transmit(SELECTION_BLOCKING) == (refused, StatusWord.OK)


def test_a_tap_is_no_long_touch() -> None:
    taps = Taps(ManualClock())
    taps.made(1)
    assert not taps.used(1, PresenceKind.LONG_TOUCH)
    assert not taps.used(2, PresenceKind.TOUCH)
    assert taps.used(1, PresenceKind.TOUCH)


# --- taken away ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [GET_INFO, U2F_VERSION])
def test_a_card_that_was_taken_away(card: CardSession, token: VirtualToken, command: bytes) -> None:
    token.unplug()
    with pytest.raises(TokenGone):
        card.transmit(command)


def test_closing_cancels(card: CardSession, token: VirtualToken) -> None:
    assert card.transmit(SELECTION)[1] == StatusWord.UPDATE
    card.close()
    card.close()
    with pytest.raises(TokenGone):
        card.transmit(GET_INFO)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_apdus_leave_it_usable(apdus: list[bytes]) -> None:
    with VirtualToken(presence="deny") as token:
        card = CardSession(token)
        card.transmit(SELECT)
        for raw in apdus:
            _, status = card.transmit(raw)
            assert 0x6100 <= status <= 0x9FFF
        assert card.transmit(SELECT) == (b"U2F_V2", StatusWord.OK)
        assert fetched(card, card.transmit(GET_INFO))[0][0] == CtapStatus.OK
