"""One powered token for several users: plug it in, or reach the process that has it plugged in.

In one process the token is plugged in once and pulled out with its last link. When other processes
are connected then, they may finish: they were promised a token.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from fidokit.errors import TokenBusy
from fidokit.types import PassphraseSource
from fidokit.virtual import places
from fidokit.virtual.presence import Person
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import TokenLink
from fidokit.virtual.transports.socket import connect
from fidokit.virtual.transports.socket_owner import Listener

PAUSES: Final[Sequence[float]] = (0.02,) * 10 + (0.1,) * 50
"""Seconds between tries while an owner is coming or going: it has the lock and no socket."""

LINGER_S: Final = 10.0
"""How long other processes may go on after the last link of the owner was closed."""


@dataclass(slots=True)
class _Plugged:
    token: VirtualToken
    users: int = 0


_here: Final[dict[tuple[int, Path], _Plugged]] = {}
"""What this process plugged in, by its id (a fork's child owns nothing) and the token's file."""
_turn: Final = threading.Lock()


def open_link(
    name: str,
    *,
    presence: str | Person | None = None,
    passphrase: PassphraseSource | None = None,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> TokenLink:
    """A link to a registered token, which is plugged in for it unless it is already.

    Args:
        name: of a registered token.
        presence: as `VirtualToken`; only where this call plugs the token in.
        passphrase: gives the one that the token is sealed under; asked only where this call
            plugs it in.
        pauses: seconds to wait before each further try while the owner does not answer.
        sleep: waits so many seconds.

    Raises:
        TokenNotFound: there is none of this name.
        TokenBusy: it is plugged in, and its owner shares it with nobody, or with too many.
        PassphraseRequired, PassphraseWrong: it is sealed.
        StateUnusable, NoPermission, UsageError: see `VirtualToken`.
    """
    path = places.path_of(name)
    plug = partial(VirtualToken, name, presence=presence, passphrase=passphrase)
    for pause in pauses:
        try:
            return _plug_in(path, plug)
        except TokenBusy:
            if link := connect(path):
                return link
        sleep(pause)
    return _plug_in(path, plug)


def _plug_in(path: Path, plug: Callable[[], VirtualToken]) -> OwnedLink:
    key = os.getpid(), path
    with _turn:
        plugged = _here.get(key)
        if plugged is None or not plugged.token.plugged_in:
            plugged = _here[key] = _Plugged(plug())
        link = OwnedLink(plugged)
        plugged.users += 1
    return link


def _give_back(plugged: _Plugged) -> None:
    with _turn:
        plugged.users -= 1
        if plugged.users:
            return
        for key in [key for key, here in _here.items() if here is plugged]:
            del _here[key]
    listener = plugged.token.listener
    if listener:
        listener.stop()  # who comes from now on waits, and becomes the next owner
    if listener and listener.clients:
        # No daemon, whichever thread this is: a command that is done does not end while others need
        # its token, and a thread is one where the thread that makes it is.
        threading.Thread(target=_linger, args=(plugged.token, listener), daemon=False).start()
    else:
        plugged.token.unplug()


def _linger(token: VirtualToken, listener: Listener) -> None:
    listener.wait_for_clients(LINGER_S)
    token.unplug()


class OwnedLink:
    """A link to a token of this process; closing the last one pulls the token out."""

    def __init__(self, plugged: _Plugged) -> None:
        self._link = link = plugged.token.link()
        self._plugged: _Plugged | None = plugged
        self.capabilities = link.capabilities
        self.cbor = link.cbor
        self.msg = link.msg
        self.wink = link.wink

    def close(self) -> None:
        """Close the link, and let the next process have the token; harmless when repeated."""
        self._link.close()
        plugged, self._plugged = self._plugged, None
        if plugged is not None:
            _give_back(plugged)
