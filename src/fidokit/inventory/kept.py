"""What is kept of tokens, keys, and who knows them: public facts alone, as values and as JSON."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from fidokit.errors import MalformedFile
from fidokit.types import Word

SCHEMA: Final = 1
MOST_ROWS: Final = 100_000
"""Of each kind: more is refused, so that no report of a hostile host fills the disk."""

MOST_TEXT: Final = 2048
"""Signs of a text; a public line has some 200."""

MOST_LINE: Final = 1 << 15
"""Signs of a public line or a certificate."""

_PRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_FUTURE: Final = 1 << 40
_MOST_WORDS: Final = 64
R = TypeVar("R")


class PlaceKind(Word):
    """Who knows a key."""

    HOST = "host"
    FORGE = "forge"
    CERTIFICATE = "certificate"
    SIGNERS = "signers"


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token that was seen.

    Attributes:
        id: its durable selector, such as `usb:123`.
        model: its AAGUID; empty if unknown.
        name: what it is called; hostile text.
    """

    id: str
    model: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that was seen.

    Attributes:
        fingerprint: `SHA256:...`.
        line: its public line; empty if only the fingerprint is known.
        application: such as `ssh:`; empty if unknown.
        token: the id of the token that holds it; empty if unknown.
        backup_of: the fingerprint of the key that it is the backup of; empty for none.
        file: its private file, or its public one; empty if unknown.
    """

    fingerprint: str
    line: str = ""
    application: str = ""
    token: str = ""
    backup_of: str = ""
    file: str = ""

    @property
    def blob(self) -> bytes:
        """The public key in OpenSSH's form; empty if only the fingerprint is known."""
        return b64decode(self.line.split(" ")[1]) if self.line else b""

    @property
    def comment(self) -> str:
        """The comment of the public line; hostile text."""
        return " ".join(self.line.split(" ")[2:])


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """Who knows a key.

    Attributes:
        kind: see `PlaceKind`.
        key: the fingerprint.
        where: of a host its destination, as ssh takes it (empty for this machine); of a forge `gh`
            or `gl`; of a certificate and of signers the file.
        account: of a host the user, if it is another than the destination's; of a forge the
            account; of signers the principals; of a certificate its key ID.
        use: of a forge `login` or `signing`.
        ssh: of a host the words that reach it, such as `ssh -p 2222`.
        path: of a host the file with the key, if it is not found by asking sshd there.
        serial: of a certificate.
        authority: of a certificate the fingerprint of the key that signed it.
        line: of a certificate its public line.
        seen: when it was seen last, seconds since 1970.
    """

    kind: PlaceKind
    key: str
    where: str = ""
    account: str = ""
    use: str = ""
    ssh: tuple[str, ...] = ()
    path: str = ""
    serial: int = 0
    authority: str = ""
    line: str = field(default="", repr=False)
    seen: int = 0

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells this place from others."""
        return (
            *(self.kind, self.key, self.where, self.account, self.use, self.ssh, self.path),
            *(self.serial, self.authority),
        )


@dataclass(frozen=True, slots=True)
class KnownLoss:
    """A key that was lost with its token.

    Attributes:
        key: the fingerprint.
        since: signatures by the key count until then, seconds since 1970.
    """

    key: str
    since: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that is kept; texts are hostile."""

    tokens: tuple[KnownToken, ...] = ()
    keys: tuple[KnownKey, ...] = ()
    places: tuple[KnownPlace, ...] = ()
    losses: tuple[KnownLoss, ...] = ()

    def key(self, fingerprint: str) -> KnownKey | None:
        """What is known of a key."""
        return next((one for one in self.keys if one.fingerprint == fingerprint), None)

    def token(self, identifier: str) -> KnownToken | None:
        """What is known of a token."""
        return next((one for one in self.tokens if one.id == identifier), None)

    def loss(self, fingerprint: str) -> KnownLoss | None:
        """When a key was lost; None if it was not."""
        return next((one for one in self.losses if one.key == fingerprint), None)

    def places_of(self, prints: Iterable[str]) -> list[KnownPlace]:
        """Who knows any of these keys."""
        wanted = frozenset(prints)
        return [place for place in self.places if place.key in wanted]

    def with_facts(
        self,
        tokens: Iterable[KnownToken] = (),
        keys: Iterable[KnownKey] = (),
        places: Iterable[KnownPlace] = (),
        losses: Iterable[KnownLoss] = (),
    ) -> Inventory:
        """With more facts: what is new is added, and what is known gets what was unknown of it."""
        return Inventory(
            tuple(_joined(self.tokens, tokens, lambda one: one.id)),
            tuple(_joined(self.keys, keys, lambda one: one.fingerprint)),
            tuple(_joined(self.places, places, lambda one: one.identity)),
            tuple({one.key: one for one in (*losses, *self.losses)}.values()),
        )


def _joined(old: Iterable[R], new: Iterable[R], name: Callable[[R], object]) -> Iterable[R]:
    found = {name(one): one for one in old}
    for one in new:
        before = found.get(name(one))
        found[name(one)] = one if before is None else _merged(before, one)
    return found.values()


def _merged(old: Any, new: Any) -> Any:
    """The new row; what it does not tell, a comment too, is as the old one has it."""
    unsaid = {one.name: getattr(old, one.name) for one in fields(new) if not getattr(new, one.name)}
    if isinstance(new, KnownKey) and new.line and not new.comment:
        unsaid["line"] = old.line or new.line
    return replace(new, **unsaid)


# --- public lines ----------------------------------------------------------------------------


def fingerprint_of(line: str) -> str:
    """The fingerprint of a public line; empty if it has no key in base64."""
    words = line.split(" ")
    try:
        blob = b64decode(words[1], validate=True)
    except (IndexError, ValueError):
        return ""
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


# --- JSON ------------------------------------------------------------------------------------

_KINDS: Final[Mapping[str, type]] = {
    "tokens": KnownToken,
    "keys": KnownKey,
    "places": KnownPlace,
    "losses": KnownLoss,
}
_PRINTS: Final = frozenset({"fingerprint", "key", "backup_of", "authority"})
_NEEDED: Final = frozenset({"fingerprint", "key", "id"})


def encode_inventory(inventory: Inventory) -> bytes:
    """The inventory as JSON, a row a line; what is unknown is left out.

    Raises:
        MalformedFile: it has more rows or longer texts than the reader takes.
    """
    parts = []
    for name in _KINDS:
        rows = [_members(one) for one in getattr(inventory, name)]
        for number, row in enumerate(rows):
            _decoded(name, number, row)
        _few(name, rows)
        listed = ",\n".join(json.dumps(row) for row in rows)
        parts.append(f'"{name}": [\n{listed}\n]' if rows else f'"{name}": []')
    members = ",\n".join(parts)
    return f'{{"schema": {SCHEMA},\n{members}}}\n'.encode()


def _members(row: Any) -> dict[str, object]:
    found = {one.name: getattr(row, one.name) for one in fields(row)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value or name in _NEEDED
    }


def parse_inventory(data: bytes) -> Inventory:
    """The inventory in JSON.

    Raises:
        MalformedFile: it is not one; says where.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"not valid JSON: {error}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise MalformedFile(f"not an inventory of schema {SCHEMA}")
    return Inventory(**{name: tuple(_rows(name, document.get(name, []))) for name in _KINDS})


def _rows(name: str, listed: object) -> list[Any]:
    if not isinstance(listed, list):
        raise MalformedFile(f"`{name}` is not a list")
    _few(name, listed)
    return [_decoded(name, number, row) for number, row in enumerate(listed)]


def _few(name: str, rows: Sequence[object]) -> None:
    if len(rows) > MOST_ROWS:
        raise MalformedFile(f"`{name}` has more than {MOST_ROWS} rows")


def _decoded(name: str, number: int, row: object) -> Any:
    where = f"`{name}`, row {number + 1}"
    if not isinstance(row, dict):
        raise MalformedFile(f"{where} is not an object")
    kind = _KINDS[name]
    known = {one.name: one for one in fields(kind)}
    given = {name: _value(where, name, value) for name, value in row.items() if name in known}
    lacking = [name for name in known if name in _NEEDED and not given.get(name)]
    if kind is KnownPlace and "kind" not in given:
        lacking.append("kind")
    if lacking or (kind is KnownLoss and "since" not in given):
        raise MalformedFile(f"{where} lacks `{(lacking or ['since'])[0]}`")
    made = kind(**given)
    if isinstance(made, KnownKey) and made.line and fingerprint_of(made.line) != made.fingerprint:
        raise MalformedFile(f"{where}: `line` is not that of the key")
    return made


def _value(where: str, name: str, value: object) -> object:
    """One member, judged by its name.

    Raises:
        MalformedFile: it has another form.
    """
    good = False
    if name == "kind":
        good = value in {str(kind) for kind in PlaceKind}
        value = PlaceKind(value) if good else value
    elif name in {"serial", "seen", "since"}:
        most = (1 << 64) - 1 if name == "serial" else _FUTURE
        good = type(value) is int and 0 <= value <= most
    elif name == "ssh":
        good = isinstance(value, list | tuple) and len(value) <= _MOST_WORDS
        good = good and all(_is_text(word, MOST_TEXT) for word in value)  # type: ignore[attr-defined]
        value = tuple(value) if good else value  # type: ignore[arg-type]
    elif name in _PRINTS:
        good = isinstance(value, str) and (not value or bool(_PRINT.fullmatch(value)))
    else:
        good = _is_text(value, MOST_LINE if name == "line" else MOST_TEXT)
    if not good:
        raise MalformedFile(f"{where}: `{name}` has another form")
    return value


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and "\0" not in value
