"""The child of `fidokit agent serve` that handles one PIN: `python -m fidokit.agent.pin.worker`.

It reads an order (a line of JSON) from standard input, says what happens on standard output, and
ends. The agent closes its input to cancel. PINs go through two pipes whose numbers the order names.

CPython keeps copies of every string it made, so a PIN is typed, encoded and encrypted in a process
that lives for one piece of work: sign once, or list a token's keys.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from fidokit import errors
from fidokit.client.ports import Interaction, PinCode
from fidokit.errors import FidokitError, Interrupted, Malformed, PinPolicy, PinRequired, PinWrong
from fidokit.keys.resident_keys import label_of
from fidokit.openssh.keys.private import read_private
from fidokit.openssh.wire import Reader
from fidokit.prompt import questions
from fidokit.prompt.text import escape_lines
from fidokit.system.process_memory import harden
from fidokit.tokens.access import open_token
from fidokit.tokens.remembered import attach

if TYPE_CHECKING:
    from fidokit.client.ports import Candidate
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import SkPrivate


LONGEST_PIN = 64
MOST_QUESTIONS = 3
LONGEST_ORDER = 1 << 20
LONGEST_PROBLEM = 300


class PinWorker:
    """The Interaction of the child: PINs from the agent's pipe or the user, notices to the agent.

    Args:
        order: what the agent wants, and how the user is asked.
    """

    def __init__(self, order: Mapping[str, object]) -> None:
        self._order = order
        self._go = threading.Event()
        self.stop = threading.Event()
        self._asked = 0
        self._open = False
        self._given = _read_pin(order)
        self._had_given = self._given is not None
        self.typed: PinCode | None = None

    # --- the agent -------------------------------------------------------------------------

    def say(self, **event: object) -> None:
        """Tell the agent something."""
        with suppress(BrokenPipeError):  # the agent has ended, and so will we
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    def listen(self) -> None:
        """Follow standard input: a line lets us ask, its end cancels, an open question too."""
        while sys.stdin.readline(LONGEST_PIN):
            self._go.set()
        self.stop.set()
        self._go.set()
        if self._open:
            os.kill(os.getpid(), signal.SIGTERM)  # in the thread that reads from the terminal

    def disown(self) -> None:
        """Do not use the PIN that the agent kept: this may be another token than it belongs to."""
        if self._given is not None:
            self._given = None
            self._had_given = False
            self.say(event="pin_wrong")

    # --- the Interaction -------------------------------------------------------------------

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN that the agent kept, once; then what the user types, three times at most."""
        given, self._given = self._given, None
        if given is not None:
            return given
        if self._had_given:
            self._had_given = False
            self.say(event="pin_wrong")
        if self._asked == MOST_QUESTIONS:
            raise PinWrong(f"{MOST_QUESTIONS} PINs were wrong", retries=retries)
        self._asked += 1
        self.say(event="ask")
        self._go.wait()
        if self.stop.is_set():
            raise Interrupted("the client hung up")
        self._open = True
        before = signal.signal(signal.SIGTERM, _give_up)
        try:
            self.typed = self._typed(token, retries, why, previous_was_wrong)
        finally:
            self._open = False
            signal.signal(signal.SIGTERM, before)
            self.say(event="asked")
        return self.typed

    def _typed(self, token: str, retries: int | None, why: str, wrong: bool) -> PinCode:
        error = "That PIN was wrong." if wrong else ""
        while True:
            try:
                return PinCode.parse(self._answer(self._question(token, retries, why), error))
            except PinPolicy as refusal:  # no such PIN exists: asking the token would cost a try
                error = f"{refusal.message}."

    def _question(self, token: str, retries: int | None, why: str) -> str:
        what = self._order.get("what") or why
        lines = [f"PIN of {token}", f"for {what}"]
        if key := self._order.get("key_name"):
            lines.append(f"key {key}")
        if asked_by := self._order.get("asked_by"):
            lines.append(f"asked for by {asked_by}")
        if retries is not None:
            lines.append("1 try left" if retries == 1 else f"{retries} tries left")
        return "\n".join(lines)

    def _answer(self, question: str, error: str) -> str:
        from fidokit.prompt import pinentry

        method = self._order.get("method")
        usual = method == "auto" and not _can_ask()
        if method == "pinentry" or (usual and pinentry.available()):
            return pinentry.ask(escape_lines(question), error)
        if method == "askpass":
            os.environ["SSH_ASKPASS_REQUIRE"] = "force"
        elif method == "terminal":
            os.environ["SSH_ASKPASS_REQUIRE"] = "never"
        text = "; ".join([*([error] if error else []), *question.split("\n")])
        answer = questions.ask_secret(f"{text}: ")
        if answer is None:
            raise PinRequired(
                "the PIN is needed, and nobody can be asked",
                hint="give the agent a terminal, SSH_ASKPASS and a display, or pinentry",
            )
        return answer

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:  # noqa: ARG002
        """The agent sets no PINs."""
        raise PinRequired("the token requires a new PIN", hint="set one with `fidokit pin set`")

    def touch_wanted(self, token: str, why: str) -> None:  # noqa: ARG002  the agent knows more
        """Let the agent say so."""
        self.say(event="touch_wanted", token=token)

    def touch_over(self) -> None:
        """Let the agent say so."""
        self.say(event="touch_over")

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002
        """The order names one; by touch where that is a model's name."""
        return None


def _give_up(_number: int, _frame: object) -> None:
    """End the question in the thread that waits for it; the terminal is put right on the way."""
    raise Interrupted("the question for the PIN is not wanted any more")


def can_be_asked(method: str, *, terminal: bool) -> bool:
    """Whether there is any way to ask the user for a PIN.

    Args:
        method: "auto", "terminal", "askpass" or "pinentry".
        terminal: whether the agent has one.
    """
    from fidokit.prompt import pinentry

    program = os.environ.get("SSH_ASKPASS")
    ways = {
        "terminal": terminal,
        "askpass": bool(program and shutil.which(program)),
        "pinentry": pinentry.available(),
    }
    if method != "auto":
        return ways[method]
    askpass = questions.askpass_program(os.environ, terminal=terminal) is not None
    return terminal or ways["pinentry"] or (askpass and ways["askpass"])


def _can_ask() -> bool:
    terminal = questions.has_terminal()
    return terminal or questions.askpass_program(os.environ, terminal=terminal) is not None


def _read_pin(order: Mapping[str, object]) -> PinCode | None:
    descriptor = order.get("pin_in")
    data = b""
    if isinstance(descriptor, int):
        data = os.read(descriptor, LONGEST_PIN)
        os.close(descriptor)
    return PinCode.parse(data.decode("utf-8")) if data else None


def _keep(order: Mapping[str, object], pin: PinCode | None) -> None:
    """Hand the PIN that was typed, and was right, over to the agent."""
    descriptor = order.get("pin_out")
    if pin is not None and order.get("keep") and isinstance(descriptor, int):
        os.write(descriptor, pin.utf8())


# --- orders ----------------------------------------------------------------------------------


SIGN: Final = "sign"
LIST: Final = "list"

Json = Mapping[str, object]


def sign_request(token: str, private: SkPrivate, message: bytes) -> dict[str, object]:
    """The order to sign on a token, by its selector."""
    key, data = b64encode(private.encode()).decode(), b64encode(message).decode()
    return {"do": SIGN, "token": token, "key": key, "message": data}


def list_request(token: str, *, remember: bool) -> dict[str, object]:
    """The order to list a token's SSH keys, keeping the right to do so again where wanted."""
    return {"do": LIST, "token": token, "remember": remember or None}


class Asking(Interaction, Protocol):
    """An `Interaction` that may have been given a PIN."""

    def disown(self) -> None:
        """Do not use that PIN."""


def perform(order: Json, interaction: Asking, stop: threading.Event) -> dict[str, object]:
    """Do what the agent ordered; the child's part.

    Args:
        order: from `sign_request` or `list_request`.
        interaction: asks for the PIN, and passes on touch notices.
        stop: set when the agent does not want it any more.

    Returns:
        What `signature_of` or `keys_of` reads.

    Raises:
        FidokitError: it did not work.
    """
    with open_token(_text(order, "token"), interaction) as session:
        if order.get("do") == SIGN:
            private = read_private(Reader(b64decode(_text(order, "key")), "private key"))
            if not (order.get("sure") or _answers_for(session, private)):
                interaction.disown()
            made = _signed(session, private, order, stop)
            return {"signature": b64encode(made).decode()}
        if not order.get("sure"):
            interaction.disown()
        return _listed(session, order)


def _answers_for(session: Session, private: SkPrivate) -> bool:
    """Whether the token owns up to a key without being asked for more."""
    from fidokit.client.discovery import holds

    return holds(session, private.key_handle, private.public.application)


def _signed(session: Session, private: SkPrivate, order: Json, stop: threading.Event) -> bytes:
    from fidokit.client.credentials.signature import sign

    return sign(session, private, b64decode(_text(order, "message")), stop=stop).blob()


def _listed(session: Session, order: Json) -> dict[str, object]:
    from fidokit.client.credentials import resident
    from fidokit.client.owner.asked_once import asking_once
    from fidokit.keys.stored_certificates import read_certificates

    attach(session, True if order.get("remember") else None)
    with asking_once(session):
        found = resident.list_credentials(session)
        stored = read_certificates(session, found)
    keys = []
    for credential in found:
        private, comment = credential.private, label_of(credential)
        if private is not None:
            keys.append((private, comment))
            certificates = stored.by_key.get(credential.credential_id, ())
            keys += [(private._replace(certificate=one), comment) for one in certificates]
    listed = [{"key": b64encode(k.encode()).decode(), "comment": comment} for k, comment in keys]
    return {"keys": listed, "problems": [one[:LONGEST_PROBLEM] for one in stored.problems]}


def signature_of(result: Json) -> bytes:
    """The signature blob in a result.

    Raises:
        Malformed: there is none.
    """
    return _decoded(result, "signature")


def keys_of(result: Json) -> list[tuple[SkPrivate, str]]:
    """The keys in a result, with their comments; a certified one comes once more as such.

    Raises:
        Malformed: it has another form.
    """
    listed = result.get("keys")
    if not isinstance(listed, list):
        raise Malformed("the agent's child did not list keys")
    return [
        (read_private(Reader(_decoded(row, "key"), "private key")), _text(row, "comment"))
        for row in listed
    ]


def problems_of(result: Json) -> list[str]:
    """What was wrong with certificates on the token, a sentence each; hostile text."""
    listed = result.get("problems")
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []


def error_of(error: FidokitError) -> dict[str, object]:
    """An error as a result."""
    return {"error": type(error).__name__, "message": error.message, "hint": error.hint}


def raise_error(result: Json) -> None:
    """Raise the error that a result is, if it is one."""
    name = result.get("error")
    if not isinstance(name, str):
        return
    kind = getattr(errors, name, FidokitError)
    ours = isinstance(kind, type) and issubclass(kind, FidokitError)
    if name in _WANT_MORE or not ours:
        kind = FidokitError
    raise kind(_text(result, "message"), hint=_text(result, "hint"))


_WANT_MORE: Final = frozenset({"PinWrong", "TokenRefused"})
"""Errors that are made of more than a sentence and a hint, which is all that the agent needs."""


def _decoded(values: Json, name: str) -> bytes:
    try:
        return b64decode(_text(values, name), validate=True)
    except ValueError:
        raise Malformed(f"{name!r} is not base64") from None


def _text(values: Json, name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name!r} is missing between the agent and its child")
    return value


def main() -> int:
    """Do one piece of work; returns the exit status."""
    harden()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the agent, which ends us
    order = json.loads(sys.stdin.readline(LONGEST_ORDER))
    worker = PinWorker(order)
    threading.Thread(target=worker.listen, daemon=True).start()
    try:
        result = perform(order, worker, worker.stop)
    except FidokitError as error:
        worker.say(**error_of(error))
        return error.exit_code
    _keep(order, worker.typed)
    worker.say(**result)
    return 0


if __name__ == "__main__":
    os._exit(main())  # a thread waits for standard input
