"""The authenticator as a machine of bytes that can wait for a user.

How a command module plugs in
-----------------------------
It exports one `Command` (see `context`), and `commands.COMMANDS` names it by its command byte::

    REQUEST = Record({1: Member("subCommand", UINT, required=True), 2: Member("params", MAP), ...})

    def run(token: TokenContext, params: Params) -> Reply: ...            # never waits
    def run(token: TokenContext, params: Params) -> Steps[Reply]:         # may wait
        yield from presence.touch(token)
        return {1: ...}                                                   # or None: status alone

    COMMAND = Command(run, REQUEST, offered=lambda profile: profile.offers("credMgmt"))

- Before `run`, the engine has judged the form: command known, canonical CBOR (12), known members'
  types (11), required members (14). Absent members are absent from `params`; values inside nested
  maps stay as decoded, so `cbor.encode(params["params"])` is what stood on the wire (TOK-11).
  Inner maps are judged the same way by `schema.check(RECORD, params["params"])`.
- To refuse, raise `CtapRejection(status)`. Nothing else turns into a status: other exceptions are
  defects, or the store's `StateUnusable`, and pass through.
- Authorization of management commands is one call:
  `token.tokens.demand(params, message, TokenPermission.X)`; then `require_unbound`/`require_rp`.
- Durable state changes by `token.save(member=value)`; tokens die by `token.tokens.revoke()`.
- An enumeration is begun by `token.enumerations.begin(Continuation.X, rest, token.channel,
  token.tokens.serial())` and continued by `.take(Continuation.X, token.channel,
  token.tokens.serial())`, which raises NOT_ALLOWED for every reason there is. The engine drops it
  when a command runs whose `Command.continues` does not name the listing; inside a command with
  subcommands, those that do not continue it call `token.enumerations.drop()`.

U2F raw messages take the same way through `begin_msg`, to `commands.message`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fidokit import cbor
from fidokit.errors import MalformedCbor
from fidokit.types import CtapStatus
from fidokit.virtual.core.commands import table
from fidokit.virtual.core.context import USB, Command, Reply, TokenContext
from fidokit.virtual.core.ports import (
    Clock,
    CtapRejection,
    NeedsPresence,
    Outcome,
    Rng,
    Steps,
    Store,
)
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.core.schema import Params, check

AnySteps = Steps[Reply] | Steps[bytes]

_OK = b"\x00"
_NO_PARAMS: Params = {}


class Authenticator:
    """One powered token.

    Args:
        profile: what model it is.
        store: its durable memory.
        clock: monotonic milliseconds.
        rng: randomness for keys, tokens and nonces.

    Raises:
        fidokit.errors.StateUnusable: from any method, when the store cannot keep a promise.
    """

    def __init__(self, profile: Profile, store: Store, clock: Clock, rng: Rng) -> None:
        self.token = TokenContext(profile, store, clock, rng)
        self._waiting: AnySteps | None = None
        self._commands: dict[int, Command | None] = {}

    @property
    def waiting(self) -> bool:
        """Whether a command waits for a user."""
        return self._waiting is not None

    def begin(
        self, request: bytes, channel: int = 0, transport: str = USB
    ) -> bytes | NeedsPresence:
        """Start a CTAP2 command.

        Args:
            request: command byte and CBOR, as in one CTAPHID_CBOR message.
            channel: who asks; enumerations belong to the channel that began them.
            transport: how the request came, as getInfo names it.

        Returns:
            The reply (status byte and CBOR), or what the command waits for; then `resume` goes on.
        """
        return self._start(self._command, request, channel, transport)

    def begin_msg(self, apdu: bytes, channel: int = 0) -> bytes | NeedsPresence:
        """Start a U2F raw message (CTAP1).

        Args:
            apdu: as in one CTAPHID_MSG message.
            channel: who asks.

        Returns:
            The reply with its status word, or what it waits for.
        """
        return self._start(self._message, apdu, channel, USB)

    def resume(self, outcome: Outcome) -> bytes | NeedsPresence:
        """Go on with the command that waits.

        Args:
            outcome: how the wait ended.

        Returns:
            As `begin`; OTHER where nothing waits.
        """
        if self._waiting is None:
            return bytes([CtapStatus.OTHER])
        return self._drive(self._waiting, outcome)

    def cancel(self) -> bytes | None:
        """End the command that waits, if one does, and return its reply."""
        if self._waiting is None:
            return None
        answer = self.resume(Outcome.CANCELED)
        self._waiting = None  # whatever a command makes of it, a canceled one does not wait on
        return answer if isinstance(answer, bytes) else bytes([CtapStatus.KEEPALIVE_CANCEL])

    def power_cycle(self) -> None:
        """Power goes and returns: what waited is gone, and so is all that is not durable."""
        self._waiting = None
        self.token.power_up()

    def _start(
        self,
        start: Callable[[bytes], bytes | AnySteps],
        sent: bytes,
        channel: int,
        transport: str,
    ) -> bytes | NeedsPresence:
        if self._waiting is not None:
            return bytes([CtapStatus.CHANNEL_BUSY])
        self.token.channel, self.token.transport = channel, transport
        try:
            answer = start(sent)
        except CtapRejection as rejection:
            return bytes([rejection.status])
        return answer if isinstance(answer, bytes) else self._drive(answer, None)

    def _drive(self, steps: AnySteps, outcome: Outcome | None) -> bytes | NeedsPresence:
        self._waiting = None
        try:
            need = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration as done:
            return _encoded(done.value)
        except CtapRejection as rejection:
            return bytes([rejection.status])
        self._waiting = steps
        return need

    def _command(self, request: bytes) -> bytes | AnySteps:
        if not request:
            raise CtapRejection(CtapStatus.INVALID_LENGTH)
        command = self._offered(request[0])
        self.token.interrupt(but=command.continues if command else frozenset())
        if command is None:
            raise CtapRejection(CtapStatus.INVALID_COMMAND)
        if len(request) > self.token.profile.max_msg_size:
            raise CtapRejection(CtapStatus.REQUEST_TOO_LARGE)
        answer = command.run(self.token, self._params(command, request))
        return _encoded(answer) if answer is None or isinstance(answer, dict) else answer

    def _offered(self, number: int) -> Command | None:
        """The command of a byte, if this profile has it; judged once, for neither changes."""
        if number not in self._commands:
            command = table.find(number)
            offered = command is not None and command.offered(self.token.profile)
            self._commands[number] = command if offered else None
        return self._commands[number]

    def _params(self, command: Command, request: bytes) -> Params:
        if command.request is None:
            return _NO_PARAMS
        behavior = self.token.profile.behavior
        try:
            value: Any = cbor.decode(request[1:], max_depth=behavior.nesting)
        except MalformedCbor:
            raise CtapRejection(CtapStatus.INVALID_CBOR) from None
        return check(command.request, value, behavior.lacking_inner_member)

    def _message(self, apdu: bytes) -> bytes | AnySteps:
        self.token.interrupt(but=frozenset())
        return table.message(self.token, apdu)


def _encoded(reply: Reply | bytes) -> bytes:
    """A reply's bytes; a U2F message's are made by its own module."""
    if isinstance(reply, bytes):
        return reply
    return _OK if reply is None else _OK + cbor.encode(reply)
