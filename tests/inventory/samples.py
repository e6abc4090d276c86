"""Keys and places for tests of the inventory."""

from __future__ import annotations

import base64

from tests.support.signers import ed25519_token

from fidokit.inventory.kept import (
    Inventory,
    KnownKey,
    KnownLoss,
    KnownPlace,
    KnownToken,
    PlaceKind,
    fingerprint_of,
)


def line_of(number: int, comment: str = "") -> str:
    """The public line of a key on a token, by number."""
    key = ed25519_token(number).public
    text = f"{key.type_name} {base64.b64encode(key.blob()).decode()}"
    return f"{text} {comment}" if comment else text


def key_of(number: int, comment: str = "", **more: str) -> KnownKey:
    """A key that is known, by number."""
    line = line_of(number, comment)
    return KnownKey(fingerprint_of(line), line, "ssh:", **more)


def full() -> Inventory:
    """An inventory with a row of each kind."""
    key, other = key_of(1, "me@laptop", token="usb:1", file="/k"), key_of(2, backup_of="")
    place = KnownPlace(PlaceKind.HOST, key.fingerprint, "web", "me", "", ("ssh", "-p", "22"), "/p")
    certificate = KnownPlace(
        PlaceKind.CERTIFICATE, key.fingerprint, "/k-cert.pub", "id",
        serial=(1 << 64) - 1, authority=other.fingerprint, line=line_of(3), seen=7,
    )  # fmt: skip
    return Inventory(
        (KnownToken("usb:1", "00" * 16, "A token"),),
        (key, other),
        (place, certificate),
        (KnownLoss(key.fingerprint, 1_700_000_000),),
    )
