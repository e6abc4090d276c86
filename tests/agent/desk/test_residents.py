"""Resident keys without files: each token is listed once, while it is plugged in."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support import agent_keys
from tests.support.desk import Desk

from fidokit.agent.core.held_keys import Entry
from fidokit.agent.desk.residents import Residents
from fidokit.agent.desk.token_desk import TokenDesk
from fidokit.agent.notices import Notices
from fidokit.agent.pin.cache import PinCache
from fidokit.agent.pin.child import Children

pytestmark = pytest.mark.usefixtures("home")

CHILD = """
import base64, json, os, sys
order = json.loads(sys.stdin.readline())
with open({log!r}, "a") as log:
    print(order["token"], order["remember"], file=log)
if order["token"] == "usb:LOCKED":
    print(json.dumps(dict(error="PinRequired", message="nobody answered", hint="")))
else:
    print(json.dumps(dict(keys=[dict(key={key!r}, comment="on " + order["token"])])))
"""


class Bench:
    def __init__(self, desk: Desk, folder: Path, *, remember: bool = False) -> None:
        from base64 import b64encode

        key = b64encode(agent_keys.sk().encode()).decode()
        self.log = folder / "children"
        self.found: dict[str, list[str]] = {}
        self.lines: list[str] = []
        command = [sys.executable, "-c", CHILD.format(log=str(self.log), key=key)]
        signer = TokenDesk(
            lambda *, watched: list(desk.candidates()),
            Children(command, threading.Lock()),
            Notices(self.lines.append),
            PinCache(0, lambda: 0.0),
            lambda: 0.0,
        )
        self.residents = Residents(signer, self.note, self.lines.append, remember=remember)

    def note(self, selector: str, entries: Sequence[Entry]) -> None:
        self.found[selector] = [entry.comment for entry in entries]

    def look(self) -> None:
        self.residents.look()
        self.residents.wait()

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def make(desk: Desk, folder: Path) -> Callable[..., Bench]:
    return lambda **how: Bench(desk, folder, **how)


def test_each_token_is_listed_once(make: Callable[..., Bench], desk: Desk) -> None:
    bench = make()
    for _ in range(3):
        bench.look()
    assert bench.asked() == ["usb:ONE None"]
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}


def test_one_that_is_plugged_in_later(make: Callable[..., Bench], desk: Desk) -> None:
    bench = make()
    bench.look()
    desk.plug("TWO")
    bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"], "usb:TWO": ["on usb:TWO"]}


def test_unplugging_takes_its_keys_away_and_plugging_lists_again(
    make: Callable[..., Bench], desk: Desk
) -> None:
    bench = make()
    bench.look()
    desk.plugged.clear()
    bench.look()
    assert bench.found == {"usb:ONE": []}
    desk.plugged.add("ONE")
    bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}
    assert len(bench.asked()) == 2


def test_an_owner_who_does_not_answer_is_not_asked_again(
    make: Callable[..., Bench], desk: Desk
) -> None:
    desk.plug("LOCKED")
    bench = make()
    for _ in range(3):
        bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}
    assert len(bench.asked()) == 2
    assert any("nobody answered" in line for line in bench.lines)


def test_the_right_to_list_is_kept_where_that_is_wanted(make: Callable[..., Bench]) -> None:
    bench = make(remember=True)
    bench.look()
    assert bench.asked() == ["usb:ONE True"]
