"""Signing on tokens for many clients: which token, whose turn, whose PIN; tokens are scripted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.desk import PIN, Desk

from fidokit.agent.core.ports import Purpose
from fidokit.agent.notices import Notices
from fidokit.agent.pin.cache import PinCache
from fidokit.agent.pin.child import Children
from fidokit.agent.token_desk import IDLE_S, TokenDesk
from fidokit.client.ports import PinCode
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    Interrupted,
    TokenNotFound,
    TouchRefused,
)
from fidokit.keys import generation
from fidokit.keys.generation import GenerateRequest
from fidokit.keys.holder import read_key_file
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.signatures.signature import parse_signature, verify
from fidokit.tokens import owner as pin
from fidokit.types import KeyType, Transport
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

PURPOSE = Purpose("key", "test")
WAIT_S = 30

CHILD = """
import json, os, sys
order = json.loads(sys.stdin.readline())
given = os.read(order["pin_in"], 64).decode()
told = [order["token"], order["key_name"], order["what"], given, order["keep"]]
with open({log!r}, "a") as log:
    print(json.dumps(told), file=log)
if order["keep"] and not given:
    os.write(order["pin_out"], b"2580")
if given == "wrong":
    print(json.dumps({{"event": "pin_wrong"}}), flush=True)
print(json.dumps({{"signature": "c2lnbmVk"}}), flush=True)
"""


@dataclass
class Bench:
    """Two tokens, a key on each, and a desk that signs with them."""

    desk: Desk
    folder: Path
    clock: list[float] = field(default_factory=lambda: [100.0])
    lines: list[str] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wanted = threading.Event()
        self.cache = PinCache(60, lambda: self.clock[0])
        command = [sys.executable, "-c", CHILD.format(log=str(self.folder / "children"))]
        self.signer = TokenDesk(
            lambda *, watched: list(self.desk.candidates()),
            Children(command, threading.Lock()),
            Notices(self._say),
            self.cache,
            lambda: self.clock[0],
            mark=lambda candidate: self.marks.get(candidate.selector, 0),
        )

    def _say(self, line: str) -> None:
        self.lines.append(line)
        self.wanted.set()

    def key(self, token: str, name: str, **how: Any) -> SkPrivate:
        path = self.folder / name
        with self.desk.open(f"usb:{token}") as session:
            request = GenerateRequest(KeyType.ED25519_SK, path=path, comment=name, **how)
            generation.generate_key(session, request)
        private, _ = read_key_file(path, None)
        assert isinstance(private, SkPrivate)
        return private

    def sign(self, private: SkPrivate, stop: threading.Event | None = None) -> bytes:
        return self.signer.sign(private, b"message", PURPOSE, stop or threading.Event())

    def check(self, private: SkPrivate) -> None:
        verify(private.public, parse_signature(self.sign(private)), b"message", require_touch=True)

    def children(self) -> list[str]:
        path = self.folder / "children"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def bench(desk: Desk, folder: Path) -> Iterator[Bench]:
    desk.plug("TWO")
    with desk.open("usb:TWO") as session:
        pin.set_pin(session, PinCode.parse(PIN))
    made = Bench(desk, folder)
    yield made
    made.signer.close()


def test_the_token_that_holds_the_key_is_found(bench: Bench) -> None:
    for token in ("ONE", "TWO"):
        bench.check(bench.key(token, token))
    assert len(bench.lines) == 2


def test_it_is_known_from_then_on_and_stays_open(bench: Bench) -> None:
    private = bench.key("TWO", "k")
    bench.check(private)
    looks = bench.desk.looks
    bench.check(private)
    bench.check(private)
    assert bench.desk.looks == looks


def test_an_open_token_is_let_go_after_a_while(bench: Bench) -> None:
    private = bench.key("TWO", "k")
    assert not bench.signer.active.is_set()
    bench.check(private)
    bench.signer.upkeep()
    assert bench.signer.active.is_set()
    bench.clock[0] += IDLE_S
    bench.signer.upkeep()
    assert not bench.signer.active.is_set()
    bench.check(private)
    assert bench.signer.active.is_set()


def test_without_tokens(bench: Bench) -> None:
    private = bench.key("ONE", "k")
    bench.desk.plugged.clear()
    with pytest.raises(TokenNotFound):
        bench.sign(private)


def test_when_no_token_holds_it(bench: Bench) -> None:
    private = bench.key("ONE", "k")
    bench.desk.plug("ONE")  # another one in its place
    with pytest.raises(CredentialNotFound):
        bench.sign(private)


def test_a_key_that_moved_is_found_again(bench: Bench) -> None:
    private = bench.key("ONE", "k")
    bench.check(private)
    token = bench.desk.tokens["ONE"]
    bench.desk.plugged -= {"ONE"}
    bench.desk.plug("THREE", token)
    bench.clock[0] += IDLE_S
    bench.signer.upkeep()
    bench.check(private)


def test_a_token_that_was_unplugged_while_open(bench: Bench) -> None:
    private = bench.key("ONE", "k")
    bench.check(private)
    token = bench.desk.tokens["ONE"]
    token.power_cycle()
    bench.check(private)


def test_a_refused_touch(bench: Bench) -> None:
    token = VirtualToken(presence="script")
    bench.desk.plug("THREE", token)
    token.touch()
    private = bench.key("THREE", "k")
    token.refuse()
    with pytest.raises(TouchRefused):
        bench.sign(private)


# --- PINs ----------------------------------------------------------------------------------


def test_a_key_that_wants_the_pin_is_signed_by_a_child(bench: Bench) -> None:
    private = bench.key("TWO", "k", verify_required=True)
    bench.signer.knows(private, "usb:TWO")
    assert bench.sign(private) == b"signed"
    assert bench.children() == ['["usb:TWO", "key", "test", "", true]']


def test_its_pin_is_kept_and_handed_to_the_next_child(bench: Bench) -> None:
    private = bench.key("TWO", "k", verify_required=True)
    bench.signer.knows(private, "usb:TWO")
    bench.sign(private)
    bench.sign(private)
    assert bench.children()[1] == '["usb:TWO", "key", "test", "2580", true]'
    bench.clock[0] += 61
    bench.sign(private)
    assert bench.children()[2] == '["usb:TWO", "key", "test", "", true]'


def test_forgetting_wipes_it(bench: Bench) -> None:
    private = bench.key("TWO", "k", verify_required=True)
    bench.signer.knows(private, "usb:TWO")
    bench.sign(private)
    bench.signer.forget()
    assert bench.cache.tokens == frozenset()


def test_unplugging_wipes_it(bench: Bench) -> None:
    private = bench.key("TWO", "k", verify_required=True)
    bench.signer.knows(private, "usb:TWO")
    bench.sign(private)
    assert bench.signer.needs_upkeep
    bench.desk.plugged -= {"TWO"}
    bench.signer.upkeep()
    assert bench.cache.tokens == frozenset()


def test_a_policy_may_forbid_keeping(bench: Bench) -> None:
    private = bench.key("TWO", "k", verify_required=True)
    bench.signer.knows(private, "usb:TWO")
    purpose = Purpose("key", "test", pin_may_stay=False)
    bench.signer.sign(private, b"message", purpose, threading.Event())
    assert bench.cache.tokens == frozenset()


def test_the_pin_of_a_contactless_token_is_not_kept_where_cards_are_not_counted(
    bench: Bench,
) -> None:
    """Nobody sees it being taken away."""
    private = bench.key("TWO", "k", verify_required=True)
    bench.desk.kind = Transport.PCSC
    bench.signer.knows(private, "pcsc:TWO")
    bench.sign(private)
    assert bench.cache.tokens == frozenset()


def test_where_they_are_it_is_wiped_when_the_token_is_taken_off(bench: Bench) -> None:
    private = bench.key("TWO", "k", verify_required=True)
    bench.desk.kind = Transport.PCSC
    bench.signer.knows(private, "pcsc:TWO")
    bench.marks["pcsc:TWO"] = 3
    bench.sign(private)
    assert len(bench.cache.tokens) == 1
    bench.signer.upkeep()
    assert len(bench.cache.tokens) == 1
    bench.marks["pcsc:TWO"] = 5  # taken off and laid down again between two looks
    bench.signer.upkeep()
    assert bench.cache.tokens == frozenset()


def test_a_key_that_hides_is_found_by_touch(bench: Bench) -> None:
    private = bench.key("TWO", "k", resident=True, verify_required=True)
    bench.desk.tokens["ONE"].unplug()
    bench.desk.tokens["ONE"] = VirtualToken(presence="deny")
    assert bench.sign(private) == b"signed"
    assert "any of the tokens" in bench.lines[0]
    assert '"usb:TWO"' in bench.children()[0]


# --- turns ---------------------------------------------------------------------------------


@pytest.fixture
def slow(bench: Bench) -> tuple[Bench, SkPrivate, VirtualToken]:
    """A third token that waits for what a test does with it, and a key on it."""
    token = VirtualToken(presence="script")
    bench.desk.plug("SLOW", token)
    token.touch()
    with bench.desk.open("usb:SLOW") as session:
        request = GenerateRequest(KeyType.ED25519_SK, path=bench.folder / "slow")
        generation.generate_key(session, request)
    private, _ = read_key_file(bench.folder / "slow", None)
    assert isinstance(private, SkPrivate)
    return bench, private, token


def signing(
    bench: Bench, private: SkPrivate, stop: threading.Event
) -> tuple[threading.Thread, list[object]]:
    outcome: list[object] = []

    def work() -> None:
        try:
            outcome.append(bench.sign(private, stop))
        except FidokitError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


def test_who_waits_for_a_touch_does_not_block_another_token(
    slow: tuple[Bench, SkPrivate, VirtualToken],
) -> None:
    bench, private, token = slow
    other = bench.key("ONE", "other")
    thread, outcome = signing(bench, private, threading.Event())
    assert bench.wanted.wait(WAIT_S)
    bench.check(other)
    assert thread.is_alive()
    token.touch()
    thread.join(WAIT_S)
    assert isinstance(outcome[0], bytes)


def test_hanging_up_cancels_on_the_token(slow: tuple[Bench, SkPrivate, VirtualToken]) -> None:
    bench, private, token = slow
    stop = threading.Event()
    thread, outcome = signing(bench, private, stop)
    assert bench.wanted.wait(WAIT_S)
    stop.set()
    thread.join(WAIT_S)
    assert isinstance(outcome[0], FidokitError)
    token.touch()
    bench.check(private)


def test_the_next_one_waits_for_its_turn_and_may_give_up(
    slow: tuple[Bench, SkPrivate, VirtualToken],
) -> None:
    bench, private, token = slow
    first, one = signing(bench, private, threading.Event())
    assert bench.wanted.wait(WAIT_S)
    stop = threading.Event()
    second, two = signing(bench, private, stop)
    stop.set()
    second.join(WAIT_S)
    assert isinstance(two[0], Interrupted)
    assert first.is_alive()
    token.touch()
    first.join(WAIT_S)
    assert isinstance(one[0], bytes)
