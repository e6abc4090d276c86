"""What a running agent holds, whichever agent it is: its keys, and which of them are on tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError
from fidokit.openssh.certificates.certificate import Certificate, parse_key
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.system.host import listener_of

if TYPE_CHECKING:
    from fidokit.agent_client import AgentClient


@dataclass(frozen=True, slots=True)
class ServedKey:
    """A key that an agent shows.

    Attributes:
        fingerprint: SHA256; of a certificate, that of its key.
        comment: hostile text.
        type_label: as ssh-keygen names it, such as ED25519-SK or ED25519-SK-CERT; "" for a type
            that is not known here.
        application: of a key on a token; None for others. Hostile text.
        valid_before: seconds since 1970 until which a certificate is good; None for a plain key.
    """

    fingerprint: str
    comment: str
    type_label: str
    application: str | None = None
    valid_before: int | None = None

    @property
    def on_token(self) -> bool:
        """Whether the key is on a token, so that its use may ask for a touch or a PIN."""
        return self.application is not None


@dataclass(frozen=True, slots=True)
class AgentHoldings:
    """A running agent.

    Attributes:
        socket: where it listens.
        program: the name of the process that listens there, its own choice; "" if not known.
        keys: those that it shows; a locked agent shows none.
    """

    socket: str
    program: str
    keys: tuple[ServedKey, ...]


def agent_holdings(agent: AgentClient) -> AgentHoldings:
    """Ask an agent what it holds; changes nothing in it.

    Raises:
        FidokitError: it hung up, or does not speak its protocol.
        Malformed: it does not list its keys.
    """
    shown = agent.keys()
    keys = tuple(_served(blob, comment) for blob, comment in shown)
    return AgentHoldings(agent.path, listener_of(agent.path), keys)


def _served(blob: bytes, comment: str) -> ServedKey:
    try:
        held = parse_key(blob)
    except FidokitError:
        return ServedKey(sha256(blob), comment, "")
    certificate = held if isinstance(held, Certificate) else None
    key = held.public if isinstance(held, Certificate) else held
    return ServedKey(
        fingerprint=sha256(key.blob()),
        comment=comment,
        type_label=f"{key.short_type}-CERT" if certificate else key.short_type,
        application=key.application if isinstance(key, SkEd25519Public | SkEcdsaPublic) else None,
        valid_before=certificate.valid_before if certificate else None,
    )
