"""Where tokens are looked for: USB, card readers, and the virtual ones of this user.

`token` knows nothing of `virtual`; here the one is handed to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from fidokit.api.gestures import PROMPT, Gestures, PromptPerson
from fidokit.errors import FidokitError
from fidokit.token.ports import QUIET, Backend, Candidate, Interaction, Link
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.virtual.identity import TokenIdentity
    from fidokit.virtual.token import VirtualToken


def all_backends(interaction: Interaction = QUIET) -> Sequence[Backend]:
    """Everything that this machine may reach a token by.

    Args:
        interaction: who is asked for touches of virtual tokens, where it has `Gestures` too.
    """
    return [make(interaction) for make in _MAKERS.values()]


def _virtual(interaction: Interaction) -> Backend:
    return VirtualBackend(interaction if isinstance(interaction, Gestures) else None)


def _hid(_interaction: Interaction) -> Backend:
    from fidokit.token.backends import HidBackend

    return HidBackend(who_holds=_holder)


def _pcsc(_interaction: Interaction) -> Backend:
    from fidokit.token.backends import PcscBackend

    return PcscBackend()


def backends_for(selector: str | None, interaction: Interaction = QUIET) -> Sequence[Backend]:
    """Only those that can have the selected token: asking a card reader takes time.

    Args:
        selector: None or one whose first part names no transport means all.
        interaction: as `all_backends`.
    """
    make = _MAKERS.get((selector or "").partition(":")[0])
    return [make(interaction)] if make else all_backends(interaction)


def _holder(node: str) -> str | None:
    from fidokit.system.hid import holders
    from fidokit.system.host import Host

    return ", ".join(holders(Host(), node)) or None


@dataclass(frozen=True, slots=True)
class VirtualBackend:
    """The virtual tokens under this user's state folder; opening one plugs it in.

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
    from fidokit.virtual import registry

    return OwnedLink(registry.open_token(name))


def _open_prompting(name: str, asked: Gestures | None) -> Link:
    from fidokit.virtual import registry
    from fidokit.virtual.world import SystemClock

    person = PromptPerson(f"virtual:{name}", asked, SystemClock().now_ms)
    return OwnedLink(registry.open_token(name, presence=person))


class OwnedLink:
    """A link to a virtual token that pulls it out when it is closed."""

    def __init__(self, token: VirtualToken) -> None:
        self._token = token
        self._link = token.link()
        self.capabilities = self._link.capabilities
        self.cbor = self._link.cbor
        self.msg = self._link.msg
        self.wink = self._link.wink

    def close(self) -> None:
        """Close the link and let the next process have the token."""
        self._link.close()
        self._token.close()


_MAKERS: Final[Mapping[str, Callable[[Interaction], Backend]]] = {
    Transport.USB: _hid,
    Transport.PCSC: _pcsc,
    Transport.VIRTUAL: _virtual,
}
