"""The form of a request as data: types are judged first (11), absence second (14).

A command's map has integer keys; maps inside it mostly have text keys. Unknown keys are ignored
(CTAP 2.3 section 8: they may come from a later version).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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


@dataclass(frozen=True, slots=True)
class Scalar:
    """One CBOR type by its exact Python class (bool is no int here)."""

    python: type

    def fits(self, value: object) -> bool:
        """Exact class only."""
        return type(value) is self.python

    def complete(self, value: Any) -> bool:  # noqa: ARG002  # nothing is inside
        """Always: nothing is inside."""
        return True


@dataclass(frozen=True, slots=True)
class Unsigned:
    """An integer of CBOR's major type 0."""

    def fits(self, value: object) -> bool:
        """A non-negative int."""
        return type(value) is int and value >= 0

    def complete(self, value: Any) -> bool:  # noqa: ARG002  # nothing is inside
        """Always: nothing is inside."""
        return True


@dataclass(frozen=True, slots=True)
class Anything:
    """A member that the handler judges itself, because not every model knows it."""

    def fits(self, value: object) -> bool:  # noqa: ARG002  # whatever it is
        """Always."""
        return True

    def complete(self, value: Any) -> bool:  # noqa: ARG002  # whatever it is
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array whose elements all have one type."""

    element: Kind

    def fits(self, value: object) -> bool:
        """A list of fitting elements."""
        return type(value) is list and all(map(self.element.fits, value))

    def complete(self, value: Any) -> bool:
        """Every element is complete."""
        return all(map(self.element.complete, value))


@dataclass(frozen=True, slots=True)
class MapValues:
    """A map of open keys with values of one type, such as options."""

    values: Kind

    def fits(self, value: object) -> bool:
        """A map of fitting values."""
        return type(value) is dict and all(map(self.values.fits, value.values()))

    def complete(self, value: Any) -> bool:
        """Every value is complete."""
        return all(map(self.values.complete, value.values()))


@dataclass(frozen=True, slots=True)
class Member:
    """One known member of a map.

    Args:
        name: how handlers call it.
        kind: its type.
        required: whether its absence is MISSING_PARAMETER.
    """

    name: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A map with known members by key; others are ignored."""

    members: Mapping[Any, Member]

    def _present(self, value: Mapping[Any, Any]) -> Iterator[tuple[Member, Any]]:
        return ((m, value[key]) for key, m in self.members.items() if key in value)

    def fits(self, value: object) -> bool:
        """A map whose known members fit."""
        return type(value) is dict and all(m.kind.fits(v) for m, v in self._present(value))

    def complete(self, value: Any) -> bool:
        """Required members are there, and those present are complete."""
        return all(key in value or not m.required for key, m in self.members.items()) and all(
            m.kind.complete(v) for m, v in self._present(value)
        )

    def named(self, value: Mapping[Any, Any]) -> Params:
        """The known members under their names; values inside stay as decoded."""
        return {m.name: v for m, v in self._present(value)}


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
