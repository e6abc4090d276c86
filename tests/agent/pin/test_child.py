"""Children of the agent, by scripts that stand in for them: told, heard, canceled, ended."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field

import pytest
from tests.support.agent_keys import descriptors

from fidokit.agent.pin import child
from fidokit.agent.pin.child import Children, PinPipes
from fidokit.errors import FidokitError, Interrupted, TouchTimedOut

pytestmark = pytest.mark.usefixtures("home")

HEAD = """
import json, os, sys
order = json.loads(sys.stdin.readline())
def say(**event):
    print(json.dumps(event), flush=True)
"""


@dataclass
class Heard:
    events: list[str] = field(default_factory=list)
    touched: threading.Event = field(default_factory=threading.Event)

    def touch_wanted(self, token: str) -> None:
        self.events.append(f"touch {token}")
        self.touched.set()

    def touch_over(self) -> None:
        self.events.append("over")

    def pin_wrong(self) -> None:
        self.events.append("wrong")


@pytest.fixture
def heard() -> Heard:
    return Heard()


def children(body: str, asking: threading.Lock | None = None) -> Children:
    return Children([sys.executable, "-c", HEAD + body], asking or threading.Lock(), "askpass")


def run(
    body: str,
    heard: Heard,
    *,
    stop: threading.Event | None = None,
    pins: PinPipes | None = None,
    asking: threading.Lock | None = None,
) -> dict[str, object]:
    order = {"do": "sign", "n": 7}
    made = children(body, asking)
    return dict(made.run(order, heard, stop or threading.Event(), pins or PinPipes()))


def test_a_child_gets_its_order_and_gives_a_result(heard: Heard) -> None:
    result = run("say(result=order['n'], method=order['method'])", heard)
    assert result == {"result": 7, "method": "askpass"}


def test_events_are_heard(heard: Heard) -> None:
    body = "say(event='pin_wrong'); say(event='touch_wanted', token='T')\n"
    run(body + "say(event='touch_over'); say(done=1)", heard)
    assert heard.events == ["wrong", "touch T", "over"]


def test_its_error_is_raised(heard: Heard) -> None:
    with pytest.raises(TouchTimedOut, match="too late"):
        run("say(error='TouchTimedOut', message='too late', hint='')", heard)


@pytest.mark.parametrize("body", ["", "os._exit(1)", "print('rubbish')", "print('[1]')"])
def test_one_that_says_nothing(body: str, heard: Heard) -> None:
    with pytest.raises(FidokitError, match="without an answer"):
        run(body, heard)


def test_pins_go_through_pipes_both_ways(heard: Heard) -> None:
    kept: list[bytes] = []
    pins = PinPipes(
        hand_out=lambda fd: os.write(fd, b"1234"), keep=lambda fd: kept.append(os.read(fd, 64))
    )
    body = "pin = os.read(order['pin_in'], 64)\nos.write(order['pin_out'], pin[::-1])\nsay(ok=1)"
    assert run(body, heard, pins=pins) == {"ok": 1}
    assert kept == [b"4321"]


def test_no_pin_is_an_empty_pipe(heard: Heard) -> None:
    assert run("say(pin=os.read(order['pin_in'], 64).decode())", heard) == {"pin": ""}


def test_a_question_waits_for_its_turn(heard: Heard) -> None:
    asking = threading.Lock()
    body = "say(event='ask'); sys.stdin.readline(); say(event='asked'); say(ok=1)"
    results: list[object] = []
    asking.acquire()
    thread = threading.Thread(target=lambda: results.append(run(body, heard, asking=asking)))
    thread.start()
    thread.join(0.5)
    assert results == []
    asking.release()
    thread.join(30)
    assert results == [{"ok": 1}]
    assert not asking.locked()


def test_a_child_that_dies_while_it_asks_gives_the_turn_back(heard: Heard) -> None:
    asking = threading.Lock()
    with pytest.raises(FidokitError):
        run("say(event='ask'); sys.stdin.readline(); os._exit(1)", heard, asking=asking)
    assert not asking.locked()


def test_canceling_closes_its_input(heard: Heard) -> None:
    """The child hears the end, cancels on the token and says so."""
    body = "say(event='touch_wanted', token='T'); sys.stdin.readline(); say(error='Interrupted',"
    body += " message='canceled', hint='')"
    stop = threading.Event()
    threading.Thread(target=lambda: (heard.touched.wait(30), stop.set())).start()
    with pytest.raises(Interrupted, match="canceled"):
        run(body, heard, stop=stop)


def test_one_that_does_not_listen_is_ended(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.3)
    body = "say(event='touch_wanted', token='T')\nimport time\nwhile True: time.sleep(60)"
    stop = threading.Event()
    threading.Thread(target=lambda: (heard.touched.wait(30), stop.set())).start()
    with pytest.raises(Interrupted):
        run(body, heard, stop=stop)


def test_nothing_is_left_open(heard: Heard) -> None:
    before = descriptors()
    for body in ("say(ok=1)", "say(error='FidokitError', message='m', hint='')", ""):
        try:
            run(body, heard)
        except FidokitError:
            continue
    assert descriptors() == before
