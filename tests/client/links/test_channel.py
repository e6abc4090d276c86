from __future__ import annotations

import pytest
from tests.support.fake_link import FakeLink, SteeredClock, ok, stall

from fidokit.client.links.channel import LONGEST_ANSWER, Channel, checked, checked_prefix
from fidokit.client.status import CtapRefusal
from fidokit.client.tolerance import CBOR_LENGTH, CBOR_ORDER
from fidokit.errors import TokenBusy, TokenGone, TokenMisbehaved, TokenSilent, Unsupported


def channel(*replies: object, apdus: tuple[bytes, ...] = ()) -> tuple[Channel, FakeLink]:
    link = FakeLink(*replies, apdus=apdus)  # type: ignore[arg-type]
    return Channel(link, SteeredClock().patience()), link


def test_request_and_answer() -> None:
    talk, link = channel(ok({1: 2}))
    assert talk.cbor(6, {2: 1, 1: 2}, "answer").uint(1) == 2
    assert link.requests == [bytes.fromhex("06a201020201")]
    assert talk.round_trips == 1


def test_no_parameters_and_no_members() -> None:
    talk, link = channel(ok())
    assert 1 not in talk.cbor(4, None, "answer")
    assert link.requests == [b"\x04"]


@pytest.mark.parametrize("status", [1, 0x2E, 0x31, 0xF0, 0xFF])
def test_refusals_carry_their_status(status: int) -> None:
    talk, _ = channel(bytes([status]))
    with pytest.raises(CtapRefusal) as caught:
        talk.cbor(4, None, "answer")
    assert caught.value.status == status


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * (LONGEST_ANSWER + 1), id="over-long"),
        pytest.param(b"\0\xa2\x01\x00\x01\x00", id="a key twice"),
        pytest.param(b"\0\xa3\x02\x00\x01\x00\x02\x00", id="a key twice, out of order"),
        pytest.param(b"\0\xa2\x01\x00\x18\x01\x00", id="a key twice, once in a longer form"),
        pytest.param(b"\0\xa2\x02\x00\x01\x00\x00", id="trailing byte, out of order"),
        pytest.param(b"\0\xbf\x01\x00", id="indefinite length without end"),
        pytest.param(b"\0\xa1\x01\x5f\x41\x00\xff", id="byte string in pieces"),
        pytest.param(b"\0\xa1\x01\x44\x01", id="byte string cut short"),
        pytest.param(b"\0\xa0\x00", id="trailing byte"),
        pytest.param(b"\0\xa1\x01\xf9\x7e\x00", id="NaN"),
        pytest.param(b"\0\x01", id="no map"),
        pytest.param(b"\0\xa1\x01\x62\xff\xfe", id="text that is not UTF-8"),
    ],
)
def test_rubbish(reply: bytes) -> None:
    talk, _ = channel(reply)
    with pytest.raises(TokenMisbehaved):
        talk.cbor(4, None, "answer")


@pytest.mark.parametrize(
    ("reply", "noted"),
    [
        pytest.param(b"\0\xa2\x02\x00\x01\x07", (CBOR_ORDER,), id="keys out of order"),
        pytest.param(b"\0\xa1\x18\x01\x07", (CBOR_LENGTH,), id="number in a longer form"),
        pytest.param(b"\0\xb8\x01\x01\x07", (CBOR_LENGTH,), id="count in a longer form"),
        pytest.param(b"\0\xbf\x01\x07\xff", (CBOR_LENGTH,), id="indefinite length"),
        pytest.param(
            b"\0\xbf\x02\xa2\x61b\0\x61a\0\x01\x07\xff",
            (CBOR_LENGTH, CBOR_ORDER),
            id="all at once, nested",
        ),
    ],
)
def test_untidy_answers_are_read_and_noted_once(reply: bytes, noted: tuple[str, ...]) -> None:
    talk, _ = channel(reply, reply)
    for _ in range(2):
        assert talk.cbor(4, None, "answer").uint(1) == 7
    assert sorted(talk.notes.names) == sorted(noted)


def test_too_large_requests_never_leave() -> None:
    talk, link = channel(ok())
    with pytest.raises(Unsupported, match="1024"):
        talk.cbor(1, {1: bytes(1024)}, "answer")
    assert link.requests == []


def test_after_silence_the_channel_is_given_up() -> None:
    clock = SteeredClock()
    link = FakeLink(stall(clock), ok())
    talk = Channel(link, clock.patience())
    for _ in range(2):
        with pytest.raises(TokenSilent, match="does not answer"):
            talk.cbor(4, None, "answer")
    assert len(link.requests) == 1  # two answers must never be mixed up


def test_a_token_that_disappears() -> None:
    talk, _ = channel()
    with pytest.raises(TokenGone):
        talk.cbor(4, None, "answer")


def test_u2f_messages() -> None:
    talk, _ = channel(apdus=(b"data\x90\x00", b"\x69\x85", b"", b"\0" * 9000))
    assert talk.msg(b"") == (b"data", 0x9000)
    assert talk.msg(b"") == (b"", 0x6985)
    with pytest.raises(TokenMisbehaved):
        talk.msg(b"")
    talk, _ = channel(apdus=(b"\0" * 9000,))
    with pytest.raises(TokenMisbehaved):
        talk.msg(b"")


def test_closing_never_raises() -> None:
    class Stuck(FakeLink):
        def close(self) -> None:
            raise OSError(5, "Input/output error")

    Channel(Stuck(), SteeredClock().patience()).close()


def test_prefixes() -> None:
    assert checked_prefix(b"\xa1\x01\x02rest", "key") == ({1: 2}, b"rest")
    for bad in (b"", b"\xa1\x01", b"\xa2\x18\x01\x02\x01\x02", b"\xff"):
        with pytest.raises(TokenMisbehaved):
            checked_prefix(bad, "key")
        with pytest.raises(TokenMisbehaved):
            checked(bad, "key")


def test_the_trace_names_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "fidokit.trace")
    talk, _ = channel(ok({1: b"abc"}), b"\x36", apdus=(b"data\x90\x00",))
    talk.cbor(4, None, "answer")
    with pytest.raises(CtapRefusal):
        talk.cbor(0x0D, {1: 2}, "answer")
    talk.msg(b"\0\x02\x03\0")
    said, answer = caplog.messages[0].split("\n")
    assert said.startswith("getInfo 0x04: 1 bytes out, 7 in, ")
    assert said.endswith(" ms, status 0x00 OK")
    assert answer == "  < {1: h'616263'}"
    assert caplog.messages[1].endswith("status 0x36 PUAT_REQUIRED\n  > {1: 2}")
    assert caplog.messages[2].startswith("U2F 0x02: 4 bytes out, 6 in, ")
    assert caplog.messages[2].endswith("status word 0x9000")


@pytest.mark.parametrize("reply", [b"", b"\0\xff", b"\0" * (LONGEST_ANSWER + 1)])
def test_the_trace_of_rubbish_tells_its_size(
    caplog: pytest.LogCaptureFixture, reply: bytes
) -> None:
    caplog.set_level("DEBUG", "fidokit.trace")
    talk, _ = channel(reply)
    with pytest.raises(TokenMisbehaved):
        talk.cbor(4, None, "answer")
    assert f"{len(reply)} in" in caplog.messages[0]
    assert "<" not in caplog.messages[0]


def test_who_does_not_ask_gets_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fidokit.trace")
    talk, _ = channel(ok({1: 2}))
    talk.cbor(4, None, "answer")
    assert caplog.messages == []


def test_a_busy_token_is_tried_again() -> None:
    waits: list[float] = []
    link = FakeLink(b"\x06", b"\x06", ok({1: 2}))
    talk = Channel(link, SteeredClock().patience(sleep=waits.append))
    assert talk.cbor(4, None, "answer").uint(1) == 2
    assert waits == [0.1, 0.2]
    assert talk.round_trips == 3


def test_a_token_that_stays_busy() -> None:
    waits: list[float] = []
    talk = Channel(FakeLink(*[b"\x06"] * 9), SteeredClock().patience(sleep=waits.append))
    with pytest.raises(TokenBusy):
        talk.cbor(4, None, "answer")
    assert sum(waits) == pytest.approx(1.5)
