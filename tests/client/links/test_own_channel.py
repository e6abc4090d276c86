from __future__ import annotations

import pytest

from fidokit.client.links.own_channel import OwnChannel

MINE, THEIRS, ALL = b"\0\0\0\1", b"\0\0\0\2", b"\xff\xff\xff\xff"


class Reports:
    """HID reports, in turn."""

    def __init__(self, *reports: bytes) -> None:
        self.reports = [report.ljust(64, b"\0") if report else report for report in reports]
        self.written: list[bytes] = []
        self.closed = False

    def write_packet(self, data: bytes) -> None:
        self.written.append(data)

    def read_packet(self) -> bytes:
        return self.reports.pop(0)

    def close(self) -> None:
        self.closed = True


def test_reports_of_other_channels_are_dropped() -> None:
    wanted = MINE + b"\x90\0\x01\0"
    beneath = Reports(THEIRS + b"\x90\0\x01\0", THEIRS + b"\0more", wanted)
    own = OwnChannel(beneath)
    own.write_packet(MINE + b"\x90\0\x01\x04")
    assert own.read_packet().startswith(wanted)
    assert beneath.written == [MINE + b"\x90\0\x01\x04"]


def test_continuations_do_not_change_the_channel() -> None:
    own = OwnChannel(Reports(THEIRS + b"\0", MINE + b"\x90"))
    own.write_packet(MINE + b"\x90\0\x60" + bytes(57))
    own.write_packet(MINE + b"\0" + bytes(59))
    assert own.read_packet().startswith(MINE)


def test_somebody_elses_init_is_not_ours() -> None:
    ours, other = b"12345678", b"abcdefgh"
    init = ALL + b"\x86\0\x11"
    own = OwnChannel(Reports(init + other, THEIRS + b"\x90", init + ours + MINE))
    own.write_packet(ALL + b"\x86\0\x08" + ours)
    assert own.read_packet()[7:15] == ours


@pytest.mark.parametrize("report", [b"", b"\0\0\0\1\x90\0"])
def test_no_report_is_a_broken_connection(report: bytes) -> None:
    beneath = Reports()
    beneath.reports = [report]
    own = OwnChannel(beneath)
    own.write_packet(MINE + b"\x90\0\x01\x04")
    with pytest.raises(OSError, match="Input/output"):
        own.read_packet()


def test_closing() -> None:
    beneath = Reports()
    OwnChannel(beneath).close()
    assert beneath.closed
