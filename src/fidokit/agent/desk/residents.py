"""Resident keys served without files: each token is listed once, when it is plugged in.

Listing wants the PIN. It is asked for once a token, unless the right to list it was kept
(`fidokit key list --remember`); a token whose owner does not answer is left alone until it is
plugged in again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from fidokit.agent.core.held_keys import Entry
from fidokit.agent.core.ports import Purpose
from fidokit.agent.desk.place import Place
from fidokit.agent.desk.token_desk import TokenDesk
from fidokit.agent.pin import orders
from fidokit.errors import FidokitError

Found = Callable[[str, Sequence[Entry]], None]
"""Takes a token's selector and the keys on it; none of them when it was unplugged."""


class Residents:
    """Watches which tokens are plugged in.

    Args:
        desk: the tokens.
        found: told of each token's keys.
        say: takes a line for the log.
        remember: keep the right to list.
    """

    def __init__(
        self, desk: TokenDesk, found: Found, say: Callable[[str], None], *, remember: bool
    ) -> None:
        self._desk = desk
        self._found = found
        self._say = say
        self._remember = remember
        self._listed: dict[str, Place] = {}
        self._at_work: list[threading.Thread] = []
        self._stop = threading.Event()

    def look(self) -> None:
        """Note what was plugged in or out since the last look; called from one thread."""
        now = {place.candidate.selector: place for place in self._desk.upkeep()}
        for selector in [s for s, place in self._listed.items() if now.get(s) is not place]:
            del self._listed[selector]
            self._found(selector, [])
        for selector, place in now.items():
            if selector not in self._listed:
                self._listed[selector] = place
                # a thread each: a token whose PIN is asked for holds up no other
                work = threading.Thread(target=self._list, args=(place,), daemon=True)
                self._at_work = [w for w in self._at_work if w.is_alive()] + [work]
                work.start()

    def wait(self) -> None:
        """Until all that were seen are listed, or their owner would not have it."""
        for work in self._at_work:
            work.join()

    def close(self) -> None:
        """Take back what was asked."""
        self._stop.set()
        self.wait()

    def _list(self, place: Place) -> None:
        selector = place.candidate.selector
        purpose = Purpose("", "listing the SSH keys on the token for the agent")
        order = orders.list_request(selector, remember=self._remember)
        try:
            with place.turn:
                place.close()
                result = self._desk.by_child(place, order, purpose, self._stop)
            keys = orders.keys_of(result)
        except FidokitError as error:
            self._say(f"the keys on {selector} are not served: {error.message}")
            return
        for private, _ in keys:
            self._desk.knows(private, selector)
        self._found(selector, [Entry(key, comment, token=selector) for key, comment in keys])
        self._say(f"{len(keys)} keys on {selector} are served")
