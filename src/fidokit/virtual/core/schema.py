"""The form of a request as data: types are judged first (11), absence second (14).

A command's map has integer keys; maps inside it mostly have text keys. Unknown keys are ignored
(CTAP 2.3 section 8: they may come from a later version).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from fidokit.types import CtapStatus
from fidokit.virtual.core.ports import CtapRejection

Params = Mapping[str, Any]
"""A checked request: member names to values of the declared types; absent ones are absent."""


class Kind(Protocol):
    """A type that a member may have."""

    def fits(self, value: object) -> bool:
        """Whether the value, and all inside it that is known, has this type."""
        ...

    def complete(self, value: Any) -> bool:
        """Whether a value that fits has all required members inside."""
        ...


class Flat:
    """A type with nothing inside that could be absent."""

    __slots__ = ()

    def complete(self, value: Any) -> bool:  # noqa: ARG002  # nothing is inside
        """Always."""
        return True


class Scalar(Flat):
    """One CBOR type by its exact Python class (bool is no int here)."""

    __slots__ = ("_python",)

    def __init__(self, python: type) -> None:
        self._python = python

    def fits(self, value: object) -> bool:
        """Exact class only."""
        return type(value) is self._python


class Unsigned(Flat):
    """An integer of CBOR's major type 0."""

    __slots__ = ()

    def fits(self, value: object) -> bool:
        """A non-negative int."""
        return type(value) is int and value >= 0


class Anything(Flat):
    """A member that the handler judges itself, because not every model knows it."""

    __slots__ = ()

    def fits(self, value: object) -> bool:  # noqa: ARG002  # whatever it is
        """Always."""
        return True


class ListOf(NamedTuple):
    """An array whose elements all have one type."""

    element: Kind

    def fits(self, value: object) -> bool:
        """A list of fitting elements."""
        return type(value) is list and all(map(self.element.fits, value))

    def complete(self, value: Any) -> bool:
        """Every element is complete."""
        return all(map(self.element.complete, value))


class MapValues(NamedTuple):
    """A map of open keys with values of one type, such as options."""

    values: Kind

    def fits(self, value: object) -> bool:
        """A map of fitting values."""
        return type(value) is dict and all(map(self.values.fits, value.values()))

    def complete(self, value: Any) -> bool:
        """Every value is complete."""
        return all(map(self.values.complete, value.values()))


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

    __slots__ = ("_fits", "_names", "_nested", "_required", "members")

    def __init__(self, members: Mapping[Any, Member]) -> None:
        self.members: Mapping[Any, Member] = dict(members)
        self._fits = {key: m.kind.fits for key, m in self.members.items()}
        self._names = {key: m.name for key, m in self.members.items()}
        self._required = frozenset(key for key, m in self.members.items() if m.required)
        self._nested = [
            (key, m.kind) for key, m in self.members.items() if not isinstance(m.kind, Flat)
        ]

    def fits(self, value: object) -> bool:
        """A map whose known members fit."""
        if type(value) is not dict:
            return False
        judges = self._fits
        for key, inner in value.items():  # noqa: SIM110  # a generator costs more than the walk
            if key in judges and not judges[key](inner):
                return False
        return True

    def complete(self, value: Any) -> bool:
        """Required members are there, and those present are complete."""
        if not self._required <= value.keys():
            return False
        for key, kind in self._nested:
            if key in value and not kind.complete(value[key]):
                return False
        return True

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


def check(record: Record, value: Any) -> Params:
    """A request, or the inner map of one, judged and named.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE for any wrong type, then MISSING_PARAMETER for any
            required member that is absent, at every depth (CTAP 2.3 sections 6 and 8).
    """
    if not record.fits(value):
        raise CtapRejection(CtapStatus.CBOR_UNEXPECTED_TYPE)
    if not record.complete(value):
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)
    return record.named(value)
