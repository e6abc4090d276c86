"""The link to one token: what it is, requests to it, and the notice that it waits for a touch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Self

from fidokit.client.answer import Answer
from fidokit.client.contention import until_free
from fidokit.client.info import U2F_ONLY, TokenInfo, decode_info
from fidokit.client.links.channel import Channel
from fidokit.client.links.watchdog import TOUCH_NEEDED, Patience
from fidokit.client.ports import CBOR, NMSG, QUIET, WINK, Interaction, Link
from fidokit.client.status import HASTY_S, UNTOUCHED, CtapRefusal, error_for, untouched
from fidokit.client.tolerance import ALGORITHMS_UNTOLD, GET_INFO_REFUSED, TOUCH_NOTICE, Notes
from fidokit.errors import FidokitError, Unsupported
from fidokit.types import CtapCommand, Transport

_GET_VERSION = bytes([0, 3, 0, 0, 0, 0, 0])
"""U2F's one command that every U2F token answers (U2F Raw Message Formats section 6)."""
_U2F_V2 = (b"U2F_V2", 0x9000)
_MODELED = frozenset({Transport.USB, Transport.PCSC})
"""Transports whose tokens are what they say; a virtual one that poses as a model stays virtual."""
_OPTIONS = 5
"""The member of getAssertion that holds its options."""


class Label(NamedTuple):
    """How one token is called.

    Args:
        name: for a user, such as "YubiKey 5 (usb:123)".
        selector: what names it on the command line.
        durable: whether that still names it after it was plugged elsewhere.
        transport: how it is reached; None if nobody knows.
    """

    name: str = "the token"
    selector: str = ""
    durable: bool = False
    transport: Transport | None = None


class Connection:
    """An open link to one token: what it is, and requests to it; a context manager.

    Args:
        link: the open link.
        label: how the token is called.
        interaction: how its owner is reached.
        spend_last_try: whether the last PIN try may be spent.
        patience: time limits.
    """

    def __init__(
        self,
        link: Link,
        label: Label,
        *,
        interaction: Interaction = QUIET,
        spend_last_try: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._label = label
        self.selector = label.selector
        self.durable = label.durable
        self.transport = label.transport
        self.interaction = interaction
        self.spend_last_try = spend_last_try
        self._channel = Channel(link, patience or Patience())
        self._info: TokenInfo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the token; a second call does nothing."""
        self._channel.close()

    @property
    def name(self) -> str:
        """How a user is told of the token: by its model, once it has said which it is."""
        if self._info is None or self.transport not in _MODELED:
            return self._label.name
        from fidokit.metadata.model_names import model_name

        model = model_name(self._info.aaguid)
        return f"{model} ({self.selector})" if model else self._label.name

    @property
    def round_trips(self) -> int:
        """How many messages went to the token and came back."""
        return self._channel.round_trips

    @property
    def notes(self) -> Notes:
        """How the token was seen to depart from CTAP's text, see `tolerance`."""
        return self._channel.notes

    @property
    def patience(self) -> Patience:
        """How long a call to the token may take."""
        return self._channel.patience

    @property
    def info(self) -> TokenInfo:
        """What the token says about itself; asked for once.

        Raises:
            TokenMisbehaved: its answer is not valid.
            TokenSilent: none comes.
        """
        if self._info is None:
            self._info = self._fetch_info()
        return self._info

    def forget_options(self) -> None:
        """Ask the token again what it is at the next need."""
        self._info = None

    def _fetch_info(self) -> TokenInfo:
        if not self._channel.capabilities & CBOR:
            return U2F_ONLY
        why = "asking the token what it is"
        try:
            answer = self.attempt(CtapCommand.GET_INFO, None, "getInfo answer", why=why)
        except CtapRefusal as refusal:
            if self._is_u2f():
                self.notes.note(GET_INFO_REFUSED)
                return U2F_ONLY
            raise error_for(refusal.status, why) from None
        info = decode_info(answer, self.notes)
        if any(info.aaguid):
            self.notes.model = f"{info.aaguid.hex()} {info.firmware_version or 0}"
        if not info.algorithms:
            self.notes.note(ALGORITHMS_UNTOLD)
        self._channel.max_request = max(info.max_msg_size, self._channel.max_request)
        return info

    def _is_u2f(self) -> bool:
        """Whether the token answers as a U2F token does."""
        if self._channel.capabilities & NMSG:
            return False
        try:
            return self.u2f(_GET_VERSION) == _U2F_V2
        except FidokitError:
            return False

    # --- requests ----------------------------------------------------------------------------

    def attempt(
        self,
        command: int,
        params: Mapping[int, object] | None,
        what: str,
        *,
        why: str,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Send one CTAP2 command, announcing a touch when the token waits for one.

        Args:
            command: the command byte.
            params: the request map, or None.
            what: the answer's name for error messages.
            why: what is under way, such as "making the key".
            stop: set by somebody else to cancel on the token.

        Raises:
            CtapRefusal: the token answered with a status other than OK.
            FidokitError: as `Channel.cbor`.
        """
        silent = command == CtapCommand.GET_ASSERTION and _wants_no_touch(params)

        def send() -> Answer:
            with self._announcing(why, silent=silent) as told:
                try:
                    return self._channel.cbor(command, params, what, told=told.hear, stop=stop)
                except CtapRefusal as refusal:
                    if refusal.status in UNTOUCHED and told.waited() >= HASTY_S:
                        raise untouched(refusal.status, why, told.waited()) from None
                    raise

        return until_free(send, self.name, self.interaction, self.patience)

    def request(
        self,
        command: int,
        params: Mapping[int, object] | None,
        what: str,
        *,
        why: str,
    ) -> Answer:
        """Send one CTAP2 command; a refusal of the token becomes our error (see `status.MEANINGS`).

        Args:
            command: the command byte.
            params: the request map, or None.
            what: the answer's name for error messages.
            why: what is under way, such as "making the key".

        Raises:
            FidokitError: the refusal, or as `Channel.cbor`.
        """
        try:
            return self.attempt(command, params, what, why=why)
        except CtapRefusal as refusal:
            raise error_for(refusal.status, why) from None

    def u2f(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one U2F command; return its data and status word."""
        return self._channel.msg(apdu)

    @contextmanager
    def _announcing(self, why: str, *, silent: bool = False) -> Iterator[_Announcer]:
        announcer = _Announcer(self, why, silent=silent)
        try:
            yield announcer
        finally:
            announcer.over()

    @contextmanager
    def announced_touch(self, why: str) -> Iterator[None]:
        """Say that a touch is wanted where no keep-alive can say it (U2F)."""
        with self._announcing(why) as announcer:
            announcer.hear(TOUCH_NEEDED)
            yield

    def wink(self) -> None:
        """Make the token blink.

        Raises:
            Unsupported: it cannot.
        """
        if not self._channel.capabilities & WINK:
            raise Unsupported(
                f"{self.name} cannot blink on demand",
                hint="unplug the others to tell it apart, or let it ask for a touch",
            )
        self._channel.wink()


def _wants_no_touch(params: Mapping[int, object] | None) -> bool:
    options = (params or {}).get(_OPTIONS)
    return isinstance(options, Mapping) and options.get("up") is False


class _Announcer:
    """Tells the owner once that the token waits, and once that it is over.

    Args:
        silent: the request wants no touch, whatever the token says while it works.
    """

    def __init__(self, connection: Connection, why: str, *, silent: bool) -> None:
        self._connection = connection
        self._why = why
        self._silent = silent
        self._wanted = False
        self._since = 0.0

    def hear(self, status: int) -> None:
        """Take note of a keep-alive status: 1 processing, 2 a touch is needed."""
        if status != TOUCH_NEEDED or self._wanted:
            return
        if self._silent:
            self._connection.notes.note(TOUCH_NOTICE)
        else:
            self._wanted = True
            self._since = self._connection.patience.clock()
            self._connection.interaction.touch_wanted(self._connection.name, self._why)

    def waited(self) -> float:
        """Seconds that the token has waited for a touch; 0 if it did not say so."""
        return self._connection.patience.clock() - self._since if self._wanted else 0.0

    def over(self) -> None:
        """Take the notice back once the call has ended."""
        if self._wanted:
            self._connection.interaction.touch_over()
