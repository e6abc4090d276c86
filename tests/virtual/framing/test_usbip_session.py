"""A client's connection, byte by byte: transfers that wait, are taken back, or are too many."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from tests.support.mutate import fuzz_count, mutants

from fidokit.errors import Malformed
from fidokit.virtual.framing.ctaphid import HidCommand, Message
from fidokit.virtual.framing.usb_descriptors import UsbIdentity
from fidokit.virtual.framing.usb_device import UsbDevice
from fidokit.virtual.framing.usbip import (
    BUSY_FROM,
    DEVICE_ID,
    MOST_REPORTS,
    MOST_TRANSFERS,
    OpStatus,
    Submit,
    UrbStatus,
    UsbIpSession,
    import_refusal,
    import_reply,
    list_reply,
    submit_reply,
    unlink_reply,
)

IDENTITY = UsbIdentity(0x1209, 0x0001, "fidokit virtual token", "FK0123456789")
LIST = bytes.fromhex("0111 8005 00000000")
IMPORT = bytes.fromhex("0111 8003 00000000") + b"1-1".ljust(32, b"\0")
IN, OUT = 0x81, 0x01


def transfer(
    number: int, endpoint: int, *, length: int = 64, data: bytes = b"", setup: bytes = bytes(8)
) -> Submit:
    return Submit(number, DEVICE_ID, endpoint, length, 0, 0, setup, data)


def sent(submit: Submit) -> bytes:
    base = (1, submit.seqnum, submit.device_id, submit.endpoint >> 7, submit.endpoint & 0x7F)
    rest = (0, submit.length, submit.frame, submit.packets, 4)
    return struct.pack(">5I5I", *base, *rest) + submit.setup + submit.data


def unlink(number: int, target: int) -> bytes:
    return struct.pack(">5II24x", 2, number, DEVICE_ID, 0, 0, target)


def report(number: int) -> bytes:
    return number.to_bytes(64)


def session(
    claim: Callable[[], OpStatus] = lambda: OpStatus.OK, *, present: bool = True
) -> UsbIpSession:
    return UsbIpSession(UsbDevice(IDENTITY), claim, lambda: present)


@pytest.fixture
def attached() -> UsbIpSession:
    made = session()
    assert bytes(made.receive(IMPORT).replies) == import_reply(IDENTITY)
    return made


# --- before the import -------------------------------------------------------------------------


@pytest.mark.parametrize("present", [True, False])
def test_listing_ends_the_connection(present: bool) -> None:
    made = session(present=present)
    outcome = made.receive(LIST)
    assert bytes(outcome.replies) == list_reply(IDENTITY if present else None)
    assert outcome.over
    assert not made.imported


@pytest.mark.parametrize("status", [OpStatus.BUSY, OpStatus.NO_DEVICE])
def test_an_import_may_be_refused(status: OpStatus) -> None:
    made = session(lambda: status)
    outcome = made.receive(IMPORT)
    assert bytes(outcome.replies) == import_refusal(status)
    assert outcome.over
    assert not made.imported


@pytest.mark.parametrize("bus_id", [b"1-2", b"1-10", b"", b"../1-1", b"\xff" * 32])
def test_there_is_one_device(bus_id: bytes) -> None:
    made = session(lambda: pytest.fail("asked for the device"))
    outcome = made.receive(IMPORT[:8] + bus_id.ljust(32, b"\0"))
    assert bytes(outcome.replies) == import_refusal(OpStatus.NO_DEVICE)


def test_what_comes_after_the_end_is_not_served() -> None:
    outcome = session().receive(LIST + LIST)
    assert bytes(outcome.replies) == list_reply(IDENTITY)


def test_transfers_may_follow_an_import_at_once() -> None:
    asked = transfer(1, 0x80, length=18, setup=bytes.fromhex("8006000100001200"))
    outcome = session().receive(IMPORT + sent(asked))
    assert bytes(outcome.replies[320:340]) == struct.pack(">5I", 3, 1, 0, 0, 0)


# --- transfers ---------------------------------------------------------------------------------


def test_control(attached: UsbIpSession) -> None:
    asked = transfer(9, 0x80, length=8, setup=bytes.fromhex("8006000100001200"))
    reply = bytes(attached.receive(sent(asked)).replies)
    assert reply == submit_reply(asked, UrbStatus.OK, bytes.fromhex("1201000200000040"))
    odd = transfer(10, 0x80, length=10, setup=bytes.fromhex("8006000600000a00"))
    assert bytes(attached.receive(sent(odd)).replies) == submit_reply(odd, UrbStatus.STALLED)


def test_a_report_out(attached: UsbIpSession) -> None:
    asked = transfer(1, OUT, data=report(7))
    outcome = attached.receive(sent(asked))
    assert outcome.reports == [report(7)]
    assert bytes(outcome.replies) == submit_reply(asked, UrbStatus.OK, sent=64)


def test_a_short_report_is_filled_up(attached: UsbIpSession) -> None:
    asked = transfer(1, OUT, length=5, data=b"short")
    outcome = attached.receive(sent(asked))
    assert outcome.reports == [b"short".ljust(64, b"\0")]
    assert bytes(outcome.replies) == submit_reply(asked, UrbStatus.OK, sent=5)


def test_a_report_over_the_control_pipe(attached: UsbIpSession) -> None:
    asked = transfer(1, 0, data=report(7), setup=bytes.fromhex("2109000200004000"))
    outcome = attached.receive(sent(asked))
    assert outcome.reports == [report(7)]
    assert bytes(outcome.replies) == submit_reply(asked, UrbStatus.OK, sent=64)


def test_transfers_in_wait_for_reports(attached: UsbIpSession) -> None:
    first, second = transfer(1, IN), transfer(2, IN)
    assert not attached.receive(sent(first) + sent(second)).replies
    assert attached.deliver(report(1)) == submit_reply(first, UrbStatus.OK, report(1))
    assert attached.deliver(report(2)) == submit_reply(second, UrbStatus.OK, report(2))
    assert attached.deliver(report(3)) == b""


def test_reports_wait_for_transfers_in(attached: UsbIpSession) -> None:
    assert attached.deliver(report(1)) == attached.deliver(report(2)) == b""
    for number in (1, 2):
        asked = transfer(number, IN)
        replies = bytes(attached.receive(sent(asked)).replies)
        assert replies == submit_reply(asked, UrbStatus.OK, report(number))


def test_keepalives_do_not_pile_up(attached: UsbIpSession) -> None:
    (keepalive,) = Message(1, HidCommand.KEEPALIVE, b"\2").reports()
    for _ in range(1000):
        attached.deliver(keepalive)
    attached.deliver(report(1))
    asked = sent(transfer(1, IN)) + sent(transfer(2, IN))
    replies = bytes(attached.receive(asked).replies)
    assert replies[48:112] == keepalive
    assert replies[-64:] == report(1)


def test_unlinking_what_waits(attached: UsbIpSession) -> None:
    attached.receive(sent(transfer(1, IN)) + sent(transfer(2, IN)))
    replies = bytes(attached.receive(unlink(3, 1)).replies)
    assert replies == unlink_reply(3, UrbStatus.UNLINKED)
    assert attached.deliver(report(1)) == submit_reply(transfer(2, IN), UrbStatus.OK, report(1))


def test_unlinking_what_is_over(attached: UsbIpSession) -> None:
    attached.receive(sent(transfer(1, IN)))
    attached.deliver(report(1))
    assert bytes(attached.receive(unlink(2, 1)).replies) == unlink_reply(2, UrbStatus.OK)
    assert bytes(attached.receive(unlink(3, 99)).replies) == unlink_reply(3, UrbStatus.OK)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (transfer(1, IN, length=63), UrbStatus.OVERFLOW),
        (transfer(1, OUT, length=65, data=bytes(65)), UrbStatus.OVERFLOW),
        (transfer(1, 0x82), UrbStatus.STALLED),
        (transfer(1, 0x02, data=bytes(64)), UrbStatus.STALLED),
        (Submit(1, DEVICE_ID + 1, IN, 64, 0, 0, bytes(8), b""), UrbStatus.NO_DEVICE),
        (Submit(1, 0, 0x80, 64, 0, 0, bytes(8), b""), UrbStatus.NO_DEVICE),
    ],
)
def test_transfers_that_fail(attached: UsbIpSession, asked: Submit, status: UrbStatus) -> None:
    outcome = attached.receive(sent(asked))
    assert bytes(outcome.replies) == submit_reply(asked, status)
    assert not outcome.reports
    assert not outcome.over


def test_configuring_anew_resets(attached: UsbIpSession) -> None:
    attached.deliver(report(1))
    configure = transfer(1, 0, length=0, setup=bytes.fromhex("0009010000000000"))
    outcome = attached.receive(sent(transfer(2, OUT, data=report(5))) + sent(configure))
    assert outcome.reset
    assert not outcome.reports  # the report came before, and is forgotten
    assert not attached.receive(sent(transfer(3, IN))).replies
    outcome = attached.receive(sent(configure) + sent(transfer(4, OUT, data=report(6))))
    assert (outcome.reset, outcome.reports) == (True, [report(6)])


# --- limits ------------------------------------------------------------------------------------


def test_a_token_that_nobody_reads_takes_no_more(attached: UsbIpSession) -> None:
    for number in range(BUSY_FROM):
        attached.deliver(report(number))
    held = transfer(1, OUT, data=report(1))
    outcome = attached.receive(sent(held))
    assert not outcome.reports
    assert not outcome.replies
    outcome = attached.receive(sent(transfer(2, IN)))
    assert outcome.reports == [report(1)]
    assert bytes(outcome.replies).endswith(submit_reply(held, UrbStatus.OK, sent=64))


def test_held_reports_can_be_unlinked(attached: UsbIpSession) -> None:
    for number in range(BUSY_FROM):
        attached.deliver(report(number))
    attached.receive(sent(transfer(1, OUT, data=report(1))))
    replies = bytes(attached.receive(unlink(2, 1)).replies)
    assert replies == unlink_reply(2, UrbStatus.UNLINKED)
    assert not attached.receive(sent(transfer(3, IN))).reports


def test_unread_reports_are_bounded(attached: UsbIpSession) -> None:
    for number in range(2 * MOST_REPORTS):
        attached.deliver(report(number))
    assert len(attached._unread) == MOST_REPORTS


def test_waiting_transfers_are_bounded(attached: UsbIpSession) -> None:
    for number in range(MOST_TRANSFERS):
        attached.receive(sent(transfer(number, IN)))
    with pytest.raises(Malformed, match="256 transfers"):
        attached.receive(sent(transfer(MOST_TRANSFERS, IN)))


def test_numbers_of_transfers_are_unique(attached: UsbIpSession) -> None:
    attached.receive(sent(transfer(1, IN)))
    with pytest.raises(Malformed, match="number 1"):
        attached.receive(sent(transfer(1, IN)))


def test_fuzz_connections() -> None:
    """Damaged requests after an import: replies, or the end; memory stays bounded."""
    honest = [
        sent(transfer(1, IN)) + sent(transfer(2, OUT, data=report(1))) + unlink(3, 1),
        sent(transfer(4, 0x80, length=18, setup=bytes.fromhex("8006000100001200"))),
        sent(transfer(5, 0, length=0, setup=bytes.fromhex("0009010000000000"))),
        sent(transfer(6, 0, data=report(2), setup=bytes.fromhex("2109000200004000"))),
    ]
    ended = 0
    made = session()
    made.receive(IMPORT)
    for damaged in mutants(honest, fuzz_count(3_000)):
        try:
            outcome = made.receive(damaged)
        except Malformed:
            ended += 1
            made = session()
            made.receive(IMPORT)
            continue
        assert all(len(each) == 64 for each in outcome.reports)
        made.deliver(report(1))
        assert len(made._inward) + len(made._outward) <= MOST_TRANSFERS
    assert ended
