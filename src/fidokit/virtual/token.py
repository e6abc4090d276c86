"""A virtual token with power: the authenticator, its store and its user, behind links.

Making a `VirtualToken` is plugging it in; it owns its file until `unplug`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from fidokit import cbor
from fidokit.errors import FidokitError, MalformedCbor, TokenGone, UsageError
from fidokit.types import CtapStatus, PassphraseSource
from fidokit.virtual import places
from fidokit.virtual.core.context import NFC, USB
from fidokit.virtual.core.engine import Authenticator
from fidokit.virtual.core.ports import Clock, NeedsPresence, Outcome, PresenceKind, Rng
from fidokit.virtual.core.profile import HidManners, Profile
from fidokit.virtual.power import (
    DEFAULT_PRESENCE,
    Making,
    Plugged,
    PluggedStore,
    model_of,
    plug_in,
    quirked,
    quirks_of,
)
from fidokit.virtual.presence import (
    UP_NEEDED,
    Canceled,
    OnKeepalive,
    Person,
    PolicyPerson,
    Sensor,
    Taps,
    parse_policy,
)
from fidokit.virtual.store.schema import REPLAY
from fidokit.virtual.transports.memory import MemoryLink, nobody_cancels, nobody_follows
from fidokit.virtual.transports.socket_owner import Listener
from fidokit.virtual.waits import Waits
from fidokit.virtual.world import SystemClock, SystemRng

if TYPE_CHECKING:
    from fidokit.virtual.faults import Faults
    from fidokit.virtual.replay import ReplayingAuthenticator

_WINK: Final = 0x01
_CBOR: Final = 0x04
_NO_MSG: Final = 0x08

_UNPLUGGED: Final = 0

_GET_ASSERTION: Final = b"\x02"
_OPTIONS: Final = 0x05

_STATUS_WORD: Final = 2
_NOT_YET: Final = b"\x69\x85"

Answer = bytes | NeedsPresence


class VirtualToken:
    """One token, plugged in. Safe to use from several threads and through several links.

    A registered token is shared: other processes of this user reach it through a socket beside its
    file (see `shared.open_link`). `unshared` says why, if that is not possible.

    `faults` makes it break on demand.

    Args:
        source: the name of a registered token, the path of a token's file (made where there is
            none), or None for a token in memory.
        profile: what model a token that is made now shall be; an existing one stays the model it
            is, unless a `Profile` itself is given.
        model: in place of a profile, the certified model that a token that is made now shall stand
            in for: its AAGUID (dashes optional), its whole description in any case, as `fidokit
            virtual models` lists them, or its document (`models.profiles.impersonate`).
        presence: a policy's text (see `presence.parse_policy`) or a `Person`; None for the policy
            that is kept with the token.
        store: memory that the caller made, and that this token closes; then no `source` is given.
        clock: monotonic milliseconds.
        rng: randomness for keys, tokens and nonces. With a `world.SeededRng`, and a
            `world.ManualClock` for time, a token in memory answers the same requests with the same
            bytes in every run; RSA keys and ML-DSA signatures alone differ.
        uv_enrolled: whether a token that is made now has built-in verification configured.
        passphrase: gives the one that the token is sealed under; asked only where it is.
        quirks: departures of real firmware that a token that is made now shall have, by their names
            and those of presets, as `fidokit virtual quirks` lists them; an existing one keeps its
            own.

    Raises:
        TokenNotFound: no token has this name.
        TokenBusy: it is plugged in already.
        StateUnusable, NoPermission: its file cannot be used.
        PassphraseRequired, PassphraseWrong: it is sealed.
        UsageError: a name, profile, policy or quirk that is not valid, quirks that exclude each
            other, or a model that none or several have; then the hint lists their AAGUIDs.
        Unsupported: the FIDO metadata (extra `mds`) is not installed.
        Malformed: the model's document is none.
    """

    def __init__(
        self,
        source: str | Path | None = None,
        *,
        profile: str | Profile | None = None,
        model: str | Mapping[str, object] | None = None,
        presence: str | Person | None = None,
        store: PluggedStore | None = None,
        clock: Clock | None = None,
        rng: Rng | None = None,
        uv_enrolled: bool = False,
        passphrase: PassphraseSource | None = None,
        quirks: Iterable[str] = (),
    ) -> None:
        if store is not None and source is not None:
            raise UsageError("a virtual token has a source or a store, not both")
        clock, rng = clock or SystemClock(), rng or SystemRng()
        policy, person = (presence, None) if isinstance(presence, str) else (None, presence)
        parse_policy(policy or DEFAULT_PRESENCE)  # judged before anything is opened or made
        given = _document(model) if isinstance(model, str) else model
        made_as, document = model_of(profile, given)
        making = Making(
            made_as, policy or DEFAULT_PRESENCE, uv_enrolled, rng, document, tuple(quirks)
        )
        quirks_of(making.quirks)
        plugged = (
            plug_in(source, making, passphrase)
            if store is None
            else Plugged(store, making.identity(), making.model)
        )
        self.identity = plugged.identity
        self._model = profile if isinstance(profile, Profile) else plugged.model
        self.quirks = tuple(self.identity.quirks.split())
        self.profile = quirked(self._model, self.quirks)
        self.name = source if isinstance(source, str) else source.stem if source else "memory"
        self.winks = 0
        self._store = plugged.store
        behavior = self.profile.behavior
        self._gestures = PolicyPerson(
            parse_policy(policy or self.identity.presence), clock, behavior.touch_lasts_ms
        )
        self._person: Person = person or self._gestures
        self._turn = threading.Lock()
        self._channels = itertools.count(1)
        self._transports: dict[int, str] = {}
        self.clock, self._rng = clock, rng
        self._taps = Taps(clock)
        self.waits = Waits()
        self._powers = itertools.count(1)
        self._power = next(self._powers)
        try:
            self._authenticator = self._made_up(clock, rng)
        except BaseException:
            self._store.close()
            raise
        self._faults: Faults | None = None
        self.unshared: FidokitError | None = None
        self.listener = self._listen(source) if isinstance(source, str) else None

    def _made_up(self, clock: Clock, rng: Rng) -> Authenticator | ReplayingAuthenticator:
        if self.profile.name == REPLAY:
            from fidokit.virtual.replay import ReplayingAuthenticator

            return ReplayingAuthenticator(self.identity.model, clock)
        quirks = quirks_of(self.quirks)
        if quirks is None:
            return Authenticator(self.profile, self._store, clock, rng)
        from fidokit.virtual.quirks.authenticator import UntidyAuthenticator

        return UntidyAuthenticator(self.profile, self._store, clock, rng, quirks.quirks)

    @property
    def faults(self) -> Faults:
        """What makes the token break; made when first asked for, since few tokens ever break."""
        from fidokit.virtual.faults import Faults

        with self._turn:
            if self._faults is None:
                self._faults = Faults(self, self.clock)
            return self._faults

    def _listen(self, name: str) -> Listener | None:
        """Share a registered token; its folder is closed to other users."""
        try:
            return Listener.open(self, places.path_of(name))
        except FidokitError as error:
            self.unshared = error  # the token itself is good
            return None

    # --- the outside ---------------------------------------------------------------------------

    @property
    def capabilities(self) -> int:
        """CTAPHID's bits: WINK 01, CBOR 04, NMSG 08."""
        cbor = _CBOR if self.profile.has_ctap2 else 0
        wink = _WINK if self.profile.behavior.has_wink else 0
        return wink | cbor | (0 if self.profile.has_u2f else _NO_MSG)

    @property
    def serial(self) -> str:
        """The serial number that lists and USB show."""
        return self.identity.serial

    @property
    def manners(self) -> HidManners:
        """Where tokens disagree in CTAPHID."""
        return self.profile.behavior.hid

    @property
    def plugged_in(self) -> bool:
        """Whether the token has power."""
        return self._power != _UNPLUGGED

    @property
    def silent(self) -> bool:
        """Whether a fault makes it stall in silence: transports say nothing for it meanwhile."""
        return self._faults is not None and self._faults.silent

    @property
    def power(self) -> int:
        """Changes whenever power is lost; 0 once it is lost for good."""
        return self._power

    def link(self, transport: str = USB) -> MemoryLink:
        """A new channel to the token.

        Args:
            transport: how it reaches the token, as getInfo names it.

        Raises:
            TokenGone: it was unplugged.
        """
        self._require_power()
        if self.profile.behavior.channel_is_power_up and not self._authenticator.waiting:
            self.power_cycle()
        channel = next(self._channels)
        if transport != USB:
            self._transports[channel] = transport
        if transport == NFC and self.profile.behavior.tap_is_touch:
            self._taps.made(channel)
        return MemoryLink(self, channel)

    def power_cycle(self) -> None:
        """Take the power away and give it back: what is not durable is forgotten.

        Links stay usable; a command that waits for the user ends with TokenGone.

        Raises:
            TokenGone: it was unplugged.
        """
        with self._turn:
            self._require_power()
            self._power = next(self._powers)
            self._authenticator.power_cycle()
        self._wake()

    def become(self, quirks: Iterable[str]) -> None:
        """Cycle the power, and have these quirks from then on, in place of those it was made with.

        What a quirk changes of a token when it is made stays as it was made.

        Args:
            quirks: names of quirks and presets; none for a token that keeps to the text.

        Raises:
            UsageError: there is none of a name, or two exclude each other; nothing is changed.
            TokenGone: it was unplugged.
        """
        names = tuple(dict.fromkeys(quirks))
        profile = quirked(self._model, names)
        with self._turn:
            self._require_power()
            self._power = next(self._powers)
            self.quirks, self.profile = names, profile
            self._authenticator = self._made_up(self.clock, self._rng)
        self._wake()

    @contextmanager
    def memory(self, *, changes: bool) -> Iterator[PluggedStore]:
        """What the token remembers, while it does nothing else.

        Args:
            changes: the block may change it; the power is cycled after it.

        Raises:
            TokenGone: it was unplugged.
        """
        with self._turn:
            self._require_power()
            try:
                yield self._store
            finally:
                if changes:
                    self._power = next(self._powers)
                    self._authenticator = self._made_up(self.clock, self._rng)
        if changes:
            self._wake()

    def insert(self) -> None:
        """Plug a token in memory in again that was unplugged; harmless when repeated.

        Raises:
            UsageError: it has a file, which another process may own by now: open it anew.
        """
        if self._store.durable:
            raise UsageError("a token that has a file is opened anew, not plugged in again")
        with self._turn:
            if self._power == _UNPLUGGED:
                self._power = next(self._powers)
                self._authenticator.power_cycle()

    def unplug(self) -> None:
        """Take the power away for good and let go of the file; harmless when repeated."""
        with self._turn:
            if self._power != _UNPLUGGED:
                self._power = _UNPLUGGED
                if self.listener:
                    self.listener.close()
                self._store.close()
        self._wake()

    close = unplug

    def _wake(self) -> None:
        self._gestures.wake()
        if self._faults:
            self._faults.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    # --- the user ----------------------------------------------------------------------------

    def touch(self, *, held: bool = False) -> None:
        """Queue a touch: it answers the wait that is going on, or the next one.

        Args:
            held: for five seconds, which a reset under longTouchForReset takes.
        """
        self._script().touch(Outcome.TOUCHED, held=held)

    def refuse(self) -> None:
        """Queue a refusal of a touch."""
        self._script().touch(Outcome.REFUSED)

    def uv_match(self) -> None:
        """Queue a successful built-in verification."""
        self._script().verify(Outcome.UV_MATCHED)

    def uv_mismatch(self) -> None:
        """Queue a failed built-in verification."""
        self._script().verify(Outcome.UV_MISMATCHED)

    @property
    def sensor(self) -> Sensor:
        """The finger sensor, to be scripted: `token.sensor.script("good", "left", "good")`."""
        return Sensor(self._script().sample)

    def forget_gestures(self) -> None:
        """Drop what was queued and not used; the policy is left."""
        self._script().forget()

    def _script(self) -> PolicyPerson:
        if self._person is not self._gestures:
            raise UsageError(
                "gestures cannot be queued: the caller's own Person answers this token"
            )
        return self._gestures

    # --- what links do -------------------------------------------------------------------------

    def exchange_cbor(
        self, request: bytes, channel: int, on_keepalive: OnKeepalive, canceled: Canceled
    ) -> bytes:
        """One CTAP2 command to its end; see `MemoryLink.cbor`."""
        self._require_power()

        if self.profile.behavior.notices_silent_requests and is_silent(request):
            on_keepalive(UP_NEEDED)

        def act() -> bytes:
            transport = self._transports.get(channel, USB)
            begin = partial(self._authenticator.begin, request, channel, transport)
            return self._exchange(channel, begin, on_keepalive, canceled)

        if self._faults is None:
            return act()
        return self._faults.around_cbor(request, on_keepalive, canceled, act)

    def exchange_msg(self, apdu: bytes, channel: int) -> bytes:
        """One U2F raw message; see `MemoryLink.msg`."""
        self._require_power()
        act = partial(self._message, apdu, channel)
        return act() if self._faults is None else self._faults.around_msg(apdu, act)

    def _message(self, apdu: bytes, channel: int) -> bytes:
        begin = partial(self._authenticator.begin_msg, apdu, channel)
        reply = self._exchange(channel, begin, nobody_follows, nobody_cancels)
        # A bare CTAP status (busy) has no meaning to a U2F client; this word makes it try again.
        return reply if len(reply) >= _STATUS_WORD else _NOT_YET

    def winked(self) -> None:
        """Count a wink.

        Raises:
            TokenGone: it was unplugged.
        """
        with self._turn:
            self._require_power()
            self.winks += 1

    def _exchange(
        self,
        channel: int,
        begin: Callable[[], Answer],
        on_keepalive: OnKeepalive,
        canceled: Canceled,
    ) -> bytes:
        with self._turn:
            power = self._require_power()
            answer = begin()
        while isinstance(answer, NeedsPresence):
            with self.waits.one(answer.kind):
                if self._tapped(channel, answer.kind):
                    outcome = Outcome.TOUCHED
                else:
                    outcome = self._wait(answer, power, on_keepalive, canceled)
                answer = self._go_on(power, outcome)
        return answer

    def _tapped(self, channel: int, kind: PresenceKind) -> bool:
        """Whether the tap answers, unless the user is about to, or refuses everything."""
        if channel not in self._transports:
            return False  # over USB there is no tap, and most commands come that way
        if self._person is self._gestures and self._gestures.decides(kind):
            return False
        return self._taps.used(channel, kind)

    def _wait(
        self, need: NeedsPresence, power: int, on_keepalive: OnKeepalive, canceled: Canceled
    ) -> Outcome:
        try:
            return self._person.wait(need, on_keepalive, lambda: self._power != power or canceled())
        except BaseException:
            # Ctrl-C, or the caller's own code: the token must not wait on for nobody.
            with self._turn:
                if self._power == power:
                    self._authenticator.cancel()
            raise

    def _go_on(self, power: int, outcome: Outcome) -> Answer:
        with self._turn:
            if self._power != power:
                raise _gone()
            if outcome is Outcome.CANCELED:
                return self._authenticator.cancel() or bytes([CtapStatus.KEEPALIVE_CANCEL])
            return self._authenticator.resume(outcome)

    def _require_power(self) -> int:
        if self._power == _UNPLUGGED:
            raise _gone()
        return self._power


def _gone() -> TokenGone:
    return TokenGone("the virtual token was unplugged", hint="plug it in and repeat the command")


def is_silent(request: bytes) -> bool:
    """Whether a request asks for an assertion without a touch."""
    if request[:1] != _GET_ASSERTION:
        return False
    try:
        members = cbor.decode(request[1:])
    except MalformedCbor:
        return False
    options = members.get(_OPTIONS) if isinstance(members, dict) else None
    return isinstance(options, dict) and options.get("up") is False


def _document(model: str) -> Mapping[str, object]:
    from fidokit.virtual.models.search import model_document  # the metadata takes 0.1 s to read

    return model_document(model)
