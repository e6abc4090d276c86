"""One request for a signature: is it allowed, is it asked for, who makes it.

The web-safe rule: a key on a token whose application does not start with `ssh:` may be a website's,
so it signs only what SSH signs; a login to a website begins otherwise (OpenSSH's ssh-agent has it).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from fidokit.agent.core.bindings import Bindings, Refused, require_login
from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.core.policy import KeyRule
from fidokit.agent.core.ports import AgentSettings, Approver, Purpose, TokenSigner
from fidokit.errors import FidokitError
from fidokit.openssh.agent_messages import FAILURE, SignRequest, encode_signature
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.plain_private import PlainPrivate
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.signatures.sshsig import FileSignature, Login, Meaning, read_meaning

_SSH: Final = "ssh:"

Work = Callable[[threading.Event], bytes]
"""What may take long: run in a thread of its own, it gives the answer; the event cancels it."""


class Signing:
    """Makes signatures, or the work for one, of requests that constraints and policy allow.

    Args:
        settings: policy, clocks, names of hosts, and the log.
        tokens: signs with keys on tokens.
        person: allows or refuses uses that are asked for.
    """

    def __init__(self, settings: AgentSettings, tokens: TokenSigner, person: Approver) -> None:
        self._settings = settings
        self._tokens = tokens
        self._person = person

    def answer(self, bindings: Bindings, entry: HeldKey, request: SignRequest) -> bytes | Work:
        """The answer to a request for a signature by a key that is held, or the work for it.

        Raises:
            Refused: constraints, policy or the web-safe rule do not allow it.
        """
        rule = self._settings.policy.rule(entry)
        private = entry.private
        simple = not (self._settings.policy or entry.destinations or entry.confirm)
        if simple and isinstance(private, PlainPrivate):
            return encode_signature(private.sign(request.data, request.flags))
        meaning = read_meaning(request.data, request.blob)
        self._require(bindings, entry, rule, meaning)
        if isinstance(private, PlainPrivate) and not (entry.confirm or rule.confirm):
            return encode_signature(private.sign(request.data, request.flags))
        host = _host(bindings, meaning)
        return lambda stop: self._made(entry, rule, request, meaning, host, stop)

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

    def _made(  # noqa: PLR0917  one request and what was found out about it
        self,
        entry: HeldKey,
        rule: KeyRule,
        request: SignRequest,
        meaning: Meaning | None,
        host: bytes | None,
        stop: threading.Event,
    ) -> bytes:
        """The answer, after the person was asked where that is wanted; may take long."""
        say = self._settings.say
        name = self._settings.host_name(host) if host else ""
        purpose = Purpose(entry.called, _what(meaning, host, name), rule.pin_cache)
        if (entry.confirm or rule.confirm) and not self._person.confirm(_question(purpose), stop):
            say(f"refused: the use of {entry.called} was not allowed by the person")
            return FAILURE
        try:
            if isinstance(entry.private, PlainPrivate):
                made = entry.private.sign(request.data, request.flags)
            else:
                made = self._tokens.sign(entry.private, request.data, purpose, stop)
        except FidokitError as error:
            hint = f" ({error.hint})" if error.hint else ""
            say(f"no signature by {entry.called}: {error.message}{hint}")
            return FAILURE
        return encode_signature(made)


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
    return last.blob if last is not None and last.session_id == meaning.session_id else None


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


def _question(purpose: Purpose) -> str:
    return f"Allow use of key {purpose.key}?\n{purpose.what}"
