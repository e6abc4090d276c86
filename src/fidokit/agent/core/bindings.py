"""Which SSH sessions a connection serves, and what destination constraints allow on it.

Source: OpenSSH PROTOCOL.agent sections 1 and 2, and what its ssh-agent does. A connection is bound
to the host keys on the path from here to where a key is used: ssh binds it for each hop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fidokit.errors import FidokitError, Unsupported
from fidokit.openssh.agent_constraints import Destination, Hop, HostKey
from fidokit.openssh.agent_messages import SessionBind, parse_session_bind
from fidokit.openssh.certificates.certificate import (
    Certificate,
    CertKind,
    UnknownKey,
    parse_host_key,
    require_trustworthy,
)
from fidokit.openssh.lines.patterns import match_pattern
from fidokit.openssh.signatures.signature import parse_signature, verify

MOST_SESSIONS: Final = 16
LONGEST_SESSION_ID: Final = 128
"""What OpenSSH takes (authfd.h)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One hop: the host key, the session, and whether the agent is forwarded over it.

    A key whose signatures cannot be verified here is an `UnknownKey`. It does not
    keep anyone from logging in, and it proves nothing: it fits no destination, no rule and no name.
    """

    key: HostKey | UnknownKey
    blob: bytes
    session_id: bytes
    forwarding: bool

    @property
    def proved(self) -> bool:
        """Whether the host showed that the key is its own."""
        return not isinstance(self.key, UnknownKey)


class Refused(Exception):
    """Why a request is refused, one sentence for the log; the client hears FAILURE alone."""


class Bindings:
    """The hops of one connection, first to last."""

    __slots__ = ("attempted", "failed", "hops")

    def __init__(self) -> None:
        self.hops: list[Bound] = []
        self.attempted = False
        """Whether a bind was tried."""
        self.failed = False
        """Whether one was refused: nobody knows then where the connection leads."""

    @property
    def remote(self) -> bool:
        """Whether requests may come from another machine."""
        return self.failed or any(hop.forwarding for hop in self.hops)

    def bind(self, body: bytes) -> None:
        """Take a hop from the body of session-bind@openssh.com.

        Raises:
            Refused: it does not verify, contradicts an earlier one, or is one too many.
        """
        failed_before, self.failed = self.failed, True
        self.attempted = True
        try:
            bind = parse_session_bind(body)
            key = _verified(bind)
        except FidokitError as error:
            raise Refused(f"session-bind: {error.message}") from None
        if not self._knows(bind):
            self.hops.append(Bound(key, bind.host_key, bind.session_id, bind.forwarding))
        self.failed = failed_before

    def _knows(self, bind: SessionBind) -> bool:
        """Whether it is there already, and no reason to refuse it."""
        for hop in self.hops:
            if not hop.forwarding:
                raise Refused("session-bind: the connection is bound to a login already")
            if hop.session_id == bind.session_id:
                if hop.blob == bind.host_key:
                    return True
                raise Refused("session-bind: the session was bound to another host key")
        if not 0 < len(bind.session_id) <= LONGEST_SESSION_ID or len(self.hops) >= MOST_SESSIONS:
            raise Refused("session-bind: too many sessions, or an impossible session id")
        return False


def _verified(bind: SessionBind) -> HostKey | UnknownKey:
    """The host key, its signature verified; one that cannot be verified here is unknown."""
    key = parse_host_key(bind.host_key)
    if isinstance(key, UnknownKey):
        return key
    try:
        if isinstance(key, Certificate):
            require_trustworthy(key)
        public = key.public if isinstance(key, Certificate) else key
        verify(public, parse_signature(bind.raw_signature), bind.session_id)
    except Unsupported:  # a post-quantum key, and a library without the parts
        return UnknownKey(bind.host_key)
    return key


# --- destination constraints ---------------------------------------------------------------


def visible(destinations: Iterable[Destination], bindings: Bindings, wall: int) -> bool:
    """Whether a key with these constraints may be seen, replaced or removed on this connection.

    Args:
        destinations: the key's; empty for none.
        bindings: the connection's.
        wall: seconds since 1970, for host certificates.
    """
    destinations = tuple(destinations)
    if not destinations:
        return True
    if not bindings.hops:
        return not bindings.attempted  # local use
    if not _path_allowed(destinations, bindings.hops, None, wall):
        return False
    last = bindings.hops[-1]
    # what may log in to a host and not go on from it is hidden there
    return not last.forwarding or _allowed(destinations, last.key, None, None, wall)


def require_login(
    destinations: tuple[Destination, ...],
    bindings: Bindings,
    login: tuple[str, bytes, bytes | None] | None,
    wall: int,
) -> None:
    """Let a key with constraints sign only what they allow.

    Args:
        destinations: the key's, at least one.
        bindings: the connection's.
        login: user, session id and host key blob of the login that is signed; None for anything
            that is not a login.
        wall: as `visible`.

    Raises:
        Refused: they do not allow it.
    """
    if not bindings.hops:
        raise Refused("a key with destinations was asked to sign on an unbound connection")
    if login is None:
        raise Refused("a key with destinations was asked to sign something that is not a login")
    user, session_id, host_key = login
    last = bindings.hops[-1]
    if last.forwarding:
        raise Refused("a key with destinations was asked to sign on a hop that only forwards")
    if not _path_allowed(destinations, bindings.hops, user, wall):
        raise Refused("the key's destinations do not allow this user and host")
    if session_id != last.session_id:
        raise Refused("the login is of another session than the one that is bound")
    if host_key is None and len(bindings.hops) > 1:
        raise Refused("a forwarded login that names no host key")
    if host_key is not None and host_key != last.blob:
        raise Refused("the login names another host key than the one that is bound")


def _path_allowed(
    destinations: tuple[Destination, ...], hops: list[Bound], user: str | None, wall: int
) -> bool:
    origin: HostKey | UnknownKey | None = None
    for hop in hops[:-1]:
        if not hop.forwarding or not _allowed(destinations, origin, hop.key, None, wall):
            return False
        origin = hop.key
    return _allowed(destinations, origin, hops[-1].key, user, wall)


def _allowed(
    destinations: tuple[Destination, ...],
    origin: HostKey | UnknownKey | None,
    to: HostKey | UnknownKey | None,
    user: str | None,
    wall: int,
) -> bool:
    """Whether one constraint allows this hop; None is the start, any host, any user."""
    return any(
        _from_fits(d.origin, origin, wall)
        and (to is None or _key_fits(d.to, to, wall))
        and (not d.to.user or user is None or match_pattern(user, d.to.user))
        for d in destinations
    )


def _from_fits(hop: Hop, origin: HostKey | UnknownKey | None, wall: int) -> bool:
    if origin is None:
        return not hop.host and not hop.keys
    return _key_fits(hop, origin, wall)


def _key_fits(hop: Hop, key: HostKey | UnknownKey, wall: int) -> bool:
    if isinstance(key, UnknownKey):
        return False
    if isinstance(key, Certificate):
        return _certificate_fits(hop, key, wall)
    return any(not spec.is_ca and spec.key == key for spec in hop.keys)


def _certificate_fits(hop: Hop, certificate: Certificate, wall: int) -> bool:
    """A host certificate by a listed authority, valid now, for the host that is meant.

    A principal may be a pattern for the constraint's host, as OpenSSH has it from 10.3 on; the host
    may be one for the principal, as before. A certificate without principals names no host.
    """
    if not any(spec.is_ca and spec.key == certificate.signature_key for spec in hop.keys):
        return False
    valid = certificate.valid_after <= wall < certificate.valid_before
    named = any(
        match_pattern(principal, hop.host) or match_pattern(hop.host, principal)
        for principal in certificate.principals
    )
    return (
        certificate.kind is CertKind.HOST and valid and named and not certificate.critical_options
    )
