"""Fingers on a token's sensor: list, enroll, rename, delete, and choosing one by what is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from fidokit.client.owner.bio import Fingerprint, Sample
from fidokit.errors import NotStored, UsageError

if TYPE_CHECKING:
    from fidokit.client.session import Session

__all__ = [
    "Fingerprint",
    "Sample",
    "delete_fingerprint",
    "enroll_fingerprint",
    "list_fingerprints",
    "rename_fingerprint",
    "resolve_fingerprint",
]

MIN_HEX: Final = 2
"""Hexadecimal digits of an id that are not taken for a name."""


def list_fingerprints(session: Session) -> list[Fingerprint]:
    """The enrolled fingers.

    Raises:
        Unsupported: the token has no sensor; PinNotSet, PinError: about the PIN.
    """
    from fidokit.client.owner import bio

    return bio.list_fingerprints(session)


def enroll_fingerprint(
    session: Session, name: str = "", progress: Callable[[Sample], None] = lambda _sample: None
) -> Fingerprint:
    """Enroll a finger; Ctrl-C and every error are told to the token, which then forgets it.

    Args:
        name: what to call it; as long as the token takes, empty for none.
        progress: hears what became of each sample, and how many are still wanted.

    Raises:
        StoreFull, TouchTimedOut, TouchRefused, UsageError (the name), Interrupted.
        Unsupported, PinNotSet, PinError: as `list_fingerprints`.
    """
    from fidokit.client.owner import bio

    return bio.enroll(session, name, progress)


def rename_fingerprint(session: Session, fingerprint: Fingerprint, name: str) -> Fingerprint:
    """Give a finger another name. Raises as `enroll_fingerprint`, and NotStored."""
    from fidokit.client.owner import bio

    return bio.rename(session, fingerprint, name)


def delete_fingerprint(session: Session, fingerprint: Fingerprint) -> None:
    """Forget a finger. Raises as `list_fingerprints`, and NotStored."""
    from fidokit.client.owner import bio

    bio.delete(session, fingerprint)


def resolve_fingerprint(selector: str, fingerprints: Sequence[Fingerprint]) -> Fingerprint:
    """The one finger of that name, or with an id that begins so.

    Raises:
        NotStored: none fits; UsageError: several do.
    """
    found = [finger for finger in fingerprints if finger.name == selector != ""]
    if not found and len(selector) >= MIN_HEX:
        start = selector.lower()
        found = [finger for finger in fingerprints if finger.template_id.hex().startswith(start)]
    if not found:
        raise NotStored(
            f"no fingerprint fits {selector!r}", hint="`fidokit bio list` shows what there is"
        )
    if len(found) > 1:
        ids = ", ".join(finger.template_id.hex() for finger in found)
        raise UsageError(
            f"{selector!r} fits {len(found)} fingerprints", hint=f"name one by its id: {ids}"
        )
    return found[0]
