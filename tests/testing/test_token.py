"""A token that tests cannot hang on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from fidokit.client.links.watchdog import Patience, guarded
from fidokit.testing import Stalled, WatchedToken
from fidokit.virtual.faults import Fault, Refuse, Stall, StallInSilence
from fidokit.virtual.world import ManualClock

SELECTION, GET_INFO = b"\x0b", b"\x04"
REGISTER = bytes.fromhex("00010300000040") + bytes(64) + b"\0\0"
VERSION = bytes.fromhex("00030000000000")


def ignore(_: int) -> None:
    pass


def never() -> bool:
    return False


def token(presence: str = "script", patience_s: float = 0.05, **given: object) -> WatchedToken:
    return WatchedToken(presence=presence, patience_s=patience_s, **given)  # type: ignore[arg-type]


def test_a_touch_that_nobody_queued_is_an_error() -> None:
    with token() as waiting:
        with pytest.raises(Stalled, match=r"0x0b waited 0\.05 s .*: queue touch\(\)") as caught:
            waiting.link().cbor(SELECTION, ignore, never)
        assert waiting.stalls == [caught.value]


def test_real_time_counts_where_the_tokens_clock_stands_still() -> None:
    with token(clock=ManualClock()) as waiting, pytest.raises(Stalled):
        waiting.link().cbor(SELECTION, ignore, never)


def test_the_token_is_free_afterwards() -> None:
    with token() as waiting:
        link = waiting.link()
        with pytest.raises(Stalled):
            link.cbor(SELECTION, ignore, never)
        waiting.touch()
        assert link.cbor(SELECTION, ignore, never) == b"\0"


def test_nothing_is_said_where_somebody_came() -> None:
    with token(patience_s=10) as waiting:
        link = waiting.link()
        waiting.touch()
        waiting.refuse()
        assert link.cbor(SELECTION, ignore, never) == b"\0"
        assert link.cbor(SELECTION, ignore, never) == b"\x27"
        assert link.cbor(GET_INFO, ignore, never)[:1] == b"\0"
        assert waiting.stalls == []


def test_a_client_that_gives_up_itself_is_no_stall() -> None:
    with token(patience_s=10) as waiting:
        assert waiting.link().cbor(SELECTION, ignore, lambda: True) == b"\x2d"
        assert waiting.stalls == []


def test_a_u2f_client_that_asks_for_ever() -> None:
    with token() as waiting:
        with pytest.raises(Stalled, match="U2F command 0x01"):
            ask_for_ever(waiting)
        assert len(waiting.stalls) == 1


def ask_for_ever(waiting: WatchedToken) -> None:
    """As U2F clients do; 20 seconds are for ever in a test."""
    link, deadline = waiting.link(), time.monotonic() + 20
    while time.monotonic() < deadline:
        assert link.msg(REGISTER) == b"\x69\x85"


def test_a_u2f_client_that_is_touched_in_between() -> None:
    with token(patience_s=10) as waiting:
        link = waiting.link()
        assert link.msg(REGISTER) == b"\x69\x85"
        assert link.msg(REGISTER) == b"\x69\x85"
        waiting.touch()
        assert link.msg(REGISTER)[-2:] == b"\x90\0"
        assert waiting.stalls == []


def test_one_clients_patience_does_not_count_for_another_command() -> None:
    with token(patience_s=0) as waiting:
        link = waiting.link()
        for _ in range(3):
            assert link.msg(REGISTER) == b"\x69\x85"
            assert link.msg(VERSION)[:6] == b"U2F_V2"


def test_fidokits_own_client_passes_it_on() -> None:
    with token() as waiting:
        link = waiting.link()
        with pytest.raises(Stalled):
            guarded(lambda pulse: link.cbor(SELECTION, pulse.keepalive, pulse.canceled), Patience())


def test_a_touch_from_another_thread() -> None:
    with token(patience_s=20) as waiting:
        asked = threading.Event()
        toucher = threading.Thread(target=lambda: (asked.wait(10), waiting.touch()))
        toucher.start()
        assert waiting.link().cbor(SELECTION, lambda _: asked.set(), never) == b"\0"
        toucher.join()


@pytest.mark.parametrize("fault", [Stall(), Stall(obeys_cancel=False), StallInSilence()], ids=repr)
@pytest.mark.parametrize("presence", ["auto", "script"])
def test_faults_that_stall_end_too(fault: Fault, presence: str) -> None:
    with token(presence) as broken:
        link = broken.link()
        broken.faults.add(fault, count=2)
        with pytest.raises(Stalled, match=r"0x0b.*faults\.clear"):
            link.cbor(SELECTION, ignore, never)
        broken.faults.clear()
        broken.touch()
        assert link.cbor(SELECTION, ignore, never) == b"\0"


@pytest.mark.parametrize("fault", [Stall(), StallInSilence()], ids=repr)
def test_u2f_messages_that_stall_end_too(fault: Fault) -> None:
    with token() as broken:
        broken.faults.add(fault, u2f=0x03)
        with pytest.raises(Stalled, match="U2F command 0x03"):
            broken.link().msg(VERSION)


def test_a_fault_without_a_stall_is_none(token_in_time: WatchedToken) -> None:
    token_in_time.faults.add(Refuse(0x7F), command=SELECTION[0])
    assert token_in_time.link().cbor(SELECTION, ignore, never) == b"\x7f"
    assert token_in_time.stalls == []


@pytest.fixture
def token_in_time() -> Iterator[WatchedToken]:
    with token("auto", patience_s=20) as made:
        yield made


@pytest.mark.parametrize(("presence", "takes"), [(None, True), ("auto", True), ("deny", True)])
def test_gestures_can_be_queued_under_a_policy(presence: str | None, takes: bool) -> None:
    with WatchedToken(presence=presence) as made:
        assert made.takes_gestures is takes
