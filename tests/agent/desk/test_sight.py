"""Looking for tokens as seldom as may be, and the clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.agent.desk import sight as agent_watching
from fidokit.agent.desk.sight import MOST_SKIPPED, Looks, Sight, seconds
from fidokit.client.links import backends
from fidokit.client.links.backends import HidBackend, PcscBackend
from fidokit.client.ports import Link
from fidokit.errors import FidokitError, TokenBusy, TokenGone
from fidokit.lab import named_tokens
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")


def test_tokens_are_looked_for_when_a_folder_changed_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = [1]
    monkeypatch.setattr(agent_watching, "_modified", lambda _folder: changed[0])
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
