"""The keys of an upstream agent: which of them clients can read, and which rule each is under.

An upstream agent's list is foreign text. Stock ssh refuses a whole list over one identity that it
cannot read, so that one bad key upstream would hide all others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final

from fidokit.agent.core.bindings import Refused
from fidokit.agent.core.held_keys import MOST_KEYS
from fidokit.agent.core.policy import KeyRule, Policy
from fidokit.errors import FidokitError, MalformedKey, Unsupported
from fidokit.openssh import agent_messages as wire
from fidokit.openssh.certificates.certificate import (
    CERTIFICATE_TYPES,
    Certificate,
    parse_key,
    verify_signature,
)
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import TYPE_NAMES
from fidokit.openssh.wire import Reader
from fidokit.prompt.text import count

Identity = tuple[bytes, str]
"""A public key or certificate blob, and its comment."""

_CERTIFICATE: Final = "-cert"
"""What the type name of every certificate holds."""
_HEAD: Final = 128
"""Bytes in which a type name stands."""
MOST_ANSWERS: Final = 4
"""That are remembered: for local clients and those of other machines, and what changes between."""


class JoinedLists:
    """Answers to lists: this agent's keys, and then those of the upstream agent.

    They are remembered by the very bytes of the upstream agent's list and all else that they
    depend on: to judge a hundred identities takes longer than to list them.

    Args:
        policy: the owner's rules, the same for as long as the agent lives.
        say: takes a line for the log.
    """

    def __init__(self, policy: Policy, say: Callable[[str], None]) -> None:
        self._policy = policy
        self._say = say
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._turn = threading.Lock()

    def remembered(
        self, theirs: bytes, ours: tuple[Identity, ...], held: frozenset[bytes], *, remote: bool
    ) -> bytes | None:
        """The answer to a client's list if it was made before; the arguments of `answer`."""
        key = theirs, ours, held, remote
        with self._turn:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
        return found

    def answer(
        self, theirs: bytes, ours: tuple[Identity, ...], held: frozenset[bytes], *, remote: bool
    ) -> bytes:
        """The answer to a client's list; may take long, and may be called from any thread.

        Args:
            theirs: what the upstream agent answered.
            ours: the keys of this agent that the client may see.
            held: the blobs of all of them, which are never the upstream agent's.
            remote: whether the client may be on another machine.
        """
        found = self.remembered(theirs, ours, held, remote=remote)
        if found is not None:
            return found
        listed = [
            (blob, comment)
            for blob, comment in readable(parsed(theirs), self._say)
            if blob not in held and self._may_list(blob, comment, remote=remote)
        ]
        made = wire.encode_identities(_that_fit([*ours, *listed], self._say))
        with self._turn:
            self._answers[theirs, ours, held, remote] = made
            while len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)
        return made

    def _may_list(self, blob: bytes, comment: str, *, remote: bool) -> bool:
        if not self._policy:
            return True
        try:
            return rule_of(self._policy, blob, comment).lists(remote=remote)
        except Refused:
            return False


def parsed(theirs: bytes) -> list[Identity]:
    """What the upstream agent lists; nothing if its answer cannot be read."""
    try:
        return wire.parse_identities(theirs)
    except FidokitError:
        return []


def _that_fit(identities: list[Identity], say: Callable[[str], None]) -> list[Identity]:
    """As many as fit into one answer that stock ssh takes."""
    room, fitting = wire.MAX_FRAME - len(wire.encode_identities([])), []
    for blob, comment in identities[:MOST_KEYS]:
        room -= len(wire.encode_identities([(blob, comment)]))
        if room < 0:
            break
        fitting.append((blob, comment))
    if len(fitting) < len(identities):
        left_out = count(len(identities) - len(fitting), "key")
        say(f"the list has no room for {left_out} of the upstream agent")
    return fitting


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
    """Why stock ssh would refuse a list with this identity; None if it would not.

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
        comment: the upstream agent's; None if it does not list the key.

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
