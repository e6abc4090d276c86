from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.client.conftest import PATIENT
from tests.support.fake_link import FakeLink, Person, SteeredClock, candidate, info, ok, stall

from fidokit.client.credentials.enrollment import Enrolled, Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.client.discovery import (
    Opener,
    Selector,
    choose_by_touch,
    find,
    holder_of,
    in_order,
    open_session,
    seen,
)
from fidokit.client.owner import pin
from fidokit.client.ports import QUIET, Candidate, PinCode, several_tokens
from fidokit.errors import (
    FidokitError,
    Interrupted,
    NoPermission,
    SeveralTokens,
    TokenBusy,
    TokenNotFound,
    TouchRefused,
    TouchTimedOut,
    UsageError,
)
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, KeyHandle, KeyType, Transport
from fidokit.virtual.token import VirtualToken

SSH = Application("ssh:")


class Shelf:
    """A backend with these tokens."""

    def __init__(
        self, transport: Transport, *candidates: Candidate, problem: str | None = None
    ) -> None:
        self.transport = transport
        self.looked = 0
        self._candidates = list(candidates)
        self._problem = problem

    def candidates(self) -> list[Candidate]:
        self.looked += 1
        return self._candidates

    def problem(self) -> str | None:
        return self._problem


def usb(name: str, link: object = None) -> Candidate:
    return candidate(name, link or FakeLink(info()), Transport.USB)


@pytest.mark.parametrize(
    "text", ["usb:123", "usb:/dev/hidraw3", "pcsc:ACS ACR122U 00 00", "virtual:work"]
)
def test_selectors_are_read_and_written(text: str) -> None:
    assert str(Selector.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "usb", "usb:", ":1", "bluetooth:1", "aaguid:12", "aaguid:" + "g" * 32]
)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(UsageError):
        Selector.parse(text)


def test_an_aaguid_may_have_dashes() -> None:
    dashed = Selector.parse("aaguid:00010203-0405-0607-0809-0A0B0C0D0E0F")
    assert dashed.value == bytes(range(16)).hex()


def test_the_only_one_needs_no_name() -> None:
    only = usb("a")
    assert find(None, [Shelf(Transport.USB, only)], Opener()) is only


def test_none_names_what_keeps_a_way_closed() -> None:
    shelf = Shelf(Transport.PCSC, problem="the PC/SC service does not answer")
    with pytest.raises(TokenNotFound) as caught:
        find(None, [shelf], Opener())
    assert "PC/SC service" in caught.value.hint


def test_several_and_nobody_to_ask() -> None:
    with pytest.raises(SeveralTokens) as caught:
        find(None, [Shelf(Transport.USB, usb("a"), usb("b"))], Opener(QUIET))
    assert "usb:a, usb:b" in caught.value.hint


def test_several_and_a_list() -> None:
    tokens = [usb("a"), usb("b")]
    found = find(None, [Shelf(Transport.USB, *tokens)], Opener(Person(chooses=1)))
    assert found is tokens[1]


def test_hardware_goes_before_virtual_and_usb_before_readers() -> None:
    on_usb, card, made = usb("a"), candidate("r", None, Transport.PCSC), candidate("v", None)
    shelves = [
        Shelf(Transport.VIRTUAL, made),
        Shelf(Transport.PCSC, card),
        Shelf(Transport.USB, on_usb),
    ]
    assert in_order(shelves) == [on_usb]
    assert [shelf.looked for shelf in shelves] == [0, 0, 1]
    assert in_order(shelves[:2]) == [card]
    assert in_order(shelves[:1]) == [made]
    assert seen(shelves) == [made, card, on_usb]


def test_a_name_looks_only_where_it_can_be() -> None:
    shelves = [Shelf(Transport.USB, usb("a")), Shelf(Transport.VIRTUAL, candidate("v", None))]
    assert find("virtual:v", shelves, Opener()).path == "v"
    assert shelves[0].looked == 0
    with pytest.raises(TokenNotFound, match="virtual:w"):
        find("virtual:w", shelves, Opener())


def test_a_path_names_a_token_with_a_serial_too() -> None:
    token = Candidate(Transport.USB, "/dev/hidraw3", "key", "77", "usb:77", True, FakeLink)
    assert find("usb:/dev/hidraw3", [Shelf(Transport.USB, token)], Opener()) is token
    assert find("usb:77", [Shelf(Transport.USB, token)], Opener()) is token


def test_by_aaguid() -> None:
    broken = candidate("x", TokenBusy("busy"), Transport.USB)
    right = usb("a")
    shelf = Shelf(Transport.USB, broken, right)
    assert find(f"aaguid:{bytes(range(16)).hex()}", [shelf], Opener()) is right
    with pytest.raises(TokenNotFound):
        find("aaguid:" + "ff" * 16, [Shelf(Transport.USB, usb("a"))], Opener())


def test_open_session_carries_names() -> None:
    with open_session(usb("a"), Person("1234"), spend_last_try=True) as session:
        assert session.name == "a (usb:a)"
        assert (session.selector, session.durable, session.connection.spend_last_try) == (
            "usb:a",
            True,
            True,
        )


def test_names_of_devices_do_not_drive_a_terminal() -> None:
    wild = Candidate(Transport.USB, "p", "a\x1b[2J\u202eb", None, "usb:p", False, FakeLink)
    assert open_session(wild).name == "a?[2J?b (usb:p)"


# --- by touch --------------------------------------------------------------------------------


def waiting(name: str, canceled_ones: list[str]) -> Candidate:
    """A token that waits for a touch until it is told to stop."""

    def wait(_request: bytes, keepalive: object, canceled: object) -> bytes:
        pause = threading.Event()
        while not canceled():  # type: ignore[operator]
            keepalive(2)  # type: ignore[operator]
            pause.wait(0.001)
        canceled_ones.append(name)
        return b"\x2d"

    return usb(name, FakeLink(info(), wait))


def test_the_first_touched_wins_and_the_others_are_canceled() -> None:
    canceled: list[str] = []
    tokens = [waiting("a", canceled), usb("b", FakeLink(info(), ok())), waiting("c", canceled)]
    person = Person()
    assert choose_by_touch(tokens, Opener(person, patience=PATIENT)) is tokens[1]
    assert sorted(canceled) == ["a", "c"]
    assert len(person.touches) == person.touches_over == 1


def test_find_asks_for_a_touch_when_the_person_prefers_it() -> None:
    canceled: list[str] = []
    tokens = [waiting("a", canceled), usb("b", FakeLink(info(), ok()))]
    assert find(None, [Shelf(Transport.USB, *tokens)], Opener(Person())) is tokens[1]


def test_a_u2f_token_takes_part() -> None:
    canceled: list[str] = []
    old = usb("old", FakeLink(apdus=(b"\x69\x85", b"\x90\x00"), capabilities=0))
    assert choose_by_touch([waiting("a", canceled), old], Opener(patience=PATIENT)) is old


def test_a_ctap_2_0_token_takes_part() -> None:
    old = info_of("FIDO_2_0")
    touched = usb("old", FakeLink(old, b"\x35"))
    assert choose_by_touch([touched, usb("b", NoPermission("no"))], Opener()) is touched


def info_of(*versions: str) -> bytes:
    from fidokit import cbor

    members = cbor.decode(info()[1:])
    assert isinstance(members, dict)
    return ok({**members, 1: list(versions)})


@pytest.mark.parametrize(
    ("replies", "error"), [((b"\x2f", b"\x2f"), TouchTimedOut), ((b"\x27", b"\x01"), SeveralTokens)]
)
def test_nobody_touches(replies: tuple[bytes, ...], error: type[FidokitError]) -> None:
    tokens = [usb(str(n), FakeLink(info(), reply)) for n, reply in enumerate(replies)]
    with pytest.raises(error):
        choose_by_touch(tokens, Opener())


# --- by key ----------------------------------------------------------------------------------


@pytest.fixture
def tokens() -> list[VirtualToken]:
    return [VirtualToken(presence="auto") for _ in range(3)]


def plugged(tokens: list[VirtualToken]) -> list[Candidate]:
    return [
        Candidate(Transport.VIRTUAL, str(n), "t", None, f"virtual:{n}", True, token.link)
        for n, token in enumerate(tokens)
    ]


def made_on(token: VirtualToken, *, verify_required: bool = False) -> Enrolled:
    person = Person("123456")
    link = Candidate(Transport.VIRTUAL, "x", "t", None, "virtual:x", True, token.link)
    with open_session(link, person) as session:
        if verify_required:
            pin.set_pin(session, PinCode.parse("123456"))
        return enroll(session, Enrollment(KeyType.ED25519_SK, SSH, verify_required=verify_required))


@pytest.mark.parametrize("at", range(3))
def test_the_holder_is_found_without_touch_or_pin(tokens: list[VirtualToken], at: int) -> None:
    made = made_on(tokens[at])
    person = Person()
    with holder_of(made.key_handle, SSH, plugged(tokens), Opener(person)) as session:
        assert session.selector == f"virtual:{at}"
        assert session.round_trips == 2
        assert person.touches == person.asked == []
        assert sign(session, SkPrivate(made.public, made.flags, made.key_handle), b"m")
        assert session.round_trips == 3


def test_a_single_token_is_not_asked(tokens: list[VirtualToken]) -> None:
    made = made_on(tokens[0])
    with holder_of(made.key_handle, SSH, plugged(tokens[1:2]), Opener()) as session:
        assert session.round_trips == 0


def test_a_hidden_key_leaves_the_choice_to_the_person(tokens: list[VirtualToken]) -> None:
    made = made_on(tokens[2], verify_required=True)
    with pytest.raises(SeveralTokens):
        holder_of(made.key_handle, SSH, plugged(tokens), Opener(QUIET))
    with holder_of(made.key_handle, SSH, plugged(tokens), Opener(Person(chooses=2))) as session:
        assert session.selector == "virtual:2"


def test_a_broken_token_hides_nothing(tokens: list[VirtualToken]) -> None:
    made = made_on(tokens[0])
    clock = SteeredClock()
    mute = candidate("mute", FakeLink(stall(clock)))
    busy = candidate("busy", TokenBusy("held"))
    quick = Opener(patience=clock.patience())
    with holder_of(made.key_handle, SSH, [mute, busy, *plugged(tokens)], quick) as session:
        assert session.selector == "virtual:0"


def test_a_u2f_holder_is_found() -> None:
    holder = usb("holder", FakeLink(apdus=(b"\x69\x85",), capabilities=0))
    other = usb("other", FakeLink(apdus=(b"\x6a\x80",), capabilities=0))
    handle = made_on(VirtualToken(presence="auto")).key_handle
    with holder_of(handle, SSH, [other, holder], Opener()) as session:
        assert session.selector == "usb:holder"


def test_no_tokens_at_all() -> None:
    made = made_on(VirtualToken(presence="auto"))
    with pytest.raises(TokenNotFound):
        holder_of(made.key_handle, SSH, [], Opener())


def test_refusing_is_not_choosing() -> None:
    with pytest.raises((SeveralTokens, TouchRefused)):
        choose_by_touch([usb("a", FakeLink(info(), b"\x27"))], Opener())


def test_several_lists_all() -> None:
    assert "3 tokens" in several_tokens([usb("a"), usb("b"), usb("c")]).message


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(lambda: Interrupted("interrupted"), id="while it is opened"),
        pytest.param(lambda: FakeLink(Interrupted("interrupted")), id="while it is asked"),
    ],
)
def test_an_interruption_is_no_token_s_trouble(link: Callable[[], object]) -> None:
    with pytest.raises(Interrupted):
        holder_of(KeyHandle(b"handle"), SSH, [usb("x", link()), usb("a")], Opener())
    shelf = Shelf(Transport.USB, usb("x", link()), usb("a"))
    with pytest.raises(Interrupted):
        find("aaguid:" + "00" * 16, [shelf], Opener())
