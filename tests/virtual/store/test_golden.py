"""A seeded token with its own clock says the same bytes in every run, on every machine."""

from __future__ import annotations

import pytest
from tests.virtual.store import golden

from fidokit.virtual.token import VirtualToken
from fidokit.virtual.world import SystemRng

REPLIES = golden.replies()
ADVICE = "if that is meant: PYTHONPATH=src python -m tests.virtual.store.golden"


@pytest.mark.parametrize("step", REPLIES)
def test_the_bytes_are_those_committed(step: str) -> None:
    assert REPLIES[step] == golden.expected()[step], ADVICE


def test_every_committed_step_is_taken() -> None:
    assert list(REPLIES) == list(golden.expected()), ADVICE


def test_the_same_seed_twice() -> None:
    assert golden.replies() == REPLIES


def test_another_seed() -> None:
    other = golden.replies(b"another")
    differing = {step for step in REPLIES if other[step] != REPLIES[step]}
    assert differing == set(REPLIES) - {"reset"}


def test_real_randomness_repeats_nothing() -> None:
    with VirtualToken(rng=SystemRng()) as token:
        replies = {step: reply.hex() for step, reply in golden.converse(token)}
    assert {step for step in REPLIES if replies[step] == REPLIES[step]} == {"reset"}
