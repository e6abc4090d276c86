"""Uploads and listings that others come into are dropped or go on, and are never mixed up."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.virtual.core.client import MC, RP, Bench, Platform, S, make_request
from tests.virtual.core.manager import PIN_CODE, Manager, make

BLOBS, INFO = 0x0C, 0x04


def array(number: int, size: int) -> bytes:
    """A large blob array of one writer: every byte of its content names the writer."""
    content = bytes([0x58, size - 2]) + bytes([number]) * (size - 2)
    return content + hashlib.sha256(content).digest()[:16]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fragment"), st.integers(0, 2), st.integers(1, 60)),
        st.tuples(st.just("again"), st.integers(0, 2), st.integers(1, 60)),
        st.tuples(st.just("skip"), st.integers(0, 2), st.integers(1, 60)),
        st.tuples(st.just("info"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("make"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("power"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@pytest.mark.check("LB-05", "LB-08", "LB-09")
@settings(deadline=None)
@given(STEPS)
def test_uploads_of_three_writers(steps: list[tuple[str, int, int]]) -> None:
    """What is served is always an array that one writer sent whole, or the one before."""
    bench = Bench()
    wanted = [array(number + 1, 100 + number) for number in range(3)]
    sent = [0, 0, 0]
    good = {bench.ok(BLOBS, {1: 4096 % 1000, 3: 0})[1], *wanted}
    for what, who, size in steps:
        if what in {"fragment", "again", "skip"}:
            at = {"fragment": sent[who], "again": 0, "skip": sent[who] + size}[what]
            piece = wanted[who][at : at + size]
            request: dict[int, Any] = {2: piece, 3: at}
            if at == 0:
                request[4] = len(wanted[who])
            if bench.status(BLOBS, request, channel=who) == S.OK:
                sent[who] = (at + len(piece)) % len(wanted[who])
        elif what == "info":
            bench.status(INFO, channel=who)
        elif what == "make":
            bench.status(MC, make_request(), channel=who)
        else:
            bench.power_up()
        assert bench.ok(BLOBS, {1: 900, 3: 0}, channel=9)[1] in good


COMMANDS = st.lists(
    st.tuples(st.sampled_from(["rps", "rp", "creds", "cred", "info", "make"]), st.integers(0, 1)),
    max_size=25,
)


@pytest.mark.check("CM-09", "CM-05", "CM-07")
@settings(deadline=None, max_examples=50)
@given(COMMANDS)
def test_listings_of_two_channels(commands: list[tuple[str, int]]) -> None:
    """A next item belongs to the listing that its own channel began last, or is refused."""
    platform = Platform(Bench())
    platform.set_pin(PIN_CODE)
    for rp in (RP, "ssh:b", "ssh:c"):
        for user in (b"ada", b"bob", b"eve"):
            make(platform, rp, user)
    manager = Manager(platform)
    order = _in_order(manager)
    expected: list[tuple[int, str, list[Any]]] = []
    for what, channel in commands:
        if what in {"rps", "creds"}:
            params = None if what == "rps" else {1: hashlib.sha256(RP.encode()).digest()}
            sub, key = (2, "rp") if what == "rps" else (4, "cred")
            body = manager.bench.ok(0x0A, manager.request(sub, params), channel)
            assert _item(body) == order[key][0]
            expected = [(channel, key, order[key][1:])]
        elif what in {"rp", "cred"}:
            answer = manager.bench.call(0x0A, {1: 3 if what == "rp" else 5}, channel)
            due = expected.pop() if expected else None
            if due is None or due[:2] != (channel, what) or not due[2]:
                assert answer.status == S.NOT_ALLOWED
                continue
            assert _item(answer.body) == due[2][0]
            expected = [(channel, what, due[2][1:])]
        else:
            expected = []
            bench = manager.bench
            assert bench.status(INFO if what == "info" else BLOBS, {1: 1, 3: 0}, channel) == S.OK


def _item(body: Any) -> Any:
    return body[4] if 4 in body else body[7]["id"]


def _in_order(manager: Manager) -> dict[str, list[Any]]:
    parties = [_item(manager.ok(2)), _item(manager.next(3)), _item(manager.next(3))]
    first = manager.ok(4, {1: hashlib.sha256(RP.encode()).digest()})
    return {"rp": parties, "cred": [_item(first), *(_item(manager.next(5)) for _ in range(2))]}
