"""The in-process link: it hands over what it gets, and is gone once closed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fidokit.errors import TokenGone
from fidokit.virtual.transports.memory import MemoryLink


class Recorder:
    """The other end."""

    capabilities = 0x05

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def exchange_cbor(
        self,
        request: bytes,
        channel: int,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        on_keepalive(2)
        self.seen.append((request, channel, canceled()))
        return b"\x00"

    def exchange_msg(self, apdu: bytes, channel: int) -> bytes:
        self.seen.append((apdu, channel))
        return b"\x90\x00"

    def winked(self) -> None:
        self.seen.append(("wink",))


def test_messages_go_through_with_their_channel() -> None:
    recorder = Recorder()
    statuses: list[int] = []
    first, second = MemoryLink(recorder, 1), MemoryLink(recorder, 2)
    assert first.capabilities == 0x05
    assert first.cbor(b"\x04", statuses.append, lambda: True) == b"\x00"
    assert second.msg(b"apdu") == b"\x90\x00"
    second.wink()
    assert statuses == [2]
    assert recorder.seen == [(b"\x04", 1, True), (b"apdu", 2), ("wink",)]


def test_who_neither_follows_nor_cancels_sends_bytes_alone() -> None:
    token = Recorder()
    assert MemoryLink(token, 7).cbor(b"\x04") == b"\x00"
    assert token.seen == [(b"\x04", 7, False)]


def test_a_closed_link_reaches_nobody() -> None:
    recorder = Recorder()
    link = MemoryLink(recorder, 1)
    link.close()
    link.close()
    for use in (
        lambda: link.cbor(b"\x04", lambda _: None, lambda: False),
        lambda: link.msg(b""),
        link.wink,
    ):
        with pytest.raises(TokenGone) as caught:
            use()
        assert caught.value.hint
    assert recorder.seen == []
