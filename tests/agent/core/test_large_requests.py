"""Requests that take long to read: read elsewhere, judged by the state that they end in."""

from __future__ import annotations

import gc
import threading

import pytest
from tests.agent.core.world import HOST, PLAIN, World, lock, to, unlock

from fidokit.agent.core.agent import SlowRead
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints
from fidokit.openssh.agent_messages import FAILURE, SUCCESS

LARGE = agent_messages.encode_add(PLAIN.fields, "large", Constraints(destinations=(to(HOST),) * 99))


def test_a_large_addition_is_read_elsewhere_and_then_kept() -> None:
    world = World()
    step = world.step(LARGE)
    assert isinstance(step, SlowRead)
    then = step.read(threading.Event())
    assert world.listed() == [], "nothing changes before the agent's own thread goes on"
    assert then() == SUCCESS
    assert world.listed() == [(PLAIN.public.blob(), "large")]


def test_a_large_addition_is_judged_by_the_state_that_it_ends_in() -> None:
    world = World()
    step = world.step(LARGE)
    assert isinstance(step, SlowRead)
    then = step.read(threading.Event())
    assert world.ask(lock(b"words")) == SUCCESS
    assert then() == FAILURE
    assert world.ask(unlock(b"words")) == SUCCESS
    assert world.listed() == []


def test_a_client_that_hung_up_has_nothing_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world, stop = World(), threading.Event()
    step = world.step(LARGE)
    assert isinstance(step, SlowRead)
    stop.set()
    monkeypatch.setattr(agent_messages, "parse_request", lambda _: pytest.fail("it was read"))
    assert step.read(stop)() == FAILURE


@pytest.mark.parametrize(
    "payload",
    [LARGE[:-1], LARGE + b"x", bytes([26]) + wire.text("/lib/x.so") + wire.string(bytes(9000))],
    ids=["cut", "longer", "smartcard"],
)
def test_a_large_request_that_is_refused_gets_failure(payload: bytes) -> None:
    world = World()
    assert isinstance(world.step(payload), SlowRead)
    assert world.ask(payload) == FAILURE
    assert len(world.log) == 1
    assert world.listed() == []


@pytest.mark.parametrize("state", ["locked", "read-only"])
def test_a_state_that_refuses_a_large_request_does_so_at_once(state: str) -> None:
    world = World(read_only=state == "read-only")
    if state == "locked":
        world.ask(lock(b"words"))
    assert world.step(LARGE) == FAILURE


def test_a_large_request_that_is_refused_leaves_nothing_with_the_agent() -> None:
    """An error keeps the frame that raised it, and so the request, until a late collection."""
    world = World()
    broken = agent_messages.encode_add(wire.text("ssh-rsa") + bytes(9000), "large")
    gc.collect()
    gc.disable()
    try:
        assert world.ask(broken) == FAILURE
        assert gc.collect() == 0
    finally:
        gc.enable()
