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
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fidokit.client.ports import Candidate, PinCode, Quiet
from fidokit.errors import FidokitError, Interrupted, PinPolicy, PinWrong
from fidokit.provider.abi import LONGEST
from fidokit.provider.service import answer
from fidokit.system.process_memory import harden
from fidokit.tokens.access import open_token, token_holding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fidokit.client.session import Session
    from fidokit.prompt.notices import LastingNotice
    from fidokit.types import Application, KeyHandle

_MOST_DESCRIPTORS: Final = 1 << 20


def main() -> None:
    """Answer the one request on standard input."""
    _close_inherited()
    harden()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cancels on the token, as Ctrl-C
    try:
        message = _read_all(0)
        threading.Thread(target=_watch_caller, args=(1,), daemon=True).start()
        reply = answer(message, ProviderTokens, who=_user_at_host, tell=_tell)
        with contextlib.suppress(OSError):  # nobody waits for it any more
            _write_all(1, reply)
    except KeyboardInterrupt:
        _tell(Interrupted("interrupted; the token no longer waits"))
        sys.exit(1)


def _user_at_host() -> str:
    """What a resident key is labeled with; a signature needs none of it, nor its imports."""
    from fidokit.keys.generation import user_at_host

    return user_at_host()


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


def _watch_caller(descriptor: int) -> None:
    """End the waiting for a touch when the program that wanted it is gone."""
    caller = select.poll()
    caller.register(descriptor, 0)  # hang-up and errors are always told
    caller.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(error: FidokitError) -> None:
    """One line for the user, if there is one; what a token says must not drive a terminal."""
    text = f"fidokit: {error.message}" + (f" ({error.hint})" if error.hint else "")
    line = "".join(char if char.isprintable() else "?" for char in text)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


# --- tokens, as OpenSSH's PIN opens them -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OnePin(Quiet):
    """Nobody to ask, but for the PIN that OpenSSH asked for, if it did; touch chooses a token."""

    pin: str | None = field(repr=False)
    shown: list[LastingNotice] = field(default_factory=list)

    def touch_wanted(self, token: str, why: str) -> None:
        """Say so where OpenSSH's own line is seen by nobody: git, rsync and scripts keep it."""
        from fidokit.prompt import notices
        from fidokit.prompt.git_signing import described_by_callers

        if not sys.stderr.isatty():
            self.shown.append(notices.touch_notice(token, described_by_callers() or why, live=True))

    def touch_over(self) -> None:
        """Take the notice back."""
        while self.shown:
            self.shown.pop().over()

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """That PIN; the token's session sees to it that a wrong one is not tried twice."""
        if self.pin is None:
            return Quiet.ask_pin(self, token, retries, why, previous_was_wrong)
        try:
            return PinCode.parse(self.pin)
        except PinPolicy as error:  # to OpenSSH it is a wrong one, to be asked for again
            raise PinWrong(error.message, retries=retries) from None

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002
        """Leave the choice to a touch."""
        return None


class ProviderTokens:
    """Tokens for `fidokit.provider.service`.

    Args:
        pin: what OpenSSH was told, or None.
    """

    def __init__(self, pin: str | None) -> None:
        self._person = _OnePin(pin)

    def warn(self, sentence: str) -> None:
        """Show a sentence on standard error, see `provider.service.Tokens`."""
        _tell(FidokitError(sentence))

    def open(self, selector: str | None) -> AbstractContextManager[Session]:
        """The token that is meant, see `tokens.access.open_token`."""
        return open_token(selector, self._person)

    def holding(
        self, key_handle: KeyHandle, application: Application, selector: str | None
    ) -> AbstractContextManager[Session]:
        """The token with this key, see `tokens.access.token_holding`."""
        return token_holding(key_handle, application, self._person, selector=selector)


if __name__ == "__main__":
    main()
