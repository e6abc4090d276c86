"""A session in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lab.recording.sessions import session

from fidokit import cbor
from fidokit.client.tolerance import ALGORITHM_TYPE, CBOR_ORDER, EMPTY_LIST, TOUCH_NOTICE
from fidokit.lab.recording.explanation import ExplainedExchange, explained_session
from fidokit.lab.recording.recorder import read_recording
from fidokit.lab.recording.words import COMMANDS
from fidokit.types import CtapCommand
from fidokit.virtual.core.commands.table import COMMANDS as SERVED
from fidokit.virtual.recorded import RecordedExchange, Recording


def explained(
    request: bytes, answer: bytes, *statuses: int, kind: str = "cbor"
) -> ExplainedExchange:
    kept = tuple((5, status) for status in statuses)
    exchange = RecordedExchange(1500, 2, kind, request, answer, 30, kept)
    (made,) = explained_session(Recording(5, "usb", "", (exchange,)))
    return made


def names(made: ExplainedExchange) -> list[str]:
    return [one.name for one in made.departures]


def test_every_command_has_words() -> None:
    assert set(COMMANDS) == set(SERVED) == set(map(int, CtapCommand))


def test_a_whole_session_has_nothing_unknown(tmp_path: Path) -> None:
    """Every member that python-fido2 and our own token send has a name."""
    session(tmp_path / "r")
    told = explained_session(read_recording(tmp_path / "r"))
    assert not [one for message in told for one in message.departures]
    assert not [n for message in told for n in (*message.request, *message.answer) if "member" in n]
    assert {"6.1", "6.2", "6.4", "6.5.5.5", "6.5.5.7.2", "6.8.3", "6.8.4"} <= {
        m.clause for m in told
    }
    assert any("waits for the user" in wait for message in told for wait in message.waits)


def test_commands_and_members_by_name() -> None:
    made = explained(b"\x06" + cbor.encode({1: 2, 2: 1}), b"\0" + cbor.encode({3: 8}))
    assert made.name == "authenticatorClientPIN, getPINRetries"
    assert made.clause == "6.5.5.2"
    assert made.request == {"pinUvAuthProtocol": "2", "subCommand": "1"}
    assert made.answer == {"pinRetries": "8"}
    assert (made.number, made.at_ms, made.channel, made.took_ms) == (1, 1500, 2, 30)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (b"\x99\xa0", "a command that CTAP 2.3 does not know (0x99)"),
        (b"", "a command that CTAP 2.3 does not know (0xff)"),
        (b"\x06\xa1\x02\x18\x63", "authenticatorClientPIN, an unknown subcommand (99)"),
        (b"\x06\xff", "authenticatorClientPIN"),
    ],
)
def test_requests_that_nobody_knows(request_: bytes, name: str) -> None:
    assert explained(request_, b"\x01").name == name


INFO: dict[int, cbor.Encodable] = {
    1: ["FIDO_2_1"],
    3: bytes(16),
    10: [{"alg": -7, "type": "public-key"}],
}


@pytest.mark.parametrize(
    ("request_", "answer", "statuses", "found"),
    [
        (b"\x04", b"\0" + cbor.encode(INFO), (), []),
        (b"\x04", b"\0" + cbor.encode(INFO | {10: [{"alg": -7}]}), (), [ALGORITHM_TYPE]),
        (b"\x04", b"\0" + cbor.encode({1: 5}), (), ["malformed"]),
        (b"\x04", b"\x01", (), ["getinfo-refused"]),
        (b"\x06\xa1\x02\x01", b"\0\xa2\x05\x01\x03\x02", (), [CBOR_ORDER]),
        (b"\x06\xa1\x02\x01", b"\0\xa1\x03", (), ["malformed"]),
        (b"\x06\xa1\x02\x01", b"\0\xa1\x03\x02\x00", (), ["malformed"]),
        (b"\x06\xa1\x02\x01", b"\0\xa1\x18\x63\x02", (), ["unknown"]),
        (b"\x0b", b"\xc3", (), ["unknown"]),
        (b"\x0a\xa1\x01\x02", b"\0", (), [EMPTY_LIST]),
        (b"\x02" + cbor.encode({5: {"up": False}}), b"\x2e", (2,), [TOUCH_NOTICE]),
        (b"\x02" + cbor.encode({5: {"up": False}}), b"\x2e", (1,), []),
        (b"\x02" + cbor.encode({1: "x"}), b"\x2e", (2,), []),
    ],
)
def test_what_departs_from_the_text(
    request_: bytes, answer: bytes, statuses: tuple[int, ...], found: list[str]
) -> None:
    made = explained(request_, answer, *statuses)
    assert names(made) == found
    assert all(one.clause for one in made.departures)


def test_u2f_and_winks() -> None:
    made = explained(bytes.fromhex("00030000000000"), b"U2F_V2\x90\0", kind="msg")
    assert (made.name, made.status) == ("U2F_VERSION", "0x9000 no error")
    assert "unknown" in explained(b"", b"", kind="msg").status
    assert explained(b"", b"", kind="wink").name == "CTAPHID_WINK"


def test_text_of_the_token_is_ascii() -> None:
    made = explained(b"\x04", b"\0" + cbor.encode({1: ["\x1b[31m\u202e"]}))
    assert made.answer["versions"].isprintable()
    assert made.answer["versions"].isascii()
