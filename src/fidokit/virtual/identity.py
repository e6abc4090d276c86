"""What a virtual token is from its making to its end: serial, profile, presence, birthday."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """What is fixed when a token is made, and what a list of tokens shows.

    Args:
        serial: printable, unique for good; a reset keeps it.
        profile: which certified behavior the token shows, `ctap2.3` for our own.
        presence: the text of its presence policy, see `presence.PresencePolicy.parse`.
        created: seconds since 1970, UTC.
        model: the document of the certified model that it stands in for, as
            `models.Impersonation.text`; empty where the profile is one of our own.
    """

    serial: str
    profile: str
    presence: str
    created: int
    model: str = ""
