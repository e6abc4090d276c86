"""What a quirk is: data, and at most a small hook at one of four seams.

The seams are the profile (with its `Behavior`), the request before the engine sees it, the answer
after the engine made it, and the attestation made with the token. A token without quirks has none
of this loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from fidokit import cbor
from fidokit.errors import MalformedCbor
from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.ports import DurableState
from fidokit.virtual.core.profile import Profile

Members: TypeAlias = dict[Any, Any]


class Asked:
    """The command that runs.

    Args:
        token: the powered token.
        request: command byte and CBOR.
        memory: what quirks keep until power is lost.
    """

    def __init__(self, token: TokenContext, request: bytes, memory: dict[str, int]) -> None:
        self.token = token
        self.memory = memory
        self._request = request

    @property
    def command(self) -> int:
        """The command byte; -1 for an empty request."""
        return self._request[0] if self._request else -1

    @cached_property
    def members(self) -> Members:
        """The request's map; empty if it is none."""
        try:
            value = cbor.decode(self._request[1:])
        except MalformedCbor:
            return {}
        return value if isinstance(value, dict) else {}

    def is_for(self, place: Place) -> bool:
        """Whether it is the command, and one of the subcommands, of a place."""
        if self.command not in place.commands:
            return False
        return not place.subcommands or self.members.get(place.member) in place.subcommands


class Place(NamedTuple):
    """Commands that a hook is for.

    Args:
        commands: their bytes.
        subcommands: of those; empty for all.
        member: of the request that has the subcommand.
    """

    commands: frozenset[int]
    subcommands: frozenset[int] = frozenset()
    member: int = 0x01


Before: TypeAlias = Callable[[Asked], CtapStatus | None]
"""A status in the engine's place; None lets the engine go on."""

After: TypeAlias = Callable[[Asked, bytes], bytes]
"""Another answer in place of the engine's."""

_HID: Final = "hid."
_NO_CHANGES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Quirk:
    """One departure.

    Args:
        name: what `--quirk` calls it.
        effect: what a client sees, in one sentence without its subject.
        shown_by: keys of `FIRMWARES` that were seen to do so.
        text: the clause of CTAP that it departs from, or that leaves it open.
        behavior: fields of `Behavior` with the value that the quirk gives them; those of its
            `HidManners` under "hid." and their name.
        profile: makes another profile of one.
        before: judges requests.
        after: changes answers.
        u2f_refused: whether U2F messages are refused now.
        made: changes the state of a token that is made.
        excludes: names of quirks that cannot be had together with this one, besides those that give
            the same field of `Behavior` another value.
    """

    name: str
    effect: str
    shown_by: tuple[str, ...]
    text: str
    behavior: Mapping[str, Any] = field(default_factory=lambda: _NO_CHANGES)
    profile: Callable[[Profile], Profile] | None = None
    before: Before | None = None
    after: After | None = None
    u2f_refused: Callable[[TokenContext], bool] | None = None
    made: Callable[[DurableState], DurableState] | None = None
    excludes: frozenset[str] = frozenset()

    def conflicts(self, other: Quirk) -> bool:
        """Whether no token can have both."""
        shared = self.behavior.keys() & other.behavior.keys()
        differs = any(self.behavior[name] != other.behavior[name] for name in shared)
        return differs or other.name in self.excludes or self.name in other.excludes

    def on(self, profile: Profile) -> Profile:
        """The profile of a model that has this quirk."""
        changed = self.profile(profile) if self.profile else profile
        own = {name: value for name, value in self.behavior.items() if "." not in name}
        framing = {
            name.removeprefix(_HID): value
            for name, value in self.behavior.items()
            if name.startswith(_HID)
        }
        hid = replace(changed.behavior.hid, **framing)
        return replace(changed, behavior=replace(changed.behavior, **own, hid=hid))


def rewriting(place: Place, change: Callable[[Asked, Members], None]) -> After:
    """A hook that changes the members of good answers.

    Args:
        place: which commands.
        change: changes the reply's map in place.
    """

    def after(asked: Asked, answer: bytes) -> bytes:
        members = opened(answer) if asked.is_for(place) else None
        if members is None:
            return answer
        change(asked, members)
        return answer[:1] + cbor.encode(members)

    return after


def opened(answer: bytes) -> Members | None:
    """The map of a good answer; None if there is none."""
    if answer[:1] != b"\0" or len(answer) < 2:
        return None
    members = cbor.decode(answer[1:], max_depth=8)
    return members if isinstance(members, dict) else None


def refusing(place: Place, status: CtapStatus) -> Before:
    """A hook that refuses commands."""
    return lambda asked: status if asked.is_for(place) else None
