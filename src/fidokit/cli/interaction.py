"""How the library reaches the user: PINs, the touch notice, and choosing a token."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fidokit.errors import PinPolicy, PinRequired, PinWrong
from fidokit.prompt import questions
from fidokit.prompt.text import escape, is_fancy, note

if TYPE_CHECKING:
    from rich.status import Status

    from fidokit.cli.settings import Settings
    from fidokit.prompt.questions import TouchPrompt
    from fidokit.tokens import Candidate, PinCode, Session


@contextmanager
def open_token(settings: Settings) -> Iterator[Session]:
    """Open the one token that this command is about; -v counts what was said to it."""
    from fidokit.tokens import access

    with access.open_token(
        settings.token, TerminalInteraction(settings), spend_last_try=settings.spend_last_try
    ) as session:
        began = time.monotonic()
        try:
            yield session
        finally:
            if settings.verbose:
                took = (time.monotonic() - began) * 1000
                note(f"fidokit.trace: {session.round_trips} round trips in {took:.0f} ms")


def ask_twice(prompt: str) -> str | None:
    """A secret that was typed twice alike; None where nobody can be asked."""
    while (text := questions.ask_secret(prompt)) is not None:
        if text == questions.ask_secret("The same again: "):
            return text
        note("The two are not the same.")
    return None


class TerminalInteraction:
    """The Interaction of the command (client.ports.Interaction): a terminal, a file, or nobody."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._status: Status | None = None
        self._prompt: TouchPrompt | None = None

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN of a token, from --pin-file or --pin-fd, else from the person."""
        from fidokit.tokens import PinCode

        source = self.settings.pin_fd
        given = source if source is not None else self.settings.pin_file
        if given is not None:
            return self._read_pin(given, retries, previous_was_wrong)
        if previous_was_wrong:
            note("That PIN was wrong.")
        while True:
            text = questions.ask_secret(f"PIN of {token}, for {why}{_tries(retries)}: ")
            if text is None:
                from fidokit.tokens import QUIET

                return QUIET.ask_pin(token, retries, why, previous_was_wrong)
            try:
                return PinCode.parse(text)
            except PinPolicy as error:  # no such PIN exists: asking the token would cost a try
                note(f"{error.message}.")

    def _read_pin(
        self, source: str | int, retries: int | None, previous_was_wrong: bool
    ) -> PinCode:
        from fidokit.tokens import PinCode

        if previous_was_wrong:  # the file says the same again, and would burn the tries
            raise PinWrong("the PIN is wrong", retries=retries, hint=_tries_hint(retries))
        return PinCode.parse(questions.read_secret(source, "PIN"))

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """A new PIN, from --new-pin-file, else from the person, twice.

        Args:
            token: the token's name.
            min_length: code points.
            max_length: code points.
        """
        from fidokit.tokens import PinCode

        if self.settings.new_pin_file is not None:
            pin = PinCode.parse(questions.read_secret(self.settings.new_pin_file, "new PIN"))
            pin.check_length(min_length, max_length)
            return pin
        while True:
            text = ask_twice(f"New PIN for {token} ({min_length} to {max_length} characters): ")
            if text is None:
                raise PinRequired(
                    "a new PIN is needed, and nobody can be asked",
                    hint="give it with --new-pin-file, or run this in a terminal",
                )
            try:
                pin = PinCode.parse(text)
                pin.check_length(min_length, max_length)
            except PinPolicy as error:
                note(f"{error.message}.")
            else:
                return pin

    def touch_wanted(self, token: str, why: str) -> None:
        """Say that the token waits; with a spinner where a person looks on."""
        text = f"Touch your security key ({escape(token)}): {escape(why)}"
        if not (self.settings.progress and is_fancy(sys.stderr)):
            note(text)
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False)
        self._status = console.status(Text(text, style="bold"), spinner="dots")
        self._status.start()

    def touch_over(self) -> None:
        """Clear the notice that a touch is wanted."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def busy(self, token: str, why: str) -> bool:
        """Say that another program uses the token, and wait where a user looks on."""
        if not questions.has_terminal():
            return False
        note(f"{escape(token)} is busy: {escape(why)}. Waiting for it; Ctrl-C ends that.")
        return True

    def busy_over(self) -> None:
        """Nothing is shown that would have to be cleared."""

    def ask_gesture(self, token: str, *, verify: bool) -> None:
        """Ask for a touch of a virtual token (virtual.gestures.Gestures)."""
        from fidokit.prompt.questions import TouchPrompt

        self._prompt = TouchPrompt()
        self._prompt.ask(token, verify=verify)

    def gesture(self, seconds: float) -> bool | None:
        """The answer, where one came within `seconds`."""
        return self._prompt.answer(seconds) if self._prompt else False

    def gesture_over(self) -> None:
        """The question does not matter any more."""
        if self._prompt:
            self._prompt.over()

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """Let the person choose from a numbered list; None: by touching the token."""
        if not questions.has_terminal():
            from fidokit.tokens import QUIET

            return QUIET.choose_token(candidates)
        note("There is more than one token:")
        for number, candidate in enumerate(candidates, start=1):
            note(f"  {number}  {escape(candidate.selector)}  {escape(candidate.product)}")
        while True:
            question = f"Which one? [1-{len(candidates)}, or Enter to touch the one you mean] "
            answer = (questions.ask_line(question) or "").strip()
            if not answer:
                return None
            if answer.isdecimal() and 1 <= int(answer) <= len(candidates):
                return candidates[int(answer) - 1]


def _tries_left(retries: int) -> str:
    return "1 try left" if retries == 1 else f"{retries} tries left"


def _tries(retries: int | None) -> str:
    return "" if retries is None else f" ({_tries_left(retries)})"


def _tries_hint(retries: int | None) -> str:
    known = "" if retries is None else f"; {_tries_left(retries)}"
    return f"check the file that holds it{known}"
