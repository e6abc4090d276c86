"""Clocks and randomness, the real and the steered."""

from __future__ import annotations

import pytest

from fidokit.virtual.world import ManualClock, SeededRng, SystemClock, SystemRng


def test_the_system_clock_never_falls() -> None:
    clock = SystemClock()
    seen = [clock.now_ms() for _ in range(1000)]
    assert seen == sorted(seen)


def test_a_manual_clock_stands_until_it_is_advanced() -> None:
    clock = ManualClock(5)
    assert [clock.now_ms(), clock.now_ms()] == [5, 5]
    clock.advance(37)
    assert clock.now_ms() == 42


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000])
@pytest.mark.parametrize("rng", [SystemRng(), SeededRng(b"x")])
def test_as_many_bytes_as_asked_for(rng: SystemRng | SeededRng, count: int) -> None:
    assert len(rng.bytes(count)) == count


def test_system_randomness_differs() -> None:
    assert SystemRng().bytes(32) != SystemRng().bytes(32)


def test_a_seed_repeats_itself_and_differs_from_others() -> None:
    first, second, other = SeededRng(b"a"), SeededRng(b"a"), SeededRng(b"b")
    drawn = [first.bytes(n) for n in (5, 32, 40)]
    assert drawn == [second.bytes(n) for n in (5, 32, 40)]
    assert drawn[1] != first.bytes(32)
    assert other.bytes(5) != drawn[0]
