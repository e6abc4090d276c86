"""The authenticator and U2F against lives made of random choices; and the judge is judged."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import target
from tests.fuzz.requests import algorithm
from tests.fuzz.rsa import known_rsa_keys
from tests.fuzz.source import Source
from tests.fuzz.world import HOMES, WatchedStore, home
from tests.support.mutate import fuzz_count

from fidokit.virtual.core.commands import client_pin
from fidokit.virtual.core.keys import algorithms
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.person.pin_uv_token import TokenState
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.world import SeededRng

LIVES = fuzz_count(1_500)
GROWTH = 128 * 1024
"""Bytes that a token may hold more after a thousand requests than after some hundred."""


def inputs(count: int, seed: int) -> Iterator[bytes]:
    source = random.Random(seed)
    return (source.randbytes(source.randrange(4, 300)) for _ in range(count))


def survive(lives: Iterator[bytes]) -> int:
    """All lives; an input that breaks an invariant is named."""
    requests = 0
    for data in lives:
        try:
            requests += target.live(data)
        except BaseException as error:
            error.add_note(f"input: {data.hex()}")
            raise
    return requests


@pytest.mark.check("CBR-14")
def test_fuzz_random_lives() -> None:
    assert survive(inputs(LIVES, seed=20)) > 5 * LIVES


@pytest.mark.check("CBR-14")
@settings(max_examples=fuzz_count(150), deadline=None)
@given(data=st.binary(max_size=300))
def test_fuzz_lives_that_hypothesis_makes(data: bytes) -> None:
    target.live(data)


@pytest.mark.parametrize("number", range(HOMES))
def test_every_token_is_fit_to_be_lived_with(number: int) -> None:
    """The judge accepts an input without any steps, of each token there is."""
    assert target.live(bytes([number])) <= 2
    assert home(number).profile.has_u2f


def test_every_algorithm_can_be_asked_for() -> None:
    asked = {algorithm(Source(bytes([number]))) for number in range(256)}
    assert asked >= {alg.value for alg in ALGORITHMS}


def test_tokens_to_be_fuzzed_have_keys_of_rsa_and_keys_that_sign_bare_data() -> None:
    homes = [home(number) for number in range(HOMES)]
    assert {h.profile.name for h in homes if max(map(len, h.wrapped)) > 256} >= {"ctap2.3"}
    assert {len(h.handles) for h in homes} == {0, 2}


def test_rsa_keys_are_the_same_few_as_long_as_wanted() -> None:
    rounds = []
    for _ in range(2):
        with known_rsa_keys():
            rounds.append([algorithms.new_rsa_secret(SeededRng()) for _ in range(4)])
    first, again = rounds
    assert first == again
    assert len({*first}) == 3
    assert algorithms.new_rsa_secret(SeededRng()) not in first


def test_inputs_are_read_the_same_way_each_time() -> None:
    source = Source(b"\x05\x01\x02\x03")
    assert (source.below(4), source.take(2), source.pick("abcd")) == (1, b"\x01\x02", "d")
    assert source.spent
    assert (source.byte(), source.take(9), source.pick("abcd")) == (0, b"", "a")


@pytest.mark.parametrize("number", range(0, HOMES, 5))
def test_fuzz_memory_is_bounded(number: int) -> None:
    """One token serves many requests: nothing piles up that nobody frees."""
    life = target.Life(Source(bytes([number])))
    source = random.Random(number)

    def serve(steps: int) -> int:
        for _ in range(steps):
            life.source = Source(source.randbytes(40))
            life.step()
            life.bench.person.asked.clear()
            life.bench.person.script.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = serve(100)
        assert serve(500) - early < GROWTH
    finally:
        tracemalloc.stop()


# --- the judge sees what it says it sees ---------------------------------------------------------


def stuck_counter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchedStore, "next_counter", lambda *_: 7)


def free_tries(patch: pytest.MonkeyPatch) -> None:
    real = client_pin._compare_pin

    def compare(exchange: Any, pin_hash_enc: bytes) -> None:
        try:
            real(exchange, pin_hash_enc)
        except CtapRejection:
            exchange.token.save(pin_retries=8)
            raise

    patch.setattr(client_pin, "_compare_pin", compare)


def forgetful_store(patch: pytest.MonkeyPatch) -> None:
    real = WatchedStore.find

    def find(store: WatchedStore, credential_id: Any) -> Any:
        found = real(store, credential_id)
        store.delete(credential_id)
        return found

    patch.setattr(WatchedStore, "find", find)


def unheard_of_status(patch: pytest.MonkeyPatch) -> None:
    def demand(*_: object) -> None:
        raise CtapRejection(0x99)

    patch.setattr(TokenState, "demand", demand)


def crash(patch: pytest.MonkeyPatch) -> None:
    def authenticate(*_: object) -> None:
        raise IndexError("of some parser")

    patch.setattr(TokenState, "authenticate", authenticate)


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        (stuck_counter, "a counter fell"),
        (free_tries, "a miss cost no try|a try was given back"),
        (forgetful_store, "delete by"),
        (unheard_of_status, "0x99"),
        (crash, "of some parser"),
    ],
)
def test_a_broken_token_is_found_out(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, IndexError), match=said):
        survive(inputs(400, seed=3))
