"""A link that fails at a chosen message, in a chosen way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fidokit.client.ports import Link
from fidokit.errors import TokenGone


class Fault(StrEnum):
    """What happens in place of the answer, or after it."""

    GONE_BEFORE = "gone before the message"
    GONE_AFTER = "gone after the token acted"
    OS_ERROR = "the transport breaks"
    EMPTY = "an empty answer"
    CUT = "an answer cut in the middle"
    TAIL = "an answer with a byte too many"
    RUBBISH = "random bytes"
    WRONG_TYPE = "another CBOR type"
    NULL_MAP = "an empty map"
    UNKNOWN_STATUS = "a status that no specification knows"
    NOT_CANONICAL = "indefinite length"


@dataclass
class Counter:
    """Messages of one test, over all links."""

    at: int
    fault: Fault
    seen: int = 0
    struck: bool = False


class FaultyLink:
    """Hands on to a real link until its time comes; dead ever after where the token is gone."""

    def __init__(self, real: Link, counter: Counter) -> None:
        self.capabilities = real.capabilities
        self._real = real
        self._counter = counter

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        return self._spoiled(lambda: self._real.cbor(request, on_keepalive, canceled))

    def msg(self, apdu: bytes) -> bytes:
        return self._spoiled(lambda: self._real.msg(apdu))

    def wink(self) -> None:
        self._real.wink()

    def close(self) -> None:
        self._real.close()

    def _spoiled(self, call: Callable[[], bytes]) -> bytes:
        counter = self._counter
        counter.seen += 1
        if counter.seen - 1 != counter.at:
            return call()
        counter.struck = True
        match counter.fault:
            case Fault.GONE_BEFORE:
                raise TokenGone("the token was unplugged")
            case Fault.OS_ERROR:
                raise OSError(5, "Input/output error")
            case _:
                return self._changed(call(), counter.fault)

    def _changed(self, answer: bytes, fault: Fault) -> bytes:
        if fault is Fault.GONE_AFTER:
            raise TokenGone("the token was unplugged")
        changed = {
            Fault.EMPTY: b"",
            Fault.CUT: answer[: max(2, len(answer) // 2)] if len(answer) > 2 else b"\0\xa1",
            Fault.TAIL: answer + b"\0",
            Fault.RUBBISH: bytes(range(7, 250, 13)),
            Fault.WRONG_TYPE: b"\0\x83\1\2\3",
            Fault.NULL_MAP: b"\0\xa0",
            Fault.UNKNOWN_STATUS: b"\xc7",
            Fault.NOT_CANONICAL: b"\0\xbf\xff",
        }
        return changed[fault]
