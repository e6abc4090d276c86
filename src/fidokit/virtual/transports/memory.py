"""What a link to a token can do, whoever is behind it; and the in-process one, which hands whole
CTAP messages to a virtual token, without framing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from fidokit.errors import TokenGone


def nobody_follows(_status: int) -> None:
    """A keep-alive that interests nobody."""


def nobody_cancels() -> bool:
    """A question that nobody answers with yes."""
    return False


class MessageTarget(Protocol):
    """The token at the other end of a link."""

    @property
    def capabilities(self) -> int:
        """CTAPHID's bits: WINK 01, CBOR 04, NMSG 08."""
        ...

    def exchange_cbor(
        self,
        request: bytes,
        channel: int,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """One CTAP2 command, to its end."""
        ...

    def exchange_msg(self, apdu: bytes, channel: int) -> bytes:
        """One U2F raw message."""
        ...

    def winked(self) -> None:
        """Somebody wants to see which token this is."""
        ...


class MemoryLink:
    """One open channel to a virtual token, in the shape of a transport's link.

    Args:
        token: the other end.
        channel: a number of its own, so that enumerations of several links stay apart.
    """

    def __init__(self, token: MessageTarget, channel: int) -> None:
        self._token: MessageTarget | None = token
        self._channel = channel
        self.capabilities = token.capabilities

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None] = nobody_follows,
        canceled: Callable[[], bool] = nobody_cancels,
    ) -> bytes:
        """Send a CTAP2 command and wait for its end.

        Args:
            request: command byte and CBOR.
            on_keepalive: called with 2 (user presence needed) while the token waits.
            canceled: asked several times a second; true ends the wait with KEEPALIVE_CANCEL.

        Returns:
            Status byte and CBOR. CHANNEL_BUSY alone while another link's command waits.

        Raises:
            TokenGone: the token was unplugged, or this link closed.
        """
        return self._open().exchange_cbor(request, self._channel, on_keepalive, canceled)

    def msg(self, apdu: bytes) -> bytes:
        """Send a U2F raw message.

        Args:
            apdu: a short or extended command APDU.

        Returns:
            Data and status word.

        Raises:
            TokenGone: as `cbor`.
        """
        return self._open().exchange_msg(apdu, self._channel)

    def wink(self) -> None:
        """Make the token show itself.

        Raises:
            TokenGone: as `cbor`.
        """
        self._open().winked()

    def close(self) -> None:
        """Give the channel back; harmless when repeated."""
        self._token = None

    def _open(self) -> MessageTarget:
        if self._token is None:
            raise TokenGone("the link to the virtual token is closed", hint="open the token again")
        return self._token


_PAUSE_S: Final = 0.1


@contextmanager
def alone(what: str, *passing: type[Exception]) -> Iterator[None]:
    """A boundary around one client, request or reader: a defect inside ends that one alone.

    It is logged with its type. What a token or a peer may do is the caller's to handle before.

    Args:
        what: the one, as the log names it.
        passing: what goes on to the caller, who knows it.
    """
    try:
        yield
    except passing:
        raise
    except Exception as error:  # noqa: BLE001  the boundary: one's defect is not another's
        import logging  # 10 ms, for what should not happen

        log = logging.getLogger(__name__)
        log.warning("%s ended by %s: %s", what, type(error).__name__, error)


class TokenChannel(Protocol):
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


class TokenLink(TokenChannel, Protocol):
    """A link to a token, wherever its owner is."""

    capabilities: int


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
        admitted = False
        with alone("a client's admission"):
            admit(channel)
            admitted = True
        if not admitted:
            channel.close()
