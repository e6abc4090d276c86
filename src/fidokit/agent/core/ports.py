"""What the agent needs of the world: how it was started, a signer on tokens, a user, an agent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from fidokit.agent.core.policy import Policy
from fidokit.openssh.keys.private import SkPrivate


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a signature is for, as the user is shown; text of clients is hostile.

    Args:
        key: the key's comment and fingerprint.
        what: "login as USER to HOST", "signature for NAMESPACE", or that nobody knows.
        pin_may_stay: whether the PIN may be kept, by the key's policy.
        asked_by: the process that asks, and the host that it asks for; empty if unknown.
    """

    key: str
    what: str
    pin_may_stay: bool = True
    asked_by: str = ""


class TokenSigner(Protocol):
    """Signs with keys on tokens; called from many threads at a time."""

    def sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        """A signature blob.

        Args:
            private: what names the key to its token.
            message: what is signed.
            purpose: for the notice and the question for the PIN.
            stop: set when the client hung up; the token no longer waits.

        Raises:
            FidokitError: it did not come to a signature.
        """

    def forget(self) -> None:
        """Wipe the PINs that are kept."""

    def expire(self) -> float | None:
        """Wipe PINs whose time is over; the clock's second of the next one, None for none."""


class Consent(Enum):
    """What became of a question."""

    GIVEN = auto()
    DECLINED = auto()
    NOBODY = auto()
    """There is no way to ask."""


class Approver(Protocol):
    """Somebody who allows or refuses the use of a key."""

    def confirm(self, question: str, stop: threading.Event) -> Consent:
        """What the user said; DECLINED too where `stop` was set meanwhile."""


class Upstream(Protocol):
    """A connection to the upstream agent, which has one request at a time."""

    def ask(self, payload: bytes, wait_s: float) -> bytes | None:
        """Send a request, return the answer where it comes within so many seconds.

        After None, `exchange` with the same request gives the answer.
        """

    def exchange(self, payload: bytes) -> bytes:
        """Send a request, return the answer; FAILURE where that agent is not there."""

    def close(self) -> None:
        """Hang up, from any thread."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How this agent was started.

    Args:
        read_only: clients can add and remove no keys.
        lifetime: seconds for keys that come without a lifetime, None for ever.
        providers: the libraries that keys on tokens may name, by real path; each means us.
        policy: the owner's rules.
        host_name: names a host key blob for the user.
        say: takes a line for the log.
        connect: opens a connection to the upstream agent, None if there is none now; None if
            there is never one.
        clock: monotonic seconds; `wall` seconds since 1970.
        random: gives random bytes.
    """

    say: Callable[[str], None]
    clock: Callable[[], float]
    wall: Callable[[], float]
    read_only: bool = False
    lifetime: int | None = None
    providers: Callable[[str], bool] = lambda _path: False
    policy: Policy = field(default_factory=Policy)
    host_name: Callable[[bytes], str] = lambda _blob: ""
    connect: Callable[[], Upstream | None] | None = None
    random: Callable[[int], bytes] = os.urandom
