"""Events of /dev/uhid: sizes and places as linux/uhid.h packs them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedFile, UsageError
from fidokit.virtual.framing import uhid
from fidokit.virtual.framing.uhid import Device, Notice, Output, Question, UhidEvent, parse

SIZE = 64
DEVICE = Device("Key", "SERIAL", "phys/1", 0x1209, 0x0001, b"\x06\xd0\xf1")


def event(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("=I", kind) + body


def output(data: bytes, size: int | None = None) -> bytes:
    stated = len(data) if size is None else size
    return event(UhidEvent.OUTPUT, data.ljust(4096, b"\0") + struct.pack("=HB", stated, 1))


def test_create() -> None:
    made = DEVICE.create()
    assert made[:4] == b"\x0b\0\0\0"
    assert made[4:132].rstrip(b"\0") == b"Key"
    assert made[132:196].rstrip(b"\0") == b"phys/1"
    assert made[196:260].rstrip(b"\0") == b"SERIAL"
    assert struct.unpack_from("=HHIIII", made, 260) == (3, 3, 0x1209, 1, 0x0100, 0)
    assert made[280:] == b"\x06\xd0\xf1"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 128},
        {"serial": "é" * 32},
        {"path": "x" * 64},
        {"name": "a\0b"},
        {"serial": "\x1b[2J"},
        {"vendor_id": 0x10000},
        {"product_id": -1},
    ],
)
def test_what_no_device_can_have(changes: dict[str, object]) -> None:
    from dataclasses import replace

    with pytest.raises(UsageError):
        replace(DEVICE, **changes).create()  # type: ignore[arg-type]


def test_the_longest_texts_fit() -> None:
    made = Device("n" * 127, "s" * 63, "p" * 63, 0xFFFF, 0xFFFF, b"").create()
    assert len(made) == 280


def test_input_and_destroy() -> None:
    assert uhid.input2(b"ab") == b"\x0c\0\0\0\x02\0ab"
    assert uhid.destroy() == b"\x01\0\0\0"


@pytest.mark.parametrize("kind", [UhidEvent.START, UhidEvent.STOP, UhidEvent.OPEN, UhidEvent.CLOSE])
def test_notices(kind: UhidEvent) -> None:
    assert parse(event(kind, bytes(8)), SIZE) == Notice(kind)


@pytest.mark.parametrize("number", [b"", b"\0"])
def test_output_with_and_without_the_number_before_it(number: bytes) -> None:
    report = bytes(range(64))
    assert parse(output(number + report), SIZE) == Output(report)


def test_a_short_report_is_filled_up_as_a_bus_does() -> None:
    assert parse(output(b"\x01\x02"), SIZE) == Output(b"\x01\x02" + bytes(62))


def test_a_size_that_lies_reads_nothing_beyond() -> None:
    told = parse(output(b"\x01" * 4096, 0xFFFF), SIZE)
    assert isinstance(told, Output)
    assert len(told.report) == 4096


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        (
            event(UhidEvent.GET_REPORT, struct.pack("=IBB", 7, 0, 1)),
            struct.pack("=IIHH", 10, 7, 5, 0),
        ),
        (
            event(UhidEvent.SET_REPORT, struct.pack("=IBBH", 8, 0, 1, 2) + b"xx"),
            struct.pack("=IIH", 14, 8, 5),
        ),
    ],
)
def test_questions_are_refused(question: bytes, refusal: bytes) -> None:
    assert parse(question, SIZE) == Question(refusal)


def test_unknown_events_are_passed_over() -> None:
    assert parse(event(0), SIZE) is None
    assert parse(event(77, b"x" * 4000), SIZE) is None


WHOLE = {
    "output": output(bytes(64)),
    "get report": event(UhidEvent.GET_REPORT, bytes(6)),
    "set report": event(UhidEvent.SET_REPORT, bytes(8)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_cut_at_every_byte(name: str) -> None:
    for cut in range(len(WHOLE[name])):
        with pytest.raises(MalformedFile):
            parse(WHOLE[name][:cut], SIZE)


@given(st.binary(max_size=uhid.EVENT_SIZE))
def test_any_bytes(data: bytes) -> None:
    try:
        told = parse(data, SIZE)
    except MalformedFile:
        return
    assert told is None or isinstance(told, Output | Question | Notice)
