from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count, survive

from fidokit.errors import MalformedKey
from fidokit.openssh.wire import Reader
from fidokit.provider import abi
from fidokit.provider.abi import Operation, Request, SkOption

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BYTE = st.integers(0, 255)
OPTIONS = st.lists(st.builds(SkOption, TEXT, TEXT, st.booleans()), max_size=3).map(tuple)
HEAD = {"api": st.sampled_from(abi.API_VERSIONS), "flags": BYTE, "pin": st.none() | TEXT}
LOADS = st.builds(Request, operation=st.just(Operation.LOAD_RESIDENT_KEYS), options=OPTIONS, **HEAD)
WORK = {"alg": st.integers(0, 2**32 - 1), "application": TEXT, "data": st.binary(max_size=99)}
ENROLS = st.builds(Request, operation=st.just(Operation.ENROLL), options=OPTIONS, **WORK, **HEAD)
SIGNS = st.builds(
    Request,
    operation=st.just(Operation.SIGN),
    options=OPTIONS,
    key_handle=st.binary(max_size=99),
    **WORK,
    **HEAD,
)
SIGN = Request(
    *(10, Operation.SIGN, 0x25, "1234", (SkOption("device", "virtual:t", True),)),
    *(1, "ssh:", b"message", b"handle"),
)


@given(ENROLS | SIGNS | LOADS)
def test_a_request_comes_back(request: Request) -> None:
    assert abi.parse_request(request.encode()) == request


def test_no_pin_is_another_thing_than_an_empty_one() -> None:
    requests = [Request(10, Operation.LOAD_RESIDENT_KEYS, pin=pin) for pin in (None, "")]
    assert [abi.parse_request(request.encode()).pin for request in requests] == [None, ""]


@pytest.mark.parametrize("cut", range(len(SIGN.encode())))
def test_cut_off(cut: int) -> None:
    with pytest.raises(MalformedKey):
        abi.parse_request(SIGN.encode()[:cut])


def test_something_follows() -> None:
    with pytest.raises(MalformedKey, match="1 bytes follow"):
        abi.parse_request(SIGN.encode() + b"\0")


def test_no_operation_of_sk_api() -> None:
    with pytest.raises(MalformedKey, match="no operation 9"):
        abi.parse_request(bytes([10, 9]) + SIGN.encode()[2:])


def test_options_without_end() -> None:
    many = Request(10, Operation.LOAD_RESIDENT_KEYS, options=[SkOption("a", "b", False)] * 65)
    with pytest.raises(MalformedKey, match="65 options"):
        abi.parse_request(many.encode())


def test_fuzz_requests() -> None:
    honest = [SIGN.encode(), Request(9, Operation.LOAD_RESIDENT_KEYS, pin="1").encode()]
    count = fuzz_count(2000)
    assert survive(honest, abi.parse_request, MalformedKey, count) > count // 4


def test_the_pin_does_not_show() -> None:
    assert "1234" not in repr(SIGN)


def test_the_layout_of_replies() -> None:
    """As sk_fidokit.c reads them; test_sk_fidokit.py has the library itself read them."""
    made = Reader(abi.EnrollReply(0x21, b"key", b"handle", b"sig", b"cert", b"data").encode(), "")
    assert [made.u8(), made.u8()] == [0, 0x21]
    assert [made.string() for _ in range(5)] == [b"key", b"handle", b"sig", b"cert", b"data"]
    made.end()
    signed = Reader(abi.SignReply(0x05, 7, b"r", b"s").encode(), "")
    assert [signed.u8(), signed.u8(), signed.u32()] == [0, 5, 7]
    assert [signed.string(), signed.string()] == [b"r", b"s"]
    signed.end()
    key = abi.ResidentKey(1, "ssh:", 0x21, b"user", b"key", b"handle")
    loaded = Reader(abi.LoadReply([key]).encode(), "")
    assert [loaded.u8(), loaded.u32(), loaded.u32()] == [0, 1, 1]
    assert [loaded.string(), loaded.u8(), loaded.string()] == [b"ssh:", 0x21, b"user"]
    assert abi.ErrorReply(abi.SkError.PIN_REQUIRED).encode() == b"\x03"
