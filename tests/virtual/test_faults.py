"""Faults happen at the command they wait for, as often as asked, and end when they should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fidokit.errors import TokenGone, UsageError
from fidokit.virtual.faults import (
    PROCESSING,
    Fault,
    KeyStoreFull,
    NonCanonical,
    Oversize,
    PowerCycle,
    Refuse,
    Slow,
    Stall,
    StallInSilence,
    Truncate,
    Unplug,
    WrongSignature,
)
from fidokit.virtual.presence import UP_NEEDED
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.world import ManualClock

GET_INFO = b"\x04"
SELECTION = b"\x0b"
VERSION = bytes.fromhex("00030000000000")
OK = b"\x00"
CANCELED = b"\x2d"
BROKEN = b"\x7f"


def ignore(_: int) -> None:
    pass


def never() -> bool:
    return False


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000)


@pytest.fixture
def token(clock: ManualClock) -> Iterator[VirtualToken]:
    with VirtualToken(clock=clock) as token:
        yield token


@pytest.fixture
def link(token: VirtualToken) -> MemoryLink:
    return token.link()


def status(link: MemoryLink, request: bytes = GET_INFO) -> int:
    return link.cbor(request, ignore, never)[0]


# --- which, and how often -------------------------------------------------------------------


def test_it_happens_once_and_then_no_more(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Refuse(0x7F))
    assert [status(link) for _ in range(3)] == [0x7F, 0, 0]
    assert token.faults.struck == [Refuse(0x7F)]


def test_count_and_after(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Refuse(0x7F), count=2, after=1)
    assert [status(link) for _ in range(5)] == [0, 0x7F, 0x7F, 0, 0]


def test_it_is_pending_until_it_has_happened(token: VirtualToken, link: MemoryLink) -> None:
    assert not token.faults.pending
    token.faults.add(Refuse(0x7F), command=GET_INFO[0])
    assert token.faults.pending
    status(link)
    assert not token.faults.pending


def test_only_its_command_counts(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Refuse(0x7F), command=SELECTION[0], after=1)
    token.faults.add(Refuse(0x6F00), u2f=0x03)
    assert [status(link), status(link, SELECTION), status(link)] == [0, 0, 0]
    assert status(link, SELECTION) == 0x7F
    assert link.msg(VERSION) == b"\x6f\x00"
    assert link.msg(VERSION) == b"U2F_V2\x90\x00"


def test_u2f_instructions_are_no_commands(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Refuse(0x7F), command=0x03)
    token.faults.add(Refuse(0x6F00), u2f=GET_INFO[0])
    assert link.msg(VERSION).endswith(b"\x90\x00")
    assert status(link) == 0
    assert token.faults.struck == []


def test_several_in_their_order(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Refuse(1))
    token.faults.add(Refuse(2))
    token.faults.add(Refuse(3), after=3)
    assert [status(link) for _ in range(6)] == [1, 2, 0, 0, 0, 3]


def test_any_link_of_the_token_meets_it(token: VirtualToken) -> None:
    token.faults.add(Refuse(0x7F))
    assert [status(token.link()), status(token.link())] == [0x7F, 0]


def test_what_an_answer_lacks_waits_for_one_that_has_it(
    token: VirtualToken, link: MemoryLink
) -> None:
    token.faults.add(WrongSignature())
    token.faults.add(Refuse(0x7F), after=2)
    assert status(link) == 0
    assert token.faults.struck == []
    assert link.msg(VERSION).endswith(b"\x90\x00")
    assert link.msg(bytes.fromhex("00010000000040") + bytes(64) + bytes(2)).endswith(b"\x90\x00")
    assert token.faults.struck == [WrongSignature()]


def test_an_empty_message_meets_it_too(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Refuse(0x7F), count=2)
    assert link.cbor(b"", ignore, never) == BROKEN
    assert link.msg(b"") == b"\x00\x7f"


def test_cleared_faults_do_not_happen(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Unplug(), count=100)
    token.faults.clear()
    assert status(link) == 0


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [
        (Truncate(), {"count": 0}),
        (Truncate(), {"after": -1}),
        (Truncate(), {"command": 1, "u2f": 1}),
        (Refuse(0), {}),
        (Refuse(0x10000), {}),
    ],
)
def test_senseless_faults(token: VirtualToken, fault: Fault, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        token.faults.add(fault, **arguments)
    assert caught.value.message


# --- what ---------------------------------------------------------------------------------


def test_statuses(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(KeyStoreFull(), count=2)
    assert status(link) == 0x28
    assert link.msg(VERSION) == b"\x6a\x84"


def test_answers_are_spoiled(token: VirtualToken, link: MemoryLink) -> None:
    right = link.cbor(GET_INFO, ignore, never)
    for fault in (Truncate(), Oversize(), NonCanonical()):
        token.faults.add(fault)
        assert link.cbor(GET_INFO, ignore, never) != right
    token.faults.add(Oversize(100))
    assert len(link.msg(VERSION)) == 100


RESET = b"\x07"
MAKE = bytes.fromhex(
    "01a40158200000000000000000000000000000000000000000000000000000000000000000"
    "02a1626964647373683a03a16269644161"
    "0481a263616c672764747970656a7075626c69632d6b6579"
)


@pytest.mark.parametrize(("fault", "on"), [(Unplug(), False), (PowerCycle(), True)])
def test_power_is_lost_before_it_acts(token: VirtualToken, fault: Fault, on: bool) -> None:
    link = token.link()
    token.faults.add(fault)
    with pytest.raises(TokenGone) as caught:
        link.cbor(RESET, ignore, never)
    assert caught.value.hint
    assert token.plugged_in is on


@pytest.mark.parametrize(("fault", "kept"), [(Unplug(), False), (Unplug(acted=True), True)])
def test_what_was_done_before_power_was_lost_stays_done(
    tmp_path: Path, fault: Fault, kept: bool
) -> None:
    make = MAKE[:1] + b"\xa5" + MAKE[2:] + b"\x07\xa1\x62rk\xf5"
    with VirtualToken(tmp_path / "t.sqlite") as token:
        token.faults.add(fault, command=0x01)
        with pytest.raises(TokenGone):
            token.link().cbor(make, ignore, never)
        with pytest.raises(TokenGone):
            status(token.link())
    with VirtualToken(tmp_path / "t.sqlite") as token:
        assert (token._store.count() == 1) is kept


@pytest.mark.parametrize("keepalive", [PROCESSING, UP_NEEDED])
def test_a_stall_is_kept_alive_until_it_is_canceled(
    token: VirtualToken, link: MemoryLink, keepalive: int
) -> None:
    token.faults.add(Stall(keepalive))
    seen: list[int] = []
    assert link.cbor(GET_INFO, seen.append, lambda: len(seen) == 3) == CANCELED
    assert seen == [keepalive] * 3
    assert status(link) == 0


def test_a_stall_may_be_deaf(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Stall(obeys_cancel=False))
    polls: list[int] = []

    def canceled() -> bool:
        polls.append(1)
        if len(polls) == 3:
            token.faults.clear()
        return True

    assert link.cbor(GET_INFO, ignore, canceled)[:1] == OK
    assert len(polls) == 3


@pytest.mark.parametrize("fault", [Stall(), Slow(10_000), StallInSilence()])
@pytest.mark.parametrize("end", [VirtualToken.unplug, VirtualToken.power_cycle])
def test_losing_power_ends_a_stall(
    token: VirtualToken, link: MemoryLink, fault: Fault, end: Any
) -> None:
    token.faults.add(fault)
    cutter = threading.Thread(target=lambda: end(_struck(token)))
    cutter.start()
    with pytest.raises(TokenGone):
        status(link)
    cutter.join()


def _struck(token: VirtualToken) -> VirtualToken:
    assert token.faults.wait()
    return token


def _release(token: VirtualToken) -> None:
    _struck(token).faults.clear()


def test_waiting_for_a_fault_has_an_end(token: VirtualToken) -> None:
    assert not token.faults.wait(seconds=0)


def test_silence_is_silent_until_it_is_cleared(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(StallInSilence())
    signs: list[object] = []
    release = threading.Thread(target=_release, args=[token])
    release.start()
    assert link.cbor(GET_INFO, signs.append, lambda: bool(signs.append(1)))[:1] == OK
    release.join()
    assert signs == []
    assert not token.silent


def test_a_slow_answer_comes_after_its_time(
    token: VirtualToken, link: MemoryLink, clock: ManualClock
) -> None:
    token.faults.add(Slow(250))
    seen: list[int] = []

    def on_keepalive(keepalive: int) -> None:
        seen.append(keepalive)
        clock.advance(100)

    assert link.cbor(GET_INFO, on_keepalive, never)[:1] == OK
    assert seen == [PROCESSING] * 3
    token.faults.add(Slow(250))
    assert link.cbor(GET_INFO, ignore, lambda: True) == CANCELED


def test_u2f_stalls_end_by_clearing(token: VirtualToken, link: MemoryLink) -> None:
    token.faults.add(Stall(), u2f=0x03)
    release = threading.Thread(target=_release, args=[token])
    release.start()
    assert link.msg(VERSION).endswith(b"\x90\x00")
    release.join()
