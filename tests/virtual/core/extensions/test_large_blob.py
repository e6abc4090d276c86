"""The largeBlob extension of CTAP 2.3 (LBX-*)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import (
    GA,
    GNA,
    MC,
    RESET,
    AuthData,
    Bench,
    Made,
    Platform,
    S,
    any_of,
    case,
    descriptor,
    encode,
    get_request,
    make_request,
)

from fidokit.virtual.core.ports import LargeBlob
from fidokit.virtual.core.profile import CTAP_2_3, CTAP_2_3_LARGE_BLOB
from fidokit.virtual.token import VirtualToken

MODEL = CTAP_2_3_LARGE_BLOB
READ = {"read": True}
MAKE_UNSIGNED, GET_UNSIGNED = 6, 8


@pytest.fixture
def bench() -> Bench:
    return Bench(MODEL)


def make(bench: Bench, support: str | None = "preferred", user: bytes = b"ada") -> Made:
    inputs = {} if support is None else {"largeBlob": {"support": support}}
    return bench.make({3: {"id": user}, 6: inputs}, rk=True)


def writing(blob: bytes, original_size: int = 1000) -> dict[str, Any]:
    return {"write": blob, "originalSize": original_size}


def access(
    bench: Bench, value: Any, credential: bytes | None = None, **options: bool
) -> dict[str, Any] | None:
    """The unsigned output, or None; nothing of it is signed."""
    allowed = {} if credential is None else {3: [descriptor(credential)]}
    body = bench.get({4: {"largeBlob": value}, **allowed}, **options)
    assert AuthData.parse(body[2]).extensions is None
    if GET_UNSIGNED not in body:
        return None
    assert list(body[GET_UNSIGNED]) == ["largeBlob"]
    output: dict[str, Any] = body[GET_UNSIGNED]["largeBlob"]
    return output


# --- making --------------------------------------------------------------------------------------


@pytest.mark.check("LBX-01", "MC-01")
@pytest.mark.parametrize("support", ["preferred", "required"])
def test_support_is_told_unsigned(bench: Bench, support: str) -> None:
    made = make(bench, support)
    assert made.body[MAKE_UNSIGNED] == {"largeBlob": {"supported": True}}
    assert (set(made.body), made.data.flags) == ({1, 2, 3, 6}, 0x41)


@pytest.mark.check("LBX-01")
@pytest.mark.parametrize("inputs", [{}, {"largeBlob": {"support": "some day"}}])
def test_nothing_is_told_that_was_not_asked(bench: Bench, inputs: Any) -> None:
    assert MAKE_UNSIGNED not in bench.make({6: inputs}, rk=True).body


@pytest.mark.check("LBX-01")
def test_a_wrapped_credential_cannot(bench: Bench) -> None:
    preferred = bench.make({6: {"largeBlob": {"support": "preferred"}}})
    assert MAKE_UNSIGNED not in preferred.body
    required = make_request({6: {"largeBlob": {"support": "required"}}})
    assert bench.status(MC, required) == S.LARGE_BLOB_STORAGE_FULL
    assert access(bench, writing(b"x"), preferred.id) == {"written": False}
    assert access(bench, READ, preferred.id) is None


@pytest.mark.parametrize(
    ("command", "value", "status"),
    [
        *[case("LBX-04", command, value, S.INVALID_CBOR)
          for command in (MC, GA) for value in any_of(True, 1, "x", b"x", [], None)],
        *[case("LBX-04", MC, {"support": value}, S.INVALID_CBOR) for value in (True, 1, b"", None)],
        case("LBX-04", GA, {"read": True, **writing(b"x")}, S.INVALID_CBOR),
        case("LBX-04", GA, {"read": False, **writing(b"x")}, S.INVALID_CBOR),
        *[case("LBX-04", GA, {"read": value}, S.INVALID_CBOR) for value in (1, "yes", None)],
        *[case("LBX-04", GA, {"write": value, "originalSize": 1}, S.INVALID_CBOR)
          for value in (1, "x", True, None)],
        *[case("LBX-04", GA, {"write": b"x", "originalSize": value}, S.INVALID_CBOR)
          for value in (-1, "1", b"", True, None)],
        case("LBX-04", MC, {}, S.INVALID_CBOR),
        case("LBX-04", GA, {"write": b"x"}, S.INVALID_CBOR),
        case("LBX-04", GA, {"originalSize": 1}, S.INVALID_CBOR),
        *[case("LBX-04", GA, value, S.INVALID_CBOR) for value in any_of({}, {"unknown": 1})],
        case("CBR-08", GA, {"read": True, "unknown": 1}, S.OK),
        case("EXT-01", GA, {"read": False}, S.OK),
    ],
)  # fmt: skip
def test_forms(bench: Bench, command: int, value: Any, status: S) -> None:
    made = make(bench)
    access(bench, writing(b"kept"), made.id)
    inputs, allowed = {"largeBlob": value}, [descriptor(made.id)]
    patch = {6: inputs} if command == MC else {3: allowed, 4: inputs}
    request = make_request(patch, rk=True) if command == MC else get_request(patch)
    assert bench.status(command, request) == status
    assert access(bench, READ, made.id) == {"blob": b"kept", "originalSize": 1000}


# --- writing and reading -------------------------------------------------------------------------


@pytest.mark.check("LBX-02", "GA-01")
@given(blob=st.binary(max_size=300), size=st.integers(0, 2**64 - 1))
def test_what_is_written_is_read(blob: bytes, size: int) -> None:
    bench = Bench(MODEL)
    made = make(bench)
    assert access(bench, READ, made.id) is None
    assert access(bench, writing(blob, size), made.id) == {"written": True}
    bench.power_up()
    expected = {"blob": blob, "originalSize": size}
    assert access(bench, READ, made.id) == access(bench, READ) == expected
    assert access(bench, {"read": False}, made.id) is None


@pytest.mark.check("LBX-02")
def test_a_blob_is_replaced(bench: Bench) -> None:
    made = make(bench)
    for blob in (b"first", b"second", b""):
        access(bench, writing(blob, 5), made.id)
        assert access(bench, READ) == {"blob": blob, "originalSize": 5}


@pytest.mark.check("LBX-03")
@pytest.mark.parametrize(
    ("size", "written"),
    [(MODEL.max_large_blob_array, True), (MODEL.max_large_blob_array + 1, False)],
)
def test_the_largest_blob(bench: Bench, size: int, written: bool) -> None:
    made = make(bench)
    assert access(bench, writing(bytes(size)), made.id) == {"written": written}
    assert (access(bench, READ) is not None) is written


@pytest.mark.check("LBX-03")
def test_when_nothing_is_written(bench: Bench) -> None:
    without = make(bench, None, b"bob")
    made = make(bench)
    assert access(bench, writing(b"x")) == {"written": False}
    assert access(bench, writing(b"x"), made.id, up=False) == {"written": False}
    assert access(bench, writing(b"x"), without.id) == {"written": False}
    assert access(bench, READ, made.id) is access(bench, READ, without.id) is None


@pytest.mark.check("LBX-02")
def test_reading_needs_no_touch(bench: Bench) -> None:
    made = make(bench)
    access(bench, writing(b"x", 1), made.id)
    assert access(bench, READ, made.id, up=False) == {"blob": b"x", "originalSize": 1}


@pytest.mark.check("GN-05")
def test_each_next_assertion_has_its_own(bench: Bench) -> None:
    for n in (1, 2, 3):
        access(bench, writing(bytes(n), n), make(bench, user=bytes([n])).id)
    make(bench, user=b"\4")
    bodies = [bench.get({4: {"largeBlob": READ}}), *[bench.ok(GNA) for _ in range(3)]]
    assert GET_UNSIGNED not in bodies[0]
    for n, body in zip((3, 2, 1), bodies[1:], strict=True):
        assert body[GET_UNSIGNED] == {"largeBlob": {"blob": bytes(n), "originalSize": n}}


@pytest.mark.check("LBX-02", "MC-29", "RST-05")
def test_a_blob_goes_with_its_credential(bench: Bench) -> None:
    made = make(bench)
    access(bench, writing(b"x"), made.id)
    again = make(bench)
    assert access(bench, READ, again.id) is None
    access(bench, writing(b"y"), again.id)
    bench.ok(RESET)
    assert access(bench, READ, make(bench).id) is None


@pytest.mark.check("CPR-02", "LBX-02")
def test_a_protected_blob_is_for_its_verified_owner() -> None:
    platform = Platform(Bench(MODEL, uv=True))
    inputs = {"largeBlob": {"support": "required"}, "credProtect": 3}
    made = platform.bench.make({6: inputs}, rk=True, uv=True)
    assert access(platform.bench, writing(b"x", 1), made.id, uv=True) == {"written": True}
    hidden = get_request({3: [descriptor(made.id)], 4: {"largeBlob": READ}})
    assert platform.bench.status(GA, hidden) == S.NO_CREDENTIALS
    assert access(platform.bench, READ, uv=True) == {"blob": b"x", "originalSize": 1}


@pytest.mark.check("LBX-02")
def test_a_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "token.sqlite"
    request = make_request({6: {"largeBlob": {"support": "required"}}}, rk=True)
    with VirtualToken(path, profile=MODEL.name) as token:
        reply = token.link().cbor(b"\1" + encode(request), lambda _: None, lambda: False)
        assert reply[0] == S.OK
        (party,) = token._store.relying_parties()
        (credential,) = token._store.of_rp(party.id_hash)
        write = get_request({3: [descriptor(credential.id)], 4: {"largeBlob": writing(b"x", 9)}})
        assert token.link().cbor(b"\2" + encode(write), lambda _: None, lambda: False)[0] == S.OK
    with VirtualToken(path) as token:
        found = token._store.find(credential.id)
        assert found is not None
        assert found.large_blob == LargeBlob(b"x", 9)


@pytest.mark.check("GI-14", "LBX-04")
def test_a_model_has_one_or_the_other(bench: Bench) -> None:
    info = bench.info()
    assert "largeBlob" in info[2]
    assert not {"largeBlobKey"} & set(info[2])
    assert "largeBlobs" not in info[4]
    assert 0x0B not in info
    assert bench.status(0x0C, {1: 17, 3: 0}) == S.INVALID_COMMAND
    ordinary = Bench()
    assert access(ordinary, READ, make(ordinary).id) is None


def test_the_variant_differs_in_nothing_else() -> None:
    assert set(MODEL.extensions) ^ set(CTAP_2_3.extensions) == {"largeBlob", "largeBlobKey"}
    same = replace(MODEL, name="", aaguid=CTAP_2_3.aaguid, extensions=(), options=CTAP_2_3.options)
    assert same == replace(CTAP_2_3, name="", extensions=())
