"""What a user of fidokit sees of each quirk: the steps of a life that fail, and what is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

UNSUPPORTED, OTHER = 8, 1

_RESIDENT_AND_PIN = (
    "set the PIN",
    "list an empty token",
    "make a resident key",
    "make another",
    "make a third",
    "list them",
    "download",
    "rename",
    "delete two",
    "delete by application",
    "list what is left",
    "change the PIN",
    "always-uv on",
    "reset",
)


class Seen(NamedTuple):
    """What is seen of a quirk.

    Args:
        note: for docs/quirks.md.
        failed: steps of `life.LIFE` that do not succeed, with their exit status.
        step: whose output has `said`.
        said: words that the user reads there.
    """

    note: str
    failed: Mapping[str, int] = {}
    step: str = ""
    said: str = ""


NOTHING = Seen("nothing: every step works")

SEEN: Mapping[str, Seen] = {
    "algorithms-untold": Seen(
        "`token info` names it (`algorithms-untold`); keys are made without `-t`",
        step="info",
        said="algorithms-untold",
    ),
    "always-uv-toggle-ignored": Seen(
        "`config always-uv` says that the setting did not take",
        {"always-uv on": OTHER},
        "always-uv on",
        "did not apply it",
    ),
    "cred-protect-untrue": Seen(
        "a downloaded Ed25519 key that needs the PIN lacks the flag for it; the rest works"
    ),
    "display-name-dropped": Seen(
        "comments are not kept; `key rename` says that the name did not take",
        {"rename": OTHER},
        "rename",
        "did not apply it",
    ),
    "long-display-names-lost": Seen("comments of more than 32 bytes are not kept"),
    "deleted-keys-sign": Seen(
        "`key delete` warns that the file of the key still signs", step="delete two", said="Beware"
    ),
    "made-up-assertion": Seen(
        "the first signature after a replug asks for the PIN, and two touches"
    ),
    "info-refused": Seen(
        "the token is used as a U2F token: ecdsa-sk keys that are not resident, and no PIN",
        {**dict.fromkeys(_RESIDENT_AND_PIN, UNSUPPORTED), "sign by a resident key": OTHER},
        "set the PIN",
        "cannot have a PIN",
    ),
    "no-ed25519": Seen("keys are ecdsa-sk", step="make a key", said="sk-ecdsa-sha2"),
    "no-remaining-count": Seen("the number of keys that still fit is unknown"),
    "no-user-update": Seen(
        "`key rename` says that the token cannot", {"rename": UNSUPPORTED}, "rename", "renaming"
    ),
    "rp-ids-cut-at-32": Seen(
        "a warning before the touch; `--application` finds the key",
        step="make a resident key",
        said="a token may keep 32",
    ),
    "rp-ids-cut-at-48": Seen(
        "a warning before the touch; `--application` finds the key",
        step="make a resident key",
        said="a token may keep 32",
    ),
    "unsorted-options": Seen(
        "`token info` names it (`cbor-order`); every step works", step="info", said="cbor-order"
    ),
    "touch-before-no-credentials": Seen("a touch is asked for before a foreign key is refused"),
    "pin-block-blocks-all": Seen("once the PIN is blocked, U2F and keys without PIN fail, too"),
    "digit-pins": Seen("a PIN of letters is refused by the token's policy"),
    "always-uv-not-enforced": Seen(
        "signatures under always-uv ask for no PIN; `token info` names it"
    ),
    "pin-turns-on-always-uv": Seen("signatures ask for the PIN once one is set"),
    "reset-comes-first": Seen(
        "`token reset` asks to unplug the token a second time", step="reset", said="first command"
    ),
    "init-unheard-when-busy": Seen("another program is waited for in silence"),
}
"""By quirk; those that are not here are as `NOTHING`."""


def seen_of(name: str) -> Seen:
    """What is seen of one quirk."""
    return SEEN.get(name, NOTHING)
