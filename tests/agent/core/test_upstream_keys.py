"""An agent in front of another: joined lists, relayed requests, and what is not passed on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.agent.core.world import HOST, PLAIN, SK, Behind, World, bind, done, lock, login, unlock
from tests.support import agent_keys
from tests.support.samples import ED25519
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.core.agent import ClientState, Later
from fidokit.agent.core.policy import KeyRule, Policy
from fidokit.agent.core.upstream_keys import MOST_ANSWERS
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_messages import EXTENSION_FAILURE, FAILURE, SUCCESS, AgentExtension
from fidokit.openssh.keys.public import RsaPublic

THEIRS = ED25519.blob()


def behind(payload: bytes) -> bytes:
    if payload == agent_messages.REQUEST_IDENTITIES:
        return agent_messages.encode_identities([(THEIRS, "theirs"), (SK.public.blob(), "twice")])
    return SUCCESS


def test_lists_are_joined_and_ours_come_first() -> None:
    world = World(behind=Behind(behind))
    world.add(SK.encode(), comment="ours")
    assert world.listed() == [(SK.public.blob(), "ours"), (THEIRS, "theirs")]


def test_what_is_not_ours_goes_to_the_upstream_agent() -> None:
    peer = Behind(behind)
    world = World(behind=peer)
    payloads = [
        agent_messages.SignRequest(THEIRS, b"data").encode(),
        agent_messages.encode_remove(THEIRS),
        agent_messages.encode_add(PLAIN.fields, "plain"),
        AgentExtension("other@example.org").encode(),
        bytes([20]) + wire.text("/lib/x.so") + wire.string(b"1234"),
        bytes([19]),
        bytes([200]),
    ]
    for payload in payloads:
        assert world.ask(payload) == SUCCESS
    assert peer.heard == payloads


def test_keys_on_tokens_stay_here() -> None:
    peer = Behind(behind)
    world = World(behind=peer)
    world.add(SK.encode())
    world.sign(SK.public.blob(), login(SK))
    assert peer.heard == []


def test_both_are_bound_and_locked() -> None:
    peer = Behind(behind)
    world = World(behind=peer)
    assert world.bind(HOST) == SUCCESS
    assert world.ask(lock(b"words")) == SUCCESS
    assert world.ask(unlock(b"words")) == SUCCESS
    assert peer.heard == [bind(HOST), lock(b"words"), unlock(b"words")]


def test_a_bind_that_fails_here_is_put_to_the_upstream_agent_too() -> None:
    """Else that one would take the connection for a local one."""
    peer = Behind(behind)
    world = World(behind=peer)
    bad = bind(HOST, signed=b"another session")
    assert world.ask(bad) == EXTENSION_FAILURE
    assert peer.heard == [bad]


def test_an_upstream_agent_that_knows_no_binds_does_not_undo_ours() -> None:
    world = World(behind=Behind(lambda _payload: FAILURE))
    assert world.bind(HOST) == SUCCESS
    assert len(world.client.bindings.hops) == 1


def test_an_upstream_agent_that_is_gone_takes_nothing_away() -> None:
    world = World(behind=Behind(lambda _payload: FAILURE))
    world.add(SK.encode(), comment="ours")
    assert world.listed() == [(SK.public.blob(), "ours")]


def test_read_only_holds_for_the_upstream_agent() -> None:
    peer = Behind(behind)
    world = World(behind=peer, read_only=True)
    for payload in (bytes([19]), bytes([200]), AgentExtension("other@example.org").encode()):
        assert world.ask(payload) == FAILURE
    assert peer.heard == []


CERTIFIED = certificate(ED25519, ed25519_key(9))

BROKEN = {
    "empty": b"",
    "cut": THEIRS[:-1],
    "longer": THEIRS + b"x",
    "short point": wire.text("ssh-ed25519") + wire.string(b"short"),
    "no type": wire.string(b"") + b"x",
    "a NUL in the type": wire.string(b"ssh-\0rsa"),
    "a small modulus": RsaPublic(3, 15).blob(),
    "off its curve": wire.text("ecdsa-sha2-nistp256")
    + wire.text("nistp256")
    + wire.string(b"\4" + bytes(63) + b"\1"),
    "a cut certificate": CERTIFIED.blob()[:-1],
    "a forged certificate": replace(CERTIFIED, serial=99).blob(),
    "a certificate of an unknown type": wire.text("ssh-new-cert-v01@openssh.com") + b"x",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_one_identity_that_no_client_reads_hides_no_other(broken: bytes) -> None:
    unknown = wire.text("ssh-unheard-of") + b"\0\1"
    listed = [(broken, "bad"), (CERTIFIED.blob(), "cert"), (unknown, "new"), (THEIRS, "theirs")]
    world = World(behind=Behind(lambda _: agent_messages.encode_identities(listed)))
    world.add(SK.encode(), comment="ours")
    assert world.listed() == [(SK.public.blob(), "ours"), *listed[1:]]
    assert "'bad'" in world.log[-1]


def test_a_comment_with_a_nul_is_left_out_and_any_other_bytes_stay() -> None:
    listed = wire.u32(2) + b"".join(
        wire.string(THEIRS) + wire.string(comment) for comment in (b"a\0b", b"Andr\xe9")
    )
    world = World(behind=Behind(lambda _: bytes([12]) + listed))
    answer = world.ask(agent_messages.REQUEST_IDENTITIES)
    assert answer == bytes([12]) + wire.u32(1) + wire.string(THEIRS) + wire.string(b"Andr\xe9")


def test_a_list_that_is_too_long_is_cut_and_ours_stay() -> None:
    many = [(ed25519_key(n).public.blob(), "x" * 2000) for n in range(200)]
    world = World(behind=Behind(lambda _: agent_messages.encode_identities(many)))
    world.add(SK.encode(), comment="ours")
    answer = world.ask(agent_messages.REQUEST_IDENTITIES)
    assert len(answer) <= agent_messages.MAX_FRAME
    assert world.listed()[0] == (SK.public.blob(), "ours")
    assert "has no room for" in world.log[-1]


# --- answers that are remembered -----------------------------------------------------------


class Changing:
    """An upstream agent whose list a test changes.

    Args:
        listed: blobs and comments, in their order.
    """

    def __init__(self, *listed: tuple[bytes, str]) -> None:
        self.listed = list(listed)

    def __call__(self, payload: bytes) -> bytes:
        if payload != agent_messages.REQUEST_IDENTITIES:
            return SUCCESS
        return agent_messages.encode_identities(self.listed)


BAD = (b"", "bad")


def test_a_list_is_judged_once_until_the_upstream_agent_answers_otherwise() -> None:
    changing = Changing(BAD, (THEIRS, "theirs"))
    world = World(behind=Behind(changing))
    assert [world.listed() for _ in range(3)] == [[(THEIRS, "theirs")]] * 3
    assert len(world.log) == 1, "what is left out is logged when the list is new"
    for number in range(2 * MOST_ANSWERS):
        changing.listed = [(THEIRS, f"theirs {number}"), BAD]
        assert [world.listed() for _ in range(2)] == [[(THEIRS, f"theirs {number}")]] * 2
    changing.listed = []
    assert world.listed() == []
    changing.listed = [BAD, (THEIRS, "theirs")]
    assert world.listed() == [(THEIRS, "theirs")]


def test_what_is_held_here_leaves_the_upstream_agents_place_and_comes_back() -> None:
    blob = SK.public.blob()
    world = World(behind=Behind(Changing((THEIRS, "theirs"), (blob, "twice"))))
    theirs = [(THEIRS, "theirs"), (blob, "twice")]
    assert world.listed() == theirs
    world.add(SK.encode(), comment="ours")
    assert world.listed() == [(blob, "ours"), (THEIRS, "theirs")]
    world.add(SK.encode(), comment="renamed")
    assert world.listed() == [(blob, "renamed"), (THEIRS, "theirs")]
    world.ask(agent_messages.encode_remove(blob))
    assert world.listed() == theirs


@pytest.mark.parametrize("rule", [KeyRule("theirs", forwarded=False), KeyRule("th*", hidden=True)])
def test_clients_under_another_judgment_get_another_answer(rule: KeyRule) -> None:
    world = World(behind=Behind(Changing((THEIRS, "theirs"))), policy=Policy([rule]))
    remote = ClientState()
    world.bind(HOST, forwarding=True, client=remote)
    for _ in range(3):
        assert world.listed() == ([] if rule.hidden else [(THEIRS, "theirs")])
        assert world.listed(remote) == []


def test_a_comment_that_changes_changes_the_rule() -> None:
    changing = Changing((THEIRS, "theirs"))
    world = World(behind=Behind(changing), policy=Policy([KeyRule("secret*", hidden=True)]))
    assert world.listed() == [(THEIRS, "theirs")]
    changing.listed = [(THEIRS, "secret")]
    assert world.listed() == []


def test_a_locked_agent_remembers_nothing_to_clients() -> None:
    world = World(behind=Behind(Changing((THEIRS, "theirs"))))
    assert world.listed() == [(THEIRS, "theirs")]
    world.ask(lock(b"words"))
    assert world.listed() == []
    world.ask(unlock(b"words"))
    assert world.listed() == [(THEIRS, "theirs")]


def test_a_key_of_ours_that_ends_is_not_remembered() -> None:
    world = World(behind=Behind(Changing((THEIRS, "theirs"))), lifetime=5)
    world.add(SK.encode(), comment="ours")
    assert len(world.listed()) == 2
    world.now += 6
    assert world.listed() == [(THEIRS, "theirs")]


def test_a_large_addition_is_relayed() -> None:
    peer = Behind(behind)
    world = World(behind=peer)
    large = agent_messages.encode_add(agent_keys.ed25519().fields, "x" * 9000)
    assert world.ask(large) == SUCCESS
    assert peer.heard == [large]


def test_an_upstream_agent_that_answers_late_is_waited_for_elsewhere() -> None:
    peer = Behind(Changing((THEIRS, "theirs")), late=2)
    world = World(behind=peer)
    for remembered in (False, False, True):
        step = world.step(agent_messages.REQUEST_IDENTITIES)
        assert isinstance(step, bytes) is remembered
        assert not isinstance(step, Later)
        assert agent_messages.parse_identities(done(step)) == [(THEIRS, "theirs")]
    assert len(peer.heard) == 3
