"""Random lives of a large blob array against a model of what a platform may see of it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.virtual.core.client import INFO, RESET, Bench, S

from fidokit.virtual.core.profile import CTAP_2_3

BLOBS = 0x0C
INITIAL = bytes.fromhex("8076be8b528d0075f7aae98d6fa57a6d3c")
FRAGMENT = 1024
CAPACITY = 2048
MODEL = replace(CTAP_2_3, max_msg_size=FRAGMENT + 64, max_large_blob_array=CAPACITY)
EXAMPLES = max(30, int(os.environ.get("FIDOKIT_FUZZ", "0")) // 50)

SIZES = st.sampled_from([0, 1, 16, 17, 100, 1023, 1024, 1025, 2048, 2049, 2**32, 2**64 - 1])
SMALL = st.integers(0, 1050)  # with the rest of a request still below maxMsgSize


def sealed(size: int, filling: int) -> bytes:
    """An array of this length with a good checksum."""
    blobs = bytes([filling]) * (size - 16)
    return blobs + hashlib.sha256(blobs).digest()[:16]


class Life(RuleBasedStateMachine):
    """An honest platform, one that loses its way, and others that come between."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(MODEL)
        self.array = INITIAL
        self.length: int | None = None
        self.sent = b""

    def send(self, offset: int, fragment: bytes, length: int | None) -> int:
        request: dict[int, object] = {2: fragment, 3: offset}
        return self.bench.status(BLOBS, request | ({} if length is None else {4: length}))

    def expected(self, offset: int, fragment: bytes, length: int | None) -> S:
        """What the specification's steps say, and the model after it."""
        if len(fragment) > FRAGMENT:
            return S.INVALID_LENGTH
        if offset == 0:
            if length is None or length < 17:
                return S.INVALID_PARAMETER
            if length > CAPACITY:
                return S.LARGE_BLOB_STORAGE_FULL
            due, sent = length, b""
        elif length is not None:
            return S.INVALID_PARAMETER
        elif self.length is None or offset != len(self.sent):
            return S.INVALID_SEQ
        else:
            due, sent = self.length, self.sent
        return self.taken(due, sent + fragment)

    def taken(self, due: int, data: bytes) -> S:
        if len(data) > due:
            return S.INVALID_PARAMETER
        if len(data) < due:
            self.length, self.sent = due, data
            return S.OK
        self.length, self.sent = None, b""
        if hashlib.sha256(data[:-16]).digest()[:16] != data[-16:]:
            return S.INTEGRITY_FAILURE
        self.array = data
        return S.OK

    def both(self, offset: int, fragment: bytes, length: int | None) -> None:
        expected = self.expected(offset, fragment, length)
        assert self.send(offset, fragment, length) == expected

    @rule(size=st.integers(17, CAPACITY), filling=st.integers(0, 255), step=st.integers(1, 1024))
    def honest_upload(self, size: int, filling: int, step: int) -> None:
        array = sealed(size, filling)
        for at in range(0, size, max(step, size // 8)):
            fragment = array[at : at + max(step, size // 8)]
            self.both(at, fragment, None if at else size)

    @rule(size=SIZES, count=SMALL)
    def begin(self, size: int, count: int) -> None:
        self.both(0, bytes(count), size)

    @rule(count=SMALL, astray=st.sampled_from([0, 0, 0, 1, -1]))
    def go_on(self, count: int, astray: int) -> None:
        self.both(max(0, len(self.sent) + astray), bytes(count), None)

    @rule(offset=SIZES, count=SMALL, length=st.none() | SIZES)
    def anything(self, offset: int, count: int, length: int | None) -> None:
        self.both(offset, bytes(count), length)

    @rule()
    def another_command(self) -> None:
        self.bench.ok(INFO)
        self.length, self.sent = None, b""

    @rule()
    def power_cycle(self) -> None:
        self.bench.power_up()
        self.length, self.sent = None, b""

    @rule()
    def reset(self) -> None:
        self.bench.power_up()
        self.bench.ok(RESET)
        self.array, self.length, self.sent = INITIAL, None, b""

    @invariant()
    def the_array_is_whole(self) -> None:
        read = b""
        for offset in range(0, CAPACITY + 1, FRAGMENT):
            if offset <= len(self.array):
                read += self.bench.ok(BLOBS, {1: FRAGMENT, 3: offset})[1]
        assert read == self.array


TestFuzzLife = Life.TestCase
TestFuzzLife.settings = settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None)
