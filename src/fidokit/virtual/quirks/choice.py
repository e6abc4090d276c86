"""Quirks as users name them: by their own names and those of presets, and never two that exclude
each other."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import combinations
from typing import NamedTuple

from fidokit.errors import UsageError
from fidokit.virtual.core.ports import DurableState
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.quirks.catalog import FIRMWARES, PRESETS, QUIRKS
from fidokit.virtual.quirks.quirk import Quirk


class QuirkSet(NamedTuple):
    """The quirks of one token, in the order in which they change answers."""

    quirks: tuple[Quirk, ...]

    def on(self, profile: Profile) -> Profile:
        """The profile of a model that has them all."""
        for quirk in self.quirks:
            profile = quirk.on(profile)
        return profile

    def made(self, state: DurableState) -> DurableState:
        """The state of a token that is made with them."""
        for quirk in self.quirks:
            state = quirk.made(state) if quirk.made else state
        return state


def chosen(names: Iterable[str]) -> QuirkSet:
    """The quirks of these names.

    Args:
        names: of quirks and presets.

    Raises:
        UsageError: there is none of this name, or two exclude each other.
    """
    wanted = {name for given in names for name in _expanded(given)}
    found = tuple(quirk for name, quirk in QUIRKS.items() if name in wanted)
    for one, other in combinations(found, 2):
        if one.conflicts(other):
            raise UsageError(
                f"the quirks {one.name!r} and {other.name!r} exclude each other",
                hint="leave one of them out",
            )
    return QuirkSet(found)


def _expanded(name: str) -> tuple[str, ...]:
    if name in PRESETS:
        return PRESETS[name]
    if name not in QUIRKS:
        near = get_close_matches(name, [*QUIRKS, *PRESETS], n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"there is no quirk {name!r}", hint=f"{guess}see them all: fidokit virtual quirks"
        )
    return (name,)


class QuirkSummary(NamedTuple):
    """A quirk as `fidokit virtual quirks` lists it.

    Args:
        name: what `--quirk` calls it.
        effect: what a client sees.
        firmwares: that were seen to do so, as `PresetSummary.name`.
        text: the clause of CTAP 2.3 that it departs from, or that leaves it open.
    """

    name: str
    effect: str
    firmwares: tuple[str, ...]
    text: str


class PresetSummary(NamedTuple):
    """A firmware whose quirks can be had by one name."""

    name: str
    firmware: str
    quirks: tuple[str, ...]


def list_quirks() -> list[QuirkSummary]:
    """Every quirk, by name."""
    return [
        QuirkSummary(quirk.name, quirk.effect, quirk.shown_by, quirk.text)
        for _, quirk in sorted(QUIRKS.items())
    ]


def list_presets() -> list[PresetSummary]:
    """Every preset, by name."""
    return [PresetSummary(name, FIRMWARES[name], PRESETS[name]) for name in sorted(PRESETS)]
