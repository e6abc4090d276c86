"""One request for a signature: is it allowed, is it asked for, who makes it.

The web-safe rule: a key on a token whose application does not start with `ssh:` may be a website's,
so it signs only what SSH signs; a login to a website begins otherwise (OpenSSH's ssh-agent has it).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from fidokit.agent.core.bindings import Bindings, Refused, require_login
from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.core.policy import KeyRule
from fidokit.agent.core.ports import (
    AgentSettings,
    Approver,
    Consent,
    Purpose,
    TokenSigner,
    Upstream,
)
from fidokit.errors import FidokitError
from fidokit.openssh.agent_messages import FAILURE, SignRequest, encode_signature
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.plain_private import PlainPrivate
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.keys.public import RsaPublic
from fidokit.openssh.signatures.sshsig import FileSignature, Login, Meaning, read_meaning

_SSH: Final = "ssh:"
LARGEST_AT_ONCE: Final = 4096
"""Bits of an RSA key whose signature others can wait for: some 4 ms. One of 16,384 takes 2 s."""

Work = Callable[[threading.Event], bytes]
"""What may take long: run in a thread of its own, it gives the answer; the event cancels it."""


class Signing:
    """Makes signatures, or the work for one, of requests that constraints and policy allow.

    Args:
        settings: policy, clocks, names of hosts, and the log.
        tokens: signs with keys on tokens.
        person: allows or refuses uses that have to be confirmed.
    """

    def __init__(self, settings: AgentSettings, tokens: TokenSigner, person: Approver) -> None:
        self._settings = settings
        self._tokens = tokens
        self._person = person

    def answer(self, client: Requester, entry: HeldKey, request: SignRequest) -> bytes | Work:
        """The answer to a request for a signature by a key that is held, or the work for it.

        Raises:
            Refused: constraints, policy or the web-safe rule do not allow it.
        """
        bindings = client.bindings
        rule = self._settings.policy.rule(entry.fingerprint, entry.comment)
        at_once = isinstance(entry.private, PlainPrivate) and not (
            entry.confirm or rule.confirm or _is_slow(entry.private)
        )
        if at_once and not (self._settings.policy or entry.destinations):
            return self._signed(entry, request)
        meaning = read_meaning(request.data, request.blob)
        self._require(bindings, entry, rule, meaning)
        if at_once:
            return self._signed(entry, request)
        host = _host(bindings, meaning)
        return lambda stop: self._made(
            entry,
            request,
            self._purpose(entry.called, client, meaning, host, rule),
            stop,
            confirm=entry.confirm or rule.confirm,
        )

    def by_upstream(
        self,
        client: Requester,
        upstream: Upstream,
        key: tuple[KeyRule, str],
        request: SignRequest,
        stop: threading.Event,
    ) -> bytes:
        """The upstream agent's answer, where the policy allows it; may take long.

        Args:
            client: who asks.
            upstream: the connection that serves this client.
            key: the rule that the key is under, and what it is called.
            request: the client's, passed on as it is.
            stop: set when the client hung up.

        Raises:
            Refused: the policy does not allow it, or the user did not.
        """
        rule, called = key
        meaning = read_meaning(request.data, request.blob)
        rule.require(meaning, client.bindings)
        if rule.confirm:
            host = _host(client.bindings, meaning)
            self._ask(self._purpose(called, client, meaning, host, rule), stop)
        return upstream.exchange(request.encode())

    def _require(
        self, bindings: Bindings, entry: HeldKey, rule: KeyRule, meaning: Meaning | None
    ) -> None:
        rule.require(meaning, bindings)
        if entry.destinations:
            login = (
                (meaning.user, meaning.session_id, meaning.host_key)
                if isinstance(meaning, Login)
                else None
            )
            require_login(entry.destinations, bindings, login, int(self._settings.wall()))
        if meaning is None and _maybe_a_websites(entry):
            raise Refused("a key that may be a website's was asked to sign what is not SSH's")

    def _purpose(
        self,
        called: str,
        client: Requester,
        meaning: Meaning | None,
        host: bytes | None,
        rule: KeyRule,
    ) -> Purpose:
        name = self._settings.host_name(host) if host else ""
        asked_by = _asked_by(client, self._settings.host_name)
        return Purpose(called, _what(meaning, host, name), rule.pin_cache, asked_by)

    def _ask(self, purpose: Purpose, stop: threading.Event) -> None:
        """Have the user allow a use.

        Raises:
            Refused: not allowed, or there is nobody to ask.
        """
        consent = self._person.confirm(_question(purpose), stop)
        if consent is Consent.NOBODY:
            raise Refused(
                f"the use of {purpose.key} needs confirmation, and nobody can be asked; start the "
                "agent with a terminal, or with SSH_ASKPASS and a display"
            )
        if consent is Consent.DECLINED:
            raise Refused(f"the user did not allow the use of {purpose.key}")

    def _made(
        self,
        entry: HeldKey,
        request: SignRequest,
        purpose: Purpose,
        stop: threading.Event,
        *,
        confirm: bool,
    ) -> bytes:
        """The answer, after the user was asked if that is wanted; may take long."""
        if confirm:
            self._ask(purpose, stop)
        if isinstance(entry.private, PlainPrivate):
            return self._signed(entry, request)
        private = entry.private
        return self._logged(entry, lambda: self._tokens.sign(private, request.data, purpose, stop))

    def _signed(self, entry: HeldKey, request: SignRequest) -> bytes:
        """The answer by an ordinary key."""
        private = entry.private
        assert isinstance(private, PlainPrivate)  # noqa: S101  by the callers
        return self._logged(entry, lambda: private.sign(request.data, request.flags))

    def _logged(self, entry: HeldKey, sign: Callable[[], bytes]) -> bytes:
        try:
            return encode_signature(sign())
        except FidokitError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self._settings.say(f"no signature by {entry.called}: {error.message}{hint}")
            return FAILURE


class Requester(Protocol):
    """The client that asks for a signature."""

    @property
    def bindings(self) -> Bindings:
        """The hosts that its connection is bound to."""

    @property
    def process(self) -> str:
        """Its program and process id, as the system knows them; empty if it does not."""


def _is_slow(private: PlainPrivate) -> bool:
    public = private.public
    return isinstance(public, RsaPublic) and public.n.bit_length() > LARGEST_AT_ONCE


def _maybe_a_websites(entry: HeldKey) -> bool:
    private = entry.private
    return isinstance(private, SkPrivate) and not private.public.application.startswith(_SSH)


def _host(bindings: Bindings, meaning: Meaning | None) -> bytes | None:
    """The host key of a login: as it is signed, or as the connection was bound to its session."""
    if not isinstance(meaning, Login):
        return None
    if meaning.host_key is not None:
        return meaning.host_key
    last = bindings.hops[-1] if bindings.hops else None
    known = last is not None and last.proved and last.session_id == meaning.session_id
    return last.blob if last is not None and known else None


def _what(meaning: Meaning | None, host: bytes | None, name: str) -> str:
    match meaning:
        case Login():
            key = "" if host is None else f"the host with key {fingerprint.sha256(host)}"
            where = f"{name}, {key}" if name else key or "a host that the client does not name"
            return f"login as {meaning.user} to {where}"
        case FileSignature():
            return f"signature of a file for {meaning.namespace!r}"
        case None:
            return "signature of something that is neither a login nor a file"


def _asked_by(client: Requester, host_name: Callable[[bytes], str]) -> str:
    """The local process, and the host that it forwards for."""
    forwarding = [hop for hop in client.bindings.hops if hop.forwarding]
    process = client.process or "a process that the system does not name"
    if not forwarding:
        return process
    if not forwarding[-1].proved:
        return f"{process}, forwarded from a host whose key cannot be verified here"
    blob = forwarding[-1].blob
    where = host_name(blob) or f"the host with key {fingerprint.sha256(blob)}"
    return f"{process}, forwarded from {where}"


def _question(purpose: Purpose) -> str:
    return f"Allow use of key {purpose.key}?\n{purpose.what}\nasked for by {purpose.asked_by}"
