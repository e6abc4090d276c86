"""An agent with a scripted world: its clock, its tokens, its person, its log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.support import agent_keys
from tests.support.signers import PlainKey, ed25519_key, ed25519_token

from fidokit.agent.core.agent import Agent, ClientState, Later, SlowRead, Step
from fidokit.agent.core.policy import Policy
from fidokit.agent.core.ports import AgentSettings, Consent, Purpose, Upstream
from fidokit.agent.core.signatures import Work
from fidokit.errors import FidokitError
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints, Destination, Hop, KeySpec
from fidokit.openssh.agent_messages import SessionBind
from fidokit.openssh.keys.plain_private import AnyPrivate
from fidokit.openssh.keys.private import SkPrivate


@dataclass
class Tokens:
    """Signs as the token of `agent_keys.sk()` would, or raises what a test wants."""

    error: FidokitError | None = None
    purposes: list[Purpose] = field(default_factory=list)
    forgotten: int = 0

    def sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        self.purposes.append(purpose)
        if self.error is not None:
            raise self.error
        return ed25519_token(1, private.public.application).sign(message).blob()

    def forget(self) -> None:
        self.forgotten += 1

    def expire(self) -> float | None:
        return None


@dataclass
class Approver:
    """Says what a test wants to each question."""

    answer: Consent = Consent.GIVEN
    questions: list[str] = field(default_factory=list)

    def confirm(self, question: str, stop: threading.Event) -> Consent:
        self.questions.append(question)
        return self.answer


@dataclass
class Behind:
    """The agent behind, by a script; `late` is how many requests it does not answer soon."""

    answers: Callable[[bytes], bytes]
    heard: list[bytes] = field(default_factory=list)
    closed: bool = False
    late: int = 0

    def ask(self, payload: bytes, wait_s: float) -> bytes | None:
        if self.late:
            self.late -= 1
            return None
        return self.exchange(payload)

    def exchange(self, payload: bytes) -> bytes:
        self.heard.append(payload)
        return self.answers(payload)

    def close(self) -> None:
        self.closed = True


class World:
    """An agent, and clients of it."""

    def __init__(
        self,
        *,
        read_only: bool = False,
        lifetime: int | None = None,
        providers: Sequence[str] = (),
        policy: Policy | None = None,
        behind: Upstream | None = None,
    ) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0
        self.log: list[str] = []
        self.tokens = Tokens()
        self.person = Approver()
        self.settings = AgentSettings(
            say=self.log.append,
            clock=lambda: self.now,
            wall=lambda: self.wall,
            read_only=read_only,
            lifetime=lifetime,
            providers=lambda path: path in providers,
            policy=policy or Policy(),
            host_name=lambda blob: "near.example" if blob == HOST.public.blob() else "",
            connect=(lambda: behind) if behind is not None else None,
            random=bytes,
        )
        self.agent = Agent(self.settings, self.tokens, self.person)
        self.client = ClientState()

    def step(self, payload: bytes, client: ClientState | None = None) -> Step:
        return self.agent.handle(client or self.client, payload)

    def ask(self, payload: bytes, client: ClientState | None = None) -> bytes:
        """The answer, work done."""
        step = self.step(payload, client)
        assert not isinstance(step, Later)
        return done(step)

    def add(
        self,
        fields: bytes,
        constraints: Constraints | None = None,
        *,
        comment: str = "comment",
        client: ClientState | None = None,
    ) -> bytes:
        return self.ask(agent_messages.encode_add(fields, comment, constraints), client)

    def listed(self, client: ClientState | None = None) -> list[tuple[bytes, str]]:
        return agent_messages.parse_identities(self.ask(agent_messages.REQUEST_IDENTITIES, client))

    def sign(
        self, blob: bytes, data: bytes = b"data", flags: int = 0, client: ClientState | None = None
    ) -> bytes:
        return self.ask(agent_messages.SignRequest(blob, data, flags).encode(), client)

    def bind(
        self,
        host: PlainKey,
        session: bytes = b"session",
        *,
        forwarding: bool = False,
        client: ClientState | None = None,
    ) -> bytes:
        return self.ask(bind(host, session, forwarding=forwarding), client)


HOST = ed25519_key(50)
FAR = ed25519_key(51)
OTHER = ed25519_key(52)
PLAIN = agent_keys.ed25519()
SK = agent_keys.sk()
WEB = agent_keys.sk(application="https://example.org")


def done(step: bytes | Work | SlowRead) -> bytes:
    """The answer that a step comes to, where nobody hangs up."""
    while isinstance(step, SlowRead):
        then = step.read(threading.Event())()
        assert not isinstance(then, Later)
        step = then
    return step if isinstance(step, bytes) else step(threading.Event())


def bind(
    host: PlainKey, session: bytes = b"session", *, forwarding: bool = False, signed: bytes = b""
) -> bytes:
    """session-bind@openssh.com, as ssh sends it."""
    signature = host.sign(signed or session).blob()
    body = SessionBind(host.public.blob(), session, signature, forwarding).encode()
    return agent_messages.AgentExtension(agent_messages.SESSION_BIND, body).encode()


def login(
    key: AnyPrivate,
    *,
    user: str = "me",
    session: bytes = b"session",
    host: PlainKey | None = HOST,
) -> bytes:
    """What ssh has signed to log in."""
    blob = key.public_blob()
    method = "publickey" if host is None else "publickey-hostbound-v00@openssh.com"
    return (
        wire.string(session)
        + wire.u8(50)
        + wire.text(user)
        + wire.text("ssh-connection")
        + wire.text(method)
        + wire.u8(1)
        + wire.text(wire.Reader(blob, "key").text())
        + wire.string(blob)
        + (b"" if host is None else wire.string(host.public.blob()))
    )


def lock(words: bytes) -> bytes:
    """Lock the agent with a passphrase."""
    return bytes([22]) + wire.string(words)


def unlock(words: bytes) -> bytes:
    """Unlock it."""
    return bytes([23]) + wire.string(words)


def to(host: PlainKey) -> Destination:
    """A destination: that host, from here."""
    return Destination(Hop(), Hop("", "near.example", (KeySpec(host.public, is_ca=False),)))
