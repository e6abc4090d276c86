"""Constraints on a key in an agent: lifetime, confirmation, provider, destinations, certificates.

Sources: draft-ietf-sshm-ssh-agent section 3.2.7, OpenSSH PROTOCOL.agent sections 2 and 4. The
limits are OpenSSH's (authfd.h).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    Certificate,
    UnknownKey,
    parse_certificate,
    parse_host_key,
)
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.wire import Reader

LIFETIME: Final = 1
CONFIRM: Final = 2
EXTENSION: Final = 255

SK_PROVIDER: Final = "sk-provider@openssh.com"
RESTRICT_DESTINATION: Final = "restrict-destination-v00@openssh.com"
ASSOCIATED_CERTS: Final = "associated-certs-v00@openssh.com"

MAX_DESTINATIONS: Final = 1024
MAX_CERTIFICATES: Final = 1024
MAX_HOST_KEYS: Final = 4096
"""In the destinations of one key; OpenSSH has no limit but that of a request."""

_WHAT: Final = "key constraint"

HostKey = PublicKey | Certificate


@dataclass(frozen=True, slots=True)
class KeySpec:
    """string key blob, bool is_ca. A key of an unknown type fits no host."""

    key: HostKey | UnknownKey
    is_ca: bool

    def encode(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return wire.string(self.key.blob()) + wire.u8(self.is_ca)


@dataclass(frozen=True, slots=True)
class Hop:
    """string user, string host, string reserved (empty), then `KeySpec`s to the end.

    Empty `user` and `host` mean any; a hop without host and keys is where the agent runs.
    """

    user: str = ""
    host: str = ""
    keys: tuple[KeySpec, ...] = ()

    def encode(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        keys = b"".join(spec.encode() for spec in self.keys)
        return wire.text(self.user) + wire.text(self.host) + wire.string(b"") + keys


@dataclass(frozen=True, slots=True)
class Destination:
    """string (from hop), string (to hop), string reserved (empty), all in a string."""

    origin: Hop
    to: Hop

    def encode(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        inner = wire.string(self.origin.encode()) + wire.string(self.to.encode())
        return wire.string(inner + wire.string(b""))


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a key was added with.

    Args:
        lifetime: seconds from now, None for no end.
        confirm: whether each use is asked for.
        provider: the library that talks to its token, or "internal"; None if none was named.
        destinations: where it may be used; empty for anywhere.
        certificates: what to list beside a smartcard's keys.
        certificates_only: whether the keys without certificate are left out.
    """

    lifetime: int | None = None
    confirm: bool = False
    provider: str | None = None
    destinations: tuple[Destination, ...] = ()
    certificates: tuple[Certificate, ...] = field(default=(), repr=False)
    certificates_only: bool = False

    def encode(self) -> bytes:
        """The wire form: one after the other, to the end of the request."""
        parts = []
        if self.lifetime is not None:
            parts.append(wire.u8(LIFETIME) + wire.u32(self.lifetime))
        if self.confirm:
            parts.append(wire.u8(CONFIRM))
        if self.provider is not None:
            parts.append(_extension(SK_PROVIDER) + wire.text(self.provider))
        if self.destinations:
            listed = b"".join(destination.encode() for destination in self.destinations)
            parts.append(_extension(RESTRICT_DESTINATION) + wire.string(listed))
        if self.certificates:
            listed = b"".join(wire.string(c.blob()) for c in self.certificates)
            head = _extension(ASSOCIATED_CERTS) + wire.u8(self.certificates_only)
            parts.append(head + wire.string(listed))
        return b"".join(parts)


def _extension(name: str) -> bytes:
    return wire.u8(EXTENSION) + wire.text(name)


# --- reading -------------------------------------------------------------------------------


def read_constraints(reader: Reader) -> Constraints:
    """All that is left of a request; each kind may come once.

    Raises:
        MalformedKey: an unknown constraint, one that comes twice, or one that contradicts itself.
    """
    found, seen = Constraints(), set()
    while reader.remaining:
        kind: int | str = reader.u8()
        if kind == EXTENSION:
            kind = reader.text()
        read = _READERS.get(kind)
        if read is None:
            raise MalformedKey(f"{_WHAT}: {str(kind)[:64]!r} is not known")
        if kind in seen:
            raise MalformedKey(f"{_WHAT}: {kind!r} comes twice")
        seen.add(kind)
        found = read(reader, found)
    return found


def _lifetime(reader: Reader, found: Constraints) -> Constraints:
    return replace(found, lifetime=reader.u32())


def _confirm(_reader: Reader, found: Constraints) -> Constraints:
    return replace(found, confirm=True)


def _provider(reader: Reader, found: Constraints) -> Constraints:
    return replace(found, provider=_c_text(reader))


def _destinations(reader: Reader, found: Constraints) -> Constraints:
    listed = Reader(reader.string(), _WHAT)
    destinations: list[Destination] = []
    host_keys = 0
    while listed.remaining:
        if len(destinations) == MAX_DESTINATIONS:
            raise MalformedKey(f"{_WHAT}: more than {MAX_DESTINATIONS} destinations")
        destination = _destination(Reader(listed.string(), _WHAT))
        host_keys += len(destination.origin.keys) + len(destination.to.keys)
        _limit_host_keys(host_keys)
        destinations.append(destination)
    # OpenSSH takes an empty list for no restriction; whoever wrote one meant something else
    if not destinations:
        raise MalformedKey(f"{_WHAT}: an empty list of destinations")
    return replace(found, destinations=tuple(destinations))


def _certificates(reader: Reader, found: Constraints) -> Constraints:
    only = bool(reader.u8())
    listed = Reader(reader.string(), _WHAT)
    certificates: list[Certificate] = []
    while listed.remaining:
        if len(certificates) == MAX_CERTIFICATES:
            raise MalformedKey(f"{_WHAT}: more than {MAX_CERTIFICATES} certificates")
        certificates.append(parse_certificate(listed.string()))
    return replace(found, certificates=tuple(certificates), certificates_only=only)


_READERS: Final[Mapping[int | str, Callable[[Reader, Constraints], Constraints]]] = {
    LIFETIME: _lifetime,
    CONFIRM: _confirm,
    SK_PROVIDER: _provider,
    RESTRICT_DESTINATION: _destinations,
    ASSOCIATED_CERTS: _certificates,
}


def _c_text(reader: Reader) -> str:
    text = reader.text()
    if "\0" in text:
        raise MalformedKey(f"{_WHAT}: text holds a NUL")
    return text


def _destination(reader: Reader) -> Destination:
    origin, to = _hop(reader.string()), _hop(reader.string())
    _no_extensions(reader.string())
    reader.end()
    if bool(origin.host) != bool(origin.keys) or origin.user:
        raise MalformedKey(f"{_WHAT}: a first hop that names a user, or a host without keys")
    if not to.host or not to.keys:
        raise MalformedKey(f"{_WHAT}: a destination without host or without host keys")
    return Destination(origin, to)


def _hop(data: bytes) -> Hop:
    reader = Reader(data, _WHAT)
    user, host = _c_text(reader), _c_text(reader)
    _no_extensions(reader.string())
    keys = []
    while reader.remaining:
        keys.append(KeySpec(parse_host_key(reader.string()), bool(reader.u8())))
        _limit_host_keys(len(keys))
    return Hop(user, host, tuple(keys))


def _limit_host_keys(count: int) -> None:
    if count > MAX_HOST_KEYS:
        raise MalformedKey(f"{_WHAT}: more than {MAX_HOST_KEYS} host keys in destinations")


def _no_extensions(data: bytes) -> None:
    if data:
        raise MalformedKey(f"{_WHAT}: extensions of a destination are not known")
