"""A token that acts as a recorded one did."""

from __future__ import annotations

from pathlib import Path

import pytest
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.pin import ClientPin
from tests.lab.recording.sessions import PIN, RP, recorded_token, session

from fidokit import cbor
from fidokit.errors import MalformedFile, UsageError
from fidokit.lab.named_tokens import create_virtual, list_virtual, serve_virtual
from fidokit.lab.recording.recorder import RecordFile, read_recording
from fidokit.testing import open_device
from fidokit.virtual.recorded import Recording
from fidokit.virtual.token import VirtualToken


@pytest.fixture
def file(tmp_path: Path) -> Path:
    session(tmp_path / "r")
    return tmp_path / "r"


def test_a_client_lives_through_the_session_again(file: Path, home: Path) -> None:
    """Another PIN token, another shared secret, other challenges: the same answers."""
    made = create_virtual("again", replay=file)
    assert (made.profile, made.model) == ("replay", "")
    recorded = read_recording(file)
    with serve_virtual("again") as token, open_device(token) as device:
        ctap = Ctap2(device)
        assert "FIDO_2_3" in ctap.info.versions
        pin = ClientPin(ctap)
        pin_token = pin.get_pin_token(PIN, ClientPin.PERMISSION.CREDENTIAL_MGMT)
        listed = CredentialManagement(ctap, pin.protocol, pin_token)
        (rp,) = listed.enumerate_rps()
        assert rp[3]["id"] == RP
        (credential,) = listed.enumerate_creds(rp[4])
        assert credential[6]["name"] == "ada"
        (first,) = [one for one in recorded.exchanges if one.request[0] == 2][:1]
        again = ctap.get_assertion(RP, b"another hash" + bytes(20))
        assert again.signature == cbor.decode(first.answer[1:])[3]  # type: ignore[index]


def test_a_touch_is_asked_for_where_it_was(file: Path, home: Path) -> None:
    create_virtual("again", replay=file, presence="deny")
    with serve_virtual("again") as token, open_device(token) as device:
        with pytest.raises(CtapError) as refused:
            Ctap2(device).get_assertion(RP, bytes(32))
        assert refused.value.code == CtapError.ERR.OPERATION_DENIED


def test_what_was_never_asked_is_refused(file: Path, home: Path) -> None:
    create_virtual("again", replay=file)
    with serve_virtual("again") as token:
        assert token.link().cbor(b"\x07") == b"\x01"
        assert token.link().msg(bytes.fromhex("00010300000000")) == b"\x6d\0"


def test_untidy_answers_come_as_they_were(tmp_path: Path, home: Path) -> None:
    """A token with quirks is recorded: its replay departs from the text in the same bytes."""
    with RecordFile(tmp_path / "r", Recording(5, "usb", "")) as kept:
        link = recorded_token(VirtualToken(quirks=["opensk"]), kept).link()
        answers = [
            link.cbor(request, lambda _: None, lambda: False) for request in (b"\x04", b"\x09")
        ]
    create_virtual("again", replay=tmp_path / "r")
    with serve_virtual("again") as token:
        assert [token.link().cbor(request) for request in (b"\x04", b"\x09")] == answers


def test_the_same_command_gets_its_answers_in_order(tmp_path: Path, home: Path) -> None:
    with RecordFile(tmp_path / "r", Recording(5, "usb", "")) as kept:
        link = recorded_token(VirtualToken(), kept).link()
        asked = b"\x06" + cbor.encode({1: 2, 2: 2})
        keys = [link.cbor(asked, lambda _: None, lambda: False)]
        link.cbor(b"\x04", lambda _: None, lambda: False)
        keys.append(link.cbor(asked, lambda _: None, lambda: False))
    create_virtual("again", replay=tmp_path / "r")
    with serve_virtual("again") as token:
        replayed = token.link()
        assert [replayed.cbor(asked) for _ in range(4)] == keys * 2


def test_a_u2f_token(tmp_path: Path, home: Path) -> None:
    version = bytes.fromhex("00030000000000")
    with RecordFile(tmp_path / "r", Recording(1, "usb", "")) as kept:
        recorded_token(VirtualToken(profile="u2f"), kept).link().msg(version)
    create_virtual("again", replay=tmp_path / "r")
    with serve_virtual("again") as token:
        assert token.capabilities & 0x0C == 0
        assert token.link().msg(version) == b"U2F_V2\x90\0"


def test_what_cannot_be_replayed(tmp_path: Path, home: Path, file: Path) -> None:
    (tmp_path / "bad").write_text("no recording\n")
    with pytest.raises(MalformedFile):
        create_virtual("bad", replay=tmp_path / "bad")
    with pytest.raises(UsageError, match="has no profile"):
        create_virtual("bad", replay=file, profile="u2f")
    assert list_virtual() == []
