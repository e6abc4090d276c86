"""The control socket: every action, and clients that mean it badly."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from fidokit.errors import (
    FidokitError,
    NoPermission,
    TokenGone,
    TokenNotFound,
    UsageError,
    WouldOverwrite,
)
from fidokit.lab import Hands, control
from fidokit.lab.bay import Bay, kept_in_memory
from fidokit.lab.control import LONGEST_LINE, MOST_CLIENTS, ControlSocket
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.world import ManualClock

SELECTION, GET_INFO = b"\x0b", b"\x04"


@pytest.fixture
def token() -> VirtualToken:
    return VirtualToken(presence="script", clock=ManualClock(5))


@pytest.fixture
def path(token: VirtualToken, tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "control"
    bay = Bay("it", partial(kept_in_memory, token), lambda _: nullcontext())
    with bay, ControlSocket(bay, where):
        yield where


@pytest.fixture
def hands(path: Path) -> Iterator[Hands]:
    with Hands(path) as made:
        yield made


class Asking:
    """One command in another thread."""

    def __init__(self, link: MemoryLink, request: bytes = SELECTION) -> None:
        self.status = b""
        self.error: FidokitError | None = None
        self._thread = threading.Thread(target=self._run, args=(link, request))
        self._thread.start()

    def _run(self, link: MemoryLink, request: bytes) -> None:
        try:
            self.status = link.cbor(request)[:1]
        except FidokitError as error:
            self.error = error

    def over(self) -> bytes:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.status


def test_a_touch_when_it_is_wanted(token: VirtualToken, hands: Hands) -> None:
    for do, status in (("touch", b"\0"), ("refuse", b"\x27"), ("touch", b"\0")):
        asking = Asking(token.link())
        assert hands.wait_for_touch(20) == "touch"
        hands.ask(do)
        assert asking.over() == status
    assert hands.wait_for_touch(0) is None


def test_a_touch_before_it_is_wanted(token: VirtualToken, hands: Hands) -> None:
    hands.touch()
    assert token.link().cbor(SELECTION) == b"\0"
    hands.touch()
    hands.ask("forget")
    asking = Asking(token.link())
    assert hands.wait_for_touch(20) == "touch"
    hands.ask("power-cycle")
    asking.over()
    assert isinstance(asking.error, TokenGone)


def test_unplugged_and_inserted(token: VirtualToken, hands: Hands) -> None:
    hands.ask("unplug")
    assert hands.ask("state") == {"state": {"plugged_in": False}}
    assert not token.plugged_in
    with pytest.raises(TokenGone, match="it is unplugged"):
        hands.touch()
    hands.ask("insert")
    assert token.link().cbor(GET_INFO)[:1] == b"\0"


def test_faults(token: VirtualToken, hands: Hands) -> None:
    hands.ask("fault", fault="refuse", **{"with": {"status": 0x7F}}, command="getInfo", count=2)
    link = token.link()
    assert link.cbor(GET_INFO) == link.cbor(GET_INFO) == b"\x7f"
    assert link.cbor(GET_INFO)[:1] == b"\0"
    state = hands.ask("state")["state"]
    assert isinstance(state, dict)
    assert (state["faults_pending"], state["faults_struck"]) == (False, 2)


def test_quirks_cycle_the_power(token: VirtualToken, hands: Hands) -> None:
    before = token.power
    hands.ask("quirks", names=["opensk"])
    assert token.quirks == ("opensk",)
    assert token.power != before
    state = hands.ask("state")["state"]
    assert isinstance(state, dict)
    assert state["quirks"] == ["opensk"]
    hands.ask("quirks", names=[])
    assert token.quirks == ()


def test_fingers(hands: Hands, tmp_path: Path) -> None:
    token = VirtualToken(presence="script", uv_enrolled=True)
    bay = Bay("it", partial(kept_in_memory, token), lambda _: nullcontext())
    with bay, ControlSocket(bay, tmp_path / "another"), Hands(tmp_path / "another") as own:
        from fido2.ctap import CtapError
        from fido2.ctap2 import ClientPin, Ctap2

        from fidokit.testing import open_device

        with open_device(token) as device:
            pin = ClientPin(Ctap2(device))
            own.ask("finger", match=False)
            with pytest.raises(CtapError):
                pin.get_uv_token(ClientPin.PERMISSION.GET_ASSERTION, "example.org")
            own.ask("finger")
            assert pin.get_uv_token(ClientPin.PERMISSION.GET_ASSERTION, "example.org")
    hands.ask("finger", samples=["good", "left"])


def test_the_clock(token: VirtualToken, hands: Hands, tmp_path: Path) -> None:
    assert hands.ask("clock", advance=7) == {"now": 12}
    assert token.clock.now_ms() == 12
    other = VirtualToken()
    bay = Bay("it", partial(kept_in_memory, other), lambda _: nullcontext())
    with bay, ControlSocket(bay, tmp_path / "another"), Hands(tmp_path / "another") as own:
        answer = control.answer_to(bay, b'{"do": "clock", "advance": 7}')
        assert answer["kind"] == "UsageError"
        assert "the system's clock" in str(answer["error"])
        assert own.ask("state")


def test_nobody_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TokenNotFound, match="no virtual token is served"):
        Hands(tmp_path / "nothing")
    with pytest.raises(TokenNotFound):
        Hands("never-made")
    with pytest.raises(UsageError):
        Hands("no/name")
    monkeypatch.delenv(control.VARIABLE, raising=False)
    with pytest.raises(UsageError, match="no token is named"):
        Hands()


def test_by_the_variable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(control.VARIABLE, str(path))
    with Hands() as own:
        assert own.ask("state")


def test_something_else_is_there(tmp_path: Path, token: VirtualToken) -> None:
    where = tmp_path / "file"
    where.write_text("mine")
    with pytest.raises(WouldOverwrite):
        ControlSocket(Bay("it", partial(kept_in_memory, token), lambda _: nullcontext()), where)
    assert where.read_text() == "mine"


# --- clients that mean it badly -------------------------------------------------------------------


def connected(path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(20)
    channel.connect(str(path))
    return channel


def lines(channel: socket.socket) -> Iterator[dict[str, object]]:
    return map(json.loads, channel.makefile("rb"))


def test_the_socket_is_this_users_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def strange(_: socket.socket) -> None:
        raise NoPermission("another user")

    monkeypatch.setattr(control, "require_own_user", strange)
    with connected(path) as channel:
        assert channel.recv(1) == b""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"touch", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[" * 60_000, "not valid JSON"),
        (b"9" * 60_000, "not valid JSON"),
        (b"[]", 'an object with "do"'),
        (b"{}", 'an object with "do"'),
        (b'{"do": 1}', 'an object with "do"'),
        (b'{"do": "dance"}', "nothing called 'dance'"),
        (b'{"do": "touch", "hard": true}', "does not take 'hard'"),
        (b'{"do": "touch", "held": 1}', "not of the type bool"),
        (b'{"do": "fault", "fault": "stall", "count": true}', "a number"),
        (b'{"do": "fault", "fault": "stall", "count": 0}', "once or more"),
        (b'{"do": "fault", "fault": "stall", "command": []}', "is not a CTAP2 command"),
        (b'{"do": "fault", "fault": "stall", "command": 1, "u2f": 1}', "not for both"),
        (b'{"do": "fault"}', "there is no fault ''"),
        (b'{"do": "quirks", "names": [1]}', "a list of"),
        (b'{"do": "quirks", "names": ["nope"]}', "there is no quirk 'nope'"),
        (b'{"do": "finger", "samples": ["toe"]}', "there is no sample 'toe'"),
        (b'{"do": "wait-for-touch", "seconds": 601}', "at most 600 seconds"),
        (b'{"do": "wait-for-touch", "seconds": -1}', "not negative"),
        (b'{"do": "clock", "advance": 1e400}', "not of the type int"),
    ],
)
def test_a_request_that_makes_no_sense_is_told(path: Path, line: bytes, said: str) -> None:
    with connected(path) as channel:
        answers = lines(channel)
        assert next(answers) == {"fidokit-control": 1, "token": "it"}
        channel.sendall(line + b'\n{"do": "state"}\n')
        refused = next(answers)
        assert refused["ok"] is False
        assert said in str(refused["error"])
        assert next(answers)["ok"] is True


def test_a_line_without_end_costs_the_connection(path: Path, hands: Hands) -> None:
    with connected(path) as channel:
        answers = lines(channel)
        next(answers)
        channel.sendall(b" " * LONGEST_LINE)
        assert "bytes at most" in str(next(answers)["error"])
        assert list(answers) == []
    assert hands.ask("state")


def test_too_many_and_those_who_say_nothing(path: Path) -> None:
    channels = [connected(path) for _ in range(MOST_CLIENTS)]
    greetings = [lines(channel) for channel in channels]
    assert all("fidokit-control" in next(greeting) for greeting in greetings)
    with connected(path) as one_more:
        assert next(lines(one_more)) == {"ok": False, "error": "too many clients", "hint": ""}
    with pytest.raises(FidokitError, match="too many clients"):
        Hands(path)
    for channel in channels:
        channel.shutdown(socket.SHUT_RDWR)
        channel.close()


def test_who_asks_and_never_reads_delays_nobody(token: VirtualToken, path: Path) -> None:
    with connected(path) as channel, Hands(path) as hands:
        channel.setblocking(False)
        try:
            while channel.send(b'{"do": "state"}\n' * 1000):
                pass
        except BlockingIOError:
            pass
        hands.touch()
        assert token.link().cbor(SELECTION) == b"\0"


def test_its_end_ends_the_clients(token: VirtualToken, tmp_path: Path) -> None:
    bay = Bay("it", partial(kept_in_memory, token), lambda _: nullcontext())
    with bay, ControlSocket(bay, tmp_path / "c"):
        own = Hands(tmp_path / "c")
    with own, pytest.raises(TokenNotFound, match="no longer served"):
        own.ask("state")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("said", [b"", b"hello\n", b"[]\n", b'{"fidokit-control": 2}\n', b"{}\n"])
def test_what_is_no_control_socket(tmp_path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(1)

        def answer() -> None:
            channel, _ = server.accept()
            channel.sendall(said)
            channel.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(FidokitError):
            Hands(tmp_path / "s")
