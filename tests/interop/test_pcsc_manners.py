"""A card that is not a token, and one that another program uses, on a real pcscd's reader."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.support.children import popen
from tests.support.pcscd import READER, Pcscd, wait_for_card

from fidokit.client.links.backends import CardWatch, PcscBackend
from fidokit.client.links.watchdog import Patience
from fidokit.errors import NoFidoCard

pytestmark = pytest.mark.interop

ATR = bytes.fromhex("3b80800101")
SELECT = b"\x00\xa4\x04\x00"
OPENPGP = bytes.fromhex("d27600012401")
GET_DATA = bytes.fromhex("00ca00c400")
BACKEND = PcscBackend(patience=Patience(busy=()))


class StrangeCard:
    """A card with an OpenPGP application and no FIDO one; what it hears is written down."""

    def __init__(self, port: int) -> None:
        self.heard: list[str] = []
        self._selected = False
        self._line = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                head = self._line.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                self._answer(self._line.recv(int.from_bytes(head), socket.MSG_WAITALL))

    def _answer(self, message: bytes) -> None:
        if len(message) == 1:
            if message[0] in (0, 1, 2):
                self.heard.append({0: "off", 1: "on", 2: "reset"}[message[0]])
                self._selected = False
            elif message[0] == 4:
                self._reply(ATR)
            return
        self._reply(self._apdu(message))

    def _apdu(self, apdu: bytes) -> bytes:
        if apdu[:4] == SELECT:
            name = apdu[5 : 5 + apdu[4]]
            self.heard.append(f"select {name.hex()}")
            self._selected |= name.startswith(OPENPGP)
            return b"\x90\x00" if name.startswith(OPENPGP) else b"\x6a\x82"
        return b"\x00\x20\x90\x00" if apdu == GET_DATA and self._selected else b"\x6d\x00"

    def _reply(self, reply: bytes) -> None:
        self._line.sendall(struct.pack(">H", len(reply)) + reply)

    def close(self) -> None:
        self._line.shutdown(socket.SHUT_RDWR)  # wakes the thread, too
        self._line.close()


@contextmanager
def laid(pcscd: Pcscd) -> Iterator[StrangeCard]:
    card = StrangeCard(pcscd.port)
    try:
        wait_for_card()
        yield card
    finally:
        card.close()
        wait_for_card(there=False)


OTHER = """
import sys
from smartcard import System
(reader,) = [r for r in System.readers() if str(r) == sys.argv[1]]
connection = reader.createConnection()
connection.connect()
for line in sys.stdin:
    try:
        print(*connection.transmit(list(bytes.fromhex(line)))[1:], flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


class OtherProgram:
    """Plays scdaemon: a process that holds the card shared, with its application selected."""

    def __init__(self) -> None:
        self._process = popen(
            [sys.executable, "-c", OTHER, READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, apdu: bytes) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(apdu.hex() + "\n")
        self._process.stdin.flush()
        return str(self._process.stdout.readline().strip())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)


@pytest.fixture
def other_program(pcscd: Pcscd) -> Iterator[tuple[StrangeCard, OtherProgram]]:
    with laid(pcscd) as card:
        program = OtherProgram()
        assert program.ask(SELECT + bytes([len(OPENPGP)]) + OPENPGP) == "144 0"
        assert program.ask(GET_DATA) == "144 0"
        card.heard.clear()
        yield card, program
        program.close()


def test_a_card_of_another_program_is_asked_and_left(
    other_program: tuple[StrangeCard, OtherProgram],
) -> None:
    card, program = other_program
    assert list(BACKEND.candidates()) == []
    assert card.heard == ["select a0000006472f0001"]
    assert program.ask(GET_DATA) == "144 0"


def test_a_watch_asks_it_once(other_program: tuple[StrangeCard, OtherProgram]) -> None:
    card, program = other_program
    watch = CardWatch()
    for _ in range(5):
        assert list(watch.candidates()) == []
    assert card.heard == ["select a0000006472f0001"]
    assert program.ask(GET_DATA) == "144 0"


def test_what_lies_there_is_named(pcscd: Pcscd) -> None:
    with laid(pcscd), pytest.raises(NoFidoCard, match="not a FIDO token"):
        BACKEND.at(READER).open()
