"""A world in which a virtual token repeats itself: randomness of a seed, a clock that is moved.

A token whose keys follow from a seed protects nothing: whoever knows the seed has them. It is for
tests that compare bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from fidokit.virtual.world import ManualClock, SeededRng

if TYPE_CHECKING:
    from fidokit.virtual.core.ports import Clock, Rng


class World(NamedTuple):
    """What a token has of time and randomness; None for the system's.

    Args:
        clock: monotonic milliseconds.
        rng: for keys, ids and nonces.
    """

    clock: Clock | None = None
    rng: Rng | None = None


def world(seed: str | None, clock_ms: int | None) -> World:
    """A world in which the same commands get the same answers.

    Args:
        seed: any text; None for the system's randomness.
        clock_ms: where the clock stands still until the control socket moves it; None for the
            system's.
    """
    clock = None if clock_ms is None else ManualClock(clock_ms)
    return World(clock, None if seed is None else SeededRng(os.fsencode(seed)))
