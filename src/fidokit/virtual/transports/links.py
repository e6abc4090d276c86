"""What a link to a token can do, whoever is behind it; and who takes in those that want one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

_PAUSE_S: Final = 0.1


class Link(Protocol):
    """A channel of a token; see `MemoryLink`."""

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """Send a CTAP2 command and wait for its end."""
        ...

    def msg(self, apdu: bytes) -> bytes:
        """Send a U2F raw message."""
        ...

    def wink(self) -> None:
        """Make the token show itself."""
        ...

    def close(self) -> None:
        """Give the channel back."""
        ...


def accept_all(
    server: socket.socket, admit: Callable[[socket.socket], None], closed: Callable[[], bool]
) -> None:
    """Take in clients until the server is closed, which is told by `closed`.

    Args:
        server: it listens.
        admit: gets each client; it closes what it does not want.
        closed: whether an error of `server` means that this is over.
    """
    while True:
        try:
            channel, _ = server.accept()
        except OSError:
            if closed():
                return
            time.sleep(_PAUSE_S)  # out of descriptors: clients that leave give some back
            continue
        admit(channel)
