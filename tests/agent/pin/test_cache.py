"""PINs in locked memory: kept for a time, handed out through pipes, masked at rest, wiped."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fidokit.agent.pin import cache as pin_cache
from fidokit.agent.pin.cache import LONGEST, PinCache

PIN = b"4829\xc3\xa4-secret"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> PinCache:
    return PinCache(60, clock)


def give(cache: PinCache, token: str, pin: bytes = PIN) -> bool:
    read, write = os.pipe()
    os.write(write, pin)
    os.close(write)
    kept = cache.keep(token, read)
    os.close(read)
    return kept


def take(cache: PinCache, token: str) -> bytes:
    read, write = os.pipe()
    cache.hand_out(token, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        return pipe.read()


def test_a_pin_comes_back_as_it_came(cache: PinCache) -> None:
    assert give(cache, "usb:1")
    assert cache.has("usb:1")
    for _ in range(3):
        assert take(cache, "usb:1") == PIN
    assert take(cache, "usb:2") == b""


@pytest.mark.parametrize("size", [1, 4, LONGEST])
def test_any_length(cache: PinCache, size: int) -> None:
    assert give(cache, "t", b"x" * size)
    assert take(cache, "t") == b"x" * size


@pytest.mark.parametrize("pin", [b"", b"x" * (LONGEST + 1), b"x" * 1000])
def test_what_is_no_pin_is_not_kept(cache: PinCache, pin: bytes) -> None:
    assert not give(cache, "t", pin)
    assert not cache.has("t")


def test_a_time_of_0_keeps_none(clock: Clock) -> None:
    cache = PinCache(0, clock)
    assert not give(cache, "t")
    assert take(cache, "t") == b""


def test_time_ends_it(cache: PinCache, clock: Clock) -> None:
    give(cache, "t")
    assert cache.next_expiry() == 160.0
    clock.now = 159.9
    assert cache.has("t")
    clock.now = 160.0
    assert not cache.has("t")
    assert cache.tokens == frozenset()
    assert cache.next_expiry() is None


def test_using_it_does_not_prolong_it(cache: PinCache, clock: Clock) -> None:
    give(cache, "t")
    clock.now = 150.0
    take(cache, "t")
    clock.now = 161.0
    assert take(cache, "t") == b""


@pytest.mark.parametrize(
    "forget", [lambda cache: cache.forget("a"), lambda cache: cache.forget_all()]
)
def test_forgetting_wipes_the_memory(
    cache: PinCache, forget: Callable[[PinCache], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wiped: list[bytes] = []

    def watched(page: mmap.mmap) -> None:
        for at in range(4096):
            page[at] = 0
        wiped.append(page[:])

    monkeypatch.setattr(pin_cache, "_wipe", watched)
    give(cache, "a")
    forget(cache)
    assert wiped == [bytes(4096)]
    assert not cache.has("a")


def test_a_new_pin_takes_the_place_of_the_old(cache: PinCache) -> None:
    give(cache, "t", b"1111")
    give(cache, "t", b"2222")
    assert take(cache, "t") == b"2222"


def test_at_rest_it_is_masked(cache: PinCache) -> None:
    give(cache, "t")
    page = cache._kept["t"].page
    assert PIN not in page[:]
    take(cache, "t")
    assert PIN not in page[:]


def test_the_page_is_locked_and_left_out_of_cores(cache: PinCache) -> None:
    """VmFlags: lo is locked, dd is do-not-dump, dc is do-not-copy on fork."""
    before = _flags()
    give(cache, "t")
    after = _flags()
    new = [flags for flags in after if flags not in before or after.count(flags) > 1]
    special = [flags for flags in new if {"dd", "dc"} <= flags]
    assert special
    assert any("lo" in flags for flags in special)


def _flags() -> list[frozenset[str]]:
    lines = Path("/proc/self/smaps").read_text().splitlines()
    return [frozenset(line.split()[1:]) for line in lines if line.startswith("VmFlags")]
