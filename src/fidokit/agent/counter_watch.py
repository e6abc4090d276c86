"""Signature counters of keys on tokens: noted in a thread, so that no signature waits for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError
from fidokit.keys.bookkeeping import clone_sentence, note_counter
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.signatures.signature import parse_signature
from fidokit.prompt.desktop import clean, notify

if TYPE_CHECKING:
    from fidokit.openssh.keys.public import SkPublic

_TITLE: Final = "A clone of your security key is suspected"
_MOST_WAITING: Final = 1000


@dataclass(frozen=True, slots=True)
class _Seen:
    key: SkPublic
    signature: bytes
    began: float
    ended: float


class CounterWatch:
    """Notes the counter of each signature, in a thread of its own; a clone is an alarm.

    Args:
        say: takes a line for the log.
        desktop: whether an alarm is a desktop notification, too.
    """

    def __init__(self, say: Callable[[str], None], *, desktop: bool = False) -> None:
        self._say = say
        self._desktop = desktop
        self._seen: queue.Queue[_Seen | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None

    def seen(self, key: SkPublic, signature: bytes, began: float) -> None:
        """Take a signature that was just made.

        Args:
            key: whose.
            signature: its blob.
            began: when the token was asked for it, seconds since 1970.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        try:
            self._seen.put_nowait(_Seen(key, signature, began, time.time()))
        except queue.Full:
            self._say("a signature counter was not noted: too many wait")

    def close(self) -> None:
        """Note what is left, and end."""
        if self._thread is not None:
            self._seen.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (one := self._seen.get()) is not None:
            try:
                self._note(one)
            except Exception as error:  # noqa: BLE001  the boundary: one signature's defect is its own
                self._say(f"a signature counter was not noted: {type(error).__name__}")

    def _note(self, one: _Seen) -> None:
        try:
            counter = getattr(parse_signature(one.signature), "counter", None)
        except FidokitError:
            return
        if counter is None:
            return
        line = PublicLine(one.key, "").encode()
        alarm = note_counter(
            self._say, line, counter, began=one.began, ended=one.ended, by="the agent"
        )
        if alarm:
            sentence = clone_sentence(sha256(one.key.blob()), alarm)
            self._say(f"WARNING: {sentence}; see: fidokit doctor")
            if self._desktop:
                notify(_TITLE, clean(sentence))
