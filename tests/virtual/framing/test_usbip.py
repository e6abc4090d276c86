"""USB/IP's bytes: the documentation's own examples, cuts at every byte, damage."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count, survive

from fidokit.errors import Malformed
from fidokit.virtual.framing.usb_descriptors import UsbIdentity
from fidokit.virtual.framing.usbip import (
    MAX_TRANSFER,
    ImportRequest,
    ListRequest,
    OpStatus,
    Request,
    RequestReader,
    Submit,
    Unlink,
    UrbStatus,
    import_refusal,
    import_reply,
    list_reply,
    submit_reply,
    unlink_reply,
)

IDENTITY = UsbIdentity(0x1209, 0x0001, "fidokit virtual token", "FK0123456789")
LIST = bytes.fromhex("0111 8005 00000000")
IMPORT = bytes.fromhex("0111 8003 00000000") + b"1-1".ljust(32, b"\0")

# Captured by the authors of the kernel's document, from a FIDO token on the wire.
INIT = bytes.fromhex("ffffffff860008a784ce5ae2123763").ljust(64, b"\0")
CMD_IN = bytes.fromhex(
    "00000001 00000d05 0001000f 00000001 00000001 00000200"
    "00000040 ffffffff 00000000 00000004 00000000 00000000"
)
CMD_OUT = (
    bytes.fromhex(
        "00000001 00000d06 0001000f 00000000 00000001 00000000"
        "00000040 ffffffff 00000000 00000004 00000000 00000000"
    )
    + INIT
)
RET_OUT = bytes.fromhex(
    "00000003 00000d06 00000000 00000000 00000000 00000000"
    "00000040 ffffffff 00000000 00000000 00000000 00000000"
)
RET_IN_HEAD = bytes.fromhex(
    "00000003 00000d05 00000000 00000000 00000000 00000000"
    "00000040 ffffffff 00000000 00000000 00000000 00000000"
)
UNLINK = bytes.fromhex("00000002 00000d07 0001000f 00000000 00000000 00000d05") + bytes(24)

SUBMIT_IN = Submit(0xD05, 0x1000F, 0x81, 64, 0xFFFFFFFF, 0, bytes(8), b"")
SUBMIT_OUT = Submit(0xD06, 0x1000F, 0x01, 64, 0xFFFFFFFF, 0, bytes(8), INIT)


def reader(*, imported: bool) -> RequestReader:
    made = RequestReader()
    made.imported = imported
    return made


def read(data: bytes, *, imported: bool) -> list[Request]:
    return list(reader(imported=imported).feed(data))


def packets(number: int) -> bytes:
    """The transfer above with another number of isochronous packets."""
    return CMD_IN[:32] + number.to_bytes(4) + CMD_IN[36:]


@pytest.mark.parametrize(
    ("data", "imported", "request_"),
    [
        (LIST, False, ListRequest()),
        (IMPORT, False, ImportRequest("1-1")),
        (CMD_IN, True, SUBMIT_IN),
        (packets(0xFFFFFFFF), True, replace(SUBMIT_IN, packets=0xFFFFFFFF)),
        (CMD_OUT, True, SUBMIT_OUT),
        (UNLINK, True, Unlink(0xD07, 0xD05)),
    ],
)
def test_requests(data: bytes, imported: bool, request_: Request) -> None:
    assert read(data, imported=imported) == [request_]


@pytest.mark.parametrize(
    ("whole", "imported"),
    [(LIST, False), (IMPORT, False), (CMD_IN, True), (CMD_OUT, True), (UNLINK, True)],
)
def test_cut_at_every_byte(whole: bytes, imported: bool) -> None:
    for cut in range(len(whole)):
        machine = reader(imported=imported)
        assert list(machine.feed(whole[:cut])) == []
        assert len(list(machine.feed(whole[cut:]))) == 1
        assert len(list(machine.feed(whole + whole[:cut]))) == 1


@given(st.lists(st.sampled_from([CMD_IN, CMD_OUT, UNLINK]), max_size=8), st.data())
def test_any_cuts_give_the_same_requests(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    machine, found, at = reader(imported=True), list[Request](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 100))
        found += machine.feed(stream[at : at + size])
        at += size
    assert found == read(stream, imported=True)
    assert len(found) == len(messages)


def test_an_import_changes_what_follows_in_the_same_bytes() -> None:
    machine = RequestReader()
    requests = machine.feed(IMPORT + CMD_OUT)
    assert next(requests) == ImportRequest("1-1")
    machine.imported = True
    assert isinstance(next(requests), Submit)


@pytest.mark.parametrize(
    ("data", "imported"),
    [
        (bytes.fromhex("0110 8005 00000000"), False),
        (bytes.fromhex("0111 8001 00000000"), False),
        (bytes.fromhex("0111 0005 00000000"), False),
        (b"GET / HTTP/1.1\r\n\r\n", False),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", False),
        (bytes.fromhex("00000003") + CMD_IN[4:], True),
        (LIST.ljust(48, b"\0"), True),
        (packets(1), True),
        (CMD_OUT[:24] + (MAX_TRANSFER + 1).to_bytes(4) + CMD_OUT[28:], True),
        (CMD_OUT[:24] + b"\xff" * 4 + CMD_OUT[28:], True),
    ],
)
def test_what_is_no_request(data: bytes, imported: bool) -> None:
    with pytest.raises(Malformed):
        read(data, imported=imported)


def test_the_longest_transfer() -> None:
    long = CMD_OUT[:24] + MAX_TRANSFER.to_bytes(4) + CMD_IN[28:48] + bytes(MAX_TRANSFER)
    (submit,) = read(long, imported=True)
    assert isinstance(submit, Submit)
    assert len(submit.data) == MAX_TRANSFER


def test_a_bus_id_of_rubbish_is_a_bus_id() -> None:
    (request,) = read(IMPORT[:8] + b"\xff\x1b" * 16, imported=False)
    assert isinstance(request, ImportRequest)
    assert request.bus_id.isascii()


# --- replies -----------------------------------------------------------------------------------


def test_a_list() -> None:
    reply = list_reply(IDENTITY)
    assert reply[:12] == bytes.fromhex("0111 0005 00000000 00000001")
    assert len(reply) == 12 + 312 + 4
    assert reply[12:268].rstrip(b"\0") == b"/sys/devices/virtual/fidokit/1-1"
    assert reply[268:300] == b"1-1".ljust(32, b"\0")
    assert struct.unpack(">III", reply[300:312]) == (1, 2, 2)  # bus, device, full speed
    assert reply[312:318] == bytes.fromhex("1209 0001 0100")
    assert reply[318:324] == bytes([0, 0, 0, 1, 1, 1])
    assert reply[324:] == bytes([3, 0, 0, 0])


def test_an_empty_list() -> None:
    assert list_reply(None) == bytes.fromhex("0111 0005 00000000 00000000")


def test_imports() -> None:
    granted = import_reply(IDENTITY)
    assert granted[:8] == bytes.fromhex("0111 0003 00000000")
    assert granted[8:] == list_reply(IDENTITY)[12:-4]
    assert import_refusal(OpStatus.BUSY) == bytes.fromhex("0111 0003 00000002")
    assert import_refusal(OpStatus.NO_DEVICE) == bytes.fromhex("0111 0003 00000004")


def test_transfers() -> None:
    assert submit_reply(SUBMIT_OUT, UrbStatus.OK, sent=64) == RET_OUT
    assert submit_reply(SUBMIT_IN, UrbStatus.OK, INIT) == RET_IN_HEAD + INIT
    stalled = submit_reply(SUBMIT_IN, UrbStatus.STALLED)
    assert (len(stalled), stalled[20:24]) == (48, b"\xff\xff\xff\xe0")


def test_unlinking() -> None:
    assert unlink_reply(0xD07, UrbStatus.UNLINKED) == bytes.fromhex(
        "00000004 00000d07 00000000 00000000 00000000 ffffff98"
    ) + bytes(24)
    assert unlink_reply(1, UrbStatus.OK)[20:24] == bytes(4)


@pytest.mark.parametrize("imported", [False, True])
def test_fuzz_requests(imported: bool) -> None:
    honest = [CMD_IN, CMD_OUT, UNLINK] if imported else [LIST, IMPORT]

    def parse(data: bytes) -> None:
        machine = reader(imported=imported)
        list(machine.feed(data))
        assert len(machine._buffer) < 48 + MAX_TRANSFER

    assert survive(honest, parse, Malformed, fuzz_count(3_000))
