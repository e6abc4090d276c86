"""The loop: many clients, broken frames, hang-ups, slow readers, work that takes long."""

from __future__ import annotations

import errno
import itertools
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.agent.core.world import HOST as HOST_KEY
from tests.agent.core.world import PLAIN, SK, World, bind, login
from tests.agent.serving import WAIT_S, Served, serving
from tests.support import agent_keys

from fidokit.agent.core.agent import ClientState, Step
from fidokit.agent.loop import AgentServer
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_messages import EXTENSION_FAILURE, FAILURE, SUCCESS, frame


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path / "s", World(), most=512)


SIGN = agent_messages.SignRequest(SK.public.blob(), login(SK)).encode()
ADD_SK = agent_messages.encode_add(SK.encode(), "sk")
ADD = agent_messages.encode_add(PLAIN.fields, "plain")
SIGN_PLAIN = agent_messages.SignRequest(PLAIN.public.blob(), b"data").encode()
LIST = agent_messages.REQUEST_IDENTITIES


def test_many_requests_on_one_connection(served: Served) -> None:
    client = served.client()
    assert client.ask(ADD) == SUCCESS
    for _ in range(100):
        assert agent_messages.parse_identities(client.ask(LIST) or b"")[0][1] == "plain"


def test_requests_in_one_write_are_answered_in_order(served: Served) -> None:
    client = served.client()
    client.socket.sendall(frame(ADD) + frame(LIST) + frame(bytes([200])) + frame(SIGN_PLAIN))
    answers = [client.answer() for _ in range(4)]
    assert [(answer or b"-")[0] for answer in answers] == [6, 12, 5, 14]


def test_a_request_that_comes_byte_by_byte(served: Served) -> None:
    client = served.client()
    for byte in frame(ADD):
        client.socket.sendall(bytes([byte]))
    assert client.answer() == SUCCESS


@pytest.mark.parametrize("garbage", [bytes(4), b"\xff" * 8, b"GET / HTTP/1.1\r\n\r\n"])
def test_broken_frames_close_that_connection_alone(served: Served, garbage: bytes) -> None:
    good, bad = served.client(), served.client()
    bad.socket.sendall(garbage)
    assert bad.answer() is None
    assert good.ask(ADD) == SUCCESS


def test_a_client_that_leaves_in_the_middle(served: Served) -> None:
    good, bad = served.client(), served.client()
    bad.socket.sendall(frame(ADD)[:20])
    bad.close()
    served.until(lambda: served.server.clients == 1)
    assert good.ask(LIST) == agent_messages.encode_identities([])


def test_strangers_are_told_nothing(served: Served) -> None:
    served.admits[0] = False
    stranger = served.client()
    assert stranger.ask(LIST) is None
    served.admits[0] = True
    assert served.client().ask(LIST) is not None


def test_who_waits_for_a_touch_blocks_nobody_else(served: Served) -> None:
    waiting, other = served.client(), served.client()
    other.ask(ADD_SK)
    other.ask(ADD)
    waiting.send(SIGN)
    assert served.tokens.begun.acquire(timeout=WAIT_S)
    for _ in range(10):
        assert (other.ask(SIGN_PLAIN) or b"-")[0] == 14
    served.tokens.go.set()
    assert (waiting.answer() or b"-")[0] == 14


def test_hanging_up_cancels_the_touch(served: Served) -> None:
    waiting, other = served.client(), served.client()
    other.ask(ADD_SK)
    waiting.send(SIGN)
    assert served.tokens.begun.acquire(timeout=WAIT_S)
    waiting.close()
    assert served.tokens.canceled.acquire(timeout=WAIT_S)
    assert other.ask(LIST) is not None


def test_what_comes_while_it_waits_is_answered_after_it(served: Served) -> None:
    client = served.client()
    client.ask(ADD_SK)
    client.socket.sendall(frame(SIGN) + frame(LIST))
    assert served.tokens.begun.acquire(timeout=WAIT_S)
    served.tokens.go.set()
    assert (client.answer() or b"-")[0] == 14
    assert (client.answer() or b"-")[0] == 12


def test_a_crash_in_work_is_a_failure_of_that_request(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)

    def crash(*_args: object) -> bytes:
        raise ZeroDivisionError

    client = served.client()
    client.ask(ADD_SK)
    monkeypatch.setattr(served.tokens, "sign", crash)
    assert client.ask(SIGN) == FAILURE
    assert client.ask(LIST) is not None
    for thread in threading.enumerate():
        if "_work" in thread.name:
            thread.join(WAIT_S)  # its traceback comes after its answer


def test_a_slow_reader_gets_everything(served: Served) -> None:
    """Answers that the kernel does not take are kept, one at a time, and the rest waits."""
    client = served.client()
    for seed in range(2, 40):
        client.ask(agent_messages.encode_add(agent_keys.ed25519(seed).fields, "c" * 2000))
    count = 60
    sender = threading.Thread(target=client.socket.sendall, args=(frame(LIST) * count,))
    sender.start()
    answers = [client.answer() for _ in range(count)]
    sender.join(WAIT_S)
    assert {len(agent_messages.parse_identities(answer or b"")) for answer in answers} == {38}


def test_a_backed_off_unlock_is_answered_in_time(served: Served) -> None:
    client, other = served.client(), served.client()
    client.ask(bytes([22]) + wire.string(b"words"))
    assert client.ask(bytes([23]) + wire.string(b"wrong")) == FAILURE
    client.send(bytes([23]) + wire.string(b"words"))
    assert other.ask(LIST) == agent_messages.encode_identities([])
    served.world.now += 1
    served.server.call(lambda: None)
    assert client.answer() == SUCCESS


def test_keys_go_when_their_time_comes(served: Served) -> None:
    client = served.client()
    limited = wire.u8(1) + wire.u32(5)
    client.ask(bytes([25]) + PLAIN.fields + wire.text("c") + limited)
    assert len(served.world.agent.keys) == 1
    served.world.now += 6
    served.server.call(lambda: None)
    served.until(lambda: len(served.world.agent.keys) == 0)


def test_bindings_are_each_connections_own(served: Served) -> None:
    first, second = served.client(), served.client()
    assert first.ask(bind(HOST_KEY)) == SUCCESS
    assert first.ask(bind(HOST_KEY, b"other")) == EXTENSION_FAILURE
    assert second.ask(bind(HOST_KEY, b"other")) == SUCCESS


def test_one_client_too_many_takes_the_place_of_the_one_that_is_idle_for_longest(
    tmp_path: Path,
) -> None:
    for served in serving(tmp_path / "s", World(), most=3):
        clients = [served.client() for _ in range(3)]
        assert [client.ask(LIST) is not None for client in (*clients, clients[0])] == [True] * 4
        assert served.client().ask(LIST) is not None
        assert clients[1].ask(LIST) is None
        assert clients[0].ask(LIST) is not None


def test_clients_that_are_served_stay_and_who_comes_later_waits(tmp_path: Path) -> None:
    for served in serving(tmp_path / "s", World(), most=2):
        busy = [served.client() for _ in range(2)]
        assert busy[0].ask(ADD_SK) == SUCCESS
        for client in busy:
            client.send(SIGN)
            assert served.tokens.begun.acquire(timeout=WAIT_S)
        late = served.client()
        late.send(LIST)
        busy[0].close()
        assert late.answer() is not None
        served.tokens.go.set()
        assert (busy[1].answer() or b"-")[0] == 14


class Exhausted:
    """The listener of a process that has no descriptor to spare, and what `poll` says of it.

    Args:
        server: whose listener and poll object this takes the place of.
    """

    def __init__(self, server: AgentServer) -> None:
        self._server, self._listener, self._poll = server, server._listener, server._poll
        self.seen: list[bool] = []
        self.room = False
        server.call(self._take_their_place)

    def _take_their_place(self) -> None:
        self._server._listener = self._server._poll = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener if hasattr(self._listener, name) else self._poll, name)

    def poll(self, timeout: int | None) -> list[tuple[int, int]]:
        ready = self._poll.poll(timeout)
        self.seen.append(self._listener.fileno() in dict(ready))
        return ready

    def accept(self) -> tuple[socket.socket, object]:
        if not self.room:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def test_without_descriptors_the_idle_go_first(served: Served) -> None:
    before = served.client()
    assert before.ask(LIST) is not None
    listener = Exhausted(served.server)
    late = served.client()
    late.send(LIST)
    assert before.answer() is None
    listener.room = True
    assert late.answer() is not None


def test_without_descriptors_it_pauses_and_goes_on(served: Served) -> None:
    """A client that cannot be let in is not looked at again at once, and not forgotten."""
    before = served.client()
    assert before.ask(ADD_SK) is not None
    before.send(SIGN)
    assert served.tokens.begun.acquire(timeout=WAIT_S)
    listener = Exhausted(served.server)
    late = served.client()
    late.send(LIST)
    served.until(lambda: listener.seen.count(True) > 2)
    seen = list(listener.seen)
    served.tokens.go.set()
    assert before.answer() is not None, "who is there goes on"
    listener.room = True
    assert late.answer() is not None
    pairs = itertools.pairwise(seen)
    assert (True, True) not in pairs


LARGE = agent_messages.encode_add(PLAIN.fields, "l" * 10_000)


@dataclass
class SlowReading:
    """Large requests are read when a test lets them; others at once.

    Args:
        patch: puts this in the place of the reader.
    """

    patch: pytest.MonkeyPatch
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Event = field(default_factory=threading.Event)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        parse = agent_messages.parse_request

        def read(payload: bytes) -> agent_messages.Request:
            if len(payload) < len(LARGE):
                return parse(payload)
            self.begun.release()
            assert self.go.wait(WAIT_S)
            self.ended.release()
            return parse(payload)

        self.patch.setattr(agent_messages, "parse_request", read)


def test_who_adds_a_large_key_blocks_nobody_else_and_keeps_its_turns(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, adding, other = SlowReading(monkeypatch), served.client(), served.client()
    adding.socket.sendall(frame(LARGE) + frame(LIST))
    assert reading.begun.acquire(timeout=WAIT_S)
    assert other.ask(LIST) == agent_messages.encode_identities([])
    assert other.ask(ADD_SK) == SUCCESS
    assert len(agent_messages.parse_identities(other.ask(LIST) or b"")) == 1
    reading.go.set()
    assert adding.answer() == SUCCESS
    assert len(agent_messages.parse_identities(adding.answer() or b"")) == 2


def test_who_hangs_up_while_its_large_key_is_read_adds_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, adding, other = SlowReading(monkeypatch), served.client(), served.client()
    adding.send(LARGE)
    assert reading.begun.acquire(timeout=WAIT_S)
    adding.close()
    served.until(lambda: served.server.clients == 1)
    reading.go.set()
    assert reading.ended.acquire(timeout=WAIT_S)
    # read one after the other: when the second is there, the first has come to its end
    assert other.ask(agent_messages.encode_add(SK.encode(), "s" * 10_000)) == SUCCESS
    assert [entry.blob for entry in served.world.agent.keys] == [SK.public.blob()]


def test_an_agent_that_is_locked_while_a_large_key_is_read_does_not_take_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, adding, other = SlowReading(monkeypatch), served.client(), served.client()
    adding.send(LARGE)
    assert reading.begun.acquire(timeout=WAIT_S)
    assert other.ask(bytes([22]) + wire.string(b"words")) == SUCCESS
    reading.go.set()
    assert adding.answer() == FAILURE
    assert len(served.world.agent.keys) == 0


@dataclass
class Defective:
    """An agent whose code is wrong."""

    world: World
    error: Exception

    def handle(self, client: ClientState, payload: bytes) -> Step:
        raise self.error


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError(), RecursionError()])
def test_a_defect_ends_the_client_that_met_it_and_no_other(
    served: Served, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, victim = served.client(), served.client()
    assert other.ask(LIST) is not None
    with monkeypatch.context() as patch:
        patch.setattr(served.world.agent, "handle", Defective(served.world, error).handle)
        assert victim.ask(LIST) is None
    assert other.ask(LIST) is not None
    assert type(error).__name__ in served.world.log[-1]


def test_a_defect_in_work_fails_that_request(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = served.client()
    assert client.ask(ADD_SK) == SUCCESS

    def sign(*_: object) -> bytes:
        raise KeyError("x")

    with monkeypatch.context() as patch:
        patch.setattr(served.tokens, "sign", sign)
        assert client.ask(SIGN) == FAILURE
    assert "KeyError" in served.world.log[-1]
    assert client.ask(LIST) is not None


def test_without_threads_that_request_fails(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = served.client()
    client.ask(ADD_SK)

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert client.ask(SIGN) == FAILURE
    served.tokens.go.set()
    assert (client.ask(SIGN) or b"-")[0] == 14


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = agent_keys.descriptors()
    for served in serving(tmp_path / "s", World(), most=8):
        for _ in range(30):
            client = served.client()
            client.ask(LIST)
            client.close()
        served.all_gone()
    assert agent_keys.descriptors() == before


def test_stopping_cancels_what_is_at_work(tmp_path: Path) -> None:
    for served in serving(tmp_path / "s", World(), most=8):
        client = served.client()
        client.ask(ADD_SK)
        client.send(SIGN)
        assert served.tokens.begun.acquire(timeout=WAIT_S)
    assert served.tokens.canceled.acquire(timeout=WAIT_S)
    served.server.stop()  # harmless at any time
