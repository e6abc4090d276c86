"""known_hosts: which keys a host has, and which hosts a key belongs to.

Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Lines that cannot be read are
passed over, as ssh does.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh.keys.public import PublicKey, decode_base64, parse_public
from fidokit.openssh.lines.patterns import match_pattern, match_pattern_list

CERT_AUTHORITY: Final = "@cert-authority"
REVOKED: Final = "@revoked"
LONGEST_FILE: Final = 1 << 24
_HASHED: Final = "|1|"


@dataclass(frozen=True, slots=True)
class KnownHost:
    """[marker] hosts type base64 [comment].

    `hosts` is a comma list of patterns, or one hashed name `|1|salt|hash`.
    """

    marker: str
    hosts: str
    key: PublicKey

    @property
    def hashed(self) -> bool:
        """Whether nobody can tell which host it is about."""
        return self.hosts.startswith(_HASHED)

    def names(self, host: str) -> bool:
        """Whether the line is about this host, `name` or `[name]:port`."""
        if self.hashed:
            return _hash_fits(self.hosts, host)
        return match_pattern_list(host.lower(), self.hosts.lower())


def _hash_fits(hashed: str, host: str) -> bool:
    try:
        _, _, salt, digest = hashed.split("|")
        expected = a2b_base64(digest)
        made = hmac.new(a2b_base64(salt), host.lower().encode(), hashlib.sha1).digest()
    except ValueError:
        return False
    return hmac.compare_digest(made, expected)


def parse_known_hosts(text: str) -> Iterator[KnownHost]:
    """The lines of a file that can be read."""
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3:
            continue
        try:
            key = parse_public(decode_base64(fields[2].encode()))
        except MalformedKey:
            continue
        if key.type_name == fields[1]:
            yield KnownHost(marker, fields[0], key)


def keys_of(host: str, lines: Iterable[KnownHost]) -> list[tuple[PublicKey, bool]]:
    """The keys of a host and of authorities for it; the flag says which is an authority's."""
    named = [line for line in lines if line.names(host)]
    revoked = [line.key for line in named if line.marker == REVOKED]
    found = [
        (line.key, line.marker == CERT_AUTHORITY)
        for line in named
        if line.marker in {"", CERT_AUTHORITY} and line.key not in revoked
    ]
    return list(dict.fromkeys(found))


def keys_like(pattern: str, lines: Iterable[KnownHost]) -> list[tuple[PublicKey, bool]]:
    """The keys of all hosts whose names fit a pattern, and of authorities for such hosts.

    Args:
        pattern: with `*` and `?`; a name `[name]:port` fits with and without its port.
        lines: of known_hosts files. Hashed names fit no pattern.
    """
    lines = [line for line in lines if not line.hashed]
    wanted = pattern.lower()
    revoked = {line.key for line in lines if line.marker == REVOKED}
    found = [
        (line.key, line.marker == CERT_AUTHORITY)
        for line in lines
        if line.key not in revoked
        and (
            line.names(pattern)  # an authority's line has patterns of its own
            if line.marker == CERT_AUTHORITY
            else not line.marker and any(_fits(name, wanted) for name in line.hosts.split(","))
        )
    ]
    return list(dict.fromkeys(found))


def _fits(name: str, pattern: str) -> bool:
    name = name.lower()
    bare = name[1:].partition("]:")[0] if name.startswith("[") else name
    return not name.startswith("!") and any(match_pattern(one, pattern) for one in (name, bare))


def hosts_of(key: PublicKey, lines: Iterable[KnownHost]) -> list[str]:
    """The names of hosts with this key, as far as they are not hashed."""
    plain = [
        line.hosts for line in lines if line.key == key and not line.marker and not line.hashed
    ]
    return list(dict.fromkeys(name for hosts in plain for name in hosts.split(",")))
