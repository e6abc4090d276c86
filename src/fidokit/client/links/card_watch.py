"""Which tokens lie on card readers, looked for again and again without disturbing anybody.

The PC/SC service counts how often a card came or went on each reader, and tells so without touching
the card. So a card is asked once, when it is laid down, whether it is a token.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fidokit.client import fido2_device
from fidokit.client.links.backends import PcscBackend
from fidokit.client.links.watchdog import Patience, guarded
from fidokit.client.ports import Candidate
from fidokit.errors import FidokitError, Interrupted, TokenBusy, Unsupported
from fidokit.types import Transport

TRIES: Final = 3
"""How often a card that says nothing sensible is asked: it may not lie still yet."""


@dataclass(slots=True)
class _Card:
    count: int
    tries: int = 0
    is_token: bool = False
    is_busy: bool = False


@dataclass(slots=True)
class CardWatch:
    """The tokens on readers, each asked once while it lies there.

    Args:
        backend: asks a card; without waiting for another program that uses it.
    """

    backend: PcscBackend = field(default_factory=lambda: PcscBackend(patience=Patience(busy=())))
    transport: Transport = Transport.PCSC
    _cards: dict[str, _Card] = field(default_factory=dict)
    _readers: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_readers(self) -> bool:
        """Whether the last look saw a reader: only then is the next worth its while soon."""
        return self._readers > 0

    @property
    def counts(self) -> bool:
        """Whether the system counts cards; elsewhere each look asks each card anew."""
        return sys.platform != "darwin"

    def problem(self) -> str | None:
        """As its backend."""
        return self.backend.problem()

    def candidates(self) -> Sequence[Candidate]:
        """Those that answered; a card that another program uses may be none."""
        return self._look(busy=False)

    def busy(self) -> Sequence[Candidate]:
        """Cards that another program uses."""
        return self._look(busy=True)

    def count(self, reader: str) -> int:
        """Another number for another card on this reader; 0 where the system does not count."""
        card = self._cards.get(reader)
        return card.count if card else 0

    def _look(self, *, busy: bool) -> Sequence[Candidate]:
        with self._turn:
            seen = guarded(lambda _pulse: laid(), self.backend.patience)
            self._readers = len(seen)
            there = {r: n * self.counts for r, n in seen.items() if n is not None}
            known = {r: c for r, c in self._cards.items() if c.count and there.get(r) == c.count}
            self._cards = {r: known.get(r) or _Card(count) for r, count in there.items()}
            for reader, card in self._cards.items():
                if not card.is_token and card.tries < TRIES:
                    self._ask(reader, card)
            wanted = "is_busy" if busy else "is_token"
            return [self.backend.at(r) for r, c in self._cards.items() if getattr(c, wanted)]

    def _ask(self, reader: str, card: _Card) -> None:
        card.is_busy = False
        try:
            self.backend.at(reader).open().close()
            card.is_token = True
        except TokenBusy:
            card.is_busy = True
        except Interrupted:
            raise
        except FidokitError:
            card.tries += 1


def laid() -> Mapping[str, int | None]:
    """What lies on each reader: None for nothing, else a number that no earlier card had.

    No reader is seen where PC/SC is missing.
    """
    try:
        fido2_device.require_pcsc()
    except Unsupported:
        return {}
    from smartcard import scard

    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code != scard.SCARD_S_SUCCESS:
        return {}
    try:
        _, readers = scard.SCardListReaders(context, [])
        asked = [(reader, scard.SCARD_STATE_UNAWARE) for reader in readers]
        # UNAWARE is answered at once; without readers there is nobody to ask
        code, states = scard.SCardGetStatusChange(context, 0, asked) if asked else (0, [])
        if code != scard.SCARD_S_SUCCESS:
            return {}
        return {
            reader: _number(state) if state & scard.SCARD_STATE_PRESENT else None
            for reader, state, _ in states
        }
    finally:
        scard.SCardReleaseContext(context)


def _number(state: int) -> int:
    """Of comings and goings; a card that lay there when the service began has none behind it."""
    return (state >> 16) + 1
