"""The agent of a session: what it signs, what it refuses, and where its key is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.core.world import FAR, HOST, bind, done, login
from tests.support import agent_keys
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.core.agent import Agent, ClientState, Later
from fidokit.agent.session.keeper import SessionKey, SessionOrder, session_agent
from fidokit.errors import FidokitError
from fidokit.openssh import agent_messages as wire
from fidokit.openssh.agent_constraints import Constraints, Destination, Hop, KeySpec
from fidokit.openssh.agent_messages import FAILURE, SignRequest
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.plain_private import PlainPrivate
from fidokit.openssh.signatures.signature import verify
from fidokit.openssh.signatures.sshsig import to_be_signed
from fidokit.openssh.wire import string

NEAR = Destination(Hop(), Hop("", "near", (KeySpec(HOST.public, is_ca=False),)))
ON = Destination(NEAR.to, Hop("", "far", (KeySpec(FAR.public, is_ca=False),)))


class Session:
    """A session's key and agent, and clients of it."""

    def __init__(self, *destinations: Destination, seconds: float = 600) -> None:
        self.key = SessionKey()
        self.certificate = certified(self.key)
        self.private = PlainPrivate(self.key.public, self.certificate, self.key.sign)
        order = SessionOrder(self.certificate, destinations, seconds)
        self.agent: Agent = session_agent(self.key, order)
        self.client = ClientState()

    def ask(self, payload: bytes, client: ClientState | None = None) -> bytes:
        step = self.agent.handle(client or self.client, payload)
        assert not isinstance(step, Later)
        return done(step)

    def sign(self, data: bytes, client: ClientState | None = None) -> bytes:
        return self.ask(SignRequest(self.certificate.blob(), data, 0).encode(), client)

    def listed(self, client: ClientState | None = None) -> list[bytes]:
        answer = self.ask(wire.REQUEST_IDENTITIES, client)
        return [blob for blob, _ in wire.parse_identities(answer)]


def certified(key: SessionKey) -> Certificate:
    return certificate(key.public, ed25519_key(9))


def test_it_lists_and_signs_a_login() -> None:
    session = Session()
    assert session.listed() == [session.certificate.blob()]
    data = login(session.private)
    verify(session.key.public, wire.parse_signature_answer(session.sign(data)), data)


@pytest.mark.parametrize("data", [b"data", to_be_signed("git", "sha512", b"m" * 64)])
def test_it_signs_nothing_but_logins(data: bytes) -> None:
    assert Session().sign(data) == FAILURE


OTHER_REQUESTS = [
    wire.encode_add(agent_keys.ed25519().fields, "more"),
    wire.encode_remove(b"blob"),
    bytes([wire.Type.REMOVE_ALL]),
    bytes([wire.Type.LOCK]) + string(b"passphrase"),
    wire.AgentExtension(wire.QUERY).encode(),
    wire.AgentExtension("other@example").encode(),
    b"\x01",
]


@pytest.mark.parametrize("payload", OTHER_REQUESTS)
def test_it_does_nothing_else(payload: bytes) -> None:
    session = Session()
    assert session.ask(payload) == FAILURE
    assert session.listed() == [session.certificate.blob()]


def test_a_bind_that_does_not_verify() -> None:
    assert Session().ask(bind(HOST, signed=b"another")) == wire.EXTENSION_FAILURE


def test_with_hosts_a_client_has_to_bind() -> None:
    """ssh before 8.9 does not, and a program that is not an ssh does not."""
    session = Session(NEAR)
    assert session.sign(login(session.private)) == FAILURE


def test_with_hosts_it_signs_for_those_alone() -> None:
    session, far = Session(NEAR), ClientState()
    session.ask(bind(HOST))
    assert session.sign(login(session.private)) != FAILURE
    session.ask(bind(FAR), far)
    assert session.sign(login(session.private, host=FAR), far) == FAILURE
    assert session.listed(far) == []


def test_another_machine_can_use_it_only_where_that_is_named() -> None:
    for session, allowed in ((Session(), False), (Session(NEAR), False), (Session(NEAR, ON), True)):
        session.ask(bind(HOST, b"first", forwarding=True))
        session.ask(bind(FAR, b"second"))
        signed = session.sign(login(session.private, session=b"second", host=FAR))
        assert (signed != FAILURE) is allowed


def test_its_key_goes_when_the_time_is_over() -> None:
    session = Session(seconds=0)
    assert session.listed() == []
    assert session.sign(login(session.private)) == FAILURE


def test_another_keys_certificate_is_refused() -> None:
    with pytest.raises(FidokitError, match="another key"):
        session_agent(SessionKey(), SessionOrder(certified(SessionKey()), (), 600))


def test_more_host_keys_than_an_agent_holds() -> None:
    key = SessionKey()
    many = replace(NEAR, to=replace(NEAR.to, keys=NEAR.to.keys * 5000))
    with pytest.raises(FidokitError, match="too many host keys"):
        session_agent(key, SessionOrder(certified(key), (many,), 600))


def test_an_order_is_read_as_it_is_written() -> None:
    key = SessionKey()
    line = {
        "certificate": certified(key).blob().hex(),
        "constraints": Constraints(destinations=(NEAR, ON)).encode().hex(),
        "seconds": 600,
    }
    found = SessionOrder.read(json.dumps(line).encode())
    assert found == SessionOrder(certified(key), (NEAR, ON), 600)


def test_the_page_of_its_key_is_locked_and_in_no_core_or_child() -> None:
    key = SessionKey()
    start = f"{_address(key):x}-"
    maps = Path("/proc/self/smaps").read_text()
    entry = maps[maps.index(start) :]
    flags = re.search(r"VmFlags:(.*)", entry)
    assert flags is not None
    assert {"lo", "dd", "dc"} <= set(flags[1].split())


def _address(key: SessionKey) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(key._page))
