"""Keys and policies for the tests of fleets."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from fidokit.fleet.policy.reading import parse_policy
from fidokit.fleet.policy.values import FleetPolicy
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import Ed25519Public, PublicLine, SkEd25519Public
from fidokit.types import Application


def print_of(number: int | str) -> str:
    """A fingerprint that nobody has a key for."""
    digest = hashlib.sha256(str(number).encode()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def token_line(number: int, comment: str = "") -> str:
    """The public line of a key on a token."""
    return PublicLine(SkEd25519Public(bytes([number]) * 32, Application("ssh:")), comment).encode()


def file_line(number: int, comment: str = "") -> str:
    """The public line of a key in a file."""
    return PublicLine(Ed25519Public(bytes([number]) * 32), comment).encode()


def print_in(line: str) -> str:
    """The fingerprint of a public line's key."""
    return fingerprint.sha256(base64.b64decode(line.split()[1]))


def policy(text: str) -> FleetPolicy:
    """The policy of a text."""
    return parse_policy(text.encode(), "policy.toml")


def many_keys(people: int, keys_each: int) -> Iterator[str]:
    """The tables of people with keys, by fingerprints."""
    for person in range(people):
        prints = ", ".join(f'"{print_of(f"{person}.{key}")}"' for key in range(keys_each))
        yield f"[people.p{person}]\nkeys = [{prints}]\n"
