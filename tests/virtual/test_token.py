"""A token with power: plugging, links, the person, canceling, unplugging, threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fido2 import cbor as fido2_cbor
from tests.virtual.conftest import IDENTITY, STATE

from fidokit.errors import StateUnusable, TokenBusy, TokenGone, TokenNotFound, UsageError
from fidokit.virtual import registry
from fidokit.virtual.core.ports import NeedsPresence, Outcome
from fidokit.virtual.core.profile import CTAP_2_1, profile
from fidokit.virtual.presence import UP_NEEDED
from fidokit.virtual.store import MemoryStore, SqliteStore
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.world import ManualClock, SeededRng

GET_INFO = b"\x04"
SELECTION = b"\x0b"
CANCELED = b"\x2d"
DENIED = b"\x27"
TIMED_OUT = b"\x2f"
BUSY = b"\x06"
OK = b"\x00"


def ignore(_: int) -> None:
    pass


def never() -> bool:
    return False


def select(link: MemoryLink, canceled: Callable[[], bool] = never) -> bytes:
    """authenticatorSelection: the shortest command that waits for a touch."""
    return link.cbor(SELECTION, ignore, canceled)


def info(token: VirtualToken) -> Any:
    reply = token.link().cbor(GET_INFO, ignore, never)
    assert reply[:1] == OK
    return fido2_cbor.decode(reply[1:])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5_000)


@pytest.fixture
def token(clock: ManualClock) -> Iterator[VirtualToken]:
    """In memory, its person scripted, its clock standing still."""
    with VirtualToken(presence="script", clock=clock, rng=SeededRng()) as token:
        yield token


# --- plugging in ----------------------------------------------------------------------------


def test_a_token_in_memory_answers_at_once() -> None:
    with VirtualToken() as token:
        assert "FIDO_2_3" in info(token)[1]
        assert token.name == "memory"
        assert select(token.link()) == OK


@pytest.mark.parametrize("name", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_the_profile_decides_what_it_is(name: str) -> None:
    with VirtualToken(profile=name) as token:
        assert info(token)[3] == profile(name).aaguid
        assert token.identity.profile == name


def test_a_profile_of_the_callers_own() -> None:
    own = CTAP_2_1.with_options(alwaysUv=True)
    with VirtualToken(profile=own) as token:
        assert info(token)[4]["alwaysUv"] is True


def test_a_path_is_made_and_then_opened(tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    with VirtualToken(path, profile="ctap2.1", presence="deny") as token:
        made = token.identity
        assert token.name == "mine"
    with VirtualToken(path) as token:
        assert token.identity == made
        assert token.profile is CTAP_2_1
        assert select(token.link()) == DENIED
    with VirtualToken(path, presence="auto") as token:
        assert select(token.link()) == OK
        with pytest.raises(TokenBusy):
            VirtualToken(path)


def test_a_store_of_the_callers_own_is_closed_with_the_token(tmp_path: Path) -> None:
    store = SqliteStore.create(tmp_path / "t.sqlite", IDENTITY, STATE)
    with VirtualToken(store=store):
        pass
    SqliteStore.open(store.path).close()


def test_a_name_is_looked_up(state_home: Path) -> None:
    registry.create("work", presence="deny")
    with VirtualToken("work") as token:
        assert token.name == "work"
        assert select(token.link()) == DENIED
    with pytest.raises(TokenNotFound, match="no virtual token named 'play'") as caught:
        VirtualToken("play")
    assert "work" in caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        {"profile": "ctap9"},
        {"presence": "sometimes"},
        {"source": "../etc"},
        {"source": Path("x"), "store": MemoryStore(STATE)},
    ],
)
def test_senseless_arguments_make_nothing(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        VirtualToken(**{"source": Path("new.sqlite"), **arguments})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"profile": "ctap3.0"}, "no profile 'ctap3.0'"),
        ({"presence": "telepathy"}, "no presence policy 'telepathy'"),
    ],
)
def test_a_token_from_the_future_is_named_and_let_go(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "t.sqlite"
    SqliteStore.create(path, replace(IDENTITY, **change), STATE).close()
    for _ in range(2):
        with pytest.raises(StateUnusable, match="not for this fidokit: there is " + sentence):
            VirtualToken(path)


@pytest.mark.parametrize("value", ["", "00", "80ff", "8100", "818181", "a0", "9f"])
def test_a_token_whose_state_is_damaged_is_let_go(tmp_path: Path, value: str) -> None:
    path = tmp_path / "t.sqlite"
    SqliteStore.create(path, IDENTITY, STATE).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE state SET min_pin_rp_ids = ?", (bytes.fromhex(value),))
    connection.close()
    for _ in range(2):
        with pytest.raises(StateUnusable, match="is damaged") as caught:
            VirtualToken(path)
        assert caught.value.hint


def test_a_seed_repeats_the_token() -> None:
    serials = set()
    for _ in range(2):
        with VirtualToken(rng=SeededRng(b"seed"), clock=ManualClock()) as token:
            serials.add(token.identity.serial)
    assert len(serials) == 1


@pytest.mark.parametrize(("name", "bits"), [("u2f", 0x01), ("ctap2.0", 0x05), ("ctap2.3", 0x05)])
def test_capabilities(name: str, bits: int) -> None:
    with VirtualToken(profile=name) as token:
        assert token.link().capabilities == bits


def test_capabilities_without_u2f_say_so() -> None:
    with VirtualToken(profile=replace(CTAP_2_1, versions=("FIDO_2_1",))) as token:
        assert token.link().capabilities == 0x0D


# --- the person -----------------------------------------------------------------------------


def test_queued_gestures_answer_in_order(token: VirtualToken) -> None:
    token.touch()
    token.refuse()
    token.touch()
    assert [select(token.link()) for _ in range(3)] == [OK, DENIED, OK]


def test_gestures_that_nobody_used_can_be_forgotten() -> None:
    with VirtualToken(presence="auto") as token:
        token.refuse()
        token.uv_mismatch()
        token.forget_gestures()
        assert select(token.link()) == OK
        token.refuse()
        assert select(token.link()) == DENIED


def test_a_wait_is_reported_and_ended_by_a_touch(token: VirtualToken) -> None:
    seen: list[int] = []

    def on_keepalive(status: int) -> None:
        seen.append(status)
        token.touch()

    assert token.link().cbor(SELECTION, on_keepalive, never) == OK
    assert seen == [UP_NEEDED]


def test_a_touch_of_another_thread_ends_the_wait(token: VirtualToken) -> None:
    waiting = threading.Event()
    toucher = threading.Thread(target=lambda: (waiting.wait(10), token.touch()))
    toucher.start()
    assert token.link().cbor(SELECTION, lambda _: waiting.set(), never) == OK
    toucher.join()


def test_canceling_ends_the_wait_and_frees_the_token(token: VirtualToken) -> None:
    asked: list[int] = []

    def third_time() -> bool:
        asked.append(1)
        return len(asked) == 3

    assert select(token.link(), third_time) == CANCELED
    token.touch()
    assert select(token.link()) == OK


def test_the_deadline_passes_on_the_injected_clock(token: VirtualToken, clock: ManualClock) -> None:
    reply = token.link().cbor(SELECTION, lambda _: clock.advance(60_000), never)
    assert reply == TIMED_OUT
    token.touch()
    assert select(token.link()) == OK


def test_a_delayed_touch_comes_after_its_time(clock: ManualClock) -> None:
    with VirtualToken(presence="delay 250", clock=clock) as token:
        seen: list[int] = []

        def on_keepalive(_: int) -> None:
            seen.append(clock.now_ms())
            clock.advance(100)

        assert token.link().cbor(SELECTION, on_keepalive, never) == OK
        assert seen == [5_000, 5_100, 5_200]


class Refuser:
    """A person of the caller's own."""

    def wait(self, need: NeedsPresence, on_keepalive: Any, canceled: Any) -> Outcome:
        return Outcome.REFUSED


def test_a_person_of_the_callers_own() -> None:
    with VirtualToken(presence=Refuser()) as token:
        assert select(token.link()) == DENIED
        with pytest.raises(UsageError, match="gestures cannot be queued"):
            token.touch()


class PressedCtrlC:
    def wait(self, need: NeedsPresence, on_keepalive: Any, canceled: Any) -> Outcome:
        raise KeyboardInterrupt


def test_an_exception_while_waiting_frees_the_token() -> None:
    with VirtualToken(presence=PressedCtrlC()) as token:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                select(token.link())
        assert info(token)


# --- links ----------------------------------------------------------------------------------


def test_wink_is_counted(token: VirtualToken) -> None:
    token.link().wink()
    token.link().wink()
    assert token.winks == 2


def test_a_closed_link_is_gone_and_others_are_not(token: VirtualToken) -> None:
    closed, open_one = token.link(), token.link()
    closed.close()
    closed.close()
    with pytest.raises(TokenGone, match="link to the virtual token is closed"):
        closed.cbor(GET_INFO, ignore, never)
    assert open_one.cbor(GET_INFO, ignore, never)[:1] == OK


def test_another_link_is_told_busy_while_one_waits(token: VirtualToken) -> None:
    first, second = token.link(), token.link()
    replies = []

    def on_keepalive(_: int) -> None:
        replies.append(select(second))
        replies.append(second.cbor(GET_INFO, ignore, never))
        token.touch()

    assert first.cbor(SELECTION, on_keepalive, never) == OK
    assert replies == [BUSY, BUSY]
    assert second.cbor(GET_INFO, ignore, never)[:1] == OK


def test_many_links_of_many_threads(tmp_path: Path) -> None:
    with VirtualToken(tmp_path / "t.sqlite") as token:
        counters: list[int] = []
        lock = threading.Lock()

        def work(number: int) -> None:
            link = token.link()
            for turn in range(10):
                request = {1: bytes(32), 2: {"id": "ssh:"}, 3: {"id": bytes([number, turn])}}
                request[4] = [{"alg": -8, "type": "public-key"}]
                request[7] = {"rk": True}
                reply = link.cbor(b"\x01" + fido2_cbor.encode(request), ignore, never)
                while reply == BUSY:
                    reply = link.cbor(b"\x01" + fido2_cbor.encode(request), ignore, never)
                answer: Any = fido2_cbor.decode(reply[1:])
                auth_data = answer[2]
                with lock:
                    counters.append(int.from_bytes(auth_data[33:37]))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(counters)) == 40
        assert info(token)[0x14] == 100 - 40


# --- power ----------------------------------------------------------------------------------


def test_unplugging_ends_everything(token: VirtualToken) -> None:
    link = token.link()
    token.unplug()
    token.unplug()
    assert not token.plugged_in
    for use in (
        token.link,
        token.power_cycle,
        link.wink,
        lambda: select(link),
        lambda: link.msg(bytes(4)),
    ):
        with pytest.raises(TokenGone, match="unplugged") as caught:
            use()
        assert caught.value.hint


@pytest.mark.parametrize("end", [VirtualToken.unplug, VirtualToken.power_cycle])
def test_losing_power_ends_a_wait(token: VirtualToken, end: Callable[[VirtualToken], None]) -> None:
    with pytest.raises(TokenGone):
        token.link().cbor(SELECTION, lambda _: end(token), never)


def test_a_power_cycle_keeps_links_and_what_is_durable(token: VirtualToken) -> None:
    link = token.link()
    before = info(token)
    token.power_cycle()
    after = info(token)
    for fresh_each_time in (0x19, 0x1E):
        assert before.pop(fresh_each_time) != after.pop(fresh_each_time)
    assert after == before
    token.touch()
    assert select(link) == OK


def test_a_power_cycle_starts_the_reset_window_anew(
    token: VirtualToken, clock: ManualClock
) -> None:
    link = token.link()
    clock.advance(60_000)
    assert link.cbor(b"\x07", ignore, never) == b"\x30"
    token.power_cycle()
    token.touch()
    assert link.cbor(b"\x07", ignore, never) == OK
