"""The finger sensor of a virtual token, as a test scripts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from fidokit.errors import UsageError
from fidokit.virtual.core.ports import Outcome

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
