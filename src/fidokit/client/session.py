"""One token, opened for one command: its info fetched once, its owner proved once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final, Self

from fidokit.client.connection import Connection
from fidokit.client.credentials import u2f
from fidokit.client.info import TokenInfo
from fidokit.client.owner.owner import Owner
from fidokit.client.ports import Interaction
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import TokenRefused, Unsupported
from fidokit.types import CtapCommand, CtapStatus, Transport


class Session:
    """One token, open for one command; a context manager that lets go of it.

    What is stable of it: `name`, `selector`, `durable`, `info`, `departures`, `round_trips`,
    `interaction`, `wink` and `close`. `connection` and `owner` are plumbing.

    Args:
        connection: requests to the token; closed with the session.

    Attributes:
        owner: what its owner proved.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.owner = Owner(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the token; a second call does nothing."""
        self.owner.forget()
        self.connection.close()

    @property
    def name(self) -> str:
        """What the token is called, for people, such as "YubiKey 5 (usb:123)"; hostile text."""
        return self.connection.name

    @property
    def selector(self) -> str:
        """What names the token on the command line."""
        return self.connection.selector

    @property
    def durable(self) -> bool:
        """Whether the selector still names this token after it was plugged elsewhere."""
        return self.connection.durable

    @property
    def info(self) -> TokenInfo:
        """What the token says about itself (CTAP 2.3 section 6.4); asked for once.

        Raises:
            TokenMisbehaved: its answer is not valid.
            TokenSilent: none comes.
        """
        return self.connection.info

    @property
    def departures(self) -> tuple[str, ...]:
        """How the token was seen to depart from CTAP's text so far, see docs/tolerance.md."""
        return self.connection.notes.names

    @property
    def round_trips(self) -> int:
        """How many messages went to the token and came back."""
        return self.connection.round_trips

    @property
    def interaction(self) -> Interaction:
        """How the user is reached; may be replaced between two operations."""
        return self.connection.interaction

    @interaction.setter
    def interaction(self, interaction: Interaction) -> None:
        self.connection.interaction = interaction

    def forget_info(self) -> None:
        """Ask the token again at the next need: its PIN, policy or options just changed."""
        self.connection.forget_options()
        self.owner.forget()

    def wink(self) -> None:
        """Make the token blink.

        Raises:
            Unsupported: it cannot.
        """
        self.connection.wink()

    def select(self, stop: threading.Event | None = None) -> None:
        """Return when the owner touched this token (authenticatorSelection, or what came before).

        Args:
            stop: set by somebody else to end the waiting.

        Raises:
            TouchRefused, TouchTimedOut: the owner did not.
            Interrupted: it was canceled.
        """
        why = "choosing the token"
        if self.info.is_u2f_only:
            u2f.wait_for_touch(self.connection, why, stop)
            return
        try:
            if self.info.has_selection:
                self.connection.attempt(
                    CtapCommand.SELECTION, None, "selection answer", why=why, stop=stop
                )
            else:
                self.connection.attempt(
                    CtapCommand.MAKE_CREDENTIAL, _DUMMY, "touch answer", why=why, stop=stop
                )
        except CtapRefusal as refusal:
            if refusal.status not in _TOUCHED:
                raise error_for(refusal.status, why) from None

    def reset(self) -> None:
        """Erase every key and the PIN, for good (CTAP 2.1 section 6.6).

        Raises:
            TokenRefused: too long after power-up; the hint says how to do it.
            TouchRefused, TouchTimedOut: the owner did not confirm by touch.
            Unsupported: the token has nothing to reset.
        """
        why = "resetting the token"
        if self.info.is_u2f_only:
            raise Unsupported(f"{self.name} has no reset: it supports only U2F")
        try:
            self.connection.attempt(CtapCommand.RESET, None, "reset answer", why=why)
        except CtapRefusal as refusal:
            if refusal.status == CtapStatus.NOT_ALLOWED:
                raise TokenRefused(
                    "resetting the token failed: it allows that only just after power-up",
                    status=refusal.status,
                    hint=_POWER_UP.get(
                        self.connection.transport,
                        "unplug it, plug it in, and run this again within 10 seconds",
                    ),
                ) from None
            raise error_for(refusal.status, why) from None
        self.forget_info()


_SERVED: Final = (
    "end the `fidokit virtual serve` that serves it, start it again, and run this within 10 seconds"
)
_POWER_UP: Final[Mapping[Transport | None, str]] = {
    Transport.SOCKET: _SERVED,
    Transport.VIRTUAL: _SERVED,
}
"""How a token is powered up anew that nobody can unplug."""

_DUMMY: Final[Mapping[int, object]] = {
    1: bytes(32),
    2: {"id": ".dummy", "name": ".dummy"},
    3: {"id": b"\x01", "name": "dummy"},
    4: [{"alg": -7, "type": "public-key"}],
    8: b"",
    9: 1,
}
"""CTAP 2.0's way to ask for a touch: an empty pinAuth is answered only after one (section 5.1)."""

_TOUCHED: Final = {CtapStatus.PIN_NOT_SET, CtapStatus.PIN_INVALID, CtapStatus.PIN_AUTH_INVALID}
