"""Damaged inputs for parsers: the same ones in every run, and as many as are asked for."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence

_INTERESTING = (0x00, 0x01, 0x04, 0x0A, 0x1F, 0x20, 0x3D, 0x7F, 0x80, 0xFF)


def fuzz_count(default: int) -> int:
    """How many damaged inputs a parser gets: FIDOKIT_FUZZ, else `default`."""
    return int(os.environ.get("FIDOKIT_FUZZ", default))


def _overwrite(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(_INTERESTING)


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _remove(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.randrange(1, 9)]


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randrange(1, 9))


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.randrange(1, 33)]


def _length(rng: random.Random, data: bytearray) -> None:
    """Four bytes that a parser may take for a length, at a place where one may stand."""
    at = rng.randrange(len(data) + 1)
    length = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data)))
    data[at : at + 4] = length.to_bytes(4, "big")


_WAYS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _overwrite,
    _flip,
    _cut,
    _remove,
    _insert,
    _repeat,
    _length,
)


def mutants(corpus: Sequence[bytes], count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` inputs, each one of `corpus` damaged in one to four ways, or two of it spliced."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(corpus))
        if rng.random() < 0.1:
            other = rng.choice(corpus)
            data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other) + 1) :]
        for _ in range(rng.randrange(1, 5)):
            rng.choice(_WAYS)(rng, data)
        yield bytes(data)


def survive(
    corpus: Sequence[bytes],
    parse: Callable[[bytes], object],
    allowed: type[Exception] | tuple[type[Exception], ...],
    count: int,
    seed: int = 1,
) -> int:
    """Give `parse` `count` damaged inputs: it returns, or raises one of `allowed`.

    Args:
        corpus: honest inputs to damage; the parser must accept each one.
        parse: the parser.
        allowed: the errors that may end it; every other one fails the test, with the input.
        count: how many inputs.
        seed: the same seed damages in the same ways.

    Returns:
        How many inputs were refused, so that a test can see that the damage is real.
    """
    for honest in corpus:
        parse(honest)
    refused = 0
    for mutant in mutants(corpus, count, seed):
        try:
            parse(mutant)
        except allowed:
            refused += 1
        except BaseException as error:
            error.add_note(f"input: {mutant!r}")
            raise
    return refused
