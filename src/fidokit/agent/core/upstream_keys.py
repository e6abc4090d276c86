"""The keys of an upstream agent: which of them clients can read, and which rule each is under.

An upstream agent's list is foreign text. Stock ssh refuses a whole list over one identity that it
cannot read, so that one bad key upstream would hide all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from fidokit.agent.core.bindings import Refused
from fidokit.agent.core.policy import KeyRule, Policy
from fidokit.errors import FidokitError, MalformedKey, Unsupported
from fidokit.openssh.certificates.certificate import (
    CERTIFICATE_TYPES,
    Certificate,
    parse_key,
    verify_signature,
)
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import TYPE_NAMES
from fidokit.openssh.wire import Reader

Identity = tuple[bytes, str]
"""A public key or certificate blob, and its comment."""

_CERTIFICATE: Final = "-cert"
"""What the type name of every certificate holds."""
_HEAD: Final = 128
"""Bytes in which a type name stands."""


def readable(identities: Iterable[Identity], say: Callable[[str], None]) -> Iterator[Identity]:
    """Those that every client can read; the others are left out and logged.

    Args:
        identities: as the upstream agent lists them.
        say: takes a line for the log.
    """
    for blob, comment in identities:
        reason = _unreadable(blob, comment)
        if reason is None:
            yield blob, comment
        else:
            say(f"left out of the upstream agent's list: {comment[:64]!r}: {reason}")


def _unreadable(blob: bytes, comment: str) -> str | None:
    """Why stock ssh would refuse a list with this identity; None where it would not.

    A type that it does not know is passed over; a broken key of a known type is an error, and so
    is a comment with a NUL (authfd.c, deserialise_identity2) or a certificate whose signature is
    not its authority's (sshkey.c, cert_parse).
    """
    if "\0" in comment:
        return "a NUL in its comment"
    try:
        name = Reader(blob, "public key").text()
        if name in TYPE_NAMES or name in CERTIFICATE_TYPES:
            key = parse_key(blob)
            if isinstance(key, Certificate):
                verify_signature(key)
        elif not (name.isascii() and name.isprintable() and name):
            return "it has no type"
        elif _CERTIFICATE in name:
            return f"a certificate of the unknown type {name[:64]!r}"
    except Unsupported:
        return None  # clients may know more than this machine's `cryptography`
    except FidokitError as error:
        return error.message
    return None


def rule_of(policy: Policy, blob: bytes, comment: str | None) -> KeyRule:
    """The rule that an upstream key is under.

    Args:
        policy: the owner's rules.
        blob: the key or certificate, as the client names it.
        comment: the upstream agent's; None where it does not list the key.

    Raises:
        Refused: which rule it is cannot be told.
    """
    return policy.rule(_fingerprint(blob), comment)


def _fingerprint(blob: bytes) -> str:
    """Of the key that signs: a certificate's rule is that of its key."""
    try:
        key = parse_key(blob)
    except MalformedKey:
        if _CERTIFICATE.encode() in blob[:_HEAD]:
            raise Refused("the policy cannot judge a certificate of an unknown type") from None
        return fingerprint.sha256(blob)
    return fingerprint.sha256(key.public.blob() if isinstance(key, Certificate) else blob)
