"""A decoded answer of a token, read with suspicion: right type, sane size, or TokenMisbehaved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from fidokit.errors import TokenMisbehaved

Key = int | str
_T = TypeVar("_T")

MOST_ITEMS = 64
"""No list that we read from a token is longer in any specification or product."""
LONGEST_TEXT = 1024
"""Bytes of UTF-8; RP ids and user names are far shorter."""
LARGEST_UINT = 2**32 - 1
MISBEHAVIOR_HINT = "unplug the token, plug it in again and repeat; if it persists, it is faulty"


class Answer:
    """Typed readers over one decoded CBOR map.

    Args:
        members: the map as decoded; keys and values of any type.
        what: the answer's name for error messages, such as "getInfo answer".
    """

    __slots__ = ("_members", "_what")

    def __init__(self, members: Mapping[object, object], what: str) -> None:
        self._members = members
        self._what = what

    @classmethod
    def of(cls, value: object, what: str) -> Answer:
        """The map that `value` has to be.

        Raises:
            TokenMisbehaved: it is something else.
        """
        if not isinstance(value, Mapping):
            raise TokenMisbehaved(f"the {what} of the token is not a map", hint=MISBEHAVIOR_HINT)
        return cls(value, what)

    def __contains__(self, key: Key) -> bool:
        return key in self._members

    @property
    def is_empty(self) -> bool:
        """Whether it has no members at all: some tokens say so that a list is empty."""
        return not self._members

    def wrong(self, key: Key, why: str) -> TokenMisbehaved:
        """The error for a member that cannot be what it is."""
        name = f"0x{key:02x}" if isinstance(key, int) and key >= 0 else repr(key)
        return TokenMisbehaved(
            f"member {name} of the token's {self._what} {why}", hint=MISBEHAVIOR_HINT
        )

    def _get(self, key: Key, kind: type[_T]) -> _T | None:
        value = self._members.get(key)
        if value is None:
            return None
        # bool is an int to isinstance, and a lying token would get away with it
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(key, f"is {type(value).__name__}, not {kind.__name__}")
        return value

    def _need(self, key: Key, value: _T | None) -> _T:
        if value is None:
            raise self.wrong(key, "is missing")
        return value

    def optional_int(self, key: Key) -> int | None:
        """An integer within 32 bits and a sign, or None if the member is missing."""
        value = self._get(key, int)
        if value is not None and abs(value) > LARGEST_UINT:
            raise self.wrong(key, "is out of range")
        return value

    def integer(self, key: Key) -> int:
        """A required integer, as COSE has them: within 32 bits and a sign."""
        return self._need(key, self.optional_int(key))

    def optional_uint(self, key: Key) -> int | None:
        """An unsigned integer of at most 32 bits, or None if the member is missing."""
        value = self._get(key, int)
        if value is not None and not 0 <= value <= LARGEST_UINT:
            raise self.wrong(key, "is out of range")
        return value

    def uint(self, key: Key, default: int | None = None) -> int:
        """An unsigned integer of at most 32 bits; required unless `default` is given."""
        value = self.optional_uint(key)
        return self._need(key, default if value is None else value)

    def optional_flag(self, key: Key) -> bool | None:
        """A boolean, or None if the member is missing."""
        return self._get(key, bool)

    def flag(self, key: Key) -> bool:
        """A boolean, False if the member is missing."""
        return bool(self.optional_flag(key))

    def optional_bytes(self, key: Key, longest: int) -> bytes | None:
        """A byte string of at most `longest` bytes, or None if the member is missing."""
        value = self._get(key, bytes)
        if value is not None and len(value) > longest:
            raise self.wrong(key, f"has {len(value)} bytes, more than {longest}")
        return value

    def octets(self, key: Key, longest: int, shortest: int = 1) -> bytes:
        """A required byte string of `shortest` to `longest` bytes."""
        value = self._need(key, self.optional_bytes(key, longest))
        if len(value) < shortest:
            raise self.wrong(key, f"has {len(value)} bytes, fewer than {shortest}")
        return value

    def exactly(self, key: Key, size: int) -> bytes:
        """A required byte string of exactly `size` bytes."""
        return self.octets(key, longest=size, shortest=size)

    def optional_text(self, key: Key, longest: int = LONGEST_TEXT) -> str | None:
        """A text of at most `longest` bytes of UTF-8, or None if the member is missing."""
        value = self._get(key, str)
        if value is not None and len(value.encode("utf-8", "surrogatepass")) > longest:
            raise self.wrong(key, f"is a text of more than {longest} bytes")
        return value

    def text(self, key: Key, longest: int = LONGEST_TEXT) -> str:
        """A required text of at most `longest` bytes of UTF-8."""
        return self._need(key, self.optional_text(key, longest))

    def optional_map(self, key: Key) -> Answer | None:
        """A nested map, or None if the member is missing."""
        value = self._get(key, Mapping)  # type: ignore[type-abstract]
        return None if value is None else Answer(value, self._what)

    def member(self, key: Key) -> Answer:
        """A required nested map."""
        return self._need(key, self.optional_map(key))

    def raw_map(self, key: Key) -> Mapping[object, object]:
        """A required nested map, members unchecked; for COSE keys."""
        return self.member(key)._members  # of the same class

    def _list(self, key: Key) -> list[object] | None:
        value = self._get(key, list)
        if value is not None and len(value) > MOST_ITEMS:
            raise self.wrong(key, f"lists {len(value)} items, more than {MOST_ITEMS}")
        return value

    def texts(self, key: Key, *, required: bool = False) -> tuple[str, ...]:
        """A list of short texts; empty if the member is missing and not required."""
        items = self._list(key)
        if items is None and required:
            raise self.wrong(key, "is missing")
        found = tuple(item for item in items or () if isinstance(item, str) and len(item) <= 128)
        if len(found) != len(items or ()):
            raise self.wrong(key, "lists something else than short texts")
        return found

    def ints(self, key: Key) -> tuple[int, ...] | None:
        """A list of integers, or None if the member is missing."""
        items = self._list(key)
        if items is None:
            return None
        found = tuple(i for i in items if isinstance(i, int) and not isinstance(i, bool))
        if len(found) != len(items):
            raise self.wrong(key, "lists something else than integers")
        return found

    def octet_lists(self, key: Key, longest: int) -> tuple[bytes, ...]:
        """A list of byte strings of at most `longest` bytes; empty if the member is missing."""
        items = self._list(key) or []
        found = tuple(i for i in items if isinstance(i, bytes) and len(i) <= longest)
        if len(found) != len(items):
            raise self.wrong(key, "lists something else than byte strings")
        return found

    def maps(self, key: Key) -> tuple[Answer, ...]:
        """A list of maps; empty if the member is missing."""
        return tuple(Answer.of(item, self._what) for item in self._list(key) or ())

    def flags(self, key: Key) -> dict[str, bool]:
        """A map from short names to booleans; empty if the member is missing."""
        members = self.optional_map(key)
        found: dict[str, bool] = {}
        for name, value in (members._members if members else {}).items():
            if not isinstance(name, str) or not isinstance(value, bool) or len(found) > MOST_ITEMS:
                raise self.wrong(key, "is not a map of names to booleans")
            found[name] = value
        return found


def rubbish(why: str) -> TokenMisbehaved:
    """The error for an answer that is not valid; `why` is a clause about the token."""
    return TokenMisbehaved(f"the token sent an invalid response: {why}", hint=MISBEHAVIOR_HINT)
