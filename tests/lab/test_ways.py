"""One powered token by several ways at once, over the same state."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.desk import PIN, Person

from fidokit.client.ports import PinCode
from fidokit.errors import (
    FidokitError,
    TokenNotFound,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.lab.ways import Ways, plug, reachable
from fidokit.tokens.access import open_token
from fidokit.tokens.owner import set_pin, verify_pin
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports import uhid
from fidokit.virtual.transports.vpcd import VpcdCard

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualToken]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with VirtualToken() as made:
        yield made


def fail(error: FidokitError) -> None:
    raise AssertionError(error)


def pin_is_set(selector: str) -> bool | None:
    with open_token(selector, Person()) as session:
        return session.info.pin_set


def test_a_socket_at_a_path(token: VirtualToken, tmp_path: Path) -> None:
    path = tmp_path / "token.sock"
    with reachable(token, Ways(socket=path), fail) as (reached,):
        assert (reached.way, reached.where) == ("socket", str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with open_token(f"socket:{path}", Person()) as session:
            assert not session.durable
            set_pin(session)
        assert pin_is_set(f"socket:{path}")
    assert not path.exists()
    with pytest.raises(TokenNotFound, match="no token socket:"):
        pin_is_set(f"socket:{path}")


def test_several_clients_at_once(token: VirtualToken, tmp_path: Path) -> None:
    path = tmp_path / "token.sock"
    with (
        reachable(token, Ways(socket=path), fail),
        open_token(f"socket:{path}") as one,
        open_token(f"socket:{path}") as two,
    ):
        assert one.info.aaguid == two.info.aaguid


def test_home_is_understood(
    token: VirtualToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with reachable(token, Ways(socket=tmp_path / "s"), fail):
        assert pin_is_set("socket:~/s") is False


def test_two_ways_one_state(token: VirtualToken, tmp_path: Path) -> None:
    ways = Ways(socket=tmp_path / "s", usbip=("127.0.0.1", 0))
    with reachable(token, ways, fail) as reached:
        assert [way.way for way in reached] == ["usbip", "socket"]
        port = int(reached[0].where.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), 5).close()
        with open_token(f"socket:{tmp_path / 's'}", Person()) as session:
            set_pin(session)
        link = token.link("nfc")  # as a card in a reader's field would have it
        assert link.cbor(b"\x06\xa2\x01\x02\x02\x01", lambda _: None, lambda: False)[0] == 0


def test_a_dead_socket_is_replaced_and_nothing_else(token: VirtualToken, tmp_path: Path) -> None:
    path = tmp_path / "s"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with reachable(token, Ways(socket=path), fail):
        assert pin_is_set(f"socket:{path}") is False
        with pytest.raises(WouldOverwrite), reachable(token, Ways(socket=path), fail):
            pass
        assert pin_is_set(f"socket:{path}") is False
    path.write_text("a letter")
    with pytest.raises(WouldOverwrite), reachable(token, Ways(socket=path), fail):
        pass
    assert path.read_text() == "a letter"


def test_one_way_that_fails_closes_the_others(
    token: VirtualToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = partial(uhid.open_node, tmp_path / "uhid")  # whether or not this machine has one
    monkeypatch.setattr(uhid, "open_node", missing)
    ways = Ways(uhid=True, socket=tmp_path / "s", usbip=("127.0.0.1", 0))
    with pytest.raises(Unsupported, match="uhid"), reachable(token, ways, fail):
        pass
    assert not (tmp_path / "s").exists()


def test_the_plug_has_the_tokens_serial_unless_told(token: VirtualToken) -> None:
    from fidokit.lab.ways import _named

    assert _named(token, None).serial == token.identity.serial
    assert _named(token, plug(serial="X1")).serial == "X1"
    assert _named(token, plug(vendor_id=0x1050)).vendor_id == 0x1050


def test_an_address_of_another_machine_is_refused(token: VirtualToken) -> None:
    ways = Ways(usbip=("192.0.2.1", 0))
    with pytest.raises(UsageError), reachable(token, ways, fail):
        pass


def test_the_pin_asked_there_is_the_tokens(token: VirtualToken, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        reachable(token, Ways(socket=path), fail),
        open_token(f"socket:{path}", Person()) as session,
    ):
        set_pin(session, PinCode.parse(PIN))
        verify_pin(session)


@pytest.mark.parametrize(("seen", "hint"), [(True, "token list"), (False, "not looked at")])
def test_a_reader_that_looks_or_not(
    token: VirtualToken, monkeypatch: pytest.MonkeyPatch, seen: bool, hint: str
) -> None:
    """One with another card on it accepts the connection and says nothing."""
    monkeypatch.setattr(VpcdCard, "wait_until_seen", lambda _card: seen)
    with socket.create_server(("127.0.0.1", 0)) as reader:
        where = reader.getsockname()
        with reachable(token, Ways(vpcd=where), fail) as (reached,):
            assert (reached.way, reached.where) == ("vpcd", f"127.0.0.1:{where[1]}")
            assert hint in reached.hint


def test_no_reader_at_all(token: VirtualToken) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reader:
        where = reader.getsockname()
    with (
        pytest.raises(Unsupported, match="no vpcd listens"),
        reachable(token, Ways(vpcd=where), fail),
    ):
        pass
