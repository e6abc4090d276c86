"""The lock: right and wrong passphrases, the growing wait, and what is not kept."""

from __future__ import annotations

import pytest

from fidokit.agent.core.padlock import LONGEST_S, Padlock


@pytest.fixture
def closed() -> Padlock:
    padlock = Padlock(bytes)
    assert padlock.close(b"words")
    return padlock


def test_it_opens_by_its_passphrase_alone(closed: Padlock) -> None:
    assert not closed.open(b"Words", 0.0)
    assert not closed.open(b"", 0.0)
    assert closed.closed
    assert closed.open(b"words", 1.0)
    assert not closed.closed


def test_it_closes_once(closed: Padlock) -> None:
    assert not closed.close(b"other")
    assert closed.open(b"words", 0.0)
    assert not closed.open(b"words", 0.0)


def test_an_empty_passphrase_closes_nothing() -> None:
    padlock = Padlock(bytes)
    assert not padlock.close(b"")
    assert not padlock.closed


def test_the_wait_grows_to_ten_seconds_and_ends_with_the_right_passphrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Padlock, "_derive", lambda _self, words: words.ljust(32))
    closed = Padlock(bytes)
    closed.close(b"words")
    waits = []
    for _ in range(105):
        closed.open(b"wrong", 100.0)
        waits.append(closed.not_before - 100.0)
    assert waits[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert waits[-1] == pytest.approx(LONGEST_S)
    assert closed.open(b"words", 200.0)
    assert closed.not_before == 0.0


def test_the_passphrase_is_not_kept(closed: Padlock) -> None:
    assert b"words" not in repr(vars(closed)).encode()
