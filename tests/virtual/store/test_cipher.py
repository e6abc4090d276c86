"""Seals: the right passphrase opens them, everything else is told, and no two are alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fidokit.errors import MalformedFile, PassphraseWrong, UsageError
from fidokit.virtual.store import cipher
from fidokit.virtual.store.cipher import Box, Seal, new_seal
from fidokit.virtual.world import SeededRng, SystemRng

SERIAL = "FK-1234"
BOX = Box(bytes(range(32)), SERIAL)


def seal(passphrase: bytes = b"words") -> tuple[Seal, Box]:
    return new_seal(passphrase, SERIAL, SystemRng())


def test_the_passphrase_opens_it() -> None:
    made, box = seal()
    record = box.close("one", b"secret")
    assert made.unlock(b"words", SERIAL).open("one", record) == b"secret"


@pytest.mark.parametrize(
    ("passphrase", "serial"), [(b"word", SERIAL), (b"words\n", SERIAL), (b"words", "FK-9999")]
)
def test_another_one_does_not(passphrase: bytes, serial: str) -> None:
    made, _ = seal()
    with pytest.raises(PassphraseWrong, match="does not open") as caught:
        made.unlock(passphrase, serial)
    assert caught.value.hint


@pytest.mark.parametrize("passphrase", [b"", b"x" * 1025])
def test_impossible_passphrases(passphrase: bytes) -> None:
    with pytest.raises(UsageError, match="1 to 1024 bytes"):
        seal(passphrase)
    made, _ = seal()
    with pytest.raises(UsageError):
        made.unlock(passphrase, SERIAL)


@pytest.mark.parametrize(
    "change",
    [
        {"salt": b""},
        {"salt": bytes(17)},
        {"key": bytes(59)},
        {"key": bytes(61)},
        {"cost": 9},
        {"cost": 19},
        {"cost": 10**9},
        {"cost": -1},
    ],
)
def test_a_seal_that_would_cost_us_dearly_is_refused(change: dict[str, Any]) -> None:
    made, _ = seal()
    with pytest.raises(MalformedFile) as caught:
        replace(made, **change)
    assert caught.value.hint


def test_ours_costs_an_attacker_32_mebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 128 * cipher._BLOCKS << cipher.COST == 32 << 20


def test_a_changed_seal_opens_for_nobody() -> None:
    made, _ = seal()
    for at in range(len(made.key)):
        key = bytearray(made.key)
        key[at] ^= 1
        with pytest.raises(PassphraseWrong):
            replace(made, key=bytes(key)).unlock(b"words", SERIAL)


@settings(deadline=None)
@given(st.text(max_size=20), st.binary(max_size=200))
def test_round_trip(name: str, content: bytes) -> None:
    record = BOX.close(name, content)
    assert BOX.open(name, record) == content
    assert len(record) == 28 + len(content)


def test_cut_changed_or_continued_anywhere_it_is_refused() -> None:
    record = BOX.close("one", b"secret")
    wrong = [record[:cut] for cut in range(len(record))]
    wrong += [record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :] for at in range(len(record))]
    wrong.append(record + b"\0")
    for data in wrong:
        with pytest.raises(MalformedFile, match="'one' was changed"):
            BOX.open("one", data)


def test_records_have_their_place() -> None:
    record = BOX.close("one", b"secret")
    for box, name in ((BOX, "two"), (replace(BOX, serial="FK-2"), "one")):
        with pytest.raises(MalformedFile):
            box.open(name, record)


def test_nothing_repeats_and_nothing_is_shown() -> None:
    assert BOX.close("one", b"secret") != BOX.close("one", b"secret")
    assert seal()[0] != seal()[0]
    assert new_seal(b"x", SERIAL, SeededRng())[1] == new_seal(b"x", SERIAL, SeededRng())[1]
    assert BOX.key.hex() not in repr(BOX)
    assert "key=" not in repr(BOX)
