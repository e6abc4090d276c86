"""Writing key revocation lists, as sshd and ssh-keygen read them (OpenSSH PROTOCOL.krl)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TypeVar, Union

from fidokit.openssh import wire
from fidokit.openssh.certificates.krl import (
    CERTIFICATES,
    EXPLICIT_KEY,
    HASHES,
    KEY_ID,
    MAGIC,
    SERIAL_BITMAP,
    SERIAL_LIST,
    SERIAL_RANGE,
    VERSION,
    Bitmap,
    Entry,
    ExplicitKey,
    Fingerprint,
    KeyId,
    Serials,
)

OfAuthority = Union[Serials, Bitmap, KeyId]  # noqa: UP007  3.9 evaluates it
E = TypeVar("E", bound=Entry)


def encode_krl(
    entries: Iterable[Entry], *, version: int = 0, generated: int = 0, comment: str = ""
) -> bytes:
    """A revocation list of these entries.

    Args:
        entries: in any order; the same one twice is written once.
        version: a number that grows with each change, 0 to 2**64 - 1.
        generated: seconds since 1970.
        comment: any text without NUL.
    """
    every = sorted(set(entries), key=lambda entry: (type(entry).__name__, entry))
    head = MAGIC + wire.u32(VERSION) + wire.u64(version) + wire.u64(generated) + wire.u64(0)
    parts = [head, wire.string(b""), wire.text(comment)]
    parts += _encode_certificates(every)
    keys = b"".join(wire.string(entry.blob) for entry in _only(every, ExplicitKey))
    parts.append(_section(EXPLICIT_KEY, keys))
    for kind, name in HASHES.items():
        found = (entry for entry in _only(every, Fingerprint) if entry.hash_name == name)
        parts.append(_section(kind, b"".join(wire.string(entry.digest) for entry in found)))
    return b"".join(parts)


def _only(entries: Iterable[Entry], kind: type[E]) -> list[E]:
    return [entry for entry in entries if isinstance(entry, kind)]


def _section(kind: int, body: bytes) -> bytes:
    return wire.u8(kind) + wire.string(body) if body else b""


def _encode_certificates(entries: Iterable[Entry]) -> Iterator[bytes]:
    found = [e for e in entries if not isinstance(e, (ExplicitKey, Fingerprint))]
    found.sort(key=lambda entry: entry.authority)
    for authority, group in groupby(found, key=lambda entry: entry.authority):
        body = _encode_authority(list(group))
        yield _section(CERTIFICATES, wire.string(authority) + wire.string(b"") + body)


def _encode_authority(entries: list[OfAuthority]) -> bytes:
    serials = _only(entries, Serials)
    single = b"".join(wire.u64(e.lowest) for e in serials if e.lowest == e.highest)
    parts = [_section(SERIAL_LIST, single)]
    parts += (
        _section(SERIAL_RANGE, wire.u64(e.lowest) + wire.u64(e.highest))
        for e in serials
        if e.lowest < e.highest
    )
    parts += (
        _section(SERIAL_BITMAP, wire.u64(e.offset) + wire.mpint(int.from_bytes(e.bits, "big")))
        for e in _only(entries, Bitmap)
    )
    ids = b"".join(wire.string(e.key_id) for e in _only(entries, KeyId))
    return b"".join(parts) + _section(KEY_ID, ids)
