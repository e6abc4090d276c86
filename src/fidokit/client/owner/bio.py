"""Fingers enrolled on a token's sensor: list, enroll sample by sample, rename, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fidokit.client import fido2_device
from fidokit.client.owner.proofs import Permission, PinToken, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import FidokitError, NotStored, TouchTimedOut, Unsupported, UsageError
from fidokit.types import CtapCommand, CtapStatus

if TYPE_CHECKING:
    from fidokit.client.answer import Answer
    from fidokit.client.session import Session

COMMANDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "bioEnroll": CtapCommand.BIO_ENROLLMENT,
        "userVerificationMgmtPreview": CtapCommand.BIO_ENROLLMENT_PREVIEW,
    }
)
FINGERPRINT: Final = 1
"""The one modality that CTAP defines."""
BEGIN, NEXT, CANCEL, ENUMERATE, RENAME, REMOVE, SENSOR = range(1, 8)
"""Subcommands of authenticatorBioEnrollment (CTAP 2.3 section 6.7)."""

SAMPLE_TIMEOUT: Final = 20_000
"""Milliseconds that the token waits for one sample."""
IDLE_SAMPLES: Final = 3
"""Samples in a row without a finger after which nobody seems to be there."""
MOST_SAMPLES: Final = 200
"""Good and bad ones; sensors want 3 to 16 good ones."""
LONGEST_TEMPLATE_ID: Final = 256


class Feedback(IntEnum):
    """What the sensor says of one sample (lastEnrollSampleStatus)."""

    GOOD = 0x00
    TOO_HIGH = 0x01
    TOO_LOW = 0x02
    TOO_LEFT = 0x03
    TOO_RIGHT = 0x04
    TOO_FAST = 0x05
    TOO_SLOW = 0x06
    POOR_QUALITY = 0x07
    TOO_SKEWED = 0x08
    TOO_SHORT = 0x09
    MERGE_FAILURE = 0x0A
    EXISTS = 0x0B
    DATABASE_FULL = 0x0C
    NO_ACTIVITY = 0x0D
    NO_TRANSITION = 0x0E
    UNKNOWN = -1


SENTENCES: Final[Mapping[Feedback, str]] = MappingProxyType(
    {
        Feedback.GOOD: "that was good",
        Feedback.TOO_HIGH: "the finger was too high: move it down",
        Feedback.TOO_LOW: "the finger was too low: move it up",
        Feedback.TOO_LEFT: "the finger was too far left: move it to the right",
        Feedback.TOO_RIGHT: "the finger was too far right: move it to the left",
        Feedback.TOO_FAST: "that was too fast: keep the finger on the sensor longer",
        Feedback.TOO_SLOW: "that was too slow: lift or swipe the finger sooner",
        Feedback.POOR_QUALITY: "the picture was poor: wipe the sensor and the finger",
        Feedback.TOO_SKEWED: "the finger was turned: lay it straight on the sensor",
        Feedback.TOO_SHORT: "that was too short: cover the whole sensor",
        Feedback.MERGE_FAILURE: "that did not fit the samples before: use the same finger",
        Feedback.EXISTS: "this finger is already enrolled",
        Feedback.DATABASE_FULL: "no room is left for another fingerprint",
        Feedback.NO_ACTIVITY: "no finger was there",
        Feedback.NO_TRANSITION: "the finger was not lifted: lift it, then touch again",
        Feedback.UNKNOWN: "the sensor could not use that: touch again",
    }
)


class SensorKind(IntEnum):
    """How a finger meets the sensor."""

    TOUCH = 1
    SWIPE = 2


@dataclass(frozen=True, slots=True)
class SensorInfo:
    """A token's fingerprint sensor.

    Args:
        kind: None if the token names one that is not known here.
        samples: how many good samples an enrollment takes at most.
        max_name: longest name of a fingerprint in bytes of UTF-8, None if it does not say.
    """

    kind: SensorKind | None
    samples: int
    max_name: int | None


@dataclass(frozen=True, slots=True)
class Finger:
    """One enrolled finger.

    Args:
        template_id: the token's name for it, 1 to 256 bytes.
        name: the owner's name for it, hostile text; empty if there is none.
    """

    template_id: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one sample, and how many good ones are still wanted."""

    feedback: Feedback
    remaining: int

    @property
    def sentence(self) -> str:
        """The feedback for a user, without a full stop."""
        return SENTENCES[self.feedback]


Progress = Callable[[Sample], None]


def sensor(session: Session) -> SensorInfo:
    """What the token says about its sensor; no PIN is needed.

    Raises:
        Unsupported: it has none, or another kind than for fingerprints.
    """
    why = "asking for the sensor"
    answer = _Sensor(session).open(SENSOR, why)
    kind = answer.uint(2, default=0)
    return SensorInfo(
        SensorKind(kind) if kind in SensorKind._value2member_map_ else None,
        answer.uint(3, default=0),
        answer.optional_uint(8),
    )


def list_fingers(session: Session) -> list[Finger]:
    """The fingers that are enrolled.

    Raises:
        Unsupported: the token has no sensor.
        PinNotSet, PinError: the PIN is missing, wrong, or cannot be asked for.
    """
    why = "listing the fingerprints"
    try:
        answer = _Sensor(session).proved(ENUMERATE, None, why)
    except CtapRefusal as refusal:
        if refusal.status == CtapStatus.INVALID_OPTION:  # how CTAP says: none
            return []
        raise error_for(refusal.status, why) from None
    return [_finger(entry) for entry in answer.maps(7)]


def _finger(entry: Answer) -> Finger:
    template_id = entry.octets(1, longest=LONGEST_TEMPLATE_ID)
    return Finger(template_id, entry.optional_text(2) or "")


def enroll_finger(
    session: Session, name: str = "", progress: Progress = lambda _sample: None
) -> Finger:
    """Enroll a finger; the owner touches the sensor until the token has samples enough.

    What ends it early, Ctrl-C included, is told to the token, which then forgets the samples.

    Args:
        name: what to call it, empty for no name.
        progress: hears about each sample.

    Raises:
        UsageError: the name is longer than the token takes.
        StoreFull: no room for another finger.
        TouchTimedOut: no finger came, three times in a row.
        Unsupported, PinNotSet, PinError, Interrupted: as said.
        TokenMisbehaved: the token never has enough.
    """
    if name:
        _check_name(name)
        _check_length(session, name)
    with ExitStack() as undo:
        enrollment = _Enrollment(session, progress)
        undo.callback(enrollment.cancel)
        template_id = enrollment.run()
        undo.pop_all()
    if name:
        _name(session, template_id, name)
    session.connection.forget_options()  # the first finger turns `uv` on
    return Finger(template_id, name)


def rename_finger(session: Session, finger: Finger, name: str) -> Finger:
    """Give an enrolled finger another name; returns it with that name.

    Raises:
        UsageError: the name is empty, or longer than the token takes.
        NotStored: it is not enrolled any more.
        Unsupported, PinError: as said.
    """
    _check_name(name)
    _name(session, finger.template_id, name)
    return Finger(finger.template_id, name)


def _name(session: Session, template_id: bytes, name: str) -> None:
    _change(session, RENAME, {1: template_id, 2: name}, "naming the fingerprint")


def delete_finger(session: Session, finger: Finger) -> None:
    """Forget an enrolled finger.

    Raises:
        NotStored: it is not enrolled any more.
        Unsupported, PinError: as said.
    """
    _change(session, REMOVE, {1: finger.template_id}, "deleting the fingerprint")
    session.connection.forget_options()  # the last finger turns `uv` off


def _change(session: Session, subcommand: int, params: Mapping[int, object], why: str) -> None:
    try:
        _Sensor(session).proved(subcommand, params, why)
    except CtapRefusal as refusal:
        raise _refused(session, refusal.status, why) from None


def _refused(session: Session, status: int, why: str) -> FidokitError:
    """What two statuses mean here; of others the table says it."""
    if status == CtapStatus.INVALID_OPTION:
        return NotStored(
            f"{why} failed: {session.name} does not hold it",
            hint="`fidokit bio list` shows the fingerprints that are enrolled",
        )
    if status == CtapStatus.INVALID_LENGTH:
        return UsageError(
            f"{why} failed: the name is longer than {session.name} takes",
            hint="choose a shorter one",
        )
    return error_for(status, why)


def _check_name(name: str) -> None:
    if not name or not name.isprintable():
        raise UsageError("a fingerprint's name must be one line of visible text")


def _check_length(session: Session, name: str) -> None:
    """Before the first touch; afterwards the token itself would say it."""
    longest = sensor(session).max_name
    size = len(name.encode("utf-8", "surrogatepass"))
    if longest is not None and size > longest:
        raise UsageError(
            f"the name has {size} bytes, and {session.name} takes {longest}",
            hint="choose a shorter one",
        )


class _Sensor:
    """authenticatorBioEnrollment on one session, or its preview of before CTAP 2.1."""

    def __init__(self, session: Session) -> None:
        kind = session.info.has_bio_enrollment
        if kind is None:
            raise Unsupported(
                f"{session.name} has no fingerprint sensor",
                hint="a token with one, such as those sold as Bio, is needed for that",
            )
        self._session = session
        self._command = COMMANDS[kind]

    def open(self, subcommand: int, why: str) -> Answer:
        """A subcommand that needs no proof."""
        request = {1: FINGERPRINT, 2: subcommand}
        return self._session.connection.request(self._command, request, "sensor answer", why=why)

    def proved(self, subcommand: int, params: Mapping[int, object] | None, why: str) -> Answer:
        """A subcommand under PIN or sensor.

        Raises:
            CtapRefusal: the token refused.
        """
        body = b"" if params is None else fido2_device.encode(params)
        request: dict[int, object] = {1: FINGERPRINT, 2: subcommand}
        if params is not None:
            request[3] = params
        message = bytes([FINGERPRINT, subcommand]) + body

        def send(proof: PinToken) -> Answer:
            shown = {4: proof.version, 5: proof.authenticate(message)}
            return self._session.connection.attempt(
                self._command, request | shown, "sensor answer", why=why
            )

        return self._session.owner.proved(Wish(Permission.BIO_ENROLLMENT, None, why), send)


class _Enrollment:
    """One finger, sample by sample."""

    def __init__(self, session: Session, progress: Progress) -> None:
        self._session = session
        self._sensor = _Sensor(session)
        self._progress = progress
        self._begun = False
        self._idle = 0

    def run(self) -> bytes:
        """Take samples until the token has enough; returns the template's id."""
        self._session.owner.authorize(Permission.BIO_ENROLLMENT, None, "enrolling a fingerprint")
        self._begun = True
        first = self._capture(BEGIN, {3: SAMPLE_TIMEOUT})
        template_id = first.octets(4, longest=LONGEST_TEMPLATE_ID)
        sample = self._hear(first)
        params = {1: template_id, 3: SAMPLE_TIMEOUT}
        for _ in range(MOST_SAMPLES):
            if sample.remaining == 0 and sample.feedback is Feedback.GOOD:
                return template_id
            sample = self._hear(self._capture(NEXT, params))
        raise first.wrong(6, f"wants more after {MOST_SAMPLES} samples")

    def cancel(self) -> None:
        """Tell the token to forget the samples; whether it hears does not matter any more."""
        if self._begun:
            with suppress(FidokitError):
                self._sensor.open(CANCEL, "canceling the enrollment")

    def _capture(self, subcommand: int, params: Mapping[int, object]) -> Answer:
        why = "enrolling a fingerprint"
        try:
            return self._sensor.proved(subcommand, params, why)
        except CtapRefusal as refusal:
            raise error_for(refusal.status, why) from None

    def _hear(self, answer: Answer) -> Sample:
        said = answer.uint(5)
        known = said in Feedback._value2member_map_
        sample = Sample(Feedback(said) if known else Feedback.UNKNOWN, answer.uint(6))
        self._progress(sample)
        self._stop_if_hopeless(sample)
        return sample

    def _stop_if_hopeless(self, sample: Sample) -> None:
        if sample.feedback is Feedback.DATABASE_FULL:
            raise error_for(CtapStatus.FP_DATABASE_FULL, "enrolling a fingerprint")
        self._idle = self._idle + 1 if sample.feedback is Feedback.NO_ACTIVITY else 0
        if self._idle >= IDLE_SAMPLES:
            raise TouchTimedOut(
                "no finger came to the sensor in time",
                hint="repeat, and touch the sensor each time it asks",
            )
