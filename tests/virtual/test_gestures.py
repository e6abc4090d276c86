"""Whoever is asked to be the finger on a virtual token."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fidokit.client.discovery import open_session
from fidokit.client.ports import Interaction, Quiet
from fidokit.errors import TouchRefused
from fidokit.tokens.access import VirtualBackend, backends_for, open_token
from fidokit.virtual import gestures, registry
from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind
from fidokit.virtual.presence import Prompt

pytestmark = pytest.mark.usefixtures("home")

TOUCH, TOUCH_NOW, VERIFY = PresenceKind.TOUCH, PresenceKind.TOUCH_NOW, PresenceKind.VERIFY


class Scripted(Quiet):
    """Gives its answers in turn; each look at them takes 100 ms of the token's time."""

    def __init__(self, *answers: bool | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bool]] = []
        self.over = 0
        self.now = 0

    def ask_gesture(self, token: str, *, verify: bool) -> None:
        self.asked.append((token, verify))

    def gesture(self, seconds: float) -> bool | None:
        self.now += round(seconds * 1000)
        return self.answers.pop(0) if self.answers else None

    def gesture_over(self) -> None:
        self.over += 1

    def now_ms(self) -> int:
        return self.now


def waited(
    asked: Scripted,
    kind: PresenceKind = TOUCH,
    deadline_ms: int = 1000,
    canceled: Callable[[], bool] = lambda: False,
) -> Outcome:
    person = gestures.PromptPerson("virtual:t", asked, asked.now_ms)
    need = NeedsPresence(kind, deadline_ms)
    return person.wait(need, lambda _status: pytest.fail("the question says it"), canceled)


@pytest.mark.parametrize(
    ("kind", "answer", "outcome"),
    [
        (TOUCH, True, Outcome.TOUCHED),
        (TOUCH, False, Outcome.REFUSED),
        (TOUCH_NOW, True, Outcome.TOUCHED),
        (TOUCH_NOW, False, Outcome.TIMED_OUT),
        (VERIFY, True, Outcome.UV_MATCHED),
        (VERIFY, False, Outcome.UV_MISMATCHED),
    ],
)
def test_answers(kind: PresenceKind, answer: bool, outcome: Outcome) -> None:
    asked = Scripted(None, None, answer)
    assert waited(asked, kind) is outcome
    assert asked.asked == [("virtual:t", kind is VERIFY)]
    assert asked.over == 1


@pytest.mark.parametrize(("kind", "ends_ms"), [(TOUCH, 1000), (VERIFY, 1000), (TOUCH_NOW, 5000)])
def test_a_question_ends_with_its_time(kind: PresenceKind, ends_ms: int) -> None:
    asked = Scripted()
    assert waited(asked, kind) is Outcome.TIMED_OUT
    assert asked.now == ends_ms
    assert asked.over == 1


def test_a_question_ends_with_the_command() -> None:
    asked = Scripted()
    assert waited(asked, canceled=lambda: asked.now >= 300) is Outcome.CANCELED
    assert (asked.now, asked.over) == (300, 1)


def test_one_question_at_a_time() -> None:
    asked = Scripted()
    with gestures._ONE_QUESTION:
        assert waited(asked, canceled=lambda: True) is Outcome.CANCELED
    assert asked.asked == []


def test_nobody_to_ask() -> None:
    person = gestures.PromptPerson("virtual:t", None, lambda: 0)
    with pytest.raises(TouchRefused, match="virtual:t asks for each touch") as caught:
        person.wait(NeedsPresence(TOUCH, 1), lambda _: None, lambda: False)
    assert "--presence auto" in caught.value.hint


def test_the_policy_has_this_name() -> None:
    assert str(Prompt()) == gestures.PROMPT


@pytest.fixture
def home(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def selected_by(backend: VirtualBackend, interaction: Interaction) -> None:
    (candidate,) = backend.candidates()
    with open_session(candidate, interaction) as session:
        session.select()


@pytest.mark.usefixtures("home")
def test_the_interaction_of_a_command_is_asked() -> None:
    registry.create("t", presence="prompt")
    asked = Scripted(True)
    (backend,) = backends_for("virtual:t", asked)
    assert isinstance(backend, VirtualBackend)
    selected_by(backend, asked)
    assert asked.asked == [("virtual:t", False)]


@pytest.mark.usefixtures("home")
def test_a_script_is_refused_when_a_touch_is_wanted_and_not_before() -> None:
    registry.create("t", presence="prompt")
    with open_token("virtual:t") as session:
        assert session.info.versions
        with pytest.raises(TouchRefused, match="on a terminal"):
            session.select()


@pytest.mark.usefixtures("home")
def test_other_policies_ask_nobody() -> None:
    registry.create("t", presence="auto")
    asked = Scripted()
    selected_by(VirtualBackend(asked), asked)
    assert asked.asked == []
