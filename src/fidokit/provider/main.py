"""The program behind sk_fidokit.so: one request on standard input, one reply on standard output.

It runs inside of ssh-sk-helper, perhaps under ssh-agent: without a terminal, its standard output
a socket to the library, standard error whatever the host program has. The PIN dies with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError, Interrupted
from fidokit.keys.generation import user_at_host
from fidokit.provider.abi import LONGEST
from fidokit.provider.installation import ProviderTokens
from fidokit.provider.service import answer
from fidokit.system.process_memory import harden

if TYPE_CHECKING:
    from fidokit.provider.service import Tokens

_MOST_DESCRIPTORS: Final = 1 << 20


def main() -> None:
    """Answer one request."""
    _close_inherited()
    harden()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cancels on the token, as Ctrl-C
    try:
        message = _read_all(0)
        threading.Thread(target=_watch_caller, args=(1,), daemon=True).start()
        reply = answer(message, _tokens, who=user_at_host, tell=_tell)
        with contextlib.suppress(OSError):  # nobody waits for it any more
            _write_all(1, reply)
    except KeyboardInterrupt:
        _tell(Interrupted("interrupted; the token was told to stop waiting"))
        sys.exit(1)


def _close_inherited() -> None:
    """The helper's socket to its client is open here, and who holds it keeps the client waiting."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    os.closerange(3, _MOST_DESCRIPTORS if unlimited else min(soft, _MOST_DESCRIPTORS))


def _read_all(descriptor: int) -> bytes:
    message = bytearray()
    while len(message) <= LONGEST and (piece := os.read(descriptor, 1 << 16)):
        message += piece
    return bytes(message)


def _write_all(descriptor: int, reply: bytes) -> None:
    while reply:
        reply = reply[os.write(descriptor, reply) :]


def _tokens(pin: str | None) -> Tokens:
    return ProviderTokens(pin)


def _watch_caller(descriptor: int) -> None:
    """End the waiting for a touch when the program that wanted it is gone."""
    caller = select.poll()
    caller.register(descriptor, 0)  # hang-up and errors are always told
    caller.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(error: FidokitError) -> None:
    """One line for the person, if there is one; what a token says must not drive a terminal."""
    text = f"fidokit: {error.message}" + (f" ({error.hint})" if error.hint else "")
    line = "".join(char if char.isprintable() else "?" for char in text)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
