"""One token as many clients use it: turns, the open session, and telling tokens apart."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.agent.core.ports import Purpose
from fidokit.agent.desk.place import Place, claim_if_open, holds_key, mark_of, take_turn
from fidokit.agent.notices import Announcing, Notices
from fidokit.errors import Interrupted, PinRequired, TokenBusy
from fidokit.lab import named_tokens
from fidokit.tokens.access import VirtualBackend
from fidokit.types import Transport

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def announcing() -> Announcing:
    return Announcing(Notices(lambda _line: None), Purpose("k", "w"))


@pytest.fixture
def place(desk: Desk) -> Place:
    return Place(desk.candidate("ONE"), 7)


def test_it_is_opened_once(place: Place, announcing: Announcing) -> None:
    first = place.open(announcing)
    assert place.open(announcing) is first
    assert place.is_open
    place.close()
    assert not place.is_open
    place.close()


def test_each_use_has_its_own_person(place: Place, announcing: Announcing) -> None:
    place.open(announcing)
    other = Announcing(Notices(lambda _line: None), Purpose("other", "w"))
    assert place.open(other).interaction is other
    place.close()


def test_a_turn_is_waited_for_until_the_client_hangs_up(place: Place) -> None:
    stop = threading.Event()
    take_turn(place, stop)
    stop.set()
    with pytest.raises(Interrupted):
        take_turn(place, stop)
    place.turn.release()
    take_turn(place, stop)


def test_only_an_open_token_is_claimed_as_such(place: Place, announcing: Announcing) -> None:
    stop = threading.Event()
    assert not claim_if_open(place, stop)
    assert not place.turn.locked()
    place.open(announcing)
    assert claim_if_open(place, stop)
    assert place.turn.locked()
    place.close()


def test_a_token_in_trouble_holds_no_key(desk: Desk, place: Place, announcing: Announcing) -> None:
    from tests.support import agent_keys

    assert not holds_key(place, agent_keys.sk(), announcing)
    place.close()
    desk.refusals["ONE"] = TokenBusy("busy")
    assert not holds_key(place, agent_keys.sk(), announcing)
    assert not place.is_open


def test_the_name_of_a_pin_tells_tokens_in_one_place_apart(place: Place) -> None:
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
