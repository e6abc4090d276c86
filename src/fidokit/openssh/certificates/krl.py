"""Key revocation lists: which keys and certificates nobody is to trust any more; and files of
revoked keys, as sshd's RevokedKeys and `ssh-keygen -Y verify -r` take them: such a list, or public
keys, one a line.

Sources: OpenSSH PROTOCOL.krl; where it is silent, what `ssh-keygen -Q` does: a certificate without
a serial number (0) is never revoked by number, and one is revoked with its authority.
sshd_config(5), RevokedKeys; ssh-keygen(1), `-Y verify`.

A list may revoke all the numbers that there are in 16 bytes. Nothing is expanded: it stays as it
came, and each question walks through it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Union

from fidokit.errors import Malformed, MalformedFile, MalformedKey
from fidokit.openssh.certificates.certificate import Certificate, parse_key
from fidokit.openssh.keys.public import PublicKey, as_bytes
from fidokit.openssh.lines import key_text
from fidokit.openssh.wire import Reader

MAGIC: Final = b"SSHKRL\n\0"
VERSION: Final = 1

MAX_KRL: Final = 1 << 24
"""Longest list that is looked at, bytes; 700,000 keys by their fingerprints."""

MAX_BITMAP: Final = 2048
"""Longest bitmap, bytes without a leading zero (SSHBUF_MAX_BIGNUM)."""

_MAX_SERIAL: Final = (1 << 64) - 1
_WHAT: Final = "revocation list"

CERTIFICATES: Final = 1
EXPLICIT_KEY: Final = 2
SHA1: Final = 3
SIGNATURE: Final = 4
SHA256: Final = 5
EXTENSION: Final = 255

SERIAL_LIST: Final = 0x20
SERIAL_RANGE: Final = 0x21
SERIAL_BITMAP: Final = 0x22
KEY_ID: Final = 0x23
CERTIFICATE_EXTENSION: Final = 0x39

HASHES: Final[Mapping[int, str]] = {SHA1: "sha1", SHA256: "sha256"}


class Serials(NamedTuple):
    """Certificates of an authority (its blob; empty for all) numbered `lowest` to `highest`."""

    authority: bytes
    lowest: int
    highest: int


class Bitmap(NamedTuple):
    """Certificates of an authority with the number `offset` + N, where bit N of `bits` is set.

    `bits` is a big-endian number.
    """

    authority: bytes
    offset: int
    bits: bytes


class KeyId(NamedTuple):
    """Certificates of an authority with this key id."""

    authority: bytes
    key_id: bytes


class ExplicitKey(NamedTuple):
    """A plain key, by its blob."""

    blob: bytes


class Fingerprint(NamedTuple):
    """A plain key, by the sha1 or sha256 of its blob."""

    hash_name: str
    digest: bytes


Entry = Union[Serials, Bitmap, KeyId, ExplicitKey, Fingerprint]  # noqa: UP007  3.9 evaluates it


@dataclass(frozen=True)
class Krl:
    """byte[8] magic, uint32 1, uint64 version, uint64 generated (seconds since 1970), uint64 flags,
    string reserved, string comment; then sections: byte type, string data.

    `sections` was checked by `parse_krl`.
    """

    version: int
    generated: int
    comment: str
    sections: bytes

    def entries(self) -> Iterator[Entry]:
        """What is revoked, one by one, in the order of the list."""
        return _entries(self.sections)

    def revocation(self, key: PublicKey | Certificate) -> str | None:
        """Why a key or certificate is revoked; None if it is not.

        As `ssh-keygen -Q`: a certificate is also revoked with its key and with its authority.
        """
        questions = [_Question.about(key)]
        if isinstance(key, Certificate):
            questions.append(_Question.about(key.signature_key, " of its authority"))
        for entry in self.entries():
            for question in questions:
                if why := question.answer(entry):
                    return why
        return None


# --- asking --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Question:
    """A key, prepared to be compared with many entries."""

    blob: bytes
    digests: Mapping[str, bytes]
    whose: str
    certificate: Certificate | None
    authority: bytes

    @classmethod
    def about(cls, key: PublicKey | Certificate, whose: str = "") -> _Question:
        certificate = key if isinstance(key, Certificate) else None
        blob = key.public.blob() if isinstance(key, Certificate) else key.blob()
        digests = {
            "sha1": hashlib.sha1(blob, usedforsecurity=False).digest(),
            "sha256": hashlib.sha256(blob).digest(),
        }
        authority = certificate.signature_key.blob() if certificate else b""
        return cls(blob, digests, whose, certificate, authority)

    def answer(self, entry: Entry) -> str | None:
        """Why the entry covers the key; None if it does not."""
        if isinstance(entry, ExplicitKey):
            return f"the key{self.whose} is revoked" if entry.blob == self.blob else None
        if isinstance(entry, Fingerprint):
            same = self.digests[entry.hash_name] == entry.digest
            return f"the key{self.whose} is revoked by its fingerprint" if same else None
        if self.certificate is None or entry.authority not in (b"", self.authority):
            return None
        return _certificate_answer(entry, self.certificate)


def _certificate_answer(entry: Serials | Bitmap | KeyId, certificate: Certificate) -> str | None:
    if isinstance(entry, KeyId):
        same = entry.key_id == as_bytes(certificate.key_id)
        return f"the key id {certificate.key_id!r} is revoked" if same else None
    serial = certificate.serial
    if serial == 0:  # what an authority writes that does not count
        return None
    covered = (
        entry.lowest <= serial <= entry.highest
        if isinstance(entry, Serials)
        else _bit(entry.bits, serial - entry.offset)
    )
    return f"the serial number {serial} is revoked" if covered else None


def _bit(bits: bytes, number: int) -> bool:
    if not 0 <= number < 8 * len(bits):
        return False
    return bool(bits[-1 - number // 8] >> number % 8 & 1)


# --- parsing -------------------------------------------------------------------------------


def is_krl(data: bytes) -> bool:
    """Whether `data` begins as a revocation list does; else it may be a list of keys."""
    return data.startswith(MAGIC)


def parse_krl(data: bytes) -> Krl:
    """A revocation list, checked to its end.

    Args:
        data: at most `MAX_KRL` bytes.

    Raises:
        MalformedKey: not a list of version 1; a section that is cut off, unknown, or holds what
            it cannot; a critical extension. Signatures are not looked at, as in OpenSSH from 9.4
            on: a list is trusted by where it comes from.
    """
    if len(data) > MAX_KRL:
        raise MalformedKey(f"{_WHAT}: {len(data)} bytes are more than {MAX_KRL}")
    reader = Reader(data, _WHAT)
    if reader.raw(min(len(MAGIC), len(data))) != MAGIC:
        raise MalformedKey(f"{_WHAT}: the magic bytes SSHKRL are missing")
    if (version := reader.u32()) != VERSION:
        raise MalformedKey(f"{_WHAT}: format {version} is not the one that exists, {VERSION}")
    number, generated, _flags, _reserved = reader.u64(), reader.u64(), reader.u64(), reader.string()
    comment = _c_string(reader).decode("utf-8", "backslashreplace")
    krl = Krl(number, generated, comment, reader.raw(reader.remaining))
    for _ in krl.entries():
        pass
    return krl


def _c_string(reader: Reader) -> bytes:
    """Bytes without NUL; one at the end, which C puts there, is taken off as OpenSSH does."""
    data = reader.string().removesuffix(b"\0")
    if b"\0" in data:
        raise MalformedKey(f"{_WHAT}: text holds a NUL")
    return data


def _entries(sections: bytes) -> Iterator[Entry]:
    reader = Reader(sections, _WHAT)
    while reader.remaining:
        kind, body = reader.u8(), Reader(reader.string(), f"{_WHAT}, section")
        if kind == SIGNATURE:
            reader.string()
            continue
        read = _SECTIONS.get(kind)
        if read is None:
            raise MalformedKey(f"{_WHAT}: sections of type {kind} are not known")
        yield from read(body)
        body.end()


def _certificates(reader: Reader) -> Iterator[Entry]:
    """string authority (empty for all), string reserved, then byte type, string data for each."""
    authority, _reserved = reader.string(), reader.string()
    if authority:
        parse_key(authority)
    while reader.remaining:
        kind, body = reader.u8(), Reader(reader.string(), f"{_WHAT}, certificates")
        read = _SUBSECTIONS.get(kind)
        if read is None:
            raise MalformedKey(f"{_WHAT}: certificate sections of type {kind} are not known")
        yield from read(authority, body)
        body.end()


def _serials(authority: bytes, lowest: int, highest: int) -> Serials:
    if not 0 < lowest <= highest:
        raise MalformedKey(f"{_WHAT}: no certificates are numbered {lowest} to {highest}")
    return Serials(authority, lowest, highest)


def _serial_list(authority: bytes, reader: Reader) -> Iterator[Entry]:
    while reader.remaining:
        serial = reader.u64()
        yield _serials(authority, serial, serial)


def _serial_range(authority: bytes, reader: Reader) -> Iterator[Entry]:
    yield _serials(authority, reader.u64(), reader.u64())


def _serial_bitmap(authority: bytes, reader: Reader) -> Iterator[Entry]:
    offset, data = reader.u64(), reader.string()
    bits = data.lstrip(b"\0")
    if data[:1] >= b"\x80" or len(bits) > MAX_BITMAP:
        raise MalformedKey(f"{_WHAT}: a bitmap is negative, or longer than {MAX_BITMAP} bytes")
    if bits:
        last = 8 * (len(bits) - 1) + bits[0].bit_length() - 1
        if offset + last > _MAX_SERIAL or (offset == 0 and _bit(bits, 0)):
            raise MalformedKey(f"{_WHAT}: a bitmap goes beyond the numbers that there are")
    yield Bitmap(authority, offset, bits)


def _key_ids(authority: bytes, reader: Reader) -> Iterator[Entry]:
    while reader.remaining:
        yield KeyId(authority, _c_string(reader))


def _explicit_keys(reader: Reader) -> Iterator[Entry]:
    while reader.remaining:
        yield ExplicitKey(reader.string())


def _fingerprints(hash_name: str) -> Callable[[Reader], Iterator[Entry]]:
    size = hashlib.new(hash_name, usedforsecurity=False).digest_size

    def read(reader: Reader) -> Iterator[Entry]:
        while reader.remaining:
            digest = reader.string()
            if len(digest) != size:
                raise MalformedKey(
                    f"{_WHAT}: {len(digest)} bytes are not a {hash_name} fingerprint"
                )
            yield Fingerprint(hash_name, digest)

    return read


def _extension(reader: Reader) -> Iterator[Entry]:
    """string name, bool critical, string contents; one that is not critical may be passed over."""
    name, critical, _contents = _c_string(reader), reader.u8(), reader.string()
    if critical:
        shown = name[:64].decode("utf-8", "backslashreplace")
        raise MalformedKey(
            f"{_WHAT}: the critical extension {shown!r} is not known",
            hint="have the list made without it; or use a newer fidokit",
        )
    yield from ()


def _certificate_extension(_authority: bytes, reader: Reader) -> Iterator[Entry]:
    return _extension(reader)


_SECTIONS: Final[Mapping[int, Callable[[Reader], Iterator[Entry]]]] = {
    CERTIFICATES: _certificates,
    EXPLICIT_KEY: _explicit_keys,
    EXTENSION: _extension,
    **{kind: _fingerprints(name) for kind, name in HASHES.items()},
}
_SUBSECTIONS: Final[Mapping[int, Callable[[bytes, Reader], Iterator[Entry]]]] = {
    SERIAL_LIST: _serial_list,
    SERIAL_RANGE: _serial_range,
    SERIAL_BITMAP: _serial_bitmap,
    KEY_ID: _key_ids,
    CERTIFICATE_EXTENSION: _certificate_extension,
}


# --- files of revoked keys --------------------------------------------------------------------


def file_revocation(data: bytes, key: PublicKey | Certificate) -> str | None:
    """Why a file revokes a key or certificate; None if it does not.

    In a list of keys, a line revokes that key, certificates of it, and certificates that it
    signed.

    Args:
        data: the whole file, at most `krl.MAX_KRL` bytes.

    Raises:
        MalformedKey: a revocation list that cannot be read.
        MalformedFile: a line that holds no key; nobody can tell whom it meant.
    """
    if is_krl(data):
        return parse_krl(data).revocation(key)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = key_text.content(raw)
        if line and not line.startswith(b"#") and (why := _why(_listed_key(line, number), key)):
            return f"{why} is revoked by line {number}"
    return None


def _listed_key(line: bytes, number: int) -> PublicKey | Certificate:
    try:
        return key_text.read_key(line)[0]
    except Malformed as error:
        raise MalformedFile(
            f"revoked keys, line {number}: {error.message}",
            hint="Mend the line, or put a # before it; while it is so, nothing is trusted",
        ) from None


def _why(listed: PublicKey | Certificate, key: PublicKey | Certificate) -> str | None:
    if _plain(listed) == _plain(key):
        return "the key"
    if isinstance(key, Certificate) and _plain(listed) == key.signature_key:
        return "the key of its authority"
    return None


def _plain(key: PublicKey | Certificate) -> PublicKey:
    return key.public if isinstance(key, Certificate) else key
