"""Talking to the agent that SSH_AUTH_SOCK names, whichever it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from fidokit.errors import FidokitError, Malformed, NoPermission
from fidokit.openssh import agent_messages
from fidokit.openssh.agent_messages import FrameReader, frame

if TYPE_CHECKING:
    from fidokit.openssh.signatures.signature import Signature

VARIABLE: Final = "SSH_AUTH_SOCK"
WAIT_S: Final = 120.0
"""An agent may ask its user before it answers."""
_CHUNK: Final = 65_536
_START: Final = 'start one with `eval "$(fidokit agent serve --background)"` or ssh-agent'


def is_named(environ: Mapping[str, str] | None = None) -> bool:
    """Whether SSH_AUTH_SOCK names an agent, running or not."""
    return bool((os.environ if environ is None else environ).get(VARIABLE))


class AgentClient:
    """A connection to an agent; a context manager that closes it.

    Args:
        path: its socket.

    Raises:
        FidokitError, NoPermission: nobody answers there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(WAIT_S)
        try:
            self._socket.connect(path)
        except PermissionError:
            self._socket.close()
            raise NoPermission(f"this user may not use the agent at {path}") from None
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
            raise FidokitError("the agent sent no valid answer") from None
        return answer

    def accepts(self, payload: bytes) -> bool:
        """Whether the agent answers a request with success."""
        return self.exchange(payload) == agent_messages.SUCCESS

    def keys(self) -> list[tuple[bytes, str]]:
        """Blobs and comments of the keys that the agent shows.

        Raises:
            Malformed: it does not list them.
        """
        return agent_messages.parse_identities(self.exchange(agent_messages.REQUEST_IDENTITIES))

    def sign(self, blob: bytes, data: bytes, flags: int = 0) -> Signature:
        """A signature by one of these keys.

        Args:
            blob: the key, or the certificate, as the agent shows it.
            data: what is signed.
            flags: `SignFlag`s, for RSA.

        Raises:
            FidokitError: the agent refused.
            Malformed: it answered with something else.
        """
        answer = self.exchange(agent_messages.SignRequest(blob, data, flags).encode())
        if answer == agent_messages.FAILURE:
            raise FidokitError(
                "the agent refused to sign",
                hint="it may be locked, or the user declined; its log shows more",
            )
        return agent_messages.parse_signature_answer(answer)
