"""Where tokens are looked for: USB, card readers, and the virtual ones of this user.

`token` knows nothing of `virtual`; here the one is handed to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError
from fidokit.token.ports import Backend, Candidate, Link
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.virtual.identity import TokenIdentity


def all_backends() -> Sequence[Backend]:
    """Everything that this machine may reach a token by."""
    from fidokit.token.backends import HidBackend, PcscBackend

    return (HidBackend(who_holds=_holder), PcscBackend(), VirtualBackend())


def backends_for(selector: str | None) -> Sequence[Backend]:
    """Only those that can have the selected token: asking a card reader takes time.

    Args:
        selector: None or one whose first part names no transport means all.
    """
    backends = all_backends()
    kind = (selector or "").partition(":")[0]
    return [backend for backend in backends if backend.transport.value == kind] or backends


def _holder(node: str) -> str | None:
    from fidokit.system.hid import holders
    from fidokit.system.host import Host

    return ", ".join(holders(Host(), node)) or None


@dataclass(frozen=True, slots=True)
class VirtualBackend:
    """The virtual tokens under this user's state folder; opening one plugs it in, or shares it."""

    transport: Transport = Transport.VIRTUAL

    def candidates(self) -> Sequence[Candidate]:
        """One for each, whether or not another process has it plugged in."""
        from fidokit.virtual import registry

        try:
            return [_candidate(entry.name, entry.identity) for entry in registry.list_tokens()]
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


def _candidate(name: str, identity: TokenIdentity | None) -> Candidate:
    return Candidate(
        transport=Transport.VIRTUAL,
        path=name,
        product="fidokit virtual token",
        serial=identity.serial if identity else None,
        selector=f"virtual:{name}",
        durable=True,
        open=partial(_open, name),
    )


def _open(name: str) -> Link:
    from fidokit.virtual import sharing

    return sharing.open_link(name)
