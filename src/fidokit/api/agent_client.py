"""Talking to the agent that SSH_AUTH_SOCK names, whichever it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final, Self

from fidokit.errors import FidokitError, Malformed, NoPermission
from fidokit.openssh import agent_messages as messages
from fidokit.openssh.agent_messages import FrameReader, frame

VARIABLE: Final = "SSH_AUTH_SOCK"
WAIT_S: Final = 120.0
"""An agent may ask its person before it answers."""
_CHUNK: Final = 65_536
_START: Final = 'start one with `eval "$(fidokit agent serve --background)"` or ssh-agent'


class AgentClient:
    """A connection to an agent; a context manager that closes it.

    Args:
        path: its socket.

    Raises:
        FidokitError, NoPermission: nobody answers there.
    """

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(WAIT_S)
        try:
            self._socket.connect(path)
        except PermissionError:
            self._socket.close()
            raise NoPermission(f"this user may not talk to the agent at {path}") from None
        except (OSError, ValueError):
            self._socket.close()
            raise FidokitError(f"no agent answers at {path}", hint=_START) from None

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The agent of this session.

        Args:
            environ: os.environ when None.

        Raises:
            FidokitError: SSH_AUTH_SOCK is not set, or nobody answers there.
        """
        path = (os.environ if environ is None else environ).get(VARIABLE)
        if not path:
            raise FidokitError(f"there is no SSH agent: {VARIABLE} is not set", hint=_START)
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, payload: bytes) -> bytes:
        """Send a request; return the answer's payload.

        Raises:
            FidokitError: the agent hung up, or does not speak its protocol.
        """
        reader = FrameReader()
        try:
            self._socket.sendall(frame(payload))
            while (answer := reader.next()) is None:
                data = self._socket.recv(_CHUNK)
                if not data:
                    raise FidokitError("the agent hung up", hint="see its log; restart it")
                reader.feed(data)
        except (OSError, Malformed):
            raise FidokitError("the agent does not answer, or not in its protocol") from None
        return answer

    def accepts(self, payload: bytes) -> bool:
        """Whether the agent answers a request with success."""
        return self.exchange(payload) == messages.SUCCESS

    def keys(self) -> list[tuple[bytes, str]]:
        """Blobs and comments of the keys that the agent shows.

        Raises:
            Malformed: it does not list them.
        """
        return messages.parse_identities(self.exchange(messages.REQUEST_IDENTITIES))
