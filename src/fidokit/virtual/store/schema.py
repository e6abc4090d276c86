"""Who a virtual token is from its making to its end; the layout of the SQLite file that it lives
in, and the steps that lead to it from older ones.

A file names its format by PRAGMA application_id and its version by PRAGMA user_version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, NamedTuple, TypeVar

from fidokit import cbor
from fidokit.types import CoseAlg, CredentialId, CredProtect
from fidokit.virtual.core.ports import (
    INITIAL_LARGE_BLOB_ARRAY,
    DurableState,
    LargeBlob,
    StoredCredential,
    Template,
)

REPLAY: Final = "replay"
"""The profile of a token that answers from a recording, which is in its model's place."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """What is fixed when a token is made, and what a list of tokens shows.

    Args:
        serial: printable, unique for good; a reset keeps it.
        profile: which certified behavior the token shows, `ctap2.3` for our own.
        presence: the text of its presence policy, see `presence.parse_policy`.
        created: seconds since 1970, UTC.
        model: the document of the certified model that it stands in for, as
            `models.Impersonation.text`; empty if the profile is one of our own.
        quirks: names of quirks and presets, separated by spaces.
    """

    serial: str
    profile: str
    presence: str
    created: int
    model: str = ""
    quirks: str = ""


APPLICATION_ID: Final = 0x66_64_6B_74
"""ASCII `fdkt`; stands at offset 68 of every file."""

_FIRST: Final = """
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    serial TEXT NOT NULL,
    profile TEXT NOT NULL,
    presence TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    aaguid BLOB NOT NULL CHECK (length(aaguid) = 16),
    attestation_key BLOB NOT NULL,
    attestation_certificate BLOB NOT NULL,
    wrapping_key BLOB NOT NULL CHECK (length(wrapping_key) = 32),
    hmac_secret_key BLOB NOT NULL CHECK (length(hmac_secret_key) = 32),
    min_pin_length INTEGER NOT NULL CHECK (min_pin_length BETWEEN 4 AND 63),
    pin_hash BLOB CHECK (pin_hash IS NULL OR length(pin_hash) = 16),
    pin_length INTEGER NOT NULL,
    pin_retries INTEGER NOT NULL CHECK (pin_retries BETWEEN 0 AND 8),
    uv_retries INTEGER NOT NULL CHECK (uv_retries BETWEEN 0 AND 25),
    uv_enrolled INTEGER NOT NULL CHECK (uv_enrolled IN (0, 1)),
    force_pin_change INTEGER NOT NULL CHECK (force_pin_change IN (0, 1)),
    always_uv INTEGER NOT NULL CHECK (always_uv IN (0, 1)),
    min_pin_rp_ids BLOB NOT NULL
) STRICT;
CREATE TABLE counter (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reserved INTEGER NOT NULL CHECK (reserved >= 0)
) STRICT;
INSERT INTO counter VALUES (1, 0);
CREATE TABLE credential (
    created INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 1023),
    rp_id TEXT NOT NULL,
    rp_id_hash BLOB NOT NULL CHECK (length(rp_id_hash) = 32),
    user_id BLOB NOT NULL CHECK (length(user_id) <= 64),
    user_name TEXT,
    user_display_name TEXT,
    alg INTEGER NOT NULL,
    secret BLOB NOT NULL,
    cred_protect INTEGER NOT NULL CHECK (cred_protect BETWEEN 1 AND 3),
    UNIQUE (rp_id_hash, user_id)
) STRICT;
CREATE INDEX credential_of_rp ON credential (rp_id_hash, created);
"""

_EXTENSIONS: Final = f"""
ALTER TABLE state ADD COLUMN pin_complexity INTEGER NOT NULL DEFAULT 0
    CHECK (pin_complexity IN (0, 1));
ALTER TABLE state ADD COLUMN large_blob_array BLOB NOT NULL
    DEFAULT x'{INITIAL_LARGE_BLOB_ARRAY.hex()}';
ALTER TABLE credential ADD COLUMN cred_blob BLOB NOT NULL DEFAULT x'';
ALTER TABLE credential ADD COLUMN large_blob_key BLOB
    CHECK (large_blob_key IS NULL OR length(large_blob_key) = 32);
ALTER TABLE credential ADD COLUMN third_party_payment INTEGER NOT NULL DEFAULT 0
    CHECK (third_party_payment IN (0, 1));
ALTER TABLE credential ADD COLUMN large_blob_supported INTEGER NOT NULL DEFAULT 0
    CHECK (large_blob_supported IN (0, 1));
ALTER TABLE credential ADD COLUMN large_blob BLOB
    CHECK (large_blob IS NULL OR length(large_blob) >= 8);
"""

_OWNER: Final = """
ALTER TABLE state ADD COLUMN templates BLOB NOT NULL DEFAULT x'80';
UPDATE state SET templates = x'8182410160' WHERE uv_enrolled;
ALTER TABLE state ADD COLUMN enterprise_attestation INTEGER NOT NULL DEFAULT 0
    CHECK (enterprise_attestation IN (0, 1));
ALTER TABLE state ADD COLUMN long_touch_for_reset INTEGER NOT NULL DEFAULT 0
    CHECK (long_touch_for_reset IN (0, 1));
ALTER TABLE state ADD COLUMN persistent_token BLOB
    CHECK (persistent_token IS NULL OR length(persistent_token) = 32);
ALTER TABLE state ADD COLUMN uv_count INTEGER NOT NULL DEFAULT 0 CHECK (uv_count >= 0);
ALTER TABLE counter ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER credential_added AFTER INSERT ON credential
    BEGIN UPDATE counter SET revision = revision + 1; END;
CREATE TRIGGER credential_deleted AFTER DELETE ON credential
    BEGIN UPDATE counter SET revision = revision + 1; END;
CREATE TRIGGER credential_renamed AFTER UPDATE OF user_name, user_display_name ON credential
    BEGIN UPDATE counter SET revision = revision + 1; END;
"""

_COUNTERS: Final = """
CREATE TABLE credential_counter (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 65536),
    reserved INTEGER NOT NULL CHECK (reserved >= 0)
) STRICT;
"""

_MODEL: Final = """
ALTER TABLE identity ADD COLUMN model TEXT NOT NULL DEFAULT '';
"""

_SEALING: Final = """
CREATE TABLE sealed (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    record BLOB NOT NULL
) STRICT;
CREATE TABLE seal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    salt BLOB,
    cost INTEGER,
    key BLOB
) STRICT;
INSERT INTO seal (one) VALUES (1);
"""

_QUIRKS: Final = """
ALTER TABLE identity ADD COLUMN quirks TEXT NOT NULL DEFAULT '';
"""

_IMPORTS: Final = """
ALTER TABLE credential ADD COLUMN discoverable INTEGER NOT NULL DEFAULT 1
    CHECK (discoverable IN (0, 1));
"""

MIGRATIONS: Final[Sequence[str]] = (
    _FIRST,
    _EXTENSIONS,
    _OWNER,
    _COUNTERS,
    _MODEL,
    _SEALING,
    _QUIRKS,
    _IMPORTS,
)
"""Step n makes a file of version n one of version n + 1; version 0 is an empty file."""

VERSION: Final = len(MIGRATIONS)


def _texts(encoded: bytes) -> tuple[str, ...]:
    values = cbor.decode(encoded, max_depth=1)
    texts = tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()
    if cbor.encode(texts) != encoded:
        raise ValueError("a list of texts holds something else")
    return texts


class ColumnCodec(NamedTuple):
    """How one field of a dataclass lies in its column."""

    store: Callable[[Any], Any] = lambda value: value
    load: Callable[[Any], Any] = lambda value: value


_PLAIN: Final = ColumnCodec()
_FLAG: Final = ColumnCodec(int, bool)
_TEXTS: Final = ColumnCodec(cbor.encode, _texts)


def _templates_to_bytes(templates: Iterable[Template]) -> bytes:
    return cbor.encode([[template.id, template.name] for template in templates])


def _template_of(pair: object) -> Template:
    match pair:
        case [bytes(template_id), str(name)]:
            return Template(template_id, name)
        case _:
            raise ValueError("a template is not an id and a name")


def _templates_from_bytes(encoded: bytes) -> tuple[Template, ...]:
    match cbor.decode(encoded, max_depth=2):
        case [*pairs]:
            return tuple(map(_template_of, pairs))
        case _:
            raise ValueError("templates are not a list")


_SIZE: Final = 8


def _blob_to_bytes(blob: LargeBlob | None) -> bytes | None:
    return None if blob is None else blob.original_size.to_bytes(_SIZE) + blob.data


def _blob_from_bytes(stored: bytes | None) -> LargeBlob | None:
    if stored is None:
        return None
    return LargeBlob(stored[_SIZE:], int.from_bytes(stored[:_SIZE]))


IDENTITY: Final[Mapping[str, ColumnCodec]] = dict.fromkeys(
    ("serial", "profile", "presence", "created", "model", "quirks"), _PLAIN
)

STATE: Final[Mapping[str, ColumnCodec]] = {
    "aaguid": _PLAIN,
    "attestation_key": _PLAIN,
    "attestation_certificate": _PLAIN,
    "wrapping_key": _PLAIN,
    "hmac_secret_key": _PLAIN,
    "min_pin_length": _PLAIN,
    "pin_hash": _PLAIN,
    "pin_length": _PLAIN,
    "pin_retries": _PLAIN,
    "uv_retries": _PLAIN,
    "uv_enrolled": _FLAG,
    "force_pin_change": _FLAG,
    "always_uv": _FLAG,
    "min_pin_rp_ids": _TEXTS,
    "pin_complexity": _FLAG,
    "large_blob_array": _PLAIN,
    "templates": ColumnCodec(_templates_to_bytes, _templates_from_bytes),
    "enterprise_attestation": _FLAG,
    "long_touch_for_reset": _FLAG,
    "persistent_token": _PLAIN,
    "uv_count": _PLAIN,
}

CREDENTIAL: Final[Mapping[str, ColumnCodec]] = {
    "id": ColumnCodec(bytes, CredentialId),
    "rp_id": _PLAIN,
    "rp_id_hash": _PLAIN,
    "user_id": _PLAIN,
    "user_name": _PLAIN,
    "user_display_name": _PLAIN,
    "alg": ColumnCodec(int, CoseAlg),
    "secret": _PLAIN,
    "cred_protect": ColumnCodec(int, CredProtect),
    "created": _PLAIN,
    "cred_blob": _PLAIN,
    "large_blob_key": _PLAIN,
    "third_party_payment": _FLAG,
    "large_blob_supported": _FLAG,
    "large_blob": ColumnCodec(_blob_to_bytes, _blob_from_bytes),
    "discoverable": _FLAG,
}

SEAL: Final[Mapping[str, ColumnCodec]] = dict.fromkeys(("salt", "cost", "key"), _PLAIN)

Row = tuple[Any, ...]


def to_row(value: object, columns: Mapping[str, ColumnCodec]) -> Row:
    """The values of a dataclass, in the order of `columns`, as SQLite stores them."""
    return tuple(column.store(getattr(value, name)) for name, column in columns.items())


def _from_row(row: Row, columns: Mapping[str, ColumnCodec]) -> dict[str, Any]:
    return {
        name: column.load(value) for (name, column), value in zip(columns.items(), row, strict=True)
    }


def identity_of(names: Sequence[str], row: Row) -> TokenIdentity:
    """The identity in a row of these columns; one of an older version may lack the newer ones."""
    known = {name: value for name, value in zip(names, row, strict=True) if name in IDENTITY}
    return TokenIdentity(**{name: IDENTITY[name].load(value) for name, value in known.items()})


def state_of(row: Row) -> DurableState:
    """The state in a row of STATE's columns; ValueError where a value has no meaning."""
    return DurableState(**_from_row(row, STATE))


def credential_of(row: Row) -> StoredCredential:
    """The credential in a row of CREDENTIAL's columns; ValueError where a value has no
    meaning."""
    return StoredCredential(**_from_row(row, CREDENTIAL))


def to_record(value: object, columns: Mapping[str, ColumnCodec]) -> bytes:
    """A dataclass as canonical CBOR: a map of its columns without those that are NULL."""
    return cbor.encode(to_members(value, columns))


def to_members(value: object, columns: Mapping[str, ColumnCodec]) -> dict[str, Any]:
    """The map that `to_record` encodes."""
    row = dict(zip(columns, to_row(value, columns), strict=True))
    return {name: stored for name, stored in row.items() if stored is not None}


T = TypeVar("T")


def of_record(kind: type[T], encoded: bytes, columns: Mapping[str, ColumnCodec]) -> T:
    """The dataclass in a record of `to_record`, perhaps of an older version with fewer columns.

    Raises:
        ValueError: a column is unknown, missing, or of the wrong type; or a value has no meaning.
        MalformedCbor: it is not CBOR.
    """
    return of_members(kind, cbor.decode(encoded, max_depth=1), columns)


def of_members(kind: type[T], members: object, columns: Mapping[str, ColumnCodec]) -> T:
    """The dataclass in the map of `to_members`; raises as `of_record`."""
    if not isinstance(members, dict) or not members.keys() <= columns.keys():
        raise ValueError(f"a {kind.__name__} has members that this fidokit does not know")
    values = {
        member.name: columns[member.name].load(members.get(member.name))
        for member in fields(kind)  # type: ignore[arg-type]  # a dataclass
        if member.name in members or member.default is MISSING
    }
    return kind(**values)
