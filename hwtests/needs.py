"""What tests need of token, person and options; the reason why they are skipped otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwtests.desk import Desk

from fidokit.types import KeyType

Reason = str | None
"""Why a need is not met; None where it is."""


def _ctap2(desk: Desk) -> Reason:
    return "the token speaks U2F alone" if desk.info.is_u2f_only else None


def _pin(desk: Desk) -> Reason:
    if desk.info.pin_set is None:
        return "the token has no PIN"
    if not desk.info.pin_set:
        return "no PIN is set, and one can only be taken back by a reset: give --allow-reset"
    return None if desk.person.pin else "the PIN is not known: give --pin-file"


def _resident(desk: Desk) -> Reason:
    if not desk.info.has_resident:
        return "the token stores no resident keys"
    if "credProtect" not in desk.info.extensions:
        return "the token has no credProtect, which resident SSH keys need"
    return None


def _verify(desk: Desk) -> Reason:
    return None if "credProtect" in desk.info.extensions else "the token has no credProtect"


def _listing(desk: Desk) -> Reason:
    return None if desk.info.has_cred_mgmt else "the token cannot list its keys"


def _renaming(desk: Desk) -> Reason:
    full = desk.info.has_cred_mgmt == "credMgmt"
    return None if full else "the token cannot rename its keys"


def _ed25519(desk: Desk) -> Reason:
    made = desk.info.supports(KeyType.ED25519_SK) is not False  # None: only the attempt shows it
    return None if made else "the token makes no ed25519-sk keys"


def _large_blobs(desk: Desk) -> Reason:
    info = desk.info
    if not info.has_large_blobs and "largeBlob" not in info.extensions:
        return "the token keeps no large blobs"
    return None


def _sensor(desk: Desk) -> Reason:
    return None if desk.info.has_bio_enrollment else "the token has no finger sensor"


def _always_uv(desk: Desk) -> Reason:
    return None if "alwaysUv" in desk.info.options else "the token has no alwaysUv"


def _min_length(desk: Desk) -> Reason:
    can = desk.info.options.get("setMinPINLength", False)
    return None if can else "the token's minimum PIN length cannot be set"


def _enterprise(desk: Desk) -> Reason:
    return None if "ep" in desk.info.options else "the token has no enterprise attestation"


def _erasing(desk: Desk) -> Reason:
    if desk.no_reset:
        return desk.no_reset
    return None if desk.allow_reset else "this changes the token for good: give --allow-reset"


def _replugging(desk: Desk) -> Reason:
    if desk.can_replug:
        return None
    return "nobody can unplug the token: sit at a terminal or give --hands"


NEEDS: Mapping[str, Callable[[Desk], Reason]] = {
    "ctap2": _ctap2,
    "pin": _pin,
    "resident": _resident,
    "verify": _verify,
    "listing": _listing,
    "renaming": _renaming,
    "ed25519": _ed25519,
    "large blobs": _large_blobs,
    "sensor": _sensor,
    "always uv": _always_uv,
    "min length": _min_length,
    "enterprise": _enterprise,
    "erasing": _erasing,
    "replugging": _replugging,
}


def unmet(desk: Desk, names: tuple[str, ...]) -> Reason:
    """The first reason why a test cannot run; None where it can."""
    reasons = (NEEDS[name](desk) for name in names)
    return next((reason for reason in reasons if reason), None)
