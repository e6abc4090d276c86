"""The scripted sensor, through a whole token."""

from __future__ import annotations

import pytest

from fidokit.errors import UsageError
from fidokit.virtual.core.ports import NeedsPresence, Outcome
from fidokit.virtual.person.presence import Canceled, OnKeepalive
from fidokit.virtual.person.sensor import SAMPLES, Sensor
from fidokit.virtual.token import VirtualToken


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
