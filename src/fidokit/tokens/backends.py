"""Where tokens are looked for: USB, card readers, and the virtual ones of this user.

`token` knows nothing of `virtual`; here the one is handed to the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.client.ports import QUIET, Backend, Candidate, Interaction, Link
from fidokit.errors import FidokitError, TokenGone
from fidokit.types import Transport
from fidokit.virtual.gestures import PROMPT, Gestures, PromptPerson

if TYPE_CHECKING:
    from fidokit.virtual.store.schema import TokenIdentity


def all_backends(interaction: Interaction = QUIET) -> Sequence[Backend]:
    """Everything that this machine may reach a token by.

    Args:
        interaction: who is asked for touches of virtual tokens, where it has `Gestures` too.
    """
    return [make(interaction) for make in _MAKERS.values()]


def _virtual(interaction: Interaction) -> Backend:
    return VirtualBackend(interaction if isinstance(interaction, Gestures) else None)


def _hid(_interaction: Interaction) -> Backend:
    from fidokit.client.links.backends import HidBackend

    return HidBackend(who_holds=_holder)


def _pcsc(_interaction: Interaction) -> Backend:
    from fidokit.client.links.backends import PcscBackend

    return PcscBackend()


def backends_for(selector: str | None, interaction: Interaction = QUIET) -> Sequence[Backend]:
    """Only those that can have the selected token: asking a card reader takes time.

    Args:
        selector: None or one whose first part names no transport means all.
        interaction: as `all_backends`.
    """
    kind, _, value = (selector or "").partition(":")
    if kind == Transport.SOCKET:
        return [SocketBackend(value)]
    make = _MAKERS.get(kind)
    return [make(interaction)] if make else all_backends(interaction)


def _holder(node: str) -> str | None:
    from fidokit.system.hid import holders
    from fidokit.system.host import Host

    return ", ".join(holders(Host(), node)) or None


class VirtualBackend(NamedTuple):
    """The virtual tokens under this user's state folder; opening one plugs it in, or shares it.

    Args:
        asked: who is asked for touches of tokens with presence `prompt`; None for nobody.
    """

    asked: Gestures | None = None
    transport: Transport = Transport.VIRTUAL

    def candidates(self) -> Sequence[Candidate]:
        """One for each, whether or not another process has it plugged in."""
        from fidokit.virtual import registry

        try:
            found = registry.list_tokens()
            return [_candidate(entry.name, entry.identity, self.asked) for entry in found]
        except FidokitError:
            return []

    def problem(self) -> str | None:
        """Why the state folder cannot be read."""
        from fidokit.virtual import registry

        try:
            registry.list_tokens()
        except FidokitError as error:
            return error.message
        return None


class SocketBackend(NamedTuple):
    """The virtual token that somebody serves at a socket, for who names it.

    Args:
        path: as `fidokit virtual serve --socket` got it, or where a container has it; `~` is home.
    """

    path: str
    transport: Transport = Transport.SOCKET

    def candidates(self) -> Sequence[Candidate]:
        """One, where there is a socket."""
        if not self._place.is_socket():
            return []
        return [
            Candidate(
                transport=Transport.SOCKET,
                path=self.path,
                product="fidokit virtual token",
                serial=None,
                selector=f"socket:{self.path}",
                durable=False,
                open=self._open,
            )
        ]

    @property
    def _place(self) -> Path:
        return Path(os.path.expanduser(self.path))  # noqa: PTH111  a text that may be anything

    def problem(self) -> str | None:
        """A missing socket is no problem of the way as a whole."""
        return None

    def _open(self) -> Link:
        from fidokit.virtual.transports.socket import connect_at

        link = connect_at(self._place)
        if link is None:
            raise TokenGone(
                f"nobody serves a token at {self.path}",
                hint="start it: fidokit virtual serve NAME --socket PATH",
            )
        return link


def _candidate(name: str, identity: TokenIdentity | None, asked: Gestures | None) -> Candidate:
    prompts = identity is not None and identity.presence == PROMPT
    return Candidate(
        transport=Transport.VIRTUAL,
        path=name,
        product="fidokit virtual token",
        serial=identity.serial if identity else None,
        selector=f"virtual:{name}",
        durable=True,
        open=partial(_open_prompting, name, asked) if prompts else partial(_open, name),
    )


def _open(name: str) -> Link:
    from fidokit.virtual import shared

    return shared.open_link(name)


def _open_prompting(name: str, asked: Gestures | None) -> Link:
    from fidokit.virtual import shared
    from fidokit.virtual.world import SystemClock

    person = PromptPerson(f"virtual:{name}", asked, SystemClock().now_ms)
    return shared.open_link(name, presence=person)


_MAKERS: Final[Mapping[str, Callable[[Interaction], Backend]]] = {
    Transport.USB: _hid,
    Transport.PCSC: _pcsc,
    Transport.VIRTUAL: _virtual,
}
