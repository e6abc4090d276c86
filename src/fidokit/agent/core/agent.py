"""The agent without sockets and threads: a request comes in, an answer or a piece of work goes out.

Sources: draft-ietf-sshm-ssh-agent, OpenSSH PROTOCOL.agent. What is answered in which state is in
the tables `HANDLERS` and `CHANGES`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from fidokit.agent.core.bindings import Bindings, Refused, visible
from fidokit.agent.core.held_keys import HeldKey, Keyring
from fidokit.agent.core.padlock import Padlock
from fidokit.agent.core.policy import FREE, KeyRule
from fidokit.agent.core.ports import AgentSettings, Approver, TokenSigner, Upstream
from fidokit.agent.core.signatures import Signing, Work
from fidokit.agent.core.upstream_keys import Identity, JoinedLists, parsed, rule_of
from fidokit.errors import FidokitError
from fidokit.openssh import agent_constraints as constraint
from fidokit.openssh import agent_messages as wire
from fidokit.openssh.agent_messages import EXTENSION_FAILURE, FAILURE, SUCCESS
from fidokit.openssh.certificates.certificate import require_trustworthy
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.private import SkPrivate

INTERNAL: Final = "internal"
LARGEST_READ_AT_ONCE: Final = 8192
"""Bytes of a request with a key that others can wait for: RSA of 16,384 bits has 7 kB."""
SOON_S: Final = 0.002
"""How long the agent's thread waits for an upstream agent's list."""

EXTENSIONS: Final = (
    wire.QUERY,
    wire.SESSION_BIND,
    constraint.RESTRICT_DESTINATION,
    constraint.SK_PROVIDER,
    constraint.ASSOCIATED_CERTS,
)
"""What `query` names: extensions of the protocol and of its constraints."""


@dataclass(frozen=True, slots=True)
class Later:
    """The request is to come again at this second of the clock."""

    when: float


@dataclass(frozen=True, slots=True)
class SlowRead:
    """A request that takes long to read: `read` runs elsewhere, and gives what to do with it.

    What it gives runs in the agent's thread, and gives the step that the request comes to.
    """

    read: Callable[[threading.Event], Callable[[], Step]]


Step = bytes | Work | Later | SlowRead


class State(Enum):
    """Whether the agent was locked by a passphrase."""

    OPEN = auto()
    LOCKED = auto()


@dataclass(slots=True)
class ClientState:
    """What the agent knows of one client.

    Args:
        bindings: the hosts that its connection is bound to.
        upstream: its connection to the upstream agent, once there is one.
        peer: names its process.
    """

    bindings: Bindings = field(default_factory=Bindings)
    upstream: Upstream | None = None
    peer: Callable[[], str] = lambda: ""

    @property
    def process(self) -> str:
        """Its program and process id; empty if the system does not know."""
        return self.peer()


class Agent:
    """One agent: keys, lock, rules. Its methods are called from one thread.

    Args:
        settings: how it was started.
        tokens: signs with keys on tokens.
        person: allows or refuses uses that are asked for.
        handlers: what it does at all, as `HANDLERS`, which is the default.
    """

    def __init__(
        self,
        settings: AgentSettings,
        tokens: TokenSigner,
        person: Approver,
        handlers: Handlers | None = None,
    ) -> None:
        self.settings = settings
        self._handlers = HANDLERS if handlers is None else handlers
        self.tokens = tokens
        self.person = person
        self.keys = Keyring()
        self._signing = Signing(settings, tokens, person)
        self.padlock = Padlock(settings.random)
        self._listed: tuple[int, bytes] = (-1, b"")
        self._joined = JoinedLists(settings.policy, settings.say)
        self._reading = threading.Lock()
        self._plain = not (settings.policy or settings.connect)

    @property
    def state(self) -> State:
        """Whether it is locked."""
        return State.LOCKED if self.padlock.closed else State.OPEN

    def tick(self) -> float | None:
        """Drop keys and PINs whose time has come; the clock's second of the next one."""
        pins = self.tokens.expire()
        self._expire_keys()
        keys = self.keys.next_expiry(self.settings.clock(), self.settings.wall())
        return pins if keys is None else keys if pins is None else min(keys, pins)

    def _expire_keys(self) -> None:
        if self.keys.has_deadlines:
            for entry in self.keys.expire(self.settings.clock(), self.settings.wall()):
                certificate = entry.private.certificate
                name = certificate.key_id if certificate else ""
                self.settings.say(f"the certificate {name!r} of {entry.called} has expired")

    def handle(self, client: ClientState, payload: bytes) -> Step:
        """One request of a client.

        Returns:
            The answer's payload; or work, or a slow read, that leads to it; or when to come again.
        """
        if payload == wire.REQUEST_IDENTITIES and self._everybody_sees_all(client):
            return self._list_all()
        kind = wire.kind_of(payload)
        # by state first: what is refused anyway is not worth the cost of reading it
        handler = self._handler(kind)
        if handler is None:
            return FAILURE
        if kind in HAVE_KEYS and len(payload) > LARGEST_READ_AT_ONCE:
            return SlowRead(lambda stop: self._read_elsewhere(client, payload, stop))
        try:
            request = wire.parse_request(payload)
        except FidokitError as error:
            return self._unread(error.message)
        return self._handled(handler, client, request, payload)

    def _handler(self, kind: type[wire.Request]) -> Handler | None:
        """What handles such requests in the state that the agent is in; None refuses them."""
        handler = self._handlers[self.state].get(kind)
        if handler is not None and self.settings.read_only and kind in CHANGES:
            self.settings.say("refused: the agent is read-only")
            return None
        return handler

    def _handled(
        self, handler: Handler, client: ClientState, request: wire.Request, payload: bytes
    ) -> Step:
        try:
            step = handler(self, client, request, payload)
        except Refused as refusal:
            return self._refused(refusal)
        except FidokitError as error:
            return self._unread(error.message)
        return self._refusable(step) if callable(step) else step

    def _read_elsewhere(
        self, client: ClientState, payload: bytes, stop: threading.Event
    ) -> Callable[[], Step]:
        """Read a request; one at a time, so that many do not slow down the agent's own thread."""
        with self._reading:
            if stop.is_set():
                return lambda: FAILURE
            try:
                request = wire.parse_request(payload)
            except FidokitError as error:
                why = error.message  # the error would keep this frame, and the request with it
                return lambda: self._unread(why)
        return lambda: self._resume(client, request, payload)

    def _resume(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """What was read elsewhere is judged by the state of now: the agent may be locked since."""
        handler = self._handler(type(request))
        return FAILURE if handler is None else self._handled(handler, client, request, payload)

    def _unread(self, why: str) -> bytes:
        self.settings.say(f"cannot read the request: {why}")
        return FAILURE

    def _refused(self, refusal: Refused) -> bytes:
        self.settings.say(f"refused: {refusal}")
        return FAILURE

    def _refusable(self, work: Work) -> Work:
        """Work may come to a refusal, too."""

        def whole(stop: threading.Event) -> bytes:
            try:
                return work(stop)
            except Refused as refusal:
                return self._refused(refusal)

        return whole

    # --- lists -----------------------------------------------------------------------------

    def _everybody_sees_all(self, client: ClientState) -> bool:
        """Whether the answer to a list is the same for all: the case that has to be fast."""
        return self._plain and not client.bindings.attempted and not self.padlock.closed

    def _list_all(self) -> bytes:
        self._expire_keys()
        version, answer = self._listed
        if version != self.keys.version:
            answer = wire.encode_identities((e.blob, e.comment) for e in self.keys)
            self._listed = self.keys.version, answer
        return answer

    def _is_visible(self, entry: HeldKey, client: ClientState) -> bool:
        return visible(entry.destinations, client.bindings, int(self.settings.wall()))

    def _listable(self, client: ClientState) -> list[Identity]:
        self._expire_keys()
        return [
            (entry.blob, entry.comment)
            for entry in self.keys
            if self._rule(entry).lists(remote=client.bindings.remote)
            and self._is_visible(entry, client)
        ]

    def _rule(self, entry: HeldKey) -> KeyRule:
        policy = self.settings.policy
        return policy.rule(entry.fingerprint, entry.comment) if policy else FREE

    def on_list(self, client: ClientState, _request: wire.Request, _raw: bytes) -> Step:
        """The keys that this client may see, and then those of the upstream agent."""
        ours = self._listable(client)
        upstream = self._upstream(client)
        if upstream is None:
            return wire.encode_identities(ours)
        held, remote = self.keys.blobs(), client.bindings.remote

        # to hand it to another thread takes longer than what most agents need for the answer
        soon = upstream.ask(wire.REQUEST_IDENTITIES, SOON_S)
        known = soon and self._joined.remembered(soon, tuple(ours), held, remote=remote)
        if known:
            return known

        def work(_stop: threading.Event) -> bytes:
            theirs = upstream.exchange(wire.REQUEST_IDENTITIES) if soon is None else soon
            return self._joined.answer(theirs, tuple(ours), held, remote=remote)

        return work

    def on_list_locked(self, _client: ClientState, _request: wire.Request, _raw: bytes) -> Step:
        """A locked agent has no keys."""
        return wire.encode_identities([])

    # --- signatures ------------------------------------------------------------------------

    def on_sign(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """A signature: at once by an ordinary key, as work where anybody has to be waited for."""
        assert isinstance(request, wire.SignRequest)  # noqa: S101  by the table
        self._expire_keys()
        entry = self.keys.get(request.blob)
        if entry is None:
            return self._sign_upstream(client, request, payload)
        return self._signing.answer(client, entry, request)

    def _sign_upstream(
        self, client: ClientState, request: wire.SignRequest, payload: bytes
    ) -> Step:
        """By a key of the upstream agent; a policy holds for those, too."""
        upstream, policy = self._upstream(client), self.settings.policy
        if upstream is None or not policy:
            return self._relay(client, payload)

        def work(stop: threading.Event) -> bytes:
            listed = upstream.exchange(wire.REQUEST_IDENTITIES)
            comment = dict(parsed(listed)).get(request.blob)
            rule = rule_of(policy, request.blob, comment)
            called = f"{comment or 'of the upstream agent'} ({fingerprint.sha256(request.blob)})"
            return self._signing.by_upstream(client, upstream, (rule, called), request, stop)

        return work

    # --- keys ------------------------------------------------------------------------------

    def on_add(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """Keep a key; ordinary ones are left to the upstream agent if there is one."""
        assert isinstance(request, wire.AddKey)  # noqa: S101  by the table
        if self._upstream(client) and not isinstance(request.key, SkPrivate):
            return self._relay(client, payload)
        self._check_addition(client, request)
        there = self.keys.get(request.key.public_blob())
        if there is not None and not self._is_visible(there, client):
            raise Refused("the key already exists, and this client may not replace it")
        if not self.keys.add(self._entry(request, len(payload))):
            raise Refused("there are too many keys, or too much text with them")
        return SUCCESS

    def _check_addition(self, client: ClientState, request: wire.AddKey) -> None:
        limits = request.constraints
        if limits.certificates or limits.certificates_only:
            raise Refused("certificates can be associated with a smartcard's keys alone")
        if request.key.certificate is not None:
            try:
                require_trustworthy(request.key.certificate)
            except FidokitError as error:
                raise Refused(error.message) from None
        if limits.provider is not None:
            self._check_provider(client, request, limits.provider)

    def _check_provider(self, client: ClientState, request: wire.AddKey, provider: str) -> None:
        if not isinstance(request.key, SkPrivate):
            raise Refused("a provider was named for a key that is not on a token")
        if provider.lower() == INTERNAL:
            return
        if client.bindings.remote:
            raise Refused("a remote client may not name a provider")
        if not self.settings.providers(provider):
            raise Refused(f"the provider {provider!r} is not ours; add the key with -S internal")

    def _entry(self, request: wire.AddKey, size: int) -> HeldKey:
        limits, certificate = request.constraints, request.key.certificate
        lifetime = self.settings.lifetime if limits.lifetime is None else limits.lifetime
        expires = None if lifetime is None else self.settings.clock() + lifetime
        return HeldKey(
            *(request.key, request.comment, expires, limits.confirm, limits.destinations),
            size=size,
            late=certificate is not None and certificate.valid_before <= self.settings.wall(),
        )

    def on_remove(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """Drop the key that is named."""
        assert isinstance(request, wire.RemoveKey)  # noqa: S101  by the table
        entry = self.keys.get(request.blob)
        if entry is None:
            return self._relay(client, payload)
        if not self._is_visible(entry, client):
            raise Refused("this client may not remove the key")
        self.keys.remove(request.blob)
        return SUCCESS

    def on_remove_all(self, client: ClientState, _request: wire.Request, payload: bytes) -> Step:
        """Drop all keys, those of the upstream agent too."""
        self.keys.clear()
        self.tokens.forget()
        return self._relay(client, payload) if self._upstream(client) else SUCCESS

    def on_smartcard(self, client: ClientState, _request: wire.Request, payload: bytes) -> Step:
        """PKCS#11 is not spoken here; the upstream agent may speak it."""
        if self._upstream(client):
            return self._relay(client, payload)
        raise Refused("PKCS#11 smartcards are not served; add their keys to an agent that does")

    # --- the lock --------------------------------------------------------------------------

    def on_lock(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """Close, and wipe the PINs that are kept."""
        assert isinstance(request, wire.Lock)  # noqa: S101  by the table
        if not self.padlock.close(request.passphrase):
            return FAILURE
        self.tokens.forget()
        return self._told_too(client, payload)

    def on_unlock(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """Open by the right passphrase; each wrong one makes the next wait longer."""
        assert isinstance(request, wire.Unlock)  # noqa: S101  by the table
        now = self.settings.clock()
        if now < self.padlock.not_before:
            return Later(self.padlock.not_before)
        if not self.padlock.open(request.passphrase, now):
            self.settings.say("a wrong passphrase to unlock")
            return FAILURE
        return self._told_too(client, payload)

    def _told_too(self, client: ClientState, payload: bytes) -> Step:
        """Success, after the request was passed on to the upstream agent."""
        upstream = self._upstream(client)
        if upstream is None:
            return SUCCESS

        def work(_stop: threading.Event) -> bytes:
            upstream.exchange(payload)
            return SUCCESS

        return work

    # --- extensions, and the upstream agent ------------------------------------------------

    def on_extension(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """`query` and session-bind here; others may mean something to the upstream agent."""
        assert isinstance(request, wire.AgentExtension)  # noqa: S101  by the table
        if request.name == wire.QUERY:
            return wire.encode_query(EXTENSIONS)
        if request.name != wire.SESSION_BIND:
            return self._relay_unread(client, payload)
        upstream = self._upstream(client)
        try:
            client.bindings.bind(request.body)
        except Refused as refusal:
            self._refused(refusal)
            return EXTENSION_FAILURE if upstream is None else _told_and_refused(upstream, payload)
        return self._told_too(client, payload)

    def on_bind(self, client: ClientState, request: wire.Request, payload: bytes) -> Step:
        """The one extension that counts while the agent is locked, too: else the connection,
        forwarded meanwhile, would pass for a local one afterwards (CVE-2026-73281)."""
        assert isinstance(request, wire.AgentExtension)  # noqa: S101  by the table
        if request.name != wire.SESSION_BIND:
            return FAILURE
        return self.on_extension(client, request, payload)

    def on_unknown(self, client: ClientState, _request: wire.Request, payload: bytes) -> Step:
        """A number that means nothing here."""
        return self._relay_unread(client, payload)

    def _relay_unread(self, client: ClientState, payload: bytes) -> Step:
        """Pass on what cannot be read, unless it could get around our own rules."""
        if self.settings.policy or self.settings.read_only:
            return FAILURE
        return self._relay(client, payload)

    def _upstream(self, client: ClientState) -> Upstream | None:
        if client.upstream is None and self.settings.connect is not None:
            client.upstream = self.settings.connect()
        return client.upstream

    def _relay(self, client: ClientState, payload: bytes) -> Step:
        """What the upstream agent answers; FAILURE if there is none."""
        upstream = self._upstream(client)
        return FAILURE if upstream is None else lambda _stop: upstream.exchange(payload)


def _told_and_refused(upstream: Upstream, payload: bytes) -> Work:
    """A bind that fails here is put to the upstream agent nevertheless: it must not take the
    connection for a local one."""

    def work(_stop: threading.Event) -> bytes:
        upstream.exchange(payload)
        return EXTENSION_FAILURE

    return work


Handler = Callable[[Agent, ClientState, wire.Request, bytes], Step]
Handlers = Mapping[State, Mapping[type[wire.Request], Handler]]

HANDLERS: Final[Handlers] = {
    State.OPEN: {
        wire.ListKeys: Agent.on_list,
        wire.SignRequest: Agent.on_sign,
        wire.AddKey: Agent.on_add,
        wire.RemoveKey: Agent.on_remove,
        wire.RemoveAll: Agent.on_remove_all,
        wire.Smartcard: Agent.on_smartcard,
        wire.Lock: Agent.on_lock,
        wire.AgentExtension: Agent.on_extension,
        wire.Unknown: Agent.on_unknown,
    },
    State.LOCKED: {
        wire.ListKeys: Agent.on_list_locked,
        wire.AgentExtension: Agent.on_bind,
        wire.Unlock: Agent.on_unlock,
    },
}
"""What is done; a request that a state does not list is answered with FAILURE."""

SIGNS_ALONE: Final[Handlers] = {
    State.OPEN: {
        wire.ListKeys: Agent.on_list,
        wire.SignRequest: Agent.on_sign,
        wire.AgentExtension: Agent.on_bind,
    },
    State.LOCKED: {},
}
"""Of an agent that clients can have list and sign, and nothing else."""

CHANGES: Final[frozenset[type[wire.Request]]] = frozenset(
    {wire.AddKey, wire.RemoveKey, wire.RemoveAll, wire.Smartcard}
)
"""What a read-only agent refuses."""

HAVE_KEYS: Final[frozenset[type[wire.Request]]] = frozenset({wire.AddKey, wire.Smartcard})
"""Requests that may hold keys, as many as fit into one, which all have to be parsed."""
