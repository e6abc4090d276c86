"""Command largeBlobs, check by check (LB-*)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import (
    GA,
    HASH,
    INFO,
    MC,
    MISSING,
    PIN,
    RESET,
    Bench,
    Platform,
    S,
    case,
    encode,
    get_request,
    make_request,
    patched,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.ports import Store
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_3, CTAP_2_3_LARGE_BLOB, Profile
from fidokit.virtual.token import VirtualToken

BLOBS = 0x0C
LBW = 0x10
INITIAL = bytes.fromhex("8076be8b528d0075f7aae98d6fa57a6d3c")
LIMIT = CTAP_2_3.max_msg_size - 64
CAPACITY = CTAP_2_3.max_large_blob_array
SMALL = replace(CTAP_2_3, max_msg_size=1024 + 64, max_large_blob_array=4096)


def sealed(blobs: bytes) -> bytes:
    """With the checksum that ends an array."""
    return blobs + hashlib.sha256(blobs).digest()[:16]


ARRAY = sealed(bytes(range(200)))


class Blobs:
    """A platform that reads and writes the array, with a token of permission lbw where needed."""

    def __init__(self, bench: Bench, platform: Platform | None = None) -> None:
        self.bench = bench
        self.platform = platform
        self.token = platform.token(PIN_CODE, LBW) if platform else b""

    def get(self, size: int, offset: int = 0) -> bytes:
        body: dict[int, bytes] = self.bench.ok(BLOBS, {1: size, 3: offset})
        assert list(body) == [1]
        return body[1]

    def all(self) -> bytes:
        return self.get(min(CAPACITY, self.bench.profile.max_msg_size - 64))

    def request(self, offset: int, fragment: bytes, length: int | None = None) -> dict[int, Any]:
        made: dict[int, Any] = {2: fragment, 3: offset}
        if length is not None:
            made[4] = length
        if self.platform:
            message = b"\xff" * 32 + b"\x0c\x00" + offset.to_bytes(4, "little")
            message += hashlib.sha256(fragment).digest()
            made |= {5: self.platform.mac(self.token, message), 6: self.platform.version}
        return made

    def set(self, offset: int, fragment: bytes, length: int | None = None, channel: int = 0) -> int:
        return self.bench.status(BLOBS, self.request(offset, fragment, length), channel)

    def write(self, array: bytes, size: int) -> None:
        for at in range(0, len(array), size):
            length = None if at else len(array)
            assert self.set(at, array[at : at + size], length) == S.OK


@pytest.fixture
def blobs(bench: Bench) -> Blobs:
    """On a token that nothing protects."""
    return Blobs(bench)


@pytest.fixture
def locked(pinned: Platform) -> Blobs:
    """On a token with a PIN, under each protocol."""
    return Blobs(pinned.bench, pinned)


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        *[case("LB-01", members, S.INVALID_PARAMETER) for members in (
            {1: 17}, {2: b"x", 4: 17}, {3: 0}, {3: 0, 4: 17}, {1: 17, 2: b"x", 3: 0},
            {1: 17, 3: 0, 4: 17}, {1: 17, 3: 0, 5: b"x"}, {1: 17, 3: 0, 6: 2}, {},
        )],
        *[case("CBR-07", members, S.CBOR_UNEXPECTED_TYPE) for members in (
            {1: "17", 3: 0}, {1: -1, 3: 0}, {1: 17, 3: "0"}, {1: 17, 3: -1}, {2: "x", 3: 0, 4: 17},
            {2: b"x", 3: 0, 4: True}, {2: b"x", 3: 0, 4: 17, 5: 1}, {2: b"x", 3: 0, 4: 17, 6: None},
        )],
        case("CBR-08", {1: 17, 3: 0, 7: 1}, S.OK),
    ],
)  # fmt: skip
def test_forms(bench: Bench, request_: Any, status: S) -> None:
    assert bench.status(BLOBS, request_) == status
    assert bench.state.large_blob_array == INITIAL


@pytest.mark.check("LB-02")
def test_a_fresh_token(blobs: Blobs) -> None:
    assert blobs.get(0) == b""
    assert blobs.get(17) == blobs.get(18) == blobs.get(LIMIT) == INITIAL
    assert sealed(b"\x80") == INITIAL


@pytest.mark.check("LB-03")
@pytest.mark.parametrize(("size", "status"), [(LIMIT, S.OK), (LIMIT + 1, S.INVALID_LENGTH)])
def test_the_longest_fragment_to_read(bench: Bench, size: int, status: S) -> None:
    assert bench.status(BLOBS, {1: size, 3: 0}) == status


@pytest.mark.check("LB-03")
def test_the_end_of_the_array(blobs: Blobs) -> None:
    assert blobs.get(10, 12) == INITIAL[12:]
    assert blobs.get(10, 17) == b""
    for offset in (18, 2**32, 2**63):
        assert blobs.bench.status(BLOBS, {1: 1, 3: offset}) == S.INVALID_PARAMETER


@pytest.mark.check("LB-03")
def test_reading_needs_nobody(locked: Blobs) -> None:
    locked.bench.authenticator.token.save(always_uv=True)
    locked.bench.touches()
    assert locked.get(17) == INITIAL
    assert locked.bench.touches() == 0


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.check("LB-04")
@pytest.mark.parametrize(
    ("fragment", "length", "status"),
    [
        (bytes(LIMIT + 1), CAPACITY, S.INVALID_LENGTH),
        (bytes(LIMIT + 1), None, S.INVALID_LENGTH),
        (b"x", None, S.INVALID_PARAMETER),
        (b"x", 0, S.INVALID_PARAMETER),
        (b"x", 16, S.INVALID_PARAMETER),
        (b"x", 17, S.OK),
        (b"x", CAPACITY, S.OK),
        (b"x", CAPACITY + 1, S.LARGE_BLOB_STORAGE_FULL),
        (b"x", 2**64 - 1, S.LARGE_BLOB_STORAGE_FULL),
    ],
)
def test_first_fragments(blobs: Blobs, fragment: bytes, length: int | None, status: S) -> None:
    assert blobs.set(0, fragment, length) == status


@pytest.mark.check("LB-04", "GI-06")
def test_the_capacity_is_the_models() -> None:
    blobs = Blobs(Bench(replace(CTAP_2_3, max_large_blob_array=1024)))
    assert blobs.bench.info()[0x0B] == 1024
    blobs.write(sealed(bytes(1008)), 1024)
    assert blobs.set(0, b"", 1025) == S.LARGE_BLOB_STORAGE_FULL


@pytest.mark.check("LB-05")
@pytest.mark.parametrize(
    ("offset", "length", "status"),
    [
        (100, 216, S.INVALID_PARAMETER),
        (99, None, S.INVALID_SEQ),
        (101, None, S.INVALID_SEQ),
        (2**64 - 1, None, S.INVALID_SEQ),
        (100, None, S.OK),
    ],
)
def test_later_fragments(blobs: Blobs, offset: int, length: int | None, status: S) -> None:
    assert blobs.set(0, ARRAY[:100], len(ARRAY)) == S.OK
    assert blobs.set(offset, b"x", length) == status


@pytest.mark.check("LB-05")
def test_nothing_was_begun(blobs: Blobs) -> None:
    assert blobs.set(100, b"x") == S.INVALID_SEQ
    blobs.write(ARRAY, 100)
    assert blobs.set(len(ARRAY), b"x") == S.INVALID_SEQ


@pytest.mark.check("LB-05")
def test_a_refused_fragment_does_not_end_the_upload(blobs: Blobs) -> None:
    blobs.set(0, ARRAY[:100], len(ARRAY))
    assert blobs.set(50, b"x") == S.INVALID_SEQ
    assert blobs.set(100, bytes(200)) == S.INVALID_PARAMETER
    assert blobs.set(0, b"x", 3) == S.INVALID_PARAMETER
    assert blobs.set(100, ARRAY[100:]) == S.OK
    assert blobs.all() == ARRAY


def test_an_upload_belongs_to_its_channel(blobs: Blobs) -> None:
    blobs.set(0, ARRAY[:100], len(ARRAY), channel=1)
    assert blobs.set(100, ARRAY[100:], channel=2) == S.INVALID_SEQ
    assert blobs.set(100, ARRAY[100:], channel=1) == S.OK


@pytest.mark.check("LB-07")
@pytest.mark.parametrize("first", [0, 100, 216])
def test_more_than_was_announced(blobs: Blobs, first: int) -> None:
    assert blobs.set(0, ARRAY[:first] + bytes(217 - first), len(ARRAY)) == S.INVALID_PARAMETER
    assert blobs.all() == INITIAL


@pytest.mark.check("LB-07")
@pytest.mark.parametrize("at", [0, 100, 200, 215])
def test_a_wrong_checksum(blobs: Blobs, at: int) -> None:
    blobs.write(ARRAY, 216)
    wrong = ARRAY[:at] + bytes([ARRAY[at] ^ 1]) + ARRAY[at + 1 :]
    assert blobs.set(0, wrong, len(wrong)) == S.INTEGRITY_FAILURE
    assert blobs.all() == ARRAY
    assert blobs.set(100, ARRAY[100:]) == S.INVALID_SEQ


@pytest.mark.check("LB-08")
@pytest.mark.parametrize("size", [1, 7, 100, 215, 216, 1000])
def test_one_or_many_fragments(locked: Blobs, size: int) -> None:
    locked.write(ARRAY, size)
    assert locked.all() == ARRAY
    locked.bench.power_up()
    assert locked.all() == ARRAY


@pytest.mark.check("LB-08")
@given(cut=st.integers(0, 216), size=st.integers(0, 300))
def test_any_part_can_be_read(cut: int, size: int) -> None:
    assert WRITTEN.get(size, cut) == ARRAY[cut : cut + size]


WRITTEN = Blobs(Bench())
WRITTEN.write(ARRAY, 216)


@pytest.mark.check("LB-08")
def test_nothing_is_seen_before_the_last_fragment(blobs: Blobs) -> None:
    for at in range(0, 200, 50):
        assert blobs.set(at, ARRAY[at : at + 50], None if at else 216) == S.OK
        assert blobs.all() == INITIAL
    assert blobs.set(200, ARRAY[200:]) == S.OK
    assert blobs.all() == ARRAY


@pytest.mark.check("LB-08")
def test_a_loss_of_power_keeps_the_old_array(blobs: Blobs) -> None:
    blobs.write(ARRAY, 216)
    other = sealed(bytes(300))
    blobs.set(0, other[:200], len(other))
    blobs.bench.power_up()
    assert blobs.all() == ARRAY
    assert blobs.set(200, other[200:]) == S.INVALID_SEQ


@pytest.mark.check("LB-08")
def test_a_larger_array_than_a_message() -> None:
    blobs = Blobs(Bench(SMALL))
    array = sealed(bytes(range(256)) * 15)
    blobs.write(array, 1024)
    assert b"".join(blobs.get(1024, at) for at in range(0, 4096, 1024)) == array


class Unplugged(Exception):
    """Power goes while the store writes."""


class FailingStore:
    """A store on which a write does not come to its end."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save(self, state: Any) -> None:
        raise Unplugged


@pytest.mark.check("LB-08")
def test_a_write_that_fails_keeps_the_old_array(blobs: Blobs) -> None:
    store = blobs.bench.store
    blobs.bench.store = FailingStore(store)  # type: ignore[assignment]
    blobs.bench.power_up()
    with pytest.raises(Unplugged):
        blobs.set(0, ARRAY, len(ARRAY))
    assert blobs.all() == INITIAL
    blobs.bench.store = store
    blobs.bench.power_up()
    assert blobs.all() == INITIAL


@pytest.mark.check("LB-08", "LB-10")
def test_a_file_keeps_the_array_until_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "token.sqlite"

    def ask(token: VirtualToken, request: bytes) -> bytes:
        return token.link().cbor(request, lambda _: None, lambda: False)

    upload = Blobs(Bench()).request(0, ARRAY, len(ARRAY))
    with VirtualToken(path) as token:
        assert ask(token, bytes([BLOBS]) + encode(upload)) == b"\0"
    with VirtualToken(path) as token:
        read = bytes([BLOBS]) + encode({1: 300, 3: 0})
        assert ask(token, read) == b"\0" + encode({1: ARRAY})
        assert ask(token, bytes([RESET])) == b"\0"
        assert ask(token, read) == b"\0" + encode({1: INITIAL})


# --- authorization -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        case("LB-06", {5: MISSING, 6: MISSING}, S.PUAT_REQUIRED),
        case("LB-06", {5: MISSING}, S.PUAT_REQUIRED),
        case("LB-06", {6: MISSING}, S.MISSING_PARAMETER),
        case("LB-06", {6: 3}, S.INVALID_PARAMETER),
        case("LB-06", {5: bytes(32)}, S.PIN_AUTH_INVALID),
        case("LB-06 TOK-09", {5: b""}, S.PIN_AUTH_INVALID),
        case("LB-06 TOK-11", {2: ARRAY[:-1] + b"x"}, S.PIN_AUTH_INVALID),
    ],
)
def test_a_protected_array(locked: Blobs, patch: Any, status: S) -> None:
    good = locked.request(0, ARRAY, len(ARRAY))
    assert locked.bench.status(BLOBS, patched(good, patch)) == status
    assert locked.all() == INITIAL
    assert locked.bench.status(BLOBS, good) == S.OK
    assert locked.all() == ARRAY


@pytest.mark.check("LB-06", "TOK-08", "TOK-11")
@pytest.mark.parametrize("permissions", [1, 2, 3, 4, 0x20])
def test_other_permissions_do_not_do(pinned: Platform, permissions: int) -> None:
    blobs = Blobs(pinned.bench, pinned)
    blobs.token = pinned.token(PIN_CODE, permissions)
    assert blobs.set(0, ARRAY, len(ARRAY)) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-11")
def test_the_offset_is_authenticated(locked: Blobs) -> None:
    assert locked.set(0, ARRAY[:100], 216) == S.OK
    moved = locked.request(0, ARRAY[100:])
    assert locked.bench.status(BLOBS, {**moved, 3: 100}) == S.PIN_AUTH_INVALID
    assert locked.set(100, ARRAY[100:]) == S.OK


@pytest.mark.check("TOK-04")
def test_a_token_that_made_a_credential_still_writes(pinned: Platform) -> None:
    blobs = Blobs(pinned.bench, pinned)
    blobs.token = pinned.token(PIN_CODE, 1 | LBW)
    pinned.bench.make(pinned.make_auth(blobs.token), rk=True)
    again = make_request(pinned.make_auth(blobs.token))
    assert pinned.bench.status(MC, again) == S.PIN_AUTH_INVALID
    assert blobs.set(0, ARRAY, len(ARRAY)) == S.OK


@pytest.mark.check("LB-06")
def test_built_in_verification_protects_too(sensed: Platform) -> None:
    open_handed, careful = Blobs(sensed.bench), Blobs(sensed.bench)
    assert open_handed.set(0, ARRAY, len(ARRAY)) == S.PUAT_REQUIRED
    careful.platform, careful.token = sensed, sensed.uv_token(LBW)
    assert careful.set(0, ARRAY, len(ARRAY)) == S.OK


@pytest.mark.check("LB-06")
def test_always_uv_protects_where_nothing_is_configured(blobs: Blobs) -> None:
    blobs.bench.authenticator.token.save(always_uv=True)
    assert blobs.set(0, ARRAY, len(ARRAY)) == S.PUAT_REQUIRED


# --- other commands, other models ----------------------------------------------------------------


def interruptions(bench: Bench) -> dict[str, tuple[int, Any]]:
    return {
        "getInfo": (INFO, None),
        "makeCredential": (MC, make_request()),
        "getAssertion": (GA, get_request()),
        "clientPIN": (PIN, {2: 1}),
        "unknown": (0x66, None),
    }


@pytest.mark.check("LB-09")
@pytest.mark.parametrize("name", list(interruptions(Bench())))
def test_another_command_ends_the_upload(blobs: Blobs, name: str) -> None:
    blobs.set(0, ARRAY[:100], 216)
    blobs.bench.call(*interruptions(blobs.bench)[name])
    assert blobs.set(100, ARRAY[100:]) == S.INVALID_SEQ
    blobs.write(ARRAY, 100)
    assert blobs.all() == ARRAY


@pytest.mark.check("LB-09")
def test_so_does_a_u2f_message(blobs: Blobs) -> None:
    blobs.set(0, ARRAY[:100], 216)
    blobs.bench.authenticator.handle_msg(b"\0\3\0\0")
    assert blobs.set(100, ARRAY[100:]) == S.INVALID_SEQ


@pytest.mark.check("LB-09")
def test_a_model_that_keeps_the_upload() -> None:
    patient = replace(CTAP_2_3.behavior, upload_is_kept=True)
    blobs = Blobs(Bench(replace(CTAP_2_3, behavior=patient)))
    blobs.set(0, ARRAY[:100], 216)
    blobs.bench.info()
    assert blobs.set(100, ARRAY[100:]) == S.OK
    assert blobs.all() == ARRAY


@pytest.mark.check("GN-04")
def test_a_fragment_ends_an_enumeration(blobs: Blobs) -> None:
    for user in (b"ada", b"bob"):
        blobs.bench.make({3: {"id": user}}, rk=True)
    blobs.bench.get({2: HASH})
    blobs.get(17)
    assert blobs.bench.status(0x08) == S.NOT_ALLOWED


@pytest.mark.check("LB-10", "LBX-04")
@pytest.mark.parametrize("model", [CTAP_2_0, CTAP_2_3_LARGE_BLOB], ids=lambda model: model.name)
def test_models_without_it(model: Profile) -> None:
    assert Bench(model).status(BLOBS, {1: 17, 3: 0}) == S.INVALID_COMMAND


@pytest.mark.check("LB-10", "RST-05")
def test_a_reset_empties_it(locked: Blobs) -> None:
    locked.write(ARRAY, 216)
    assert locked.set(0, ARRAY[:100], 216) == S.OK
    locked.bench.ok(RESET)
    assert locked.all() == INITIAL
    assert Blobs(locked.bench).set(100, ARRAY[100:]) == S.INVALID_SEQ
