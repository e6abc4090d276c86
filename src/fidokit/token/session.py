"""One token, opened for one command: its info fetched once, its owner proved once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from fidokit.errors import TokenRefused, Unsupported
from fidokit.token import authorisation, u2f
from fidokit.token.authorisation import BuiltInUv, Permission, PinToken, Proof, Wish
from fidokit.token.channel import Channel
from fidokit.token.commands import GET_INFO, MAKE_CREDENTIAL, RESET, SELECTION
from fidokit.token.info import U2F_ONLY, TokenInfo, decode_info
from fidokit.token.ports import CBOR, QUIET, WINK, Interaction, Link
from fidokit.token.status import CtapRefusal, error_for
from fidokit.token.watchdog import TOUCH_NEEDED, Patience
from fidokit.types import CtapStatus

if TYPE_CHECKING:
    from fidokit.token.answer import Answer
    from fidokit.token.persistent import Reading


class Label(NamedTuple):
    """How one token is called.

    Args:
        name: for a person, such as "YubiKey 5 (usb:123)".
        selector: what names it on the command line.
        durable: whether that still names it after it was plugged elsewhere.
    """

    name: str = "the token"
    selector: str = ""
    durable: bool = False


class Session:
    """An open token; a context manager that lets go of it.

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
        self.name = label.name
        self.selector = label.selector
        self.durable = label.durable
        self.interaction = interaction
        self.spend_last_try = spend_last_try
        self._channel = Channel(link, patience or Patience())
        self._info: TokenInfo | None = None
        self._token: PinToken | None = None
        self.reading: Reading | None = None
        """How credentials are read without PIN; None: not at all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the token; a second call does nothing."""
        self._token = None
        self._channel.close()

    @property
    def round_trips(self) -> int:
        """How many messages went to the token and came back."""
        return self._channel.round_trips

    @property
    def patience(self) -> Patience:
        """The time limits of this session."""
        return self._channel.patience

    @property
    def info(self) -> TokenInfo:
        """What the token says about itself; asked for once.

        Raises:
            TokenMisbehaved: its answer makes no sense.
        """
        if self._info is None:
            self._info = self._fetch_info()
        return self._info

    def forget_info(self) -> None:
        """Ask the token again at the next need: its PIN, policy or options just changed."""
        self._info = None
        self._token = None

    def forget_options(self) -> None:
        """Ask the token again what it is at the next need; the owner's proof stays good."""
        self._info = None

    def _fetch_info(self) -> TokenInfo:
        if not self._channel.capabilities & CBOR:
            return U2F_ONLY
        answer = self.request(GET_INFO, None, "getInfo answer", why="asking the token what it is")
        info = decode_info(answer)
        self._channel.max_request = max(info.max_msg_size, self._channel.max_request)
        return info

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
        with self._announcing(why) as told:
            return self._channel.cbor(command, params, what, told=told.hear, stop=stop)

    def request(
        self,
        command: int,
        params: Mapping[int, object] | None,
        what: str,
        *,
        why: str,
    ) -> Answer:
        """The same, with a refusal told as our error (see `status.MEANINGS`)."""
        try:
            return self.attempt(command, params, what, why=why)
        except CtapRefusal as refusal:
            raise error_for(refusal.status, why) from None

    def u2f(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one U2F command; return its data and status word."""
        return self._channel.msg(apdu)

    @contextmanager
    def _announcing(self, why: str) -> Iterator[_Announcer]:
        announcer = _Announcer(self, why)
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

    # --- the owner -----------------------------------------------------------------------------

    def authorise(self, permissions: Permission, rp_id: str | None, why: str) -> PinToken:
        """A pinUvAuthToken for this command; asked for once, used as long as it covers.

        Raises:
            PinError and others: see `authorisation.obtain`.
        """
        if self._token is None or not self._token.covers(permissions, rp_id):
            self._token = authorisation.obtain(self, Wish(permissions, rp_id, why))
        return self._token

    def authorise_reading(self, rp_id: str | None, why: str) -> PinToken:
        """The same for listing credentials: without PIN where a right that lasts was kept."""
        there = self._token
        if there is not None and there.covers(Permission.CREDENTIAL_MANAGEMENT, rp_id):
            return there
        kept = self.reading.token(self, why) if self.reading else None
        return kept or self.authorise(Permission.CREDENTIAL_MANAGEMENT, rp_id, why)

    def reading_died(self, status: int, proof: PinToken) -> bool:
        """Whether a refusal means that the right that lasts is dead, and another try makes sense.

        Args:
            status: the CTAP status of the refusal.
            proof: what was shown.
        """
        refused = status == CtapStatus.PIN_AUTH_INVALID
        return refused and self.reading is not None and self.reading.died(proof)

    def authorise_use(self, permissions: Permission, rp_id: str, why: str) -> Proof:
        """The proof for makeCredential or getAssertion; on CTAP 2.0 a sensor gives it itself."""
        if self.info.uv_configured and not self.info.has_pin_token_permissions:
            return BuiltInUv()
        return self.authorise(permissions, rp_id, why)

    def spent(self) -> None:
        """Forget the pinUvAuthToken: a touch used up its permissions (CTAP 2.1 6.1.2 step 17)."""
        if self.info.has_pin_token_permissions:
            self._token = None

    # --- the token itself ----------------------------------------------------------------------

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

    def select(self, stop: threading.Event | None = None) -> None:
        """Return when the owner touched this token (authenticatorSelection, or what came before).

        Args:
            stop: set by somebody else to end the waiting.

        Raises:
            TouchRefused, TouchTimedOut: the owner did not.
            Interrupted: it was cancelled.
        """
        why = "choosing the token"
        if self.info.is_u2f_only:
            u2f.wait_for_touch(self, why, stop)
            return
        try:
            if self.info.has_selection:
                self.attempt(SELECTION, None, "selection answer", why=why, stop=stop)
            else:
                self.attempt(MAKE_CREDENTIAL, _DUMMY, "touch answer", why=why, stop=stop)
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
            raise Unsupported(f"{self.name} has no reset: it speaks U2F alone")
        try:
            self.attempt(RESET, None, "reset answer", why=why)
        except CtapRefusal as refusal:
            if refusal.status == CtapStatus.NOT_ALLOWED:
                raise TokenRefused(
                    "resetting the token failed: it allows that only just after power-up",
                    status=refusal.status,
                    hint="unplug it, plug it in, and run this again within 10 seconds",
                ) from None
            raise error_for(refusal.status, why) from None
        self.forget_info()


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


class _Announcer:
    """Tells the owner once that the token waits, and once that it is over."""

    def __init__(self, session: Session, why: str) -> None:
        self._session = session
        self._why = why
        self._wanted = False

    def hear(self, status: int) -> None:
        """A keep-alive status."""
        if status == TOUCH_NEEDED and not self._wanted:
            self._wanted = True
            self._session.interaction.touch_wanted(self._session.name, self._why)

    def over(self) -> None:
        """The call ended."""
        if self._wanted:
            self._session.interaction.touch_over()
