"""What is read tolerantly from tokens, and what never is: the one place, and the names of both.

Firmware departs from CTAP's text in small ways that do no harm: members out of order, a courtesy
left out. Such an answer is read, the departure is noted once by its name, and `fidokit token info`
and `fidokit doctor` show it. What safety rests on is never read tolerantly: see `NEVER`.
`docs/tolerance.md` is the page for users.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Departure(NamedTuple):
    """One way in which a firmware departs from CTAP's text, and what fidokit does about it.

    Args:
        sentence: what the token does, as a clause behind "the token".
        remedy: what fidokit does instead of failing.
        clause: where CTAP 2.3 says otherwise.
    """

    sentence: str
    remedy: str
    clause: str


CBOR_ORDER: Final = "cbor-order"
CBOR_LENGTH: Final = "cbor-length"
ALGORITHMS_UNTOLD: Final = "algorithms-untold"
ALGORITHM_TYPE: Final = "algorithm-type"
GET_INFO_REFUSED: Final = "getinfo-refused"
EMPTY_LIST: Final = "empty-list"
PROOF_DIED: Final = "proof-died"
PIN_LOCK_KEPT: Final = "pin-lock-kept"
ALWAYS_UV_IDLE: Final = "always-uv-idle"
BLOB_KEY_UNLISTED: Final = "blob-key-unlisted"
TOUCH_NOTICE: Final = "touch-notice"
NAMES_CUT: Final = "names-cut"
RP_ID_CUT: Final = "rp-id-cut"
MADE_UP_ASSERTION: Final = "made-up-assertion"
DELETED_KEY_SIGNS: Final = "deleted-key-signs"

DEPARTURES: Final[Mapping[str, Departure]] = MappingProxyType(
    {
        CBOR_ORDER: Departure(
            "sends maps whose keys are out of order", "they are read in any order", "8"
        ),
        CBOR_LENGTH: Departure(
            "sends numbers or lengths in a longer form than needed",
            "they are read anyway",
            "8",
        ),
        ALGORITHMS_UNTOLD: Departure(
            "does not tell which key types it makes",
            "ed25519-sk and ecdsa-sk are both offered, and what the token makes is taken",
            "6.4",
        ),
        ALGORITHM_TYPE: Departure(
            "lists algorithms without their type", "they are taken for public keys", "6.4"
        ),
        GET_INFO_REFUSED: Departure(
            "claims FIDO2 and refuses to describe itself", "it is used as a U2F token", "6.4"
        ),
        EMPTY_LIST: Departure(
            "answers success where it has nothing to list", "the list is empty", "6.8.3"
        ),
        PROOF_DIED: Departure(
            "forgets a PIN that was proved before it is used up",
            "the PIN is asked for again",
            "6.5.2",
        ),
        PIN_LOCK_KEPT: Departure(
            "still asks to be unplugged after it was plugged in again",
            "the PIN is sent, and the token decides",
            "6.5.5.2",
        ),
        ALWAYS_UV_IDLE: Departure(
            "shows always-uv as on and does not enforce it",
            "the PIN is asked for only where the token demands it",
            "7.2",
        ),
        BLOB_KEY_UNLISTED: Departure(
            "leaves the key of a blob out of its lists", "it is asked for by a touch", "6.8.4"
        ),
        TOUCH_NOTICE: Departure(
            "asks for a touch that it does not need", "no touch notice is shown", "6.2.2"
        ),
        NAMES_CUT: Departure(
            "shortens or drops the names stored with a key", "what it kept is shown", "6.1.1"
        ),
        RP_ID_CUT: Departure(
            "shortens applications, as CTAP allows",
            "its key is found by the whole application: `fidokit key delete ssh:NAME`, "
            "`--application ssh:NAME`",
            "6.8.7",
        ),
        MADE_UP_ASSERTION: Departure(
            "sends a made-up signature where it wants the PIN",
            "the PIN is proved and the token is asked again",
            "7.2.1",
        ),
        DELETED_KEY_SIGNS: Departure(
            "still signs with the file of a key that was deleted from it",
            "`fidokit key delete` says so; only a reset ends it",
            "6.8.5",
        ),
    }
)
"""Every departure that is noted, by a name that stays."""

NEVER: Final = (
    "a key twice in one map",
    "bytes behind an answer",
    "a member of another type or of an impossible size",
    "a signature that does not verify",
    "an answer for another application (rpIdHash)",
    "a signature without the touch, or without the PIN or finger, that was asked for (flags)",
    "a key with less protection than was asked for (credProtect)",
    "anything done without the consent of the user",
)
"""What is never read tolerantly."""


class Departed(NamedTuple):
    """A departure that a token has shown: its name, and what it does and fidokit does about it."""

    name: str
    sentence: str


def departed(name: str) -> Departed:
    """A departure of `DEPARTURES` with its sentence."""
    return Departed(name, f"{DEPARTURES[name].sentence}; {DEPARTURES[name].remedy}")


class Notes:
    """The departures that one open token has shown, in the order in which they were met.

    Attributes:
        model: AAGUID and firmware version of the token; empty before it told, and without AAGUID.
    """

    def __init__(self) -> None:
        self.model = ""
        self._names: dict[str, None] = {}

    def note(self, name: str) -> None:
        """Remember a departure; a second time changes nothing."""
        self._names.setdefault(name)

    @property
    def found(self) -> tuple[Departed, ...]:
        """What was met so far, each with a sentence for the user."""
        return tuple(map(departed, self._names))

    @property
    def names(self) -> tuple[str, ...]:
        """What was met so far, keys of `DEPARTURES`."""
        return tuple(self._names)
