"""What the client side of CTAP needs from the world: links to tokens, and a user."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from fidokit.errors import PinPolicy, PinRequired, SeveralTokens
from fidokit.types import Transport

WINK: Final = 0x01
CBOR: Final = 0x04
NMSG: Final = 0x08


class Link(Protocol):
    """One open channel to a token, carrying whole CTAP messages without framing.

    Its methods block and are called from a worker thread, one call at a time. While `cbor`
    waits it polls `canceled` at least every half second: a poll counts as a sign of life. One that
    knows who uses the token while it is busy has an attribute `holder`, a text or None.
    Raises `TokenGone` (or OSError) when the token disappears.
    """

    capabilities: int
    """CTAPHID's capability bits: WINK 0x01, CBOR 0x04, NMSG 0x08."""

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """Send a command byte and its CBOR; return the status byte and its CBOR.

        Args:
            request: at most the token's maxMsgSize bytes.
            on_keepalive: told 1 (processing) or 2 (a touch is needed) as the token says it.
            canceled: turns true when the token must be told to stop (CTAPHID_CANCEL).
        """

    def msg(self, apdu: bytes) -> bytes:
        """Send one U2F command as an extended APDU; return the data and the status word."""

    def wink(self) -> None:
        """Make the token blink."""

    def close(self) -> None:
        """Let go of the token; a second call does nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that was seen and not opened.

    Args:
        transport: how it is reached.
        path: the device node, the reader's name, or the virtual token's name.
        product: what it calls itself; hostile text.
        serial: its serial number, or None if it has none; hostile text.
        selector: what names it on the command line.
        durable: whether the selector still means this token after it was plugged elsewhere.
        open: opens it; raises NoPermission, TokenBusy or TokenGone.
    """

    transport: Transport
    path: str
    product: str
    serial: str | None
    selector: str
    durable: bool
    open: Callable[[], Link] = field(repr=False, compare=False)


class Backend(Protocol):
    """One way of reaching tokens."""

    @property
    def transport(self) -> Transport:
        """Which way; also the first part of its tokens' selectors."""

    def candidates(self) -> Sequence[Candidate]:
        """The tokens seen now; empty if there are none or the way itself is closed."""

    def problem(self) -> str | None:
        """Why this way cannot be used at all, as a sentence for `doctor`; None if it can."""


class Interaction(Protocol):
    """How a user is reached. The command implements it; tests script it."""

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN of `token`, with `retries` tries left.

        Raises:
            PinRequired: nobody can be asked.
            PinWrong: the previous one was wrong and nobody can be asked for another.
        """

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """A PIN to be set, lengths in code points.

        Raises:
            PinRequired: nobody can be asked.
        """

    def touch_wanted(self, token: str, why: str) -> None:
        """The token started to wait for a touch (or for a finger on its sensor)."""

    def touch_over(self) -> None:
        """The token waits no longer."""

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """One of several tokens; None to let the user touch the one that is meant.

        Raises:
            SeveralTokens: nobody can be asked.
        """


def several_tokens(candidates: Sequence[Candidate]) -> SeveralTokens:
    """The error that lists what could have been meant."""
    names = ", ".join(candidate.selector for candidate in candidates)
    return SeveralTokens(
        f"{len(candidates)} tokens are connected and none was chosen",
        hint=f"say which one with --token or FIDOKIT_TOKEN: {names}",
    )


class Quiet:
    """An `Interaction` with nobody there."""

    def ask_pin(
        self,
        token: str,
        retries: int | None,  # noqa: ARG002
        why: str,
        previous_was_wrong: bool,  # noqa: ARG002
    ) -> PinCode:
        """Nobody knows the PIN."""
        raise PinRequired(
            f"{why} needs the PIN of {token}",
            hint="give it with --pin-file or --pin-fd, or run this in a terminal",
        )

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:  # noqa: ARG002
        """Nobody chooses a PIN."""
        raise PinRequired(
            f"setting the PIN of {token} needs a new PIN",
            hint="give it with --new-pin-file, or run this in a terminal",
        )

    def touch_wanted(self, token: str, why: str) -> None:
        """Do nothing: there is nobody to tell."""

    def touch_over(self) -> None:
        """Do nothing: there is nobody to tell."""

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """Refuse: there is nobody to choose."""
        raise several_tokens(candidates)


QUIET: Final[Interaction] = Quiet()
"""The interaction of a script: errors in place of questions, silence about touches."""


MIN_CODE_POINTS = 4
MAX_BYTES = 63


@dataclass(frozen=True, slots=True)
class PinCode:
    """A PIN in Unicode NFC whose value never reaches a log, a trace or a repr.

    Made by `parse`; CTAP 2.1 section 6.5.1 fixes normalization and limits.
    """

    _value: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, min_code_points: int = MIN_CODE_POINTS) -> PinCode:
        """The PIN in `text`, normalized and checked before any token sees it.

        Args:
            text: what was typed, without the newline.
            min_code_points: the token's minimum, 4 to 63 code points.

        Raises:
            PinPolicy: it is too short, too long, or holds a NUL or a lone surrogate.
        """
        value = unicodedata.normalize("NFC", text)
        _check_encodable(value)
        pin = cls(value)
        pin.check_length(min_code_points, MAX_BYTES)
        return pin

    def check_length(self, min_code_points: int, max_code_points: int) -> None:
        """Hold the PIN against a token's limits, both in code points; 63 bytes hold always.

        Raises:
            PinPolicy: it is shorter or longer.
        """
        needed = max(min_code_points, MIN_CODE_POINTS)
        if len(self._value) < needed:
            raise PinPolicy(
                f"the PIN is too short: the token needs at least {needed} characters",
                hint=f"choose a PIN of {needed} characters or more; letters are allowed",
            )
        if len(self._value) > max_code_points or len(self.utf8()) > MAX_BYTES:
            raise PinPolicy(
                f"the PIN is too long: at most {min(max_code_points, MAX_BYTES)} characters and "
                f"{MAX_BYTES} bytes of UTF-8 fit",
                hint="choose a shorter PIN; letters outside ASCII take two to four bytes",
            )

    def utf8(self) -> bytes:
        """The PIN's bytes: for the transport that encrypts them, nothing else."""
        return self._value.encode("utf-8")

    def padded(self) -> bytes:
        """The 64 bytes of newPinEnc's plain text (CTAP 2.1 section 6.5.5.5)."""
        return self.utf8().ljust(64, b"\0")

    def __str__(self) -> str:
        return "PinCode(redacted)"


def _check_encodable(value: str) -> None:
    if "\0" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise PinPolicy(
            "the PIN holds a character that no token can store",
            hint="type the PIN again; NUL and bytes that are not UTF-8 cannot be part of it",
        )
