from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.conftest import PATIENT, PIN, Opened
from tests.support.fake_link import GET_INFO, FakeLink, Person, info, ok, session_on
from tests.support.spy import Spy, members

from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.owner import bio, pin
from fidokit.client.owner.bio import Feedback, Finger, Sample
from fidokit.client.owner.owner import Owner
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import (
    Interrupted,
    NotStored,
    PinNotSet,
    StoreFull,
    TokenMisbehaved,
    TouchRefused,
    TouchTimedOut,
    Unsupported,
    UsageError,
)
from fidokit.types import Application, KeyType
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_3, Profile
from fidokit.virtual.token import VirtualToken

PREVIEW = CTAP_2_0.with_options(uv=False, userVerificationMgmtPreview=False)


def names(session: Session) -> list[str]:
    return [fingerprint.name for fingerprint in bio.list_fingers(session)]


def test_a_finger_from_first_to_last(with_pin: Opened, person: Person) -> None:
    assert bio.list_fingers(with_pin()) == []
    heard: list[Sample] = []
    session = with_pin()
    asked = len(person.asked)
    made = bio.enroll_finger(session, "right thumb", heard.append)
    assert len(person.asked) == asked + 1
    assert [sample.remaining for sample in heard] == [4, 3, 2, 1, 0]
    assert {sample.sentence for sample in heard} == {"that was good"}
    assert session.info.uv_configured
    assert bio.list_fingers(with_pin()) == [made]
    renamed = bio.rename_finger(with_pin(), made, "left thumb")
    assert bio.list_fingers(with_pin()) == [renamed]
    bio.delete_finger(with_pin(), made)
    assert bio.list_fingers(with_pin()) == []
    assert not with_pin().info.uv_configured


def test_each_sample_is_announced(with_pin: Opened, person: Person) -> None:
    bio.enroll_finger(with_pin())
    assert person.touches == ["enrolling a fingerprint"] * 5
    assert person.touches_over == 5


def test_an_enrolled_finger_takes_the_pin_s_place(with_pin: Opened, person: Person) -> None:
    bio.enroll_finger(with_pin())
    asked = len(person.asked)
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, Application("ssh:"), verify_required=True))
    assert len(person.asked) == asked


def test_what_the_sensor_says_of_bad_samples(with_pin: Opened, token: VirtualToken) -> None:
    bad = ["high", "low", "left", "right", "fast", "slow", "poor", "skewed", "short"]
    bad += ["unmerged", "known", "none", "unmoved"]
    token.sensor.script("good", *bad)
    heard: list[Sample] = []
    bio.enroll_finger(with_pin(), progress=heard.append)
    said = [sample.feedback for sample in heard]
    assert said[1:14] == [
        f for f in Feedback if f not in (Feedback.GOOD, Feedback.DATABASE_FULL, Feedback.UNKNOWN)
    ]
    assert {sample.remaining for sample in heard[:14]} == {4}
    sentences = [sample.sentence for sample in heard[:14]]
    assert len(set(sentences)) == 14
    assert all(sentence and sentence[-1] not in ".!" for sentence in sentences)


def test_every_feedback_has_its_own_sentence() -> None:
    assert set(bio.SENTENCES) == set(Feedback)
    assert len(set(bio.SENTENCES.values())) == len(Feedback)


def test_nobody_there(with_pin: Opened, token: VirtualToken) -> None:
    token.sensor.script("good", "none", "none", "good", "none", "none", "none")
    spy = Spy(token.link())
    with pytest.raises(TouchTimedOut) as caught:
        bio.enroll_finger(session_on(spy, Person(PIN), PATIENT))
    assert caught.value.hint
    assert spy.sent(9)[-1] == {1: 1, 2: 3}  # canceled on the token
    assert bio.list_fingers(with_pin()) == []


def test_refused(with_pin: Opened, token: VirtualToken) -> None:
    token.sensor.script("good", "refused")
    with pytest.raises(TouchRefused):
        bio.enroll_finger(with_pin())
    assert bio.list_fingers(with_pin()) == []


def test_ctrl_c_between_samples_is_told_to_the_token(with_pin: Opened, token: VirtualToken) -> None:
    spy = Spy(token.link())

    def stop(sample: Sample) -> None:
        if sample.remaining == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bio.enroll_finger(session_on(spy, Person(PIN), PATIENT), progress=stop)
    assert spy.sent(9)[-1] == {1: 1, 2: 3}
    assert bio.list_fingers(with_pin()) == []


def test_ctrl_c_during_a_sample() -> None:
    class Impatient(Person):
        def touch_wanted(self, token: str, why: str) -> None:
            super().touch_wanted(token, why)
            if len(self.touches) == 2:
                signal.raise_signal(signal.SIGINT)

    with VirtualToken(presence="script") as token:
        pin.set_pin(session_on(token.link(), Person(PIN), PATIENT), PinCode.parse(PIN))
        token.sensor.script("good")  # and then nobody touches it any more
        spy = Spy(token.link())
        with pytest.raises(Interrupted):
            bio.enroll_finger(session_on(spy, Impatient(PIN), PATIENT))
        assert [request[2] for request in spy.sent(9)] == [bio.BEGIN, bio.NEXT, bio.CANCEL]
        assert bio.list_fingers(session_on(token.link(), Person(PIN), PATIENT)) == []


def test_a_full_database(with_pin: Opened) -> None:
    for number in range(CTAP_2_3.fingerprint.max_templates):
        bio.enroll_finger(with_pin(), f"finger {number}")
    with pytest.raises(StoreFull) as caught:
        bio.enroll_finger(with_pin())
    assert "bio delete" in caught.value.hint
    assert len(bio.list_fingers(with_pin())) == 5


def test_the_sensor(opened: Opened) -> None:
    session = opened()
    sensor = bio.sensor(session)
    assert (sensor.kind, sensor.samples, sensor.max_name) == (bio.SensorKind.TOUCH, 5, 64)
    assert session.round_trips == 2  # no PIN


@pytest.mark.parametrize("name", ["", "x" * 65, "ä" * 33, "two\nlines", "\x1b[31m"])
def test_names_that_will_not_do(with_pin: Opened, name: str) -> None:
    made = bio.enroll_finger(with_pin(), "thumb")
    with pytest.raises(UsageError):
        bio.rename_finger(with_pin(), made, name)
    assert names(with_pin()) == ["thumb"]


def test_a_bad_name_is_told_before_the_first_touch(with_pin: Opened, person: Person) -> None:
    with pytest.raises(UsageError, match="65 bytes"):
        bio.enroll_finger(with_pin(), "x" * 65)
    assert person.touches == []


@pytest.mark.parametrize("use", [bio.delete_finger, lambda s, f: bio.rename_finger(s, f, "new")])
def test_a_finger_that_is_not_there(
    with_pin: Opened, use: Callable[[Session, Finger], object]
) -> None:
    bio.enroll_finger(with_pin(), "thumb")
    with pytest.raises(NotStored) as caught:
        use(with_pin(), Finger(b"nobody", ""))
    assert "bio list" in caught.value.hint


def test_without_a_pin(opened: Opened) -> None:
    with pytest.raises(PinNotSet) as caught:
        bio.enroll_finger(opened())
    assert "pin set" in caught.value.hint


USES: list[Callable[[Session], object]] = [
    bio.sensor,
    bio.list_fingers,
    bio.enroll_finger,
    lambda s: bio.delete_finger(s, Finger(b"1", "")),
    lambda s: bio.rename_finger(s, Finger(b"1", ""), "x"),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.1"])
def test_models_without_a_sensor(profile: str, use: Callable[[Session], object]) -> None:
    with VirtualToken(profile=profile) as plain:
        session = session_on(plain.link(), Person(PIN), PATIENT)
        with pytest.raises(Unsupported) as caught:
            use(session)
    assert caught.value.hint
    assert session.round_trips <= 1


@pytest.mark.parametrize("model", [CTAP_2_3, PREVIEW], ids=["ctap2.3", "preview"])
def test_both_commands(model: Profile) -> None:
    with VirtualToken(profile=model) as sensitive:
        spy = Spy(sensitive.link())
        session = session_on(spy, Person(PIN), PATIENT)
        pin.set_pin(session, PinCode.parse(PIN))
        bio.enroll_finger(session, "thumb")
        assert names(session) == ["thumb"]
    command, other = (0x40, 0x09) if model is PREVIEW else (0x09, 0x40)
    assert spy.sent(command)
    assert not spy.sent(other)


# --- tokens that answer nonsense -----------------------------------------------------------------


def bio_info() -> bytes:
    return ok({**GET_INFO, 4: {"bioEnroll": False, "clientPin": True, "pinUvAuthToken": True}})


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions whose owner need not be asked."""

    class Proof:
        version = 2

        def authenticate(self, _message: bytes) -> bytes:
            return bytes(32)

    monkeypatch.setattr(Owner, "authorize", lambda *_: Proof())


@pytest.mark.usefixtures("proven")
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {4: b"", 5: 0, 6: 1},
        {4: bytes(257), 5: 0, 6: 1},
        {4: "text", 5: 0, 6: 1},
        {4: b"id", 5: 0},
        {4: b"id", 6: 1},
        {4: b"id", 5: -1, 6: 1},
        {4: b"id", 5: 0, 6: True},
    ],
)
def test_answers_to_a_first_sample_that_make_no_sense(answer: dict[object, object]) -> None:
    link = FakeLink(bio_info(), ok(answer), ok())
    with pytest.raises(TokenMisbehaved):
        bio.enroll_finger(session_on(link))
    assert members(link.requests[-1]) == {1: 1, 2: 3}


@pytest.mark.usefixtures("proven")
def test_a_feedback_of_a_later_ctap() -> None:
    more = [ok({5: 0x55, 6: 1}), ok({5: 0, 6: 0})]
    heard: list[Sample] = []
    link = FakeLink(bio_info(), ok({4: b"id", 5: 0, 6: 1}), *more)
    assert bio.enroll_finger(session_on(link), progress=heard.append) == Finger(b"id", "")
    assert [sample.feedback for sample in heard] == [Feedback.GOOD, Feedback.UNKNOWN, Feedback.GOOD]


@pytest.mark.usefixtures("proven")
def test_a_preview_s_feedback_of_a_full_database() -> None:
    link = FakeLink(bio_info(), ok({4: b"id", 5: 0x0C, 6: 5}), ok())
    with pytest.raises(StoreFull):
        bio.enroll_finger(session_on(link))


@pytest.mark.usefixtures("proven")
def test_a_token_that_never_has_enough() -> None:
    endless = [ok({5: 0, 6: 7})] * (bio.MOST_SAMPLES + 1)
    link = FakeLink(bio_info(), ok({4: b"id", 5: 0, 6: 7}), *endless)
    with pytest.raises(TokenMisbehaved, match="200 samples"):
        bio.enroll_finger(session_on(link))
    assert members(link.requests[-1]) == {1: 1, 2: 3}


@pytest.mark.usefixtures("proven")
@pytest.mark.parametrize("answer", [{7: [{}]}, {7: [{1: "x"}]}, {7: "x"}, {7: [{1: b"x", 2: 5}]}])
def test_lists_that_make_no_sense(answer: dict[object, object]) -> None:
    with pytest.raises(TokenMisbehaved):
        bio.list_fingers(session_on(FakeLink(bio_info(), ok(answer))))


@pytest.mark.usefixtures("proven")
def test_a_finger_without_a_name() -> None:
    link = FakeLink(bio_info(), ok({7: [{1: b"x"}]}))
    assert bio.list_fingers(session_on(link)) == [Finger(b"x", "")]


def test_a_sensor_of_an_unknown_kind() -> None:
    sensor = bio.sensor(session_on(FakeLink(bio_info(), ok({2: 9, 3: 4}))))
    assert (sensor.kind, sensor.samples, sensor.max_name) == (None, 4, None)


def test_no_option_no_request() -> None:
    link = FakeLink(info())
    with pytest.raises(Unsupported):
        bio.enroll_finger(session_on(link))
    assert len(link.requests) == 1


def test_it_lasts(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with VirtualToken(path) as first:
        session = session_on(first.link(), Person(PIN), PATIENT)
        pin.set_pin(session, PinCode.parse(PIN))
        bio.enroll_finger(session, "thumb")
    with VirtualToken(path) as again:
        assert names(session_on(again.link(), Person(PIN), PATIENT)) == ["thumb"]
