"""The user at a virtual token: policies, gestures that a test queues, and samples of a finger."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fidokit.errors import UsageError
from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind
from fidokit.virtual.presence import (
    SAMPLES,
    Auto,
    Canceled,
    Delay,
    Deny,
    OnKeepalive,
    PolicyPerson,
    Prompt,
    Script,
    Sensor,
    parse_policy,
)
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.world import ManualClock

TOUCH, NOW, VERIFY = PresenceKind.TOUCH, PresenceKind.TOUCH_NOW, PresenceKind.VERIFY
LONG, SAMPLE = PresenceKind.LONG_TOUCH, PresenceKind.SAMPLE
VERIFY_NOW = PresenceKind.VERIFY_NOW


def wait(person: PolicyPerson, kind: PresenceKind, *, canceled: bool = False) -> Outcome:
    return person.wait(NeedsPresence(kind, 1000), lambda _: None, lambda: canceled)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("auto", Auto()),
        ("deny", Deny()),
        ("script", Script()),
        ("prompt", Prompt()),
        ("delay 0", Delay(0)),
        ("delay 1500", Delay(1500)),
        ("delay:1500", Delay(1500)),
        ("delay=1500", Delay(1500)),
    ],
)
def test_policies_by_name(text: str, policy: Any) -> None:
    assert parse_policy(text) == policy
    assert parse_policy(str(policy)) == policy


@pytest.mark.parametrize(
    "text", ["", "Auto", "auto ", "delay", "delay x", "delay -1", "delay 1 ", "delay 12345678"]
)
def test_other_names_are_refused_with_the_choice(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy(text)
    assert "delay:MS" in caught.value.hint


@pytest.mark.parametrize(
    ("policy", "kind", "outcome"),
    [
        (Auto(), TOUCH, Outcome.TOUCHED),
        (Auto(), NOW, Outcome.TOUCHED),
        (Auto(), VERIFY, Outcome.UV_MATCHED),
        (Auto(), VERIFY_NOW, Outcome.UV_MATCHED),
        (Auto(), LONG, Outcome.TOUCHED),
        (Auto(), SAMPLE, Outcome.SAMPLE_GOOD),
        (Deny(), VERIFY_NOW, Outcome.UV_MISMATCHED),
        (Deny(), LONG, Outcome.REFUSED),
        (Deny(), SAMPLE, Outcome.REFUSED),
        (Script(), VERIFY_NOW, Outcome.TIMED_OUT),
        (Deny(), TOUCH, Outcome.REFUSED),
        (Deny(), NOW, Outcome.TIMED_OUT),
        (Deny(), VERIFY, Outcome.UV_MISMATCHED),
        (Prompt(), TOUCH, Outcome.REFUSED),
        (Script(), NOW, Outcome.TIMED_OUT),
        (Delay(0), TOUCH, Outcome.TOUCHED),
    ],
)
def test_what_a_policy_answers(policy: Any, kind: PresenceKind, outcome: Outcome) -> None:
    assert wait(PolicyPerson(policy, ManualClock()), kind) is outcome


@pytest.mark.parametrize("policy", [Auto(), Deny(), Script(), Delay(10)])
def test_a_gesture_goes_before_the_policy_and_once(policy: Any) -> None:
    clock = ManualClock()
    person = PolicyPerson(policy, clock)
    person.touch(Outcome.REFUSED)
    person.touch(Outcome.TOUCHED)
    person.verify(Outcome.UV_MISMATCHED)
    assert wait(person, VERIFY) is Outcome.UV_MISMATCHED
    assert [wait(person, TOUCH), wait(person, NOW)] == [Outcome.REFUSED, Outcome.TOUCHED]


@pytest.mark.parametrize("policy", [Auto(), Deny(), Script()])
def test_canceling_goes_before_everything_and_spends_no_gesture(policy: Any) -> None:
    person = PolicyPerson(policy, ManualClock())
    person.touch(Outcome.TOUCHED)
    assert wait(person, TOUCH, canceled=True) is Outcome.CANCELED
    assert wait(person, TOUCH) is Outcome.TOUCHED


def test_a_polled_delay_counts_from_the_first_poll_and_starts_anew() -> None:
    clock = ManualClock()
    person = PolicyPerson(Delay(100), clock)
    outcomes = []
    for _ in range(6):
        outcomes.append(wait(person, NOW))
        clock.advance(50)
    assert [o is Outcome.TOUCHED for o in outcomes] == [False, False, True, False, False, True]


def test_an_old_deadline_is_over_at_once() -> None:
    person = PolicyPerson(Script(), ManualClock(1000))
    assert wait(person, TOUCH) is Outcome.TIMED_OUT


def test_waking_looks_at_canceled_again() -> None:
    person = PolicyPerson(Script(), ManualClock())
    waiting, stop = threading.Event(), threading.Event()

    def stopper() -> None:
        waiting.wait(10)
        stop.set()
        person.wake()

    thread = threading.Thread(target=stopper)
    thread.start()
    need = NeedsPresence(TOUCH, 1000)
    assert person.wait(need, lambda _: waiting.set(), stop.is_set) is Outcome.CANCELED
    thread.join()


@pytest.mark.check("RST-06")
def test_a_short_touch_is_lost_on_a_long_one() -> None:
    clock = ManualClock(2000)
    person = PolicyPerson(Script(), clock)
    person.touch(Outcome.TOUCHED)
    assert wait(person, LONG) is Outcome.TIMED_OUT
    assert wait(person, TOUCH) is Outcome.TIMED_OUT
    person.touch(Outcome.TOUCHED)
    person.touch(Outcome.TOUCHED, held=True)
    assert wait(person, LONG) is Outcome.TOUCHED
    person.touch(Outcome.REFUSED)
    assert wait(person, LONG) is Outcome.REFUSED


def test_a_held_touch_is_a_touch() -> None:
    person = PolicyPerson(Script(), ManualClock(2000))
    person.touch(Outcome.TOUCHED, held=True)
    assert wait(person, TOUCH) is Outcome.TOUCHED


def test_samples_have_a_queue_of_their_own() -> None:
    person = PolicyPerson(Auto(), ManualClock(0))
    person.sample(Outcome.SAMPLE_LEFT)
    person.touch(Outcome.REFUSED)
    assert wait(person, VERIFY) is Outcome.UV_MATCHED
    assert wait(person, SAMPLE) is Outcome.SAMPLE_LEFT
    assert wait(person, SAMPLE) is Outcome.SAMPLE_GOOD
    assert wait(person, TOUCH) is Outcome.REFUSED


def test_a_queued_verification_answers_at_once_too() -> None:
    person = PolicyPerson(Script(), ManualClock(0))
    person.verify(Outcome.UV_MISMATCHED)
    assert wait(person, VERIFY_NOW) is Outcome.UV_MISMATCHED
    assert wait(person, VERIFY_NOW) is Outcome.TIMED_OUT


def test_every_name_is_queued_in_order() -> None:
    queued: list[Outcome] = []
    Sensor(queued.append).script(*SAMPLES)
    assert queued == list(SAMPLES.values())
    assert len(set(queued)) == len(SAMPLES) == 15


def test_an_unknown_name_queues_nothing() -> None:
    queued: list[Outcome] = []
    with pytest.raises(UsageError, match="no sample 'sideways'") as caught:
        Sensor(queued.append).script("good", "sideways")
    assert "left" in caught.value.hint
    assert queued == []


def test_a_person_of_the_callers_own_has_no_script() -> None:
    class Nobody:
        def wait(self, need: NeedsPresence, keepalive: OnKeepalive, ended: Canceled) -> Outcome:
            return Outcome.TIMED_OUT

    with VirtualToken(presence=Nobody()) as token, pytest.raises(UsageError):
        _ = token.sensor
