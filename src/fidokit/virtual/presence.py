"""The user at a virtual token: a policy that is kept with it, gestures and samples of a finger that
a test queues, and taps on a reader."""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, TypeVar, assert_never

from fidokit.errors import UsageError
from fidokit.virtual.core.ports import Clock, NeedsPresence, Outcome, PresenceKind

_TICK_S: Final = 0.025
"""How soon a wait notices that it was canceled, or that a clock was moved."""

_TICKS_PER_KEEPALIVE: Final = 4
"""A wait is reported every 100 ms (CTAP 2.3 section 11.2.9.1.7)."""

UP_NEEDED: Final = 2
"""The keep-alive status of a token that waits for its user."""

T = TypeVar("T")

OnKeepalive: TypeAlias = Callable[[int], None]
Canceled: TypeAlias = Callable[[], bool]


class Person(Protocol):
    """Whoever touches the token; the command line's prompt is one too."""

    def wait(self, need: NeedsPresence, on_keepalive: OnKeepalive, canceled: Canceled) -> Outcome:
        """Answer a request for presence.

        Args:
            need: what is asked for, and until when on the token's clock.
            on_keepalive: to be called with the status while waiting, about every 100 ms.
            canceled: whether the platform gave up; the answer is CANCELED then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Auto:
    """Touches, and matches verification, at once."""

    def __str__(self) -> str:
        return "auto"


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuses everything at once."""

    def __str__(self) -> str:
        return "deny"


@dataclass(frozen=True, slots=True)
class Delay:
    """Touches, and matches verification, some milliseconds after being asked."""

    milliseconds: int

    def __str__(self) -> str:
        return f"delay:{self.milliseconds}"


@dataclass(frozen=True, slots=True)
class Script:
    """Does only what was queued, and waits for it."""

    def __str__(self) -> str:
        return "script"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Somebody at a terminal is asked; who opens the token must say who. Otherwise as Deny."""

    def __str__(self) -> str:
        return "prompt"


Policy: TypeAlias = Auto | Deny | Delay | Script | Prompt

_PLAIN: Final[Mapping[str, Policy]] = {
    str(policy): policy for policy in (Auto(), Deny(), Script(), Prompt())
}
_DELAY: Final = re.compile(r"delay[ :=]([0-9]{1,7})")


def parse_policy(text: str) -> Policy:
    """The policy of that name: `auto`, `deny`, `delay:MS`, `script` or `prompt`.

    Raises:
        UsageError: there is none; MS has at most seven digits.
    """
    delay = _DELAY.fullmatch(text)
    if delay:
        return Delay(int(delay[1]))
    if text not in _PLAIN:
        raise UsageError(
            f"there is no presence policy {text!r}",
            hint="choose auto, deny, delay:MS (milliseconds), script or prompt",
        )
    return _PLAIN[text]


_GRANTED: Final[Mapping[PresenceKind, Outcome]] = {
    PresenceKind.TOUCH: Outcome.TOUCHED,
    PresenceKind.TOUCH_NOW: Outcome.TOUCHED,
    PresenceKind.LONG_TOUCH: Outcome.TOUCHED,
    PresenceKind.VERIFY: Outcome.UV_MATCHED,
    PresenceKind.VERIFY_NOW: Outcome.UV_MATCHED,
    PresenceKind.SAMPLE: Outcome.SAMPLE_GOOD,
}
_DENIED: Final[Mapping[PresenceKind, Outcome]] = {
    PresenceKind.TOUCH: Outcome.REFUSED,
    PresenceKind.TOUCH_NOW: Outcome.TIMED_OUT,
    PresenceKind.LONG_TOUCH: Outcome.REFUSED,
    PresenceKind.VERIFY: Outcome.UV_MISMATCHED,
    PresenceKind.VERIFY_NOW: Outcome.UV_MISMATCHED,
    PresenceKind.SAMPLE: Outcome.REFUSED,
}

_AT_ONCE: Final = frozenset({PresenceKind.TOUCH_NOW, PresenceKind.VERIFY_NOW})
_VERIFICATIONS: Final = frozenset({PresenceKind.VERIFY, PresenceKind.VERIFY_NOW})


@dataclass(frozen=True, slots=True)
class _Touch:
    """A queued touch or refusal; a refusal need not be held to count."""

    outcome: Outcome
    held: bool
    made_ms: int


class PolicyPerson:
    """Does what was queued, then what the policy says.

    Gestures may be queued before or while the token waits, from any thread.

    Args:
        policy: for what no queued gesture answers.
        clock: the token's.
    """

    def __init__(self, policy: Policy, clock: Clock, touch_lasts_ms: int | None = None) -> None:
        self._policy = policy
        self._clock = clock
        self._touch_lasts_ms = touch_lasts_ms
        self._changed = threading.Condition()
        self._touches: deque[_Touch] = deque()
        self._samples: deque[Outcome] = deque()
        self._verifications: deque[Outcome] = deque()
        self._asked_ms: int | None = None

    def touch(self, outcome: Outcome, *, held: bool = False) -> None:
        """Queue TOUCHED or REFUSED as the answer to the next request for a touch.

        Args:
            outcome: which of the two.
            held: for the five seconds that a LONG_TOUCH takes; shorter ones are lost on it.
        """
        held = held or outcome is Outcome.REFUSED
        self._queue(self._touches, _Touch(outcome, held, self._clock.now_ms()))

    def verify(self, outcome: Outcome) -> None:
        """Queue UV_MATCHED or UV_MISMATCHED as the answer to the next verification."""
        self._queue(self._verifications, outcome)

    def sample(self, outcome: Outcome) -> None:
        """Queue one of SAMPLE_*, TIMED_OUT or REFUSED as the next sample of a finger."""
        self._queue(self._samples, outcome)

    def forget(self) -> None:
        """Drop every queued gesture."""
        with self._changed:
            self._touches.clear()
            self._verifications.clear()
            self._samples.clear()

    def wake(self) -> None:
        """Make waits look again at whether they are canceled."""
        with self._changed:
            self._changed.notify_all()

    def decides(self, kind: PresenceKind) -> bool:
        """Whether a tap on a reader is not asked: a gesture is queued, or the policy is Deny."""
        with self._changed:
            queued = self._verifications if kind in _VERIFICATIONS else self._touches
            return bool(queued) or isinstance(self._policy, Deny)

    def wait(self, need: NeedsPresence, on_keepalive: OnKeepalive, canceled: Canceled) -> Outcome:
        """Answer by what was queued, else by the policy; see `Person.wait`."""
        if need.kind in _AT_ONCE:
            return self._answer(need.kind) or Outcome.TIMED_OUT
        self._asked_ms = self._clock.now_ms()
        ticks = itertools.count()
        while True:
            if next(ticks) % _TICKS_PER_KEEPALIVE == 0:
                on_keepalive(UP_NEEDED)
            outcome = Outcome.CANCELED if canceled() else self._answer(need.kind)
            if outcome is not None:
                return outcome
            if self._clock.now_ms() >= need.deadline_ms:
                return Outcome.TIMED_OUT
            with self._changed:
                self._changed.wait(_TICK_S)

    def _queue(self, gestures: deque[T], gesture: T) -> None:
        with self._changed:
            gestures.append(gesture)
            self._changed.notify_all()

    def _answer(self, kind: PresenceKind) -> Outcome | None:
        """The next gesture that fits, else the policy's; None while neither has one."""
        with self._changed:
            return self._queued(kind) or self._by_policy(kind)

    def _queued(self, kind: PresenceKind) -> Outcome | None:
        if kind in _VERIFICATIONS:
            return self._verifications.popleft() if self._verifications else None
        if kind is PresenceKind.SAMPLE:
            return self._samples.popleft() if self._samples else None
        while self._touches:
            touch = self._touches.popleft()
            if self._is_over(touch):
                continue
            if touch.held or kind is not PresenceKind.LONG_TOUCH:
                return touch.outcome
        return None

    def _is_over(self, touch: _Touch) -> bool:
        if self._touch_lasts_ms is None:
            return False
        return self._clock.now_ms() - touch.made_ms > self._touch_lasts_ms

    def _by_policy(self, kind: PresenceKind) -> Outcome | None:
        match self._policy:
            case Auto():
                return _GRANTED[kind]
            case Deny() | Prompt():
                return _DENIED[kind]
            case Delay(milliseconds):
                return _GRANTED[kind] if self._waited_for(milliseconds) else None
            case Script():
                return None
            case _:
                assert_never(self._policy)

    def _waited_for(self, milliseconds: int) -> bool:
        # U2F clients ask again and again instead of waiting, so the first time asked is kept.
        now = self._clock.now_ms()
        if self._asked_ms is None:
            self._asked_ms = now
        if now - self._asked_ms < milliseconds:
            return False
        self._asked_ms = None
        return True


SAMPLES: Final[Mapping[str, Outcome]] = MappingProxyType(
    {
        "good": Outcome.SAMPLE_GOOD,
        "high": Outcome.SAMPLE_HIGH,
        "low": Outcome.SAMPLE_LOW,
        "left": Outcome.SAMPLE_LEFT,
        "right": Outcome.SAMPLE_RIGHT,
        "fast": Outcome.SAMPLE_FAST,
        "slow": Outcome.SAMPLE_SLOW,
        "poor": Outcome.SAMPLE_POOR,
        "skewed": Outcome.SAMPLE_SKEWED,
        "short": Outcome.SAMPLE_SHORT,
        "unmerged": Outcome.SAMPLE_UNMERGED,
        "known": Outcome.SAMPLE_KNOWN,
        "none": Outcome.TIMED_OUT,
        "unmoved": Outcome.SAMPLE_UNMOVED,
        "refused": Outcome.REFUSED,
    }
)
"""What a sample may turn out to be, by the names that tests use."""


class Sensor:
    """Queues samples; what is not queued is as the token's presence policy says, `auto` good.

    Args:
        queue: takes one sample.
    """

    def __init__(self, queue: Callable[[Outcome], None]) -> None:
        self._queue = queue

    def script(self, *samples: str) -> None:
        """Queue samples, one for each time that the token asks for a finger.

        Args:
            samples: names of `SAMPLES`; "none" is a time-out that comes at once.

        Raises:
            UsageError: there is no such sample; then none is queued.
        """
        unknown = [name for name in samples if name not in SAMPLES]
        if unknown:
            raise UsageError(
                f"there is no sample {unknown[0]!r}", hint=f"choose among {', '.join(SAMPLES)}"
            )
        for name in samples:
            self._queue(SAMPLES[name])


TAP_LASTS_MS: Final = 120_000
"""CTAP 2.3's limit for the user presence that a tap gives."""

_BY_TAP: Final = frozenset({PresenceKind.TOUCH, PresenceKind.TOUCH_NOW})
"""What a tap answers; a long touch and a finger it does not."""


class Taps:
    """Which channels were opened by a tap that nothing has used yet.

    Args:
        clock: the token's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made_ms: dict[int, int] = {}

    def made(self, channel: int) -> None:
        """The token was laid on a reader, and is reached by this channel."""
        self._made_ms[channel] = self._clock.now_ms()

    def used(self, channel: int, kind: PresenceKind) -> bool:
        """Whether the tap answers this request for presence; it answers no other one then."""
        if kind not in _BY_TAP or channel not in self._made_ms:
            return False
        return self._clock.now_ms() - self._made_ms.pop(channel) <= TAP_LASTS_MS
