"""The agent's core: each request in each state, without sockets, threads or time."""

from __future__ import annotations

import threading

import pytest
from tests.agent.core.world import HOST, PLAIN, SK, WEB, World, bind, done, lock, login, to, unlock
from tests.support import agent_keys
from tests.support.agent_keys import ALL, Held
from tests.support.mutate import fuzz_count, mutants
from tests.support.signers import certificate, ed25519_key, ed25519_token

from fidokit.agent.core.agent import (
    CHANGES,
    EXTENSIONS,
    HANDLERS,
    ClientState,
    Later,
    State,
)
from fidokit.agent.core.ports import Consent
from fidokit.errors import TouchRefused
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints
from fidokit.openssh.agent_messages import EXTENSION_FAILURE, FAILURE, SUCCESS, AgentExtension
from fidokit.openssh.keys.plain_private import SignFlag
from fidokit.openssh.keys.public import RsaPublic
from fidokit.openssh.signatures.signature import verify
from fidokit.openssh.signatures.sshsig import digest, to_be_signed

# --- ordinary keys -------------------------------------------------------------------------


def test_an_empty_agent_lists_nothing() -> None:
    assert World().listed() == []


@pytest.mark.parametrize("held", ALL, ids=lambda held: held.name)
def test_a_key_is_added_listed_and_signs(held: Held) -> None:
    world = World()
    assert world.add(held.fields, comment="me@here") == SUCCESS
    blob = held.read().public_blob()
    assert world.listed() == [(blob, "me@here")]
    flags = SignFlag.RSA_SHA2_256 if isinstance(held.public, RsaPublic) else 0
    signature = agent_messages.parse_signature_answer(world.sign(blob, flags=flags))
    verify(held.public, signature, b"data")


def test_adding_again_replaces() -> None:
    world = World()
    world.add(PLAIN.fields, Constraints(confirm=True), comment="old")
    world.add(PLAIN.fields, comment="new")
    assert world.listed() == [(PLAIN.public.blob(), "new")]
    assert world.sign(PLAIN.public.blob()) != FAILURE
    assert not world.person.questions


def test_removing() -> None:
    world = World()
    world.add(PLAIN.fields)
    remove = agent_messages.encode_remove(PLAIN.public.blob())
    assert world.ask(remove) == SUCCESS
    assert world.ask(remove) == FAILURE
    assert world.listed() == []
    assert world.sign(PLAIN.public.blob()) == FAILURE


@pytest.mark.parametrize("number", [9, 19])
def test_removing_all_wipes_pins_too(number: int) -> None:
    world = World()
    world.add(PLAIN.fields)
    world.add(SK.encode())
    assert world.ask(bytes([number])) == SUCCESS
    assert world.listed() == []
    assert world.tokens.forgotten == 1


def test_a_certificate_whose_signature_does_not_hold_is_refused() -> None:
    world = World()
    held = agent_keys.certified(agent_keys.ed25519())
    assert held.certificate is not None
    blob = held.certificate.blob()
    fields = held.fields.replace(blob, blob[:-1] + bytes([blob[-1] ^ 1]))
    assert world.add(fields) == FAILURE
    assert "not signed by the authority" in world.log[0]


def test_pins_end_with_the_clock_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world.tokens, "expire", lambda: world.now + 5)
    assert world.agent.tick() == world.now + 5
    world.add(PLAIN.fields, Constraints(lifetime=3))
    assert world.agent.tick() == world.now + 3


def test_lifetimes_end() -> None:
    world = World()
    world.add(PLAIN.fields, Constraints(lifetime=60))
    assert world.agent.tick() == world.now + 60
    world.now += 59.9
    assert len(world.listed()) == 1
    world.now += 0.2
    assert world.sign(PLAIN.public.blob()) == FAILURE
    assert world.listed() == []
    assert world.agent.tick() is None


def test_a_certificate_that_ends_is_dropped_and_its_key_stays() -> None:
    world = World()
    held = agent_keys.ed25519(2)
    ends = int(world.wall) + 60
    made = certificate(held.public, agent_keys.AUTHORITY, valid_before=ends, key_id="short\x1b")
    for fields in (held.fields, agent_keys.certified(held, made).fields):
        assert world.add(fields) == SUCCESS
    assert len(world.listed()) == 2
    assert world.agent.tick() == world.now + 60
    world.wall += 60
    assert world.sign(made.blob()) == FAILURE
    assert [blob for blob, _ in world.listed()] == [held.public.blob()]
    [said] = [line for line in world.log if "has expired" in line]
    assert "'short\\x1b'" in said


def test_a_certificate_that_is_added_late_stays() -> None:
    """As in ssh-agent: `ssh-add -N` wants it so."""
    world = World()
    held = agent_keys.ed25519(2)
    made = certificate(held.public, agent_keys.AUTHORITY, valid_before=int(world.wall))
    assert world.add(agent_keys.certified(held, made).fields) == SUCCESS
    world.wall += 60
    assert world.agent.tick() is None
    assert [blob for blob, _ in world.listed()] == [made.blob()]


def test_the_lifetime_of_the_agent_holds_for_keys_without_one() -> None:
    world = World(lifetime=10)
    world.add(PLAIN.fields)
    world.add(agent_keys.ecdsa().fields, Constraints(lifetime=100))
    world.now += 11
    assert [blob for blob, _ in world.listed()] == [agent_keys.ecdsa().public.blob()]


def test_where_nobody_can_be_asked_it_says_so() -> None:
    world = World()
    world.add(PLAIN.fields, Constraints(confirm=True), comment="me@here")
    world.person.answer = Consent.NOBODY
    assert world.sign(PLAIN.public.blob()) == FAILURE
    assert "nobody can be asked" in world.log[-1]


@pytest.mark.parametrize(
    ("forwarded", "says"),
    [(False, "asked for by git (pid 7)"), (True, "asked for by git (pid 7), forwarded from near")],
)
def test_the_question_names_the_process_and_the_host_that_ask(forwarded: bool, says: str) -> None:
    world = World()
    world.add(PLAIN.fields, Constraints(confirm=True))
    client = ClientState(peer=lambda: "git (pid 7)")
    if forwarded:
        world.bind(HOST, forwarding=True, client=client)
    world.sign(PLAIN.public.blob(), client=client)
    assert says in world.person.questions[-1]


def test_a_slow_signature_is_work() -> None:
    world = World()
    world.add(agent_keys.rsa().fields)
    request = agent_messages.SignRequest(agent_keys.rsa().public.blob(), b"data", 2).encode()
    assert isinstance(world.step(request), bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fidokit.agent.core.signatures.LARGEST_AT_ONCE", 1024)
        assert callable(world.step(request))
        assert world.ask(request)[0] == 14


@pytest.mark.parametrize("state", ["locked", "read-only"])
def test_a_state_that_refuses_a_request_does_not_read_it(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(read_only=state == "read-only")
    if state == "locked":
        world.ask(lock(b"words"))

    def read(_payload: bytes) -> wire.Reader:
        pytest.fail("it was read")

    monkeypatch.setattr(agent_messages, "parse_request", read)
    assert world.add(PLAIN.fields) == FAILURE


def test_confirmation_is_asked_for_each_use() -> None:
    world = World()
    world.add(PLAIN.fields, Constraints(confirm=True), comment="me@here")
    assert world.sign(PLAIN.public.blob()) != FAILURE
    world.person.answer = Consent.DECLINED
    assert world.sign(PLAIN.public.blob()) == FAILURE
    assert len(world.person.questions) == 2
    assert "me@here" in world.person.questions[0]
    assert "SHA256:" in world.person.questions[0]


# --- keys on tokens ------------------------------------------------------------------------


def test_a_token_signs_as_work() -> None:
    world = World()
    world.add(SK.encode(), Constraints(provider="internal"))
    step = world.step(agent_messages.SignRequest(SK.public.blob(), login(SK)).encode())
    assert callable(step)
    signature = agent_messages.parse_signature_answer(step(threading.Event()))
    verify(SK.public, signature, login(SK))


def test_the_purpose_names_key_user_and_host() -> None:
    world = World()
    world.add(SK.encode(), comment="me@here")
    world.sign(SK.public.blob(), login(SK))
    world.sign(SK.public.blob(), to_be_signed("git", "sha512", digest("sha512", [b"x"])))
    world.sign(SK.public.blob(), b"anything")
    world.bind(HOST)
    world.sign(SK.public.blob(), login(SK, host=None))
    first, second, third, fourth = world.tokens.purposes
    assert first.key.startswith("me@here (SHA256:")
    assert first.what.startswith("login as me to near.example, the host with key SHA256:")
    assert second.what == "signature of a file for 'git'"
    assert "neither" in third.what
    assert fourth.what == first.what


def test_a_login_that_names_no_host_says_so() -> None:
    world = World()
    world.add(SK.encode())
    world.bind(HOST, b"another session")
    world.sign(SK.public.blob(), login(SK, host=None))
    assert world.tokens.purposes[0].what == "login as me to a host that the client does not name"


def test_what_the_token_says_is_logged_and_the_client_hears_failure() -> None:
    world = World()
    world.add(SK.encode())
    world.tokens.error = TouchRefused("nobody touched it", hint="touch it")
    assert world.sign(SK.public.blob(), login(SK)) == FAILURE
    assert "nobody touched it (touch it)" in world.log[0]


@pytest.mark.parametrize(
    ("data", "allowed"),
    [
        (login(WEB), True),
        (to_be_signed("git", "sha512", digest("sha512", [b"x"])), True),
        (b'{"type":"webauthn.get"}', False),
        (bytes(32), False),
        (login(SK), False),  # a login by another key is none by this one
    ],
)
def test_a_websites_key_signs_only_what_ssh_signs(data: bytes, allowed: bool) -> None:
    world = World()
    world.add(WEB.encode())
    assert (world.sign(WEB.public.blob(), data) != FAILURE) is allowed
    assert len(world.tokens.purposes) == allowed


def test_an_ssh_key_signs_anything() -> None:
    world = World()
    world.add(SK.encode())
    assert world.sign(SK.public.blob(), bytes(32)) != FAILURE


@pytest.mark.parametrize(
    ("provider", "taken"),
    [("internal", True), ("INTERNAL", True), ("/lib/ours.so", True), ("/lib/other.so", False)],
)
def test_providers(provider: str, taken: bool) -> None:
    world = World(providers=["/lib/ours.so"])
    assert (world.add(SK.encode(), Constraints(provider=provider)) == SUCCESS) is taken


def test_a_provider_for_an_ordinary_key_is_refused() -> None:
    assert World().add(PLAIN.fields, Constraints(provider="internal")) == FAILURE


def test_another_machine_may_not_name_a_provider() -> None:
    world = World(providers=["/lib/ours.so"])
    world.bind(HOST, forwarding=True)
    assert world.add(SK.encode(), Constraints(provider="/lib/ours.so")) == FAILURE
    assert world.add(SK.encode(), Constraints(provider="internal")) == SUCCESS


def test_associated_certificates_belong_to_smartcards() -> None:
    world = World()
    made = certificate(PLAIN.public, ed25519_key(9))
    assert world.add(PLAIN.fields, Constraints(certificates=(made,))) == FAILURE
    assert "smartcard" in world.log[0]


# --- states --------------------------------------------------------------------------------


def test_a_locked_agent_has_no_keys_and_does_nothing() -> None:
    world = World()
    world.add(PLAIN.fields)
    assert world.ask(lock(b"words")) == SUCCESS
    assert world.agent.state is State.LOCKED
    assert world.tokens.forgotten == 1
    assert world.listed() == []
    assert world.sign(PLAIN.public.blob()) == FAILURE
    for payload in (lock(b"words"), bytes([19]), AgentExtension("query").encode()):
        assert world.ask(payload) == FAILURE
    assert world.ask(unlock(b"words")) == SUCCESS
    assert len(world.listed()) == 1


@pytest.mark.parametrize("good", [True, False])
def test_a_bind_counts_while_the_agent_is_locked(good: bool) -> None:
    """CVE-2026-73281: else a connection that was forwarded meanwhile would be a local one."""
    world = World()
    world.add(PLAIN.fields, Constraints(destinations=(to(HOST),)))
    world.ask(lock(b"words"))
    answer = world.ask(bind(HOST, forwarding=True, signed=b"" if good else b"forged"))
    assert answer == (SUCCESS if good else EXTENSION_FAILURE)
    world.ask(unlock(b"words"))
    assert world.client.bindings.remote
    assert world.listed() == []


def test_a_wrong_passphrase_makes_the_next_wait() -> None:
    world = World()
    world.ask(lock(b"words"))
    assert world.ask(unlock(b"wrong")) == FAILURE
    step = world.step(unlock(b"words"))
    assert step == Later(world.now + 0.1)
    world.now += 0.1
    assert world.ask(unlock(b"wrong")) == FAILURE
    assert world.step(unlock(b"words")) == Later(world.now + 0.2)
    world.now += 0.3
    assert world.ask(unlock(b"words")) == SUCCESS


def test_an_open_agent_is_not_unlocked_and_an_empty_passphrase_locks_nothing() -> None:
    world = World()
    assert world.ask(unlock(b"words")) == FAILURE
    assert world.ask(lock(b"")) == FAILURE
    assert world.agent.state is State.OPEN


def test_a_read_only_agent_changes_nothing_for_clients() -> None:
    world = World(read_only=True)
    assert world.add(PLAIN.fields) == FAILURE
    for payload in (bytes([19]), agent_messages.encode_remove(PLAIN.public.blob())):
        assert world.ask(payload) == FAILURE
    assert world.listed() == []
    assert "read-only" in world.log[0]


def test_the_tables_name_every_request() -> None:
    requests = set(agent_messages.Request.__args__)
    assert requests == {*HANDLERS[State.OPEN], *HANDLERS[State.LOCKED]}
    assert requests > CHANGES


# --- the rest of the protocol --------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        bytes([1]),
        bytes([200]) + b"rest",
        AgentExtension("other@example.org").encode(),
        bytes([20]) + wire.text("/lib/x.so") + wire.string(b"1234"),
        bytes([21]) + wire.text("/lib/x.so") + wire.string(b"1234"),
        bytes([17]),
        bytes([13]) + b"\xff\xff\xff\xff",
    ],
)
def test_what_is_not_understood_gets_failure(payload: bytes) -> None:
    assert World().ask(payload) == FAILURE


def test_smartcards_are_refused_clearly_and_their_pin_is_not_logged() -> None:
    world = World()
    world.ask(bytes([20]) + wire.text("/lib/x.so") + wire.string(b"135791"))
    assert "smartcard" in world.log[0]
    assert "135791" not in str(world.log)


def test_query_names_the_extensions() -> None:
    assert (
        tuple(agent_messages.parse_query(World().ask(AgentExtension("query").encode())))
        == EXTENSIONS
    )


@pytest.mark.parametrize("bound", ["MOST_BYTES", "MAX_FRAME"])
def test_too_much_text_with_keys_is_refused(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that no client takes would hide all keys, and one client could fill the memory."""
    monkeypatch.setattr(f"fidokit.agent.core.held_keys.{bound}", 4000)
    world = World()
    assert world.add(PLAIN.fields) == SUCCESS
    assert world.add(agent_keys.ecdsa().fields, comment="x" * 4000) == FAILURE
    assert world.add(PLAIN.fields, comment="x" * 3000) == SUCCESS
    assert len(world.listed()) == 1


def test_too_many_destinations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.agent.core.held_keys.MOST_HOST_KEYS", 3)
    world, limits = World(), Constraints(destinations=(to(HOST),) * 2)
    assert world.add(PLAIN.fields, limits) == SUCCESS
    assert world.add(agent_keys.ecdsa().fields, limits) == FAILURE
    world.ask(bytes([19]))
    assert world.add(agent_keys.ecdsa().fields, limits) == SUCCESS


def test_a_comment_is_bytes() -> None:
    world = World()
    payload = bytes([17]) + PLAIN.fields + wire.string(b"Andr\xe9")
    assert world.ask(payload) == SUCCESS
    assert world.ask(agent_messages.REQUEST_IDENTITIES).endswith(wire.string(b"Andr\xe9"))


def test_too_many_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.agent.core.held_keys.MOST_KEYS", 1)
    world = World()
    assert world.add(PLAIN.fields) == SUCCESS
    assert world.add(agent_keys.ecdsa().fields) == FAILURE
    assert world.add(PLAIN.fields) == SUCCESS


# --- damage --------------------------------------------------------------------------------


def test_fuzz_any_request_gets_an_answer() -> None:
    world = World()
    world.add(PLAIN.fields)
    world.add(SK.encode(), Constraints(confirm=True))
    corpus = [
        agent_messages.REQUEST_IDENTITIES,
        agent_messages.encode_add(PLAIN.fields, "c", Constraints(lifetime=5, confirm=True)),
        agent_messages.encode_add(SK.encode(), "c", Constraints(provider="internal")),
        agent_messages.SignRequest(SK.public.blob(), login(SK)).encode(),
        bind(HOST),
        AgentExtension("query").encode(),
        bytes([19]),
    ]
    for number, payload in enumerate(mutants(corpus, fuzz_count(2_000))):
        client = ClientState() if number % 20 == 0 else world.client
        if not payload:
            continue
        world.client = client
        step = world.step(payload)
        answer = step if isinstance(step, Later) else done(step)
        assert isinstance(answer, Later) or answer[0] in {5, 6, 12, 14, 28, 29}
        world.log.clear()


def test_a_signature_by_a_token_verifies_under_its_key() -> None:
    token = ed25519_token(1)
    world = World()
    world.add(SK.encode())
    answer = agent_messages.parse_signature_answer(world.sign(SK.public.blob(), b"data"))
    verify(token.public, answer, b"data", require_touch=True)
