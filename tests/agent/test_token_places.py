"""One token as many clients use it: turns, the open session, and telling tokens apart."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.agent import token_places
from fidokit.agent.core.ports import Purpose
from fidokit.agent.notices import Announcing, Notices
from fidokit.agent.token_places import (
    MOST_SKIPPED,
    Looks,
    Sight,
    TokenPlace,
    holds_key,
    mark_of,
    seconds,
)
from fidokit.client.links import backends
from fidokit.client.links.backends import HidBackend, PcscBackend
from fidokit.client.ports import Link
from fidokit.errors import FidokitError, Interrupted, PinRequired, TokenBusy, TokenGone
from fidokit.lab import named_tokens
from fidokit.tokens.access import VirtualBackend
from fidokit.types import Transport
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def announcing() -> Announcing:
    return Announcing(Notices(lambda _line: None), Purpose("k", "w"))


@pytest.fixture
def place(desk: Desk) -> TokenPlace:
    return TokenPlace(desk.candidate("ONE"), 7)


def test_it_is_opened_once(place: TokenPlace, announcing: Announcing) -> None:
    first = place.open(announcing)
    assert place.open(announcing) is first
    assert place.is_open
    place.close()
    assert not place.is_open
    place.close()


def test_each_use_has_its_own_person(place: TokenPlace, announcing: Announcing) -> None:
    place.open(announcing)
    other = Announcing(Notices(lambda _line: None), Purpose("other", "w"))
    assert place.open(other).interaction is other
    place.close()


def test_a_turn_is_waited_for_until_the_client_hangs_up(place: TokenPlace) -> None:
    stop = threading.Event()
    with place.turn(stop):
        stop.set()
        with pytest.raises(Interrupted), place.turn(stop):
            pytest.fail("two have the turn")
        with place.turn_if_free() as taken:
            assert not taken
    with place.turn_if_free() as taken:
        assert taken


@pytest.mark.parametrize("error", [TokenGone("gone"), KeyError("ours"), KeyboardInterrupt()])
def test_no_failure_keeps_a_turn(place: TokenPlace, error: BaseException) -> None:
    with suppress(TokenGone, KeyError, KeyboardInterrupt), place.turn(threading.Event()):
        raise error
    assert not place.in_use


def test_a_token_in_trouble_holds_no_key(
    desk: Desk, place: TokenPlace, announcing: Announcing
) -> None:
    from tests.support import agent_keys

    assert not holds_key(place, agent_keys.sk(), announcing)
    place.close()
    desk.refusals["ONE"] = TokenBusy("busy")
    assert not holds_key(place, agent_keys.sk(), announcing)
    assert not place.is_open


def test_the_name_of_a_pin_tells_tokens_in_one_place_apart(place: TokenPlace) -> None:
    assert place.name != replace(place, mark=8).name
    assert place.watched
    contactless = replace(place.candidate, transport=Transport.PCSC)
    counted = replace(place, candidate=contactless)
    assert counted.watched
    assert not counted.stays_open
    assert not replace(counted, mark=0).watched


def test_another_node_under_the_same_name_is_another_token(tmp_path: Path, desk: Desk) -> None:
    node, other = tmp_path / "hidraw3", tmp_path / "other"
    candidate = replace(desk.candidate("ONE"), path=str(node))
    assert mark_of(candidate) == 0
    node.write_text("")
    first = mark_of(candidate)
    other.write_text("")
    other.rename(node)
    assert mark_of(candidate) not in (0, first)


def test_a_number_of_a_node_is_not_given_again_while_its_token_is_remembered(
    tmp_path: Path, desk: Desk
) -> None:
    """The PIN that is kept belongs to the node, and a file system gives numbers out anew."""
    desk.plug("a")
    node = tmp_path / "hidraw0"
    node.write_bytes(b"")
    candidate = replace(desk.candidates()[0], path=str(node))
    place = TokenPlace(candidate, mark_of(candidate))
    try:
        for _ in range(200):
            node.unlink()
            node.write_bytes(b"")
            assert mark_of(candidate) != place.mark
    finally:
        place.leave()


def test_a_node_that_was_replaced_while_it_was_looked_at_is_nobodys(
    tmp_path: Path, desk: Desk
) -> None:
    desk.plug("a")
    node = tmp_path / "hidraw0"
    node.write_bytes(b"")
    candidate = replace(desk.candidates()[0], path=str(node))
    mark = mark_of(candidate)
    held = node.open("rb")  # so that the number is not given again
    node.unlink()
    node.write_bytes(b"")
    place = TokenPlace(candidate, mark)
    try:
        assert place.mark == 0
    finally:
        place.leave()
        held.close()


def test_a_virtual_token_is_told_by_its_file() -> None:
    named_tokens.create_virtual("t")
    [candidate] = VirtualBackend().candidates()
    first = mark_of(candidate)
    named_tokens.delete_virtual("t")
    assert mark_of(candidate) == 0
    assert first != 0


def test_the_person_behind_it_knows_no_pin(announcing: Announcing) -> None:
    with pytest.raises(PinRequired):
        announcing.ask_pin("Token", 8, "why", False)
    with pytest.raises(PinRequired):
        announcing.ask_new_pin("Token", 4, 63)
    assert announcing.choose_token([]) is None


def test_tokens_are_looked_for_when_a_folder_changed_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = [1]
    monkeypatch.setattr(token_places, "_modified", lambda _folder: changed[0])
    looks = Looks()
    assert looks.due()
    assert not looks.due()
    changed[0] = 2
    assert looks.due()
    due = [looks.due() for _ in range(2 * MOST_SKIPPED)]
    assert due.count(True) == 2


def test_a_new_virtual_token_is_such_a_change(home: Path) -> None:
    named_tokens.create_virtual("one")
    looks = Looks()
    looks.due()
    named_tokens.create_virtual("two")
    assert looks.due()


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    assert abs(seconds() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


def test_which_tokens_are_seen(home: Path) -> None:
    named_tokens.create_virtual("one")
    named_tokens.create_virtual("two")
    assert {c.selector for c in Sight()(watched=True)} == {"virtual:one", "virtual:two"}
    assert [c.selector for c in Sight("virtual:two")(watched=False)] == ["virtual:two"]
    assert list(Sight("virtual:none")(watched=True)) == []
    assert list(Sight("usb:1")(watched=True)) == []


# --- on card readers -----------------------------------------------------------------------


class Reader:
    """A reader whose card a test changes; how often the card is asked is counted."""

    def __init__(self) -> None:
        self.card: int | None = 3
        self.asked = 0
        self.answer: FidokitError | None = None

    def laid(self) -> dict[str, int | None]:
        return {"A reader": self.card}

    def open(self, _reader: str) -> Link:
        self.asked += 1
        if self.answer is not None:
            raise self.answer
        return VirtualToken().link()


@pytest.fixture
def reader(home: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    made = Reader()
    monkeypatch.setattr(backends, "laid", made.laid)
    monkeypatch.setattr(PcscBackend, "_open", made.open)
    monkeypatch.setattr(HidBackend, "candidates", lambda _self: [])
    named_tokens.create_virtual("one")
    return made


def selectors(sight: Sight, *, watched: bool = True) -> list[str]:
    return [candidate.selector for candidate in sight(watched=watched)]


@pytest.mark.parametrize("selector", [None, "pcsc:A reader"])
def test_a_card_is_asked_once_while_it_lies_there(reader: Reader, selector: str | None) -> None:
    sight = Sight(selector)
    for watched in (True, False, True):
        assert selectors(sight, watched=watched) == ["pcsc:A reader"]
    assert reader.asked == 1
    assert sight.has_readers
    (laid,) = sight(watched=True)
    before = sight.mark(laid)
    reader.card = None
    assert selectors(sight) == ([] if selector else ["virtual:one"])
    reader.card = 5
    assert selectors(sight) == ["pcsc:A reader"]
    assert reader.asked == 2
    assert sight.mark(laid) not in {0, before}


def test_another_card_is_asked_some_times_and_left_alone(reader: Reader) -> None:
    reader.answer = TokenGone("no FIDO token lies there")
    sight = Sight()
    for _ in range(10):
        assert selectors(sight) == ["virtual:one"]
    assert reader.asked == backends.TRIES


def test_a_card_in_use_is_a_token_for_want_of_others(reader: Reader) -> None:
    """As scdaemon holds it; whether it is one is found out once it is free."""
    reader.answer = TokenBusy("another program uses it")
    sight = Sight()
    assert selectors(sight) == ["virtual:one"]
    assert selectors(sight, watched=False) == ["pcsc:A reader"]
    reader.answer = None
    assert selectors(sight) == ["pcsc:A reader"]


def test_where_the_system_does_not_count_cards_no_look_disturbs_them(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    sight = Sight()
    for selector in (None, "pcsc:A reader"):
        assert selectors(Sight(selector)) == ([] if selector else ["virtual:one"])
    assert reader.asked == 0
    assert selectors(sight, watched=False) == ["pcsc:A reader"]
    (laid,) = sight(watched=False)
    assert sight.mark(laid) == 0
    assert reader.asked == 2


def test_tokens_on_usb_and_on_readers_are_both_used(
    reader: Reader, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HidBackend, "candidates", lambda _self: desk.candidates())
    assert selectors(Sight()) == ["usb:ONE", "pcsc:A reader"]
