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
from tests.interop.oracle.trial import RULES, Cell, Outcome, cell
from tests.support.roots import RELEASES, elsewhere, required

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
    pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="one run looks at every release"),
]

SITES = int(os.environ.get("FIDOKIT_ORACLE", "150"))
"""How many, over all releases."""
SEED = int(os.environ.get("FIDOKIT_ORACLE_SEED", "1"))
ENOUGH = 0.6
"""Of the verdicts that no login disproves, how many are to be `holds` at the least."""

FORCED = {"hidden_user", "changed_since"}
"""Where a doubt is the only answer: users whom nothing lists, and text that is not in force."""


@pytest.fixture(scope="module", params=RELEASES)
def debian(request: pytest.FixtureRequest) -> Iterator[tuple[str, Cell]]:
    """A release, one after the other."""
    suite: str = request.param
    folder = required(suite).folder if suite in elsewhere() else "/"
    with cell(folder) as found:
        yield suite, found


def judged(outcome: Outcome, name: object) -> Outcome:
    """It, tried without a mishap."""
    assert not outcome.failure, (name, outcome.failure)
    # a file that changed since sshd started may be one that sshd would not take
    assert "said" not in outcome.result or outcome.site.later, (name, outcome.result)
    return outcome


def test_cases(debian: tuple[str, Cell]) -> None:
    _, it = debian
    wrong = {}
    for name, make in {**BROKEN, **ODD}.items():
        outcome = judged(it.judge(make()), name)
        if found := outcome.false_holds():
            wrong[name] = found
        if name in BROKEN and it.version >= SINCE.get(name, (0, 0)):
            assert outcome.broken(), (name, outcome.result)
    assert not wrong


def test_what_must_hold(debian: tuple[str, Cell]) -> None:
    for name, make in HELD.items():
        outcome = judged(debian[1].judge(make()), name)
        assert outcome.is_taken, (name, outcome.result)
        assert not outcome.broken(), name
        assert all(outcome.holds("alice", rule) for rule in RULES), (name, outcome.result)


def test_generated(debian: tuple[str, Cell], capsys: pytest.CaptureFixture[str]) -> None:
    suite, it = debian
    share = -(-SITES // len(RELEASES))
    first = SEED + [*RELEASES].index(suite) * share
    with capsys.disabled():
        print(f" {suite} ({it.banner.split(',')[0]}): seeds {first} to {first + share - 1}")
    held = kept = 0
    wrong = {}
    for seed in range(first, first + share):
        outcome = judged(it.judge(generate(seed, it.version)), seed)
        if found := outcome.false_holds():
            wrong[seed] = found, outcome.site.to_json()
        if FORCED & set(outcome.site.features):
            continue
        for _, _, holds, broken in outcome.pairs():
            kept += not broken
            held += holds and not broken
    assert not wrong
    assert held > ENOUGH * kept
