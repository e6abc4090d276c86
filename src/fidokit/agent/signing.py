"""One request for a signature: is it allowed, is it asked for, who makes it.

The web-safe rule: a key on a token whose application does not start with `ssh:` may be a website's,
so it signs only what SSH signs; a login to a website begins otherwise (OpenSSH's ssh-agent has it).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from fidokit.agent.bindings import Bindings, Refused, require_login
from fidokit.agent.keys import Entry
from fidokit.agent.policy import Rule
from fidokit.agent.ports import Purpose
from fidokit.errors import FidokitError
from fidokit.openssh import fingerprint
from fidokit.openssh.agent_messages import FAILURE, SignRequest, encode_signature
from fidokit.openssh.plain_private import PlainPrivate
from fidokit.openssh.private import SkPrivate
from fidokit.openssh.signed_data import FileSignature, Login, Meaning, read_meaning

if TYPE_CHECKING:
    from fidokit.agent.core import Agent, Step, Work

_SSH: Final = "ssh:"


def sign(agent: Agent, bindings: Bindings, entry: Entry, request: SignRequest) -> Step:
    """The answer to a request for a signature by a key that is here, or the work for it.

    Raises:
        Refused: constraints, policy or the web-safe rule do not allow it.
    """
    rule = agent.settings.policy.rule(entry)
    private = entry.private
    simple = not (agent.settings.policy or entry.destinations or entry.confirm)
    if simple and isinstance(private, PlainPrivate):
        return encode_signature(private.sign(request.data, request.flags))
    meaning = read_meaning(request.data, request.blob)
    _require(agent, bindings, entry, rule, meaning)
    confirm = entry.confirm or rule.confirm
    if isinstance(private, PlainPrivate) and not confirm:
        return encode_signature(private.sign(request.data, request.flags))
    return _work(agent, bindings, entry, request, meaning)


def _require(
    agent: Agent, bindings: Bindings, entry: Entry, rule: Rule, meaning: Meaning | None
) -> None:
    rule.require(meaning, bindings)
    if entry.destinations:
        login = (
            (meaning.user, meaning.session_id, meaning.host_key)
            if isinstance(meaning, Login)
            else None
        )
        require_login(entry.destinations, bindings, login, int(agent.settings.wall()))
    if meaning is None and _maybe_a_websites(entry):
        raise Refused("a key that may be a website's was asked to sign what is not SSH's")


def _maybe_a_websites(entry: Entry) -> bool:
    private = entry.private
    return isinstance(private, SkPrivate) and not private.public.application.startswith(_SSH)


def _work(
    agent: Agent,
    bindings: Bindings,
    entry: Entry,
    request: SignRequest,
    meaning: Meaning | None,
) -> Work:
    rule = agent.settings.policy.rule(entry)
    host = _host(bindings, meaning)

    def work(stop: threading.Event) -> bytes:
        name = agent.settings.host_name(host) if host else ""
        purpose = Purpose(entry.called, _what(meaning, host, name), rule.pin_cache)
        if (entry.confirm or rule.confirm) and not agent.person.confirm(_question(purpose), stop):
            agent.settings.say(f"refused: the use of {entry.called} was not allowed by the person")
            return FAILURE
        try:
            return encode_signature(_made(agent, entry, request, purpose, stop))
        except FidokitError as error:
            hint = f" ({error.hint})" if error.hint else ""
            agent.settings.say(f"no signature by {entry.called}: {error.message}{hint}")
            return FAILURE

    return work


def _made(
    agent: Agent, entry: Entry, request: SignRequest, purpose: Purpose, stop: threading.Event
) -> bytes:
    if isinstance(entry.private, PlainPrivate):
        return entry.private.sign(request.data, request.flags)
    return agent.tokens.sign(entry.private, request.data, purpose, stop)


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
