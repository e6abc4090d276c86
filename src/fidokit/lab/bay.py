"""Where a virtual token is plugged in, pulled out and plugged in again by whoever serves it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, Self

from fidokit.errors import TokenGone
from fidokit.virtual.token import VirtualToken

_NAMED: Final = "virtual:"

Plug = Callable[[], AbstractContextManager[VirtualToken]]
"""Gives a token power, until the block ends."""

Attach = Callable[[VirtualToken], AbstractContextManager[object]]
"""Makes a powered token reachable, until the block ends."""


@contextmanager
def kept_in_memory(token: VirtualToken) -> Iterator[VirtualToken]:
    """A `Plug` for a token in memory: what is on it outlasts the block."""
    token.insert()
    try:
        yield token
    finally:
        token.unplug()


class Bay:
    """One token's place, from `with` on; safe to use from any thread.

    Args:
        name: the token's, for messages.
        plug: gives it power.
        attach: makes it reachable.
    """

    def __init__(self, name: str, plug: Plug, attach: Attach) -> None:
        self.name = name
        self._plug = plug
        self._attach = attach
        self._turn = threading.Lock()
        self._stack = ExitStack()
        self._token: VirtualToken | None = None
        self._over = False
        self.attached: object = None
        """What `attach` gave."""

    @property
    def token(self) -> VirtualToken:
        """The token.

        Raises:
            TokenGone: it is not plugged in.
        """
        token = self._token
        if token is None or not token.plugged_in:
            named = self.name.removeprefix(_NAMED) if self.name.startswith(_NAMED) else ""
            again = f"fidokit virtual insert {named}".rstrip()
            raise TokenGone(f"{self.name} is unplugged", hint=f"plug it in again: {again}")
        return token

    @property
    def plugged_in(self) -> bool:
        """Whether the token has power."""
        token = self._token
        return token is not None and token.plugged_in

    def insert(self) -> None:
        """Plug the token in, if it is not; raises what `plug` and `attach` raise."""
        with self._turn:
            if self.plugged_in:
                return
            if self._over:
                raise TokenGone(f"{self.name} is no longer served")
            self._stack.close()  # of a token that lost its power by a fault
            with ExitStack() as stack:
                token = stack.enter_context(self._plug())
                self.attached = stack.enter_context(self._attach(token))
                self._stack, self._token = stack.pop_all(), token

    def unplug(self) -> None:
        """Pull the token out; harmless when repeated. Programs see it go."""
        with self._turn:
            token, self._token = self._token, None
            if token is not None:
                token.unplug()  # first: what waits for a touch ends, and with it its transport
            self._stack.close()

    def __enter__(self) -> Self:
        self.insert()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.unplug()
