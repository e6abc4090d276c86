"""An SSH agent of our own: the core of `fidokit.agent`, wired to tokens, files and a user."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.agent.core.agent import Agent
from fidokit.agent.core.policy import Policy, parse_policy
from fidokit.agent.core.ports import AgentSettings, Consent
from fidokit.agent.counter_watch import CounterWatch
from fidokit.agent.desktop_agent import AUTO, desktop_agent
from fidokit.agent.hosts import host_name
from fidokit.agent.loop import MOST_CLIENTS, AgentServer
from fidokit.agent.notices import Notices
from fidokit.agent.pin.cache import PinCache
from fidokit.agent.pin.child import WORKER, Children
from fidokit.agent.served_files import CertificateFolders, entries_of
from fidokit.agent.sockets import Listening, SocketUpstream, answers, handed_over, is_own, listen
from fidokit.agent.token_desk import Residents, TokenDesk
from fidokit.agent.token_places import Looks, Sight, seconds
from fidokit.errors import MalformedFile
from fidokit.files.keyfile import read_bounded
from fidokit.system import process_memory
from fidokit.system.ssh_agent import kind_of_agent
from fidokit.types import PassphraseSource

if TYPE_CHECKING:
    from fidokit.agent.core.ports import Approver, Upstream
    from fidokit.agent.sockets import Listening

MAX_POLICY: Final = 1 << 16
"""Bytes of a policy file."""
SPARE_DESCRIPTORS: Final = 64
WANTED_DESCRIPTORS: Final = 2 * MOST_CLIENTS + SPARE_DESCRIPTORS


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """How an agent is started.

    Args:
        path: its socket; None for a new one in a new folder.
        key_files: private key files to hold from the start, on tokens or not.
        resident: also serve the SSH keys that are found on tokens.
        remember: keep the right to list a token's keys (`key list --remember`).
        certificates: folders of certificates for those keys, besides what is on the token.
        selector: the one token to use; None for all that are plugged in.
        lifetime: seconds for keys that are added without a lifetime; None for ever.
        pin_cache: seconds that a PIN is kept; 0 asks each time.
        pin_prompt: "auto", "terminal", "askpass" or "pinentry".
        read_only: clients can add and remove no keys.
        policy: a file of rules.
        upstream: the socket of an agent behind this one; "auto" for the desktop's.
        notify: use desktop notifications.
        touch_command: a command to run when a token waits; empty for none.
        worker: the program that handles a PIN.
    """

    path: Path | None = None
    key_files: Sequence[Path] = ()
    resident: bool = False
    remember: bool = False
    certificates: Sequence[Path] = ()
    selector: str | None = None
    lifetime: int | None = None
    pin_cache: int = 0
    pin_prompt: str = "auto"
    read_only: bool = False
    policy: Path | None = None
    upstream: str | None = None
    notify: bool = True
    touch_command: Sequence[str] = ()
    worker: Sequence[str] = WORKER


class AgentService:
    """An agent that listens; `run` serves until `stop`, `close` leaves nothing behind.

    Args:
        options: how it is started.
        person: who allows uses of keys that are asked for.
        say: takes a line for the log.
        passphrase: asks for the passphrase of a key file; None if nobody can be asked.

    Raises:
        FidokitError: a key file or the policy cannot be read, or there can be no socket.
    """

    def __init__(
        self,
        options: AgentOptions,
        person: Approver,
        say: Callable[[str], None],
        passphrase: PassphraseSource | None = None,
    ) -> None:
        self._options = options
        self._asking = threading.Lock()
        self._ended = threading.Event()
        self._sight = Sight(options.selector, say)
        self._counters = CounterWatch(say, desktop=options.notify)
        self._desk = self._make_desk(say)
        settings = _settings(options, say, lambda: self._listening.path)
        self.agent = Agent(settings, self._desk, _OneAtATime(person, self._asking))
        for path in options.key_files:
            for entry in entries_of(path, passphrase, options.lifetime, say):
                self.agent.keys.add(entry)
        self._say = say
        self._listening: Listening = _listening(options.path)
        self._server = AgentServer(
            self.agent, self._listening.socket, self._admits, most=_most_clients()
        )
        self._residents = self._find_residents() if options.resident else None
        if options.upstream is not None:
            _say_upstream(options.upstream, self._listening.path, say)
        if settings.policy.keeps_from_forwarding:
            say(
                "rules with `forwarded = false` need ssh 8.9 or later, which names what it forwards"
            )

    @property
    def path(self) -> Path:
        """Where clients find it: SSH_AUTH_SOCK."""
        return self._listening.path

    @staticmethod
    def harden() -> None:
        """Let nobody look into this process: no core dumps, and no tracing by this user.

        For a process that is an agent and nothing else; before `prepare`.
        """
        process_memory.harden()

    def prepare(self) -> None:
        """List the keys on the tokens that are plugged in, asking for PINs; before `run`."""
        if self._residents is not None:
            self._residents.look()
            self._residents.wait()

    def run(self) -> None:
        """Serve until `stop` is called."""
        threading.Thread(target=self._keep_up, daemon=True).start()
        self._server.run()

    def stop(self) -> None:
        """End `run`; from any thread or signal handler."""
        self._ended.set()
        self._desk.active.set()
        self._server.stop()

    def drop_keys(self) -> None:
        """Drop all keys and PINs, and go on; from any thread or signal handler."""
        self._server.call(self._drop_keys)

    def _drop_keys(self) -> None:
        self.agent.keys.clear()
        self._desk.forget()

    def close(self) -> None:
        """Wipe PINs, let go of tokens, remove the socket; harmless when repeated."""
        self.stop()
        if self._residents is not None:
            self._residents.close()
        self._desk.close()
        self._counters.close()
        self._server.close()
        self._listening.remove()

    def _admits(self, channel: socket.socket) -> bool:
        if is_own(channel):
            return True
        self._say("another user was turned away")
        return False

    # --- the parts -------------------------------------------------------------------------

    def _make_desk(self, say: Callable[[str], None]) -> TokenDesk:
        options = self._options
        children = Children(options.worker, self._asking, options.pin_prompt)
        notices = Notices(say, desktop=options.notify, hook=options.touch_command)
        pins = PinCache(options.pin_cache, seconds)
        return TokenDesk(
            *(self._sight, children, notices, pins, seconds),
            mark=self._sight.mark,
            counted=self._counters.seen,
        )

    def _find_residents(self) -> Residents:
        return Residents(
            self._desk,
            lambda selector, entries: self._server.call(
                partial(self.agent.keys.found_on, selector, entries)
            ),
            self._say,
            remember=self._options.remember,
            folders=CertificateFolders(self._options.certificates, self._say),
        )

    def _keep_up(self) -> None:
        """Once a second where something may have been plugged in or out; whatever goes wrong with
        one look, the next one comes."""
        looks = Looks()
        while not self._ended.wait(UPKEEP_S):
            try:
                self._look(looks)
            except Exception as error:  # noqa: BLE001  the boundary: one look's defect is its own
                self._say(f"tokens could not be looked for: {type(error).__name__}: {error}")

    def _look(self, looks: Looks) -> None:
        if self._residents is None:
            self._desk.active.wait()
            self._desk.upkeep()
        elif looks.due() or self._desk.active.is_set() or self._sight.has_readers:
            self._residents.look()


UPKEEP_S: Final = 1.0


class _OneAtATime:
    """Asks one question after the other: a user has one terminal."""

    def __init__(self, person: Approver, asking: threading.Lock) -> None:
        self._person = person
        self._asking = asking

    def confirm(self, question: str, stop: threading.Event) -> Consent:
        while not self._asking.acquire(timeout=0.1):
            if stop.is_set():
                return Consent.DECLINED
        try:
            return Consent.DECLINED if stop.is_set() else self._person.confirm(question, stop)
        finally:
            self._asking.release()


def _listening(path: Path | None) -> Listening:
    handed = handed_over(os.environ)
    return handed or listen(path)


def _say_upstream(upstream: str, own: Path, say: Callable[[str], None]) -> None:
    if upstream != AUTO:
        if not answers(Path(upstream)):
            say(f"no agent answers at {upstream} yet; its keys are served once one does")
        return
    path = desktop_agent(os.environ, own)
    if path is None:
        say("no other agent is there yet; once the desktop has one, its keys are served")
    else:
        kind = kind_of_agent(path)
        say(f"in front of {kind.name if kind else 'the agent'} at {path}")


def _connect(upstream: str | None, own: Callable[[], Path]) -> Callable[[], Upstream | None] | None:
    if upstream is None:
        return None
    if upstream != AUTO:
        return partial(SocketUpstream, upstream)

    def connect() -> Upstream | None:
        path = desktop_agent(os.environ, own())
        return None if path is None else SocketUpstream(path)

    return connect


def _settings(
    options: AgentOptions, say: Callable[[str], None], own: Callable[[], Path]
) -> AgentSettings:
    return AgentSettings(
        say=say,
        clock=seconds,
        wall=time.time,
        read_only=options.read_only,
        lifetime=options.lifetime,
        providers=is_our_provider,
        policy=_policy(options.policy),
        host_name=host_name,
        connect=_connect(options.upstream, own),
    )


def is_our_provider(path: str) -> bool:
    """Whether a key's provider is a library of ours, which does what this agent does itself."""
    return "fidokit" in os.path.basename(os.path.realpath(path))  # noqa: PTH119  hostile text


def _policy(path: Path | None) -> Policy:
    import tomllib

    if path is None:
        return Policy()
    try:
        return parse_policy(tomllib.loads(read_bounded(path, MAX_POLICY).decode("utf-8")))
    except ValueError as error:
        raise MalformedFile(f"{path} is not TOML: {error}") from None


def _most_clients() -> int:
    """As many as this process can have, with an upstream connection each and some descriptors over
    for tokens and children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < WANTED_DESCRIPTORS:
        wanted = (
            WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
        )
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return MOST_CLIENTS
    return max(min(MOST_CLIENTS, (soft - SPARE_DESCRIPTORS) // 2), 1)
