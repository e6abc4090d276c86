"""What a token waits for, seen from another thread."""

from __future__ import annotations

import threading

from fidokit.virtual.core.ports import PresenceKind
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.waits import Waits

SELECTION = b"\x0b"
REGISTER = bytes.fromhex("00010300000040") + bytes(64) + b"\0\0"


def test_nothing() -> None:
    waits = Waits()
    assert waits.now is None
    assert waits.until_one(0) is None


def test_one_that_goes_on() -> None:
    waits = Waits()
    with waits.one(PresenceKind.VERIFY):
        assert waits.now == waits.until_one(0) == "finger"
    assert waits.now is None


def test_one_that_somebody_answered_is_over() -> None:
    waits = Waits()
    with waits.one(PresenceKind.TOUCH):
        waits.answered()
        assert waits.now is None
        assert waits.until_one(0) is None
        with waits.one(PresenceKind.LONG_TOUCH):
            assert waits.until_one(0) == "long-touch"


def test_one_that_comes_later_and_is_answered() -> None:
    with VirtualToken(presence="script") as token:
        statuses: list[bytes] = []
        asking = threading.Thread(target=lambda: statuses.append(token.link().cbor(SELECTION)))
        asking.start()
        assert token.waits.until_one(20) == "touch"
        token.touch()
        asking.join(20)
        assert statuses == [b"\0"]
        assert token.waits.now is None


def test_u2f_asks_and_does_not_wait() -> None:
    with VirtualToken(presence="script") as token:
        seen: list[str | None] = []
        waiting = threading.Thread(target=lambda: seen.append(token.waits.until_one(20)))
        waiting.start()
        while waiting.is_alive():
            assert token.link().msg(REGISTER) == b"\x69\x85"
        assert seen == ["touch"]
