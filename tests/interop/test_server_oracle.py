"""The oracle: what `server check --require` says of a server, and who then logs in to it.

Each release's own sshd is asked and run, in namespaces of its own; fidokit runs from outside the
root. `python -m tests.interop.oracle ROOT FIRST COUNT` runs more of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.interop.oracle.cases import BROKEN, HELD, ODD, SINCE
from tests.interop.oracle.generator import generate
from tests.interop.oracle.trial import RULES, Cell, cell
from tests.support.roots import RELEASES, elsewhere, required

pytestmark = [pytest.mark.interop, pytest.mark.root]

SITES = int(os.environ.get("FIDOKIT_ORACLE", "150"))
"""How many, over all releases."""
SEED = int(os.environ.get("FIDOKIT_ORACLE_SEED", "1"))
ENOUGH = 0.5
"""Of the sites that no login broke, how many are to be said to hold at the least."""


@pytest.fixture(scope="module", params=RELEASES)
def debian(request: pytest.FixtureRequest) -> Iterator[Cell]:
    """A release, one after the other."""
    suite: str = request.param
    folder = required(suite).folder if suite in elsewhere() else "/"
    with cell(folder) as found:
        print(f"{suite}: {found.banner}")
        yield found


def test_cases(debian: Cell) -> None:
    wrong = {}
    for name, make in {**BROKEN, **ODD, **HELD}.items():
        outcome = debian.judge(make())
        assert not outcome.failure, outcome.failure
        if found := outcome.false_holds():
            wrong[name] = found
        if name in BROKEN and debian.version >= SINCE.get(name, (0, 0)):
            assert outcome.broken(), (name, outcome.result)
    assert not wrong


def test_what_must_hold(debian: Cell) -> None:
    for name, make in HELD.items():
        outcome = debian.judge(make())
        assert outcome.is_taken, (name, outcome.result)
        assert not outcome.broken(), name
        assert all(outcome.holds("alice", rule) for rule in RULES), (name, outcome.result)


def test_generated(debian: Cell) -> None:
    share = SITES // len(RELEASES) + 1
    first = SEED + list(RELEASES.values()).index(_number(debian)) * share
    print(f"seeds {first} to {first + share - 1}")
    held = kept = 0
    wrong = {}
    for seed in range(first, first + share):
        outcome = debian.judge(generate(seed, debian.version))
        assert not outcome.failure, (seed, outcome.failure)
        if found := outcome.false_holds():
            wrong[seed] = found, outcome.site.to_json()
        for _, _, holds, broken in outcome.pairs():
            kept += not broken
            held += holds and not broken
    assert not wrong
    assert held > ENOUGH * kept


def _number(debian: Cell) -> str:
    return {(8, 4): "11", (9, 2): "12", (10, 0): "13"}.get(debian.version, "sid")
