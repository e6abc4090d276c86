"""A link that remembers what went over it, and may bend an answer on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fidokit import cbor
from fidokit.client.ports import Link

Bend = Callable[[dict[object, object]], Mapping[object, object]]


def members(message: bytes) -> dict[object, object]:
    """The map behind a command or status byte."""
    if len(message) == 1:
        return {}
    decoded: Any = cbor.decode(message[1:])
    assert isinstance(decoded, dict)
    return dict(decoded)


class Spy:
    """A `Link` over another one.

    Args:
        link: the true one.
        bend: for a command byte, what to make of the map of its answer.
    """

    def __init__(self, link: Link, bend: Mapping[int, Bend] | None = None) -> None:
        self._link = link
        self._bend = bend or {}
        self.capabilities = link.capabilities
        self.commands: list[int] = []
        self.requests: list[dict[object, object]] = []
        self.answers: list[bytes] = []

    def cbor(
        self, request: bytes, on_keepalive: Callable[[int], None], canceled: Callable[[], bool]
    ) -> bytes:
        self.commands.append(request[0])
        self.requests.append(members(request))
        answer = self._link.cbor(request, on_keepalive, canceled)
        bend = self._bend.get(request[0])
        if bend is not None and answer[0] == 0:
            answer = b"\0" + cbor.encode(bend(members(answer)))  # type: ignore[arg-type]
        self.answers.append(answer)
        return answer

    def msg(self, apdu: bytes) -> bytes:
        return self._link.msg(apdu)

    def wink(self) -> None:
        self._link.wink()

    def close(self) -> None:
        self._link.close()

    def sent(self, command: int) -> list[dict[object, object]]:
        """The requests of one command, in order."""
        pairs = zip(self.commands, self.requests, strict=True)
        return [request for number, request in pairs if number == command]
