"""An agent of a few lines in a thread: lists keys and signs by them, or refuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fidokit.openssh.agent_messages import (
    FAILURE,
    REQUEST_IDENTITIES,
    FrameReader,
    SignRequest,
    encode_identities,
    encode_signature,
    frame,
    parse_request,
)
from fidokit.openssh.keys.plain_private import PlainPrivate


@contextmanager
def small_agent(
    path: Path, keys: Sequence[PlainPrivate], *, refuses: bool = False
) -> Iterator[list[int]]:
    """Serve at `path`; gives the flags of each signature that was asked for."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    asked: list[int] = []

    def answer(payload: bytes) -> bytes:
        if payload == REQUEST_IDENTITIES:
            return encode_identities([(key.public_blob(), "a comment") for key in keys])
        request = parse_request(payload)
        assert isinstance(request, SignRequest)
        asked.append(request.flags)
        held = [key for key in keys if key.public_blob() == request.blob]
        return FAILURE if refuses else encode_signature(held[0].sign(request.data, request.flags))

    def serve() -> None:
        while True:
            try:
                channel, _ = listener.accept()
            except OSError:
                return
            reader = FrameReader()
            with channel:
                while data := channel.recv(1 << 16):
                    reader.feed(data)
                    while (payload := reader.next()) is not None:
                        channel.sendall(frame(answer(payload)))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)
