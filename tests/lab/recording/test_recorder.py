"""What is kept of a session, and above all what is not."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.lab.recording.sessions import PIN, recorded_token, session

from fidokit import cbor
from fidokit.errors import FidokitError, MalformedFile, TokenGone, WouldOverwrite
from fidokit.lab.recording.blanking import blanked_answer, blanked_request
from fidokit.lab.recording.recorder import RecordFile, read_recording
from fidokit.virtual.recorded import RecordedExchange, Recording, decode
from fidokit.virtual.token import VirtualToken

HEAD = Recording(5, "usb", "a token")


@pytest.mark.parametrize("profile", ["ctap2.1", "ctap2.3"])
def test_no_secret_is_in_the_file(tmp_path: Path, profile: str) -> None:
    path = tmp_path / "record"
    secrets = session(path, profile)
    data = path.read_bytes()
    assert len(secrets) >= 5
    for secret in secrets:
        assert len(secret) >= 8
        assert secret not in data
        assert secret.hex().encode() not in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    recording = read_recording(path)
    assert recording.encode() == data
    assert len([one for one in recording.exchanges if one.blanked]) >= 6


def test_what_proves_the_owner_is_zeros(tmp_path: Path) -> None:
    """Every pinUvAuthParam, encrypted PIN, PIN token, salt and output, by the text's numbers."""
    session(tmp_path / "record")
    members = {1: {8}, 2: {6}, 6: {4, 5, 6}, 0x0A: {4}}
    replies = {1: {5}, 2: {7}, 6: {2}, 0x0A: {0x0B}}
    seen = set()
    for one in read_recording(tmp_path / "record").exchanges:
        command = one.request[0]
        for data, secret in ((one.request, members), (one.answer, replies)):
            if len(data) < 2:
                continue
            found = cbor.decode(data[1:])
            assert isinstance(found, dict)
            for number in secret.get(command, set()) & found.keys():
                value = found[number]
                assert isinstance(value, bytes)
                assert not any(value)
                seen.add((command, number, data is one.answer))
    assert {(1, 8, False), (2, 6, False), (6, 2, True), (6, 4, False), (6, 5, False)} <= seen
    assert {(6, 6, False), (10, 4, False), (10, 11, True), (1, 5, True)} <= seen


SECRET = bytes(range(1, 33))


@pytest.mark.parametrize(
    "request_",
    [
        b"\x06" + b"\xff" + SECRET,
        b"\x77" + cbor.encode({1: SECRET}),
        b"\x01" + cbor.encode({8: SECRET}) + b"\0",
        b"\x02" + cbor.encode({4: {"credBlob": SECRET, "hmac-secret": {2: SECRET}}}),
        b"\x01" + cbor.encode({6: {"previewSign": SECRET.hex()}}),
        b"\x06\xa2\x06\x58\x20" + SECRET + b"\x01\x01",
    ],
    ids=["malformed", "unknown", "trailing", "extensions", "text", "out of order"],
)
def test_requests_without_their_secrets(request_: bytes) -> None:
    made = blanked_request(request_)
    assert len(made) == len(request_)
    assert SECRET not in made
    assert SECRET.hex().encode() not in made
    assert made[0] == request_[0]


def auth_data(flags: int, rest: bytes) -> bytes:
    return bytes(range(32)) + bytes([flags]) + bytes(4) + rest


@pytest.mark.parametrize(
    ("command", "members"),
    [
        (2, {2: auth_data(0x80, cbor.encode({"hmac-secret": SECRET}))}),
        (1, {2: auth_data(0xC0, bytes(16) + b"\0\2id" + b"\xa0" + cbor.encode({"x": SECRET}))}),
        (1, {2: auth_data(0xC0, bytes(16) + b"\0\2id" + b"\xff" + SECRET)}),
        (2, {2: auth_data(0x80, SECRET)}),
        (2, {7: SECRET}),
        (1, {6: {"x": {"y": [SECRET]}}}),
        (6, {2: SECRET}),
        (0x0A, {11: SECRET}),
        (0x55, {1: SECRET}),
    ],
)
def test_answers_without_their_secrets(command: int, members: dict[int, cbor.Encodable]) -> None:
    answer = b"\0" + cbor.encode(members)
    made = blanked_answer(command, answer)
    assert len(made) == len(answer)
    assert SECRET not in made
    assert made[0] == 0


def test_what_is_no_secret_stays_as_it_was_sent() -> None:
    untidy = b"\0" + bytes.fromhex("a20301025820") + SECRET
    assert blanked_answer(0x04, b"\0\xa2\x02\x01\x01\x02") == b"\0\xa2\x02\x01\x01\x02"
    assert blanked_answer(0x06, untidy)[:6] == untidy[:6]
    assert blanked_request(b"\x04") == b"\x04"
    assert blanked_request(b"") == b""


def test_a_short_secret_that_stands_elsewhere_takes_all_with_it() -> None:
    """Its zeros would make another message of it."""
    request = b"\x06" + cbor.encode({1: 1, 2: 5, 6: b"\xa3"})
    made = blanked_request(request)
    assert made == b"\x06" + bytes(len(request) - 1)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    with pytest.raises(WouldOverwrite):
        RecordFile(path, HEAD)
    assert path.read_text() == "mine"
    with pytest.raises(FidokitError):
        RecordFile(tmp_path / "no folder" / "file", HEAD)


def test_u2f_winks_and_the_end(tmp_path: Path) -> None:
    token = VirtualToken(profile="u2f")
    with RecordFile(tmp_path / "r", HEAD) as file:
        recorded = recorded_token(token, file)
        link = recorded.link()
        assert link.msg(bytes.fromhex("00030000000000"))[-2:] == b"\x90\0"
        link.wink()
        token.unplug()
        with pytest.raises(TokenGone):
            link.msg(bytes.fromhex("00030000000000"))
        assert not recorded.plugged_in
        with pytest.raises(TokenGone):
            recorded.link()
    said = read_recording(tmp_path / "r").exchanges
    assert [(one.kind, one.error) for one in said] == [
        ("msg", ""),
        ("wink", ""),
        ("msg", "TokenGone"),
    ]


# --- the file -------------------------------------------------------------------------------------

ONE = RecordedExchange(3, 1, "cbor", b"\x04", b"\0\xa0", 7, ((1, 2),), blanked=True)
WHOLE = HEAD._replace(exchanges=(ONE, ONE._replace(error="TokenGone", keepalives=()))).encode()


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_cut_at_every_byte(cut: int) -> None:
    """A whole line counts; what was cut does not."""
    lines = WHOLE[:cut].count(b"\n")
    if lines:
        assert len(decode(WHOLE[:cut]).exchanges) == lines - 1
    else:
        with pytest.raises(MalformedFile):
            decode(WHOLE[:cut])


@pytest.mark.parametrize(
    "line",
    [
        b"x",
        b"[]",
        b"{}",
        b'{"kind": "dance"}',
        b'{"kind": "cbor", "request": "0"}',
        b'{"kind": "cbor", "request": 1}',
        b'{"kind": "cbor", "at": -1}',
        b'{"kind": "cbor", "at": true}',
        b'{"kind": "cbor", "keepalives": [1]}',
        b'{"kind": "cbor", "keepalives": [[1, 2, 3]]}',
        b'{"kind": "cbor", "keepalives": [["a", 2]]}',
        b'{"kind": "cbor", "error": 5}',
        b'{"kind": "cbor", "answer": "' + b"00" * 70_000 + b'"}',
        b"[" * 10_000,
    ],
)
def test_lines_that_make_no_sense(line: bytes) -> None:
    with pytest.raises(MalformedFile, match="line 2"):
        decode(HEAD.head() + line + b"\n")


def test_another_version_and_too_much() -> None:
    with pytest.raises(MalformedFile, match="not a recording"):
        decode(b'{"fidokit-record": 2}\n')
    with pytest.raises(MalformedFile, match="too long"):
        decode(HEAD.head() + b"\n" * (16 << 20))


def test_the_pin_is_not_even_in_the_session_helpers_output(tmp_path: Path) -> None:
    session(tmp_path / "r")
    assert PIN.encode() not in (tmp_path / "r").read_bytes()
