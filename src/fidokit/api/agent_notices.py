"""Telling the person that a token waits: on the terminal, on the desktop, by a command."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fidokit.agent.ports import Purpose

WANTED: Final = "touch-wanted"
OVER: Final = "touch-over"
_TITLE: Final = "Touch your security key"


@dataclass(frozen=True, slots=True)
class Notices:
    """Where touches are announced.

    Args:
        say: takes a line for the terminal or the log.
        desktop: whether notify-send is used, where it is there.
        hook: a command and its arguments, run for each event with FIDOKIT_EVENT, FIDOKIT_TOKEN,
            FIDOKIT_KEY and FIDOKIT_PURPOSE in its environment; empty for none.
    """

    say: Callable[[str], None]
    desktop: bool = False
    hook: Sequence[str] = ()

    def wanted(self, token: str, purpose: Purpose) -> None:
        """A token waits for a touch."""
        self.say(f"{_TITLE} ({token}): {purpose.what}, key {purpose.key}")
        if self.desktop and (program := shutil.which("notify-send")):
            text = f"{_markup_free(purpose.what)}\n{_markup_free(purpose.key)}"
            title = f"{_TITLE}: {token}"
            _spawn([program, "--app-name=fidokit", "--expire-time=15000", "--", title, text])
        self._run_hook(WANTED, token, purpose)

    def over(self) -> None:
        """It waits no longer."""
        self._run_hook(OVER, "", Purpose("", ""))

    def _run_hook(self, event: str, token: str, purpose: Purpose) -> None:
        if self.hook:
            _spawn(
                self.hook,
                FIDOKIT_EVENT=event,
                FIDOKIT_TOKEN=_clean(token),
                FIDOKIT_KEY=_clean(purpose.key),
                FIDOKIT_PURPOSE=_clean(purpose.what),
            )


def _clean(text: str) -> str:
    """Text of clients and tokens, harmless in an environment and for what a hook does with it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _markup_free(text: str) -> str:
    """Notification servers read a little HTML."""
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;")


def _spawn(command: Sequence[str], **variables: str) -> None:
    """Run a program and do not wait for it; that it cannot be run spoils nothing."""
    with suppress(OSError, ValueError):
        child = subprocess.Popen(  # noqa: S603  the owner's own command, without a shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        threading.Thread(target=child.wait, daemon=True).start()  # or it stays as a zombie
