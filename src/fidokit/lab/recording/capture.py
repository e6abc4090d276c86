"""A recorded session as pcapng, which Wireshark reads.

Each message is a packet of its own, as an exported PDU (LINKTYPE_WIRESHARK_UPPER_PDU) for
Wireshark's CBOR dissector; a comment on the packet says what it is. Source: the pcapng draft
(draft-ietf-opsawg-pcapng), and Wireshark's epan/exported_pdu.h for the tags.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fidokit.errors import WouldOverwrite
from fidokit.files import atomic
from fidokit.lab.recording.explanation import ExplainedExchange, explained_session
from fidokit.virtual.recorded import RecordedExchange, Recording

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 0x00000001
_PACKET: Final = 0x00000006
_BYTE_ORDER: Final = 0x1A2B3C4D
_UPPER_PDU: Final = 252
_DISSECTOR: Final = 12
_COMMENT: Final = 1
_FLAGS: Final = 2
_INBOUND, _OUTBOUND = 1, 2
_US_A_MS: Final = 1000


def write_pcapng(path: Path, recording: Recording) -> None:
    """Write it to a file.

    Raises:
        WouldOverwrite: something has this path; NoPermission, FidokitError: the disk refused.
    """
    if os.path.lexists(path):
        raise WouldOverwrite(f"{path} already exists", hint="choose another name")
    atomic.write_new(path, pcapng(recording))


def pcapng(recording: Recording) -> bytes:
    """The whole file; times count from 1970, since a recording does not keep its date."""
    return b"".join(_blocks(recording))


def _blocks(recording: Recording) -> Iterator[bytes]:
    yield _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1))
    yield _block(_INTERFACE, struct.pack("<HHI", _UPPER_PDU, 0, 0))
    for exchange, told in zip(recording.exchanges, explained_session(recording), strict=True):
        front = 1 if exchange.kind == "cbor" else 0
        kind = "cbor" if exchange.kind == "cbor" else "data"
        request, answer = exchange.request[front:], exchange.answer[front:]
        yield _packet(exchange.at_ms, kind, request, _sent(told), _OUTBOUND)
        yield _packet(_answered(exchange), kind, answer, _received(told), _INBOUND)


def _answered(exchange: RecordedExchange) -> int:
    return exchange.at_ms + exchange.took_ms


def _sent(told: ExplainedExchange) -> str:
    return f"#{told.number} {told.name} (CTAP {told.clause}), channel {told.channel}"


def _received(told: ExplainedExchange) -> str:
    parts = [f"#{told.number} {told.status}", *told.waits]
    parts += [f"departs from {one.clause}: {one.sentence}" for one in told.departures]
    return "; ".join(parts)


def _packet(at_ms: int, dissector: str, data: bytes, comment: str, direction: int) -> bytes:
    name = dissector if data else "data"
    payload = _tag(_DISSECTOR, name.encode()) + struct.pack(">HH", 0, 0) + data
    options = _option(_COMMENT, comment.encode()[:0xFFFF]) + _option(
        _FLAGS, struct.pack("<I", direction)
    )
    stamp = at_ms * _US_A_MS
    head = struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFF_FFFF, len(payload), len(payload))
    return _block(_PACKET, head + _padded(payload) + options + bytes(4))


def _tag(tag: int, value: bytes) -> bytes:
    padded = _padded(value)
    return struct.pack(">HH", tag, len(padded)) + padded


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
