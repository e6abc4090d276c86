"""How the library reaches the user: PINs, the touch notice, and choosing a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from fidokit.errors import PinPolicy, PinRequired, PinWrong
from fidokit.prompt import questions
from fidokit.prompt.notices import LastingNotice, tell, touch_notice, waiting_notice
from fidokit.prompt.text import escape, note

if TYPE_CHECKING:
    from fidokit.cli.settings import Settings
    from fidokit.prompt.questions import TouchPrompt
    from fidokit.tokens import Candidate, PinCode, Session

Secret = TypeVar("Secret", str, bytes)


@contextmanager
def open_token(
    settings: Settings, interaction: TerminalInteraction | None = None
) -> Iterator[Session]:
    """Open the one token that this command is about; -v counts what was said to it.

    Args:
        settings: which token, and how its user is reached.
        interaction: asks the user; one of its own if None.
    """
    from fidokit.tokens import access

    asks = interaction or TerminalInteraction(settings)
    with access.open_token(settings.token, asks, spend_last_try=settings.spend_last_try) as session:
        began = time.monotonic()
        try:
            yield session
        finally:
            if settings.verbose:
                took = (time.monotonic() - began) * 1000
                note(f"fidokit.trace: {session.round_trips} round trips in {took:.0f} ms")


def ask_twice(ask: Callable[[str], Secret | None], prompt: str, again: str) -> Secret | None:
    """A secret that was typed twice alike; None if nobody can be asked.

    Args:
        ask: `questions.ask_secret` or `ask_passphrase`.
        prompt: the first question.
        again: the second one.
    """
    while (typed := ask(prompt)) is not None:
        if typed == ask(again):
            return typed
        tell("The two are not the same.")
    return None


CHANGING_PIN = "changing the PIN"
"""Why a PIN is asked for that is about to be replaced (tokens.owner.change_pin)."""


class TerminalInteraction:
    """The Interaction of the command (client.ports.Interaction): a terminal, a file, or nobody.

    Args:
        settings: where PINs come from, and whether somebody waits.
        purpose: what a touch is for, where the caller knows better than the library.
    """

    def __init__(self, settings: Settings, purpose: str = "") -> None:
        self.settings = settings
        self._purpose = purpose
        self._notice: LastingNotice | None = None
        self._prompt: TouchPrompt | None = None
        self._read: dict[str, PinCode] = {}
        """By token: a descriptor gives its PIN once, and a proof that dies asks again."""

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN of a token, from --pin-file or --pin-fd, else from the user."""
        from fidokit.tokens import PinCode

        source = self.settings.pin_fd
        given = source if source is not None else self.settings.pin_file
        if given is not None:
            return self._read_pin(token, given, retries, previous_was_wrong)
        if previous_was_wrong:
            tell("That PIN was wrong.")
        while True:
            text = questions.ask_secret(_pin_prompt(token, retries, self._purpose or why))
            if text is None:
                from fidokit.tokens import QUIET

                return QUIET.ask_pin(token, retries, why, previous_was_wrong)
            try:
                return PinCode.parse(text)
            except PinPolicy as error:  # no such PIN exists: asking the token would cost a try
                tell(_sentence(error.message))

    def _read_pin(
        self, token: str, source: str | int, retries: int | None, previous_was_wrong: bool
    ) -> PinCode:
        from fidokit.tokens import PinCode

        if previous_was_wrong:  # the file says the same again, and would burn the tries
            raise PinWrong("the PIN is wrong", retries=retries, hint=_tries_hint(retries))
        if token not in self._read:
            self._read[token] = PinCode.parse(questions.read_secret(source, "PIN"))
        return self._read[token]

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """A new PIN, from --new-pin-file, else from the user, twice.

        Args:
            token: the token's name.
            min_length: code points.
            max_length: code points.
        """
        from fidokit.tokens import PinCode

        if self.settings.new_pin_file is not None:
            given = questions.read_secret(self.settings.new_pin_file, "new PIN")
            pin = PinCode.parse(given, min_code_points=min_length)
            pin.check_length(min_length, max_length)
            return pin
        while True:
            lengths = f"{min_length} to {max_length} characters"
            text = ask_twice(
                questions.ask_secret, f"New PIN of {token} ({lengths}): ", "New PIN again: "
            )
            if text is None:
                raise PinRequired(
                    "a new PIN is needed, and nobody can be asked",
                    hint="give it with --new-pin-file, or run this in a terminal",
                )
            try:
                pin = PinCode.parse(text, min_code_points=min_length)
                pin.check_length(min_length, max_length)
            except PinPolicy as error:
                tell(_sentence(error.message))
            else:
                return pin

    def touch_wanted(self, token: str, why: str) -> None:
        """Say that the token waits, with the seconds that are left if a user looks on."""
        self._notice = touch_notice(token, self._purpose or why, live=self.settings.progress)

    def touch_over(self) -> None:
        """Clear the notice that a touch is wanted."""
        if self._notice is not None:
            self._notice.over()
            self._notice = None

    def busy(self, token: str, why: str) -> bool:
        """Say that another program uses the token, and wait if a user looks on."""
        return self._wait(f"{token} is busy: {why}. Wait, or end with Ctrl-C")

    def absent(self, what: str) -> bool:
        """Say that a token is not there, and wait for it if a user looks on."""
        return self._wait(f"{what}, or end with Ctrl-C")

    def _wait(self, text: str) -> bool:
        if not (self.settings.wait and questions.has_terminal()):
            return False
        self._notice = waiting_notice(text, live=self.settings.progress)
        return True

    def waiting_over(self) -> None:
        """Clear the notice that something is waited for."""
        self.touch_over()

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
        """Let the user choose from a numbered list; None: by touching the token."""
        if not questions.has_terminal():
            from fidokit.tokens import QUIET

            return QUIET.choose_token(candidates)
        width = max(len(candidate.selector) for candidate in candidates)
        lines = ["There is more than one token:"]
        for number, candidate in enumerate(candidates, start=1):
            lines.append(
                f"  {number}  {escape(candidate.selector):<{width}}  {escape(candidate.product)}"
            )
        tell("\n".join(lines))
        while True:
            question = f"Which one? [1-{len(candidates)}, or Enter to touch the one you mean] "
            answer = (questions.ask_line(question) or "").strip()
            if not answer:
                return None
            if answer.isdecimal() and 1 <= int(answer) <= len(candidates):
                return candidates[int(answer) - 1]
            tell(f"{answer!r} is not a number from 1 to {len(candidates)}.")


def _pin_prompt(token: str, retries: int | None, why: str) -> str:
    if why == CHANGING_PIN:
        return f"Current PIN of {token}{_tries(retries)}: "
    return f"PIN of {token}, for {why}{_tries(retries)}: "


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."


def _tries_left(retries: int) -> str:
    return "1 try left" if retries == 1 else f"{retries} tries left"


def _tries(retries: int | None) -> str:
    return "" if retries is None else f" ({_tries_left(retries)})"


def _tries_hint(retries: int | None) -> str:
    known = "" if retries is None else f"; {_tries_left(retries)}"
    return f"check the file that holds it{known}"
