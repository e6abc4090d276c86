"""Session binds and destination constraints, as OpenSSH's agent holds them."""

from __future__ import annotations

import pytest
from tests.agent.core.world import FAR, HOST, OTHER, PLAIN, World, bind, login
from tests.support.samples import ED25519, ML_DSA
from tests.support.signers import PlainKey, certificate, ed25519_key

from fidokit.agent.core.agent import ClientState
from fidokit.agent.core.bindings import MOST_SESSIONS, Bindings, visible
from fidokit.agent.core.policy import KeyRule, Policy
from fidokit.errors import Unsupported
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints, Destination, Hop, KeySpec
from fidokit.openssh.agent_messages import (
    EXTENSION_FAILURE,
    FAILURE,
    SUCCESS,
    AgentExtension,
    SessionBind,
)
from fidokit.openssh.certificates.certificate import Certificate, CertKind, CertOption, UnknownKey
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.signatures import composite

AUTHORITY = ed25519_key(60)


def spec(key: PlainKey, *, is_ca: bool = False) -> tuple[KeySpec, ...]:
    return (KeySpec(key.public, is_ca),)


START = Hop()
NEAR = Hop("", "near.example", spec(HOST))
BEYOND = Hop("", "far.example", spec(FAR))
TO_NEAR = Destination(START, Hop("me*", "near.example", spec(HOST)))
NEAR_TO_FAR = Destination(NEAR, Hop("root", "far.example", spec(FAR)))
BLOB = PLAIN.public.blob()
KEY = PLAIN.read()


def restricted(*destinations: Destination) -> World:
    world = World()
    world.add(PLAIN.fields, Constraints(destinations=destinations))
    return world


# --- binding -------------------------------------------------------------------------------


def test_a_bind_is_taken_and_the_same_again() -> None:
    world = World()
    assert world.bind(HOST, forwarding=True) == SUCCESS
    assert world.bind(HOST, forwarding=True) == SUCCESS
    assert len(world.client.bindings.hops) == 1
    assert world.bind(FAR, b"next") == SUCCESS
    assert len(world.client.bindings.hops) == 2


@pytest.mark.parametrize(
    "payload",
    [
        bind(HOST, signed=b"another session"),
        bind(HOST, b""),
        bind(HOST, bytes(129)),
        AgentExtension(agent_messages.SESSION_BIND, b"").encode(),
        AgentExtension(
            agent_messages.SESSION_BIND, SessionBind(b"no key", b"s", b"", True).encode()
        ).encode(),
        AgentExtension(
            agent_messages.SESSION_BIND, SessionBind(HOST.public.blob(), b"s", b"no", True).encode()
        ).encode(),
    ],
)
def test_binds_that_do_not_hold(payload: bytes) -> None:
    world = World()
    assert world.ask(payload) == EXTENSION_FAILURE
    assert world.client.bindings.attempted
    assert not world.client.bindings.hops


def test_a_login_binds_for_good() -> None:
    world = World()
    world.bind(HOST)
    assert world.bind(FAR, b"next") == EXTENSION_FAILURE


def test_one_session_has_one_host_key() -> None:
    world = World()
    world.bind(HOST, forwarding=True)
    assert world.bind(FAR, forwarding=True) == EXTENSION_FAILURE


def test_too_many_sessions() -> None:
    world = World()
    for number in range(MOST_SESSIONS):
        assert world.bind(HOST, bytes([number + 1]), forwarding=True) == SUCCESS
    assert world.bind(HOST, b"more", forwarding=True) == EXTENSION_FAILURE


def test_a_bind_is_for_one_connection() -> None:
    world = World()
    world.bind(HOST)
    assert not ClientState().bindings.hops


def foreign(name: str = "ssh-of-tomorrow") -> bytes:
    return wire.text(name) + wire.string(b"points")


def bound(blob: bytes, session: bytes = b"session", *, forwarding: bool = False) -> bytes:
    body = SessionBind(blob, session, b"whatever", forwarding).encode()
    return AgentExtension(agent_messages.SESSION_BIND, body).encode()


def test_a_host_key_of_an_unknown_type_is_no_reason_to_refuse_a_login() -> None:
    world = World(policy=Policy([KeyRule("*", forwarded=False)]))
    world.add(PLAIN.fields)
    assert world.ask(bound(foreign())) == SUCCESS
    assert not world.client.bindings.remote
    assert world.sign(BLOB, login(KEY, host=None)) != FAILURE
    there = ClientState()
    assert world.ask(bound(foreign(), forwarding=True), there) == SUCCESS
    assert there.bindings.remote
    assert world.ask(bound(foreign("another"), b"next"), there) == SUCCESS
    assert world.sign(BLOB, login(KEY, session=b"next", host=None), client=there) == FAILURE


def test_what_cannot_be_verified_proves_nothing() -> None:
    """Neither to destinations nor to rules, even if they name that very key."""
    blob = foreign()
    named = Hop("", "near.example", (KeySpec(UnknownKey(blob), is_ca=False), *spec(HOST)))
    world = restricted(Destination(START, named))
    assert world.ask(bound(blob)) == SUCCESS
    assert world.listed() == []
    assert world.sign(BLOB, login(KEY, host=None)) == FAILURE
    ruled = World(policy=Policy([KeyRule("*", hosts=[fingerprint.sha256(blob)])]))
    ruled.add(PLAIN.fields)
    assert ruled.ask(bound(blob)) == SUCCESS
    assert ruled.sign(BLOB, login(KEY, host=None)) == FAILURE


def test_what_cannot_be_verified_is_not_named() -> None:
    world = World(policy=Policy([KeyRule("*", confirm=True)]))
    world.add(PLAIN.fields)
    assert world.ask(bound(foreign(), b"s", forwarding=True)) == SUCCESS
    assert world.sign(BLOB, login(KEY, session=b"s", host=None)) != FAILURE
    [question] = world.person.questions
    assert "a host that the client does not name" in question
    assert "forwarded from a host whose key cannot be verified here" in question


def test_a_post_quantum_host_key_without_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> bool:
        raise Unsupported("this Python's cryptography library has no ML-DSA")

    monkeypatch.setattr(composite, "verify", missing)
    signature = wire.text(ML_DSA.type_name) + wire.string(bytes(composite.SIGNATURE))
    body = SessionBind(ML_DSA.blob(), b"session", signature, False).encode()
    world = World()
    assert world.ask(AgentExtension(agent_messages.SESSION_BIND, body).encode()) == SUCCESS
    assert not world.client.bindings.hops[0].proved


def test_a_host_certificate_of_an_unknown_authority() -> None:
    made = host_certificate()
    at = made.blob().index(AUTHORITY.public.blob())
    tail = wire.string(foreign()) + wire.string(wire.text("ssh-of-tomorrow") + wire.string(b"sig"))
    world = World()
    assert world.ask(bound(made.blob()[: at - 4] + tail)) == SUCCESS
    assert not world.client.bindings.hops[0].proved


def test_a_bind_that_failed_leaves_no_local_connection() -> None:
    world = World(policy=Policy([KeyRule("*", forwarded=False)]))
    world.add(PLAIN.fields)
    assert world.ask(bind(HOST, signed=b"another session")) == EXTENSION_FAILURE
    assert world.bind(HOST) == SUCCESS
    assert world.client.bindings.remote
    assert world.sign(BLOB, login(KEY)) == FAILURE


def host_certificate(**how: object) -> Certificate:
    names = {"principals": ("near.example",), "kind": CertKind.HOST, **how}
    return certificate(HOST.public, AUTHORITY, **names)  # type: ignore[arg-type]


def test_a_host_certificate_binds() -> None:
    made = host_certificate()
    body = SessionBind(made.blob(), b"session", HOST.sign(b"session").blob(), False).encode()
    world = World()
    assert world.ask(AgentExtension(agent_messages.SESSION_BIND, body).encode()) == SUCCESS
    forged = made.blob()[:-1] + bytes([made.blob()[-1] ^ 1])
    body = SessionBind(forged, b"session", HOST.sign(b"session").blob(), False).encode()
    assert (
        World().ask(AgentExtension(agent_messages.SESSION_BIND, body).encode()) == EXTENSION_FAILURE
    )


# --- seeing --------------------------------------------------------------------------------


def test_local_clients_see_constrained_keys_and_cannot_sign() -> None:
    world = restricted(TO_NEAR)
    assert len(world.listed()) == 1
    assert world.sign(BLOB, login(KEY)) == FAILURE
    assert "unbound" in world.log[-1]


def test_a_failed_bind_hides_them() -> None:
    world = restricted(TO_NEAR)
    world.ask(bind(HOST, signed=b"another session"))
    assert world.listed() == []


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ([(HOST, False)], True),
        ([(HOST, True)], True),
        ([(FAR, False)], False),
        ([(HOST, True), (FAR, False)], True),
        ([(HOST, True), (FAR, True)], False),  # may log in to far, and not go on from there
        ([(HOST, True), (OTHER, False)], False),
        ([(FAR, True), (HOST, False)], False),
    ],
)
def test_what_is_seen_along_a_path(path: list[tuple[PlainKey, bool]], seen: bool) -> None:
    world = restricted(TO_NEAR, NEAR_TO_FAR)
    for number, (host, forwarding) in enumerate(path):
        assert world.bind(host, bytes([number + 1]), forwarding=forwarding) == SUCCESS
    assert bool(world.listed()) is seen


def test_what_may_log_in_and_not_go_on_is_hidden_where_it_is_forwarded() -> None:
    world = restricted(TO_NEAR)
    world.bind(HOST, forwarding=True)
    assert world.listed() == []


def test_a_hidden_key_is_neither_removed_nor_replaced() -> None:
    world = restricted(TO_NEAR)
    far = ClientState()
    world.bind(FAR, forwarding=True, client=far)
    assert world.ask(agent_messages.encode_remove(BLOB), far) == FAILURE
    assert world.add(PLAIN.fields, client=far) == FAILURE
    assert world.agent.keys.get(BLOB).destinations  # type: ignore[union-attr]


# --- signing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "host", "session", "signs"),
    [
        ("me", HOST, b"session", True),
        ("me2", HOST, b"session", True),
        ("me", None, b"session", True),  # one hop: an older ssh does not name the host
        ("root", HOST, b"session", False),
        ("me", FAR, b"session", False),
        ("me", HOST, b"other", False),
    ],
)
def test_a_login_to_a_listed_host(
    user: str, host: PlainKey | None, session: bytes, signs: bool
) -> None:
    world = restricted(TO_NEAR)
    world.bind(HOST)
    answer = world.sign(BLOB, login(KEY, user=user, host=host, session=session))
    assert (answer != FAILURE) is signs


def test_nothing_but_logins() -> None:
    world = restricted(TO_NEAR)
    world.bind(HOST)
    assert world.sign(BLOB, b"anything") == FAILURE
    assert world.sign(BLOB, b"SSHSIG") == FAILURE


@pytest.mark.parametrize(
    ("user", "host", "signs"),
    [("root", FAR, True), ("me", FAR, False), ("root", None, False), ("root", HOST, False)],
)
def test_a_login_over_a_forwarded_agent(user: str, host: PlainKey | None, signs: bool) -> None:
    world = restricted(TO_NEAR, NEAR_TO_FAR)
    world.bind(HOST, b"first", forwarding=True)
    world.bind(FAR, b"second")
    answer = world.sign(BLOB, login(KEY, user=user, host=host, session=b"second"))
    assert (answer != FAILURE) is signs


def test_no_signature_on_a_hop_that_forwards() -> None:
    world = restricted(TO_NEAR, NEAR_TO_FAR)
    world.bind(HOST, b"first", forwarding=True)
    assert world.sign(BLOB, login(KEY, session=b"first")) == FAILURE
    assert "forwards" in world.log[-1]


def test_unconstrained_keys_are_free() -> None:
    world = World()
    world.add(PLAIN.fields)
    world.bind(FAR, forwarding=True)
    assert len(world.listed()) == 1
    assert world.sign(BLOB, b"anything") != FAILURE


# --- host certificates ---------------------------------------------------------------------

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("made", "seen"),
    [
        (host_certificate(), True),
        (host_certificate(principals=("far.example", "near.example")), True),
        (host_certificate(principals=("*.example",)), True),  # from OpenSSH 10.3 on
        (host_certificate(principals=("*.near.example",)), False),
        (host_certificate(principals=()), False),
        (host_certificate(principals=("far.example",)), False),
        (host_certificate(kind=CertKind.USER), False),
        (host_certificate(valid_before=NOW), False),
        (host_certificate(valid_after=NOW + 1), False),
        (host_certificate(critical_options=(CertOption("x"),)), False),
        (certificate(HOST.public, OTHER, kind=CertKind.HOST, principals=("near.example",)), False),
    ],
)
def test_host_certificates(made: Certificate, seen: bool) -> None:
    destination = Destination(START, Hop("", "near.example", spec(AUTHORITY, is_ca=True)))
    bindings = Bindings()
    body = SessionBind(made.blob(), b"session", HOST.sign(b"session").blob(), False).encode()
    bindings.bind(body)
    assert visible([destination], bindings, NOW) is seen


def test_the_host_of_a_constraint_may_be_a_pattern() -> None:
    destination = Destination(START, Hop("", "*.example", spec(AUTHORITY, is_ca=True)))
    bindings = Bindings()
    made = host_certificate()
    body = SessionBind(made.blob(), b"session", HOST.sign(b"session").blob(), False).encode()
    bindings.bind(body)
    assert visible([destination], bindings, NOW)


def test_an_authoritys_key_is_no_host_key_and_the_other_way_round() -> None:
    bindings = Bindings()
    bindings.bind(SessionBind(HOST.public.blob(), b"s", HOST.sign(b"s").blob(), False).encode())
    as_authority = Destination(START, Hop("", "near.example", spec(HOST, is_ca=True)))
    assert not visible([as_authority], bindings, NOW)
    plain = Destination(START, Hop("", "near.example", (KeySpec(ED25519, is_ca=False),)))
    assert not visible([plain], bindings, NOW)
