"""--seed and --clock: a virtual token that repeats itself, for tests that compare bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.lab.repeatable import World

F = TypeVar("F", bound=Callable[..., Any])
WARNING = "The token's keys follow from the seed and protect nothing: use it for tests alone."

seed_option = click.option(
    "--seed",
    metavar="TEXT",
    help="Take keys, ids and nonces from TEXT, the same ones each time. Never for real keys.",
)
_clock_option = click.option(
    "--clock",
    metavar="MS",
    type=click.IntRange(0, 1_000_000_000),
    help="Let its clock stand still at MS milliseconds; `virtual set --advance MS` moves it.",
)


def repeating_options(function: F) -> F:
    """Add --seed and --clock."""
    return seed_option(_clock_option(function))


def repeating(seed: str | None, clock: int | None) -> World:
    """The world that they ask for; a warning goes to the user."""
    from fidokit.lab.repeatable import world

    if seed is not None:
        note(WARNING)
    return world(seed, clock)
