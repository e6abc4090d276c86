"""The helper that damages inputs must damage them, repeatably, and must notice."""

from __future__ import annotations

import pytest
from tests.support.mutate import fuzz_count, mutants, survive

CORPUS = [b"an honest input of some length", b"and another one"]


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert list(mutants(CORPUS, 50)) == list(mutants(CORPUS, 50))
    assert list(mutants(CORPUS, 50)) != list(mutants(CORPUS, 50, seed=2))


def test_most_inputs_are_new_and_damaged() -> None:
    made = list(mutants(CORPUS, 1000))
    assert len(made) == 1000
    assert len(set(made)) > 900
    assert sum(mutant in CORPUS for mutant in made) < 50


def test_an_empty_input_survives_every_way() -> None:
    assert len(list(mutants([b""], 500))) == 500


def test_survive_counts_refusals() -> None:
    def picky(data: bytes) -> None:
        if data not in CORPUS:
            raise ValueError("no")

    assert survive(CORPUS, picky, ValueError, 200) > 150


def test_survive_notices_another_error() -> None:
    def brittle(data: bytes) -> None:
        if data not in CORPUS:
            raise IndexError("oops")

    with pytest.raises(IndexError) as caught:
        survive(CORPUS, brittle, ValueError, 200)
    assert "input: b" in caught.value.__notes__[0]


def test_survive_wants_an_honest_corpus() -> None:
    with pytest.raises(ValueError, match="honest"):
        survive([b"x"], lambda data: (_ for _ in ()).throw(ValueError("honest")).__next__(), (), 0)


def test_the_count_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIDOKIT_FUZZ", raising=False)
    assert fuzz_count(7) == 7
    monkeypatch.setenv("FIDOKIT_FUZZ", "9")
    assert fuzz_count(7) == 9
