"""The agent protocol: every message round trip, cut at every byte; frames however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import agent_keys
from tests.support.agent_keys import ALL, Held
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import ED25519, SK_ED25519
from tests.support.signers import ed25519_key

from fidokit.errors import MalformedKey
from fidokit.openssh import agent_messages as wire_format
from fidokit.openssh import wire
from fidokit.openssh.agent_constraints import Constraints
from fidokit.openssh.agent_messages import (
    MAX_FRAME,
    AddKey,
    AgentExtension,
    FrameReader,
    ListKeys,
    Lock,
    RemoveAll,
    RemoveKey,
    SessionBind,
    SignRequest,
    Smartcard,
    Type,
    Unknown,
    Unlock,
    frame,
    parse_request,
    parse_session_bind,
)

BIND = SessionBind(
    ED25519.blob(), b"session", ed25519_key().sign(b"session").blob(), forwarding=True
)
SK_ADD = wire_format.encode_add(
    agent_keys.sk().encode(), "me@here", Constraints(60, confirm=True, provider="internal")
)
REQUESTS: dict[bytes, object] = {
    bytes([11]): ListKeys(),
    SignRequest(b"blob", b"data", 4).encode(): SignRequest(b"blob", b"data", 4),
    wire_format.encode_remove(b"blob"): RemoveKey(b"blob"),
    bytes([19]): RemoveAll(),
    bytes([9]): RemoveAll(),
    bytes([22]) + wire.string(b"secret"): Lock(b"secret"),
    bytes([23]) + wire.string(b"secret"): Unlock(b"secret"),
    bytes([20]) + wire.text("/lib/x.so") + wire.string(b"1234"): Smartcard("/lib/x.so", True),
    bytes([26]) + wire.text("x") + wire.string(b"") + b"\x02": Smartcard("x", True),
    bytes([21]) + wire.text("x") + wire.string(b""): Smartcard("x", False),
    AgentExtension("query").encode(): AgentExtension("query"),
    AgentExtension(wire_format.SESSION_BIND, BIND.encode()).encode(): AgentExtension(
        wire_format.SESSION_BIND, BIND.encode()
    ),
    bytes([200]) + b"anything": Unknown(200),
}
ADDITIONS = [
    *(wire_format.encode_add(held.fields, "comment") for held in ALL),
    SK_ADD,
]


@pytest.mark.parametrize(("payload", "request_"), REQUESTS.items(), ids=lambda v: type(v).__name__)
def test_every_request_is_read(payload: bytes, request_: object) -> None:
    assert parse_request(payload) == request_


@pytest.mark.parametrize("held", ALL, ids=lambda held: held.name)
def test_every_key_can_be_added(held: Held) -> None:
    request = parse_request(wire_format.encode_add(held.fields, "me@here"))
    assert isinstance(request, AddKey)
    assert (request.key.public, request.comment) == (held.public, "me@here")
    assert request.constraints == Constraints()


def test_a_key_on_a_token_comes_with_constraints() -> None:
    request = parse_request(SK_ADD)
    assert isinstance(request, AddKey)
    assert request.key == agent_keys.sk()
    assert request.constraints == Constraints(60, confirm=True, provider="internal")


SHORT = [p for p in REQUESTS if len(p) > 1 and p[0] not in (27, 200, 26)]


@pytest.mark.parametrize("payload", [*SHORT, SK_ADD, ADDITIONS[0]], ids=lambda p: str(p[0]))
def test_cut_at_every_byte(payload: bytes) -> None:
    ends = _prefixes(payload)
    for cut in range(len(payload)):
        if cut in ends:
            continue
        with pytest.raises(MalformedKey):
            parse_request(payload[:cut])


def _prefixes(payload: bytes) -> set[int]:
    """Where an add request may end: before each of its constraints."""
    if payload is not SK_ADD:
        return set()
    bare = len(wire_format.encode_add(agent_keys.sk().encode(), "me@here"))
    return {bare, bare + 5, bare + 6}


@pytest.mark.parametrize("payload", SHORT, ids=lambda p: str(p[0]))
def test_nothing_may_follow(payload: bytes) -> None:
    with pytest.raises(MalformedKey):
        parse_request(payload + b"\0")


def test_requests_without_fields_are_not_looked_behind() -> None:
    assert parse_request(bytes([11]) + b"rest") == ListKeys()


def test_secrets_never_print() -> None:
    assert "secret" not in repr([Lock(b"secret"), Unlock(b"secret")])
    assert "data" not in repr(SignRequest(b"", b"data!", 0)).replace("data=", "")


def test_a_comment_may_be_any_bytes_but_nul() -> None:
    head = bytes([17]) + agent_keys.ed25519().fields
    request = parse_request(head + wire.string(b"caf\xe9"))
    assert isinstance(request, AddKey)
    assert request.comment == "caf\udce9"
    with pytest.raises(MalformedKey):
        parse_request(head + wire.string(b"a\0b"))


# --- answers -------------------------------------------------------------------------------


def test_identities_round_trip_and_cut() -> None:
    keys = [(ED25519.blob(), "one"), (SK_ED25519.blob(), "two \u00fc")]
    answer = wire_format.encode_identities(keys)
    assert wire_format.parse_identities(answer) == keys
    for cut in range(len(answer)):
        with pytest.raises(MalformedKey):
            wire_format.parse_identities(answer[:cut])
    with pytest.raises(MalformedKey):
        wire_format.parse_identities(answer + b"\0")


def test_identities_that_promise_more_than_there_is() -> None:
    with pytest.raises(MalformedKey):
        wire_format.parse_identities(bytes([12]) + wire.u32(0xFFFFFFFF))


def test_signatures_round_trip_and_cut() -> None:
    signature = ed25519_key().sign(b"data")
    answer = wire_format.encode_signature(signature.blob())
    assert wire_format.parse_signature_answer(answer) == signature
    for cut in range(len(answer)):
        with pytest.raises(MalformedKey):
            wire_format.parse_signature_answer(answer[:cut])


def test_query_round_trip() -> None:
    answer = wire_format.encode_query(["query", "other@example.org"])
    assert wire_format.parse_query(answer) == ["query", "other@example.org"]
    for wrong in (wire_format.SUCCESS, wire_format.FAILURE, wire_format.EXTENSION_FAILURE, b""):
        with pytest.raises(MalformedKey):
            wire_format.parse_query(wrong)


def test_session_bind_round_trip_and_cut() -> None:
    body = BIND.encode()
    assert parse_session_bind(body) == BIND
    for cut in range(len(body)):
        with pytest.raises(MalformedKey):
            parse_session_bind(body[:cut])
    with pytest.raises(MalformedKey):
        parse_session_bind(body + b"\0")


# --- frames --------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.data())
def test_frames_however_they_are_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, payloads))
    reader, found = FrameReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:size])
        stream = stream[size:]
        while (payload := reader.next()) is not None:
            found.append(payload)
    assert found == payloads
    assert reader.pending == 0


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 0xFFFFFFFF])
def test_impossible_lengths_end_the_stream(length: int) -> None:
    reader = FrameReader()
    reader.feed(wire.u32(length) + b"rest")
    with pytest.raises(MalformedKey):
        reader.next()


def test_the_longest_frame() -> None:
    reader = FrameReader()
    reader.feed(frame(bytes(MAX_FRAME)))
    assert reader.next() == bytes(MAX_FRAME)


def test_a_whole_frame_needs_no_cutting() -> None:
    reader = FrameReader()
    assert reader.whole(frame(b"payload")) == b"payload"
    for other in (frame(b"payload")[:-1], frame(b"payload") + b"\0", bytes(4), b"\0\0", b""):
        assert reader.whole(other) is None
    reader.feed(b"\0")
    assert reader.whole(frame(b"payload")) is None
    assert reader.pending == 1


# --- damage --------------------------------------------------------------------------------


def test_fuzz_requests() -> None:
    count = fuzz_count(4_000)
    corpus = [*REQUESTS, *ADDITIONS]
    assert survive(corpus, parse_request, MalformedKey, count) > count // 10


def test_fuzz_frames() -> None:
    def parse(stream: bytes) -> None:
        reader = FrameReader()
        for at in range(0, len(stream), 17):
            reader.feed(stream[at : at + 17])
            while (payload := reader.next()) is not None:
                parse_request(payload)
            assert reader.pending <= 4 + MAX_FRAME

    corpus = [b"".join(map(frame, REQUESTS)), frame(SK_ADD) * 2]
    count = fuzz_count(2_000)
    assert survive(corpus, parse, MalformedKey, count) > count // 10


def test_fuzz_answers() -> None:
    def parse(payload: bytes) -> None:
        wire_format.parse_identities(payload)

    corpus = [wire_format.encode_identities([(ED25519.blob(), "one")] * 3)]
    count = fuzz_count(4_000)
    assert survive(corpus, parse, MalformedKey, count) > count // 10


def test_numbers_are_those_of_the_draft() -> None:
    assert (Type.SIGN_REQUEST, Type.ADD_CONSTRAINED, Type.EXTENSION_RESPONSE) == (13, 25, 29)
