"""The form of a request as data: types are judged first (11), absence second (14).

A command's map has integer keys; maps inside it mostly have text keys. Unknown keys are ignored
(CTAP 2.3 section 8: they may come from a later version).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from fidokit.types import CtapStatus
from fidokit.virtual.core.ports import CtapRejection

Params = Mapping[str, Any]
"""A checked request: member names to values of the declared types; absent ones are absent."""


FITS: Final = 0
LACKS_INSIDE: Final = 1
LACKS: Final = 2
WRONG: Final = 3
"""What a value comes to; the greatest of all that is inside it counts."""


class Kind(Protocol):
    """A type that a member may have."""

    def judge(self, value: object) -> int:  # whatever it is
        """WRONG where the value, or anything known inside it, is of another type; LACKS where it
        is not, and a required member of it is absent, LACKS_INSIDE where one of a map inside is;
        FITS otherwise."""
        ...


class Scalar:
    """One CBOR type by its exact Python class (bool is not an int here)."""

    __slots__ = ("_python",)

    def __init__(self, python: type) -> None:
        self._python = python

    def judge(self, value: object) -> int:  # whatever it is
        """FITS for a value of exactly this class."""
        return FITS if type(value) is self._python else WRONG


class Unsigned:
    """An integer of CBOR's major type 0."""

    __slots__ = ()

    def judge(self, value: object) -> int:  # whatever it is
        """FITS for an int that is not negative."""
        return FITS if type(value) is int and value >= 0 else WRONG


class Anything:
    """A member that the handler judges itself, because not every model knows it."""

    __slots__ = ()

    def judge(self, value: object) -> int:  # noqa: ARG002  # whatever it is
        """FITS for whatever it is."""
        return FITS


class ListOf(NamedTuple):
    """An array whose elements all have one type."""

    element: Kind

    def judge(self, value: object) -> int:  # whatever it is
        """A list of fitting elements."""
        if type(value) is not list:
            return WRONG
        return max(map(self.element.judge, value), default=FITS)


class Member(NamedTuple):
    """One known member of a map.

    Args:
        name: how handlers call it.
        kind: its type.
        required: whether its absence is MISSING_PARAMETER.
    """

    name: str
    kind: Kind
    required: bool = False


class Record:
    """A map with known members by key; others are ignored.

    Every command passes here, so a map is walked by what is in it, not by what could be: that is a
    third of the time. A key is an int, a text or bytes exactly, as CBOR has them.

    Args:
        members: by key.
    """

    __slots__ = ("_judges", "_names", "_required", "members")

    def __init__(self, members: Mapping[Any, Member]) -> None:
        self.members: Mapping[Any, Member] = dict(members)
        self._judges = {key: m.kind.judge for key, m in self.members.items()}
        self._names = {key: m.name for key, m in self.members.items()}
        self._required = frozenset(key for key, m in self.members.items() if m.required)

    def judge(self, value: object) -> int:  # whatever it is
        """A map whose known members fit, and that has the required ones."""
        if type(value) is not dict:
            return WRONG
        judges = self._judges
        worst = FITS if self._required <= value.keys() else LACKS
        for key, inner in value.items():
            if key in judges and (verdict := judges[key](inner)):
                if verdict == WRONG:
                    return WRONG
                worst = max(worst, LACKS_INSIDE)
        return worst

    def named(self, value: Mapping[Any, Any]) -> Params:
        """The known members under their names; values inside stay as decoded."""
        names = self._names
        return {names[key]: inner for key, inner in value.items() if key in names}


BYTES = Scalar(bytes)
TEXT = Scalar(str)
BOOL = Scalar(bool)
INT = Scalar(int)
UINT = Unsigned()
ANYTHING = Anything()
ARRAY = Scalar(list)
MAP = Scalar(dict)

DESCRIPTOR = Record({"type": Member("type", TEXT, True), "id": Member("id", BYTES, True)})
"""A PublicKeyCredentialDescriptor; its transports are not looked at (MC-12)."""

USER = Record(
    {
        "id": Member("id", BYTES, True),
        "name": Member("name", TEXT),
        "displayName": Member("displayName", TEXT),
    }
)
"""A PublicKeyCredentialUserEntity; icon, of CTAP 2.0, is ignored."""


OPTIONS = Record({name: Member(name, BOOL) for name in ("rk", "up", "uv")})
"""Of makeCredential and getAssertion; unknown ones are as absent (CTAP 2.3 section 6.1.2)."""


def check(
    record: Record, value: Any, lacking_inside: CtapStatus = CtapStatus.MISSING_PARAMETER
) -> Params:
    """A request, or the inner map of one, judged and named.

    Args:
        record: its form.
        value: as decoded.
        lacking_inside: the status where a map inside lacks a member that it must have.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE for any wrong type, then MISSING_PARAMETER for a
            required member that is absent, then `lacking_inside` (CTAP 2.3 sections 6 and 8).
    """
    verdict = record.judge(value)
    if verdict == WRONG:
        raise CtapRejection(CtapStatus.CBOR_UNEXPECTED_TYPE)
    if verdict:
        raise CtapRejection(CtapStatus.MISSING_PARAMETER if verdict == LACKS else lacking_inside)
    return record.named(value)
