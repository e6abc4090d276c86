"""One token as many clients of the agent use it: its turn, and the session that is kept open."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fidokit.agent.notices import Announcing
from fidokit.client.ports import Candidate
from fidokit.errors import FidokitError, Interrupted
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import SkPrivate

POLL_S: Final = 0.1
"""Between two looks at whether a client that waits for its turn hung up."""


@dataclass(slots=True)
class Place:
    """One token: its turn, and the session that is kept open.

    Args:
        candidate: as it was seen last.
        mark: tells it from another token under the same selector.
    """

    candidate: Candidate
    mark: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    session: Session | None = None
    used: float = 0.0

    @property
    def name(self) -> str:
        """What a PIN is kept under: another token in the same place has another one."""
        return f"{self.candidate.selector} {self.mark}"

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self.session is not None

    @property
    def watched(self) -> bool:
        """Whether its unplugging is seen; of contactless tokens where the system counts cards."""
        return self.stays_open or self.mark != 0

    @property
    def stays_open(self) -> bool:
        """Whether it is kept open for a while; a card reader is for others, too."""
        return self.candidate.transport is not Transport.PCSC

    def open(self, interaction: Announcing) -> Session:
        """The session, opened if need be; only by whoever has the turn."""
        if self.session is None:
            from fidokit.client.discovery import Opener

            self.session = Opener(interaction)(self.candidate)
        self.session.interaction = interaction
        return self.session

    def close(self) -> None:
        """Let go of the token; only by whoever has the turn."""
        session, self.session = self.session, None
        if session is not None:
            session.close()


def claim_if_open(place: Place, stop: threading.Event) -> bool:
    """The turn of a token that is open since its last signature: nothing was unplugged."""
    if place.session is None:
        return False
    take_turn(place, stop)
    if not place.is_open:
        place.turn.release()
        return False
    return True


def take_turn(place: Place, stop: threading.Event) -> None:
    """Wait until nobody else uses the token.

    Raises:
        Interrupted: the client hung up meanwhile.
    """
    while not place.turn.acquire(timeout=POLL_S):
        if stop.is_set():
            raise Interrupted("the client hung up while another one used the token")


def holds_key(place: Place, private: SkPrivate, announcing: Announcing) -> bool:
    """Whether the token owns up to the key; one that is in trouble does not."""
    from fidokit.client.discovery import holds

    try:
        session = place.open(announcing)
        return holds(session, private.key_handle, private.public.application)
    except FidokitError:
        place.close()
        return False


def mark_of(candidate: Candidate) -> int:
    """Another number for another token in the same place: each plugging in makes a new node."""
    if candidate.transport is Transport.VIRTUAL:
        from fidokit.virtual import places

        path = str(places.path_of(candidate.path))
    else:
        path = candidate.path
    try:
        return os.stat(path).st_ino  # noqa: PTH116  a reader's name is no path, and no error
    except OSError:
        return 0
