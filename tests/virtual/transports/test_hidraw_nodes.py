"""The folder and the sockets behind made-up hidraw nodes, spoken to as the library does."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from fidokit.errors import TokenGone, Unsupported
from fidokit.virtual.framing.usb_descriptors import REPORT_DESCRIPTOR, UsbIdentity
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports import hidraw_nodes
from fidokit.virtual.transports.hidraw_nodes import MOST_OPENINGS, HidrawNodes

NONCE = bytes(range(8))
INIT = struct.pack(">IBH", 0xFFFFFFFF, 0x86, 8) + NONCE + bytes(49)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[HidrawNodes]:
    with VirtualToken() as token, VirtualToken() as other:
        made = HidrawNodes(tmp_path, [(token, UsbIdentity(serial="1")), (other, UsbIdentity())])
        with closing(made):
            yield made


def opened(folder: Path, number: int = 90) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.settimeout(20)
    channel.connect(str(folder / f"hidraw{number}.sock"))
    return channel


def test_the_names_and_what_the_devices_say(nodes: HidrawNodes, tmp_path: Path) -> None:
    assert nodes.paths == ["/dev/hidraw90", "/dev/hidraw91"]
    lines = dict(line.split("=") for line in (tmp_path / "hidraw90").read_text().splitlines())
    assert lines["DESCRIPTOR"] == REPORT_DESCRIPTOR.hex()
    assert (lines["BUS"], lines["VENDOR"], lines["PRODUCT_ID"]) == ("3", "1209", "1")
    assert (lines["NAME"], lines["SERIAL"]) == ("fidokit fidokit virtual token", "1")


@pytest.mark.parametrize("number", [90, 91])
@pytest.mark.parametrize("written", [b"\0" + INIT, INIT], ids=["numbered", "bare"])
@pytest.mark.usefixtures("nodes")
def test_a_report_is_answered(tmp_path: Path, number: int, written: bytes) -> None:
    with opened(tmp_path, number) as channel:
        channel.send(written)
        answer = channel.recv(100)
    assert len(answer) == 64
    assert answer[:15] == INIT[:5] + struct.pack(">H", 17) + NONCE


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("record", [b"x", bytes(63), b"\1" + INIT, bytes(4096)])
def test_what_is_no_report_ends_nothing(tmp_path: Path, record: bytes) -> None:
    with opened(tmp_path) as channel:
        channel.send(record)
        channel.send(INIT)
        assert channel.recv(100)[7:15] == NONCE


@pytest.mark.usefixtures("nodes")
def test_each_opening_hears_its_own_answers(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        one.send(INIT)
        assert one.recv(100)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(100)


@pytest.mark.usefixtures("nodes")
def test_too_many_openings_end_none(tmp_path: Path) -> None:
    kept = [opened(tmp_path) for _ in range(MOST_OPENINGS)]
    with opened(tmp_path) as channel, suppress(OSError):
        assert channel.recv(100) == b""
    kept[0].send(INIT)
    assert kept[0].recv(100)
    for channel in kept:
        channel.close()


def test_they_go(nodes: HidrawNodes, tmp_path: Path) -> None:
    channel = opened(tmp_path)
    channel.send(INIT)
    assert channel.recv(100)
    nodes.close()
    nodes.close()
    assert channel.recv(100) == b""
    assert list(tmp_path.iterdir()) == []
    channel.close()


def test_a_token_that_is_unplugged_hangs_up(tmp_path: Path) -> None:
    with VirtualToken() as token:
        nodes = HidrawNodes(tmp_path, [(token, UsbIdentity())])
        channel = opened(tmp_path)
        token.unplug()
        channel.send(INIT)
        assert channel.recv(100) == b""
        channel.close()
        nodes.close()


@pytest.mark.parametrize("error", [TokenGone("it is gone"), RuntimeError("a mistake of ours")])
@pytest.mark.usefixtures("nodes")
def test_an_opening_that_fails_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with monkeypatch.context() as patch, opened(tmp_path) as before:
        before.send(INIT)
        assert before.recv(100)
        patch.setattr(hidraw_nodes, "HidPort", Mock(side_effect=error))
        with opened(tmp_path) as channel:
            assert channel.recv(100) == b""
    with opened(tmp_path) as channel:
        channel.send(INIT)
        assert channel.recv(100)[7:15] == NONCE


def test_what_a_device_says_stays_on_its_line(tmp_path: Path) -> None:
    with VirtualToken() as token:
        named = UsbIdentity(product="a\nVENDOR=dead\x1b", serial="\x00")
        with closing(HidrawNodes(tmp_path, [(token, named)])):
            text = (tmp_path / "hidraw90").read_text()
    assert "PRODUCT=a?VENDOR=dead?\nSERIAL=?\n" in text


def test_a_folder_that_no_socket_can_lie_in(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with VirtualToken() as token, pytest.raises(Unsupported, match="too long"):
        HidrawNodes(deep, [(token, UsbIdentity())])
    assert not any(deep.iterdir())
