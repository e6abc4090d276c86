"""The process that keeps a session's key: `python -m fidokit.agent.session.keeper`.

The key is made here, in a page of memory that is locked, and leaves it for no file and no other
process. Standard output carries the public key, standard input brings its certificate; then clients
can have this agent list and sign logins, and nothing else. It ends when its time is over, or when
standard input does: when the command that opened the session ends, however it ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.agent.core.agent import SIGNS_ALONE, Agent
from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.core.policy import LOGIN, KeyRule, Policy
from fidokit.agent.core.ports import AgentSettings, Consent, Purpose
from fidokit.agent.hosts import host_name
from fidokit.agent.loop import AgentServer
from fidokit.agent.sockets import is_own, listen
from fidokit.agent.token_places import seconds
from fidokit.errors import FidokitError, Unsupported
from fidokit.openssh import wire
from fidokit.openssh.agent_constraints import Destination, read_constraints
from fidokit.openssh.certificates.certificate import Certificate, parse_certificate
from fidokit.openssh.keys.plain_private import PlainPrivate
from fidokit.openssh.keys.public import Ed25519Public
from fidokit.openssh.wire import Reader
from fidokit.prompt.text import escape, note
from fidokit.system import process_memory

if TYPE_CHECKING:
    import mmap

    from fidokit.openssh.keys.private import SkPrivate

LONGEST_ORDER: Final = 1 << 22
"""Bytes: a certificate, and the destinations with their host keys."""
_SEED: Final = 32


class SessionKey:
    """An Ed25519 key whose seed is in one locked page, drawn there by the kernel.

    Raises:
        Unsupported: the system lets no memory be locked.
    """

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._load = Ed25519PrivateKey.from_private_bytes
        self._page: mmap.mmap = process_memory.locked_page(required=True)
        with memoryview(self._page) as view, view[:_SEED] as seed:
            _draw(seed)
            point = self._load(seed).public_key().public_bytes_raw()
        self.public = Ed25519Public(point)

    def sign(self, message: bytes, _flags: int = 0) -> bytes:
        """A signature blob; OpenSSL's copy of the key is wiped when it is made."""
        with memoryview(self._page) as view, view[:_SEED] as seed:
            made = self._load(seed).sign(message)
        return wire.text(self.public.type_name) + wire.string(made)


def _draw(room: memoryview) -> None:
    """Straight from the kernel: no Python object ever holds it."""
    source = os.open("/dev/urandom", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.readv(source, [room]) != len(room):
            raise FidokitError("the system gave no random bytes")
    finally:
        os.close(source)


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """What the session's opener wants.

    Args:
        certificate: for the key.
        destinations: where it may be used; empty for anywhere.
        seconds: until the session is over.
    """

    certificate: Certificate
    destinations: tuple[Destination, ...]
    seconds: float

    @classmethod
    def read(cls, line: bytes) -> SessionOrder:
        """From the line that the opener sends.

        Raises:
            Malformed, ValueError: it is none.
        """
        order = json.loads(line)
        limits = read_constraints(Reader(bytes.fromhex(order["constraints"]), "session"))
        certificate = parse_certificate(bytes.fromhex(order["certificate"]))
        return cls(certificate, limits.destinations, float(order["seconds"]))


class _Nobody:
    """The tokens and the user of this agent: there are none."""

    def sign(
        self, _private: SkPrivate, _message: bytes, _purpose: Purpose, _stop: threading.Event
    ) -> bytes:
        raise Unsupported("a session has no token")

    def forget(self) -> None:
        pass

    def expire(self) -> float | None:
        return None

    def confirm(self, _question: str, _stop: threading.Event) -> Consent:
        return Consent.NOBODY


def session_agent(key: SessionKey, order: SessionOrder) -> Agent:
    """The agent: one certificate, for logins alone, on other machines only where those are named.

    Raises:
        FidokitError: the certificate is another key's, or there are too many host keys.
    """
    if order.certificate.public != key.public:
        raise FidokitError("the certificate is for another key than the session's")
    rule = KeyRule("*", use=(LOGIN,), forwarded=bool(order.destinations))
    settings = AgentSettings(
        say=lambda line: note(f"session: {escape(line)}"),
        clock=seconds,
        wall=time.time,
        read_only=True,
        policy=Policy([rule]),
        host_name=host_name,
    )
    agent = Agent(settings, _Nobody(), _Nobody(), SIGNS_ALONE)
    held = HeldKey(
        PlainPrivate(key.public, order.certificate, key.sign),
        order.certificate.key_id,
        settings.clock() + order.seconds,
        destinations=order.destinations,
    )
    if not agent.keys.add(held):
        raise FidokitError("there are too many host keys", hint="name fewer hosts with --hosts")
    return agent


def _tell(said: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def serve(key: SessionKey, order: SessionOrder) -> None:
    """Be the agent until standard input ends, or the time is over."""
    agent = session_agent(key, order)
    listening = listen(None)
    try:
        server = AgentServer(agent, listening.socket, is_own)

        def follow() -> None:
            # past the stream, which could not be closed while somebody reads from it
            while os.read(sys.stdin.fileno(), 1):
                pass
            server.stop()

        threading.Thread(target=follow, daemon=True).start()
        clock = threading.Timer(order.seconds, server.stop)
        clock.daemon = True
        clock.start()
        signal.signal(signal.SIGTERM, lambda _number, _frame: server.stop())
        _tell({"socket": str(listening.path)})
        server.run()
    finally:
        listening.remove()


def main() -> None:
    """Keep the key of one session; the program of a process of its own."""
    process_memory.harden()  # before there is anything to see
    os.chdir("/")  # no file system is kept busy
    with suppress(BrokenPipeError):
        try:
            key = SessionKey()
            _tell({"public": key.public.blob().hex()})
            line = sys.stdin.buffer.readline(LONGEST_ORDER)
            if line:  # else there was no certificate
                serve(key, SessionOrder.read(line))
        except FidokitError as error:
            _tell({"error": error.message, "hint": error.hint})


if __name__ == "__main__":
    main()
