"""Asking a user: on the terminal, through SSH_ASKPASS, or reading what a file holds for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError, Interrupted, Malformed, NoPermission, UsageError
from fidokit.prompt.text import columns, escape, wrapped

if TYPE_CHECKING:
    from pathlib import Path


TERMINAL = "/dev/tty"
LARGEST_DESCRIPTOR = (1 << 31) - 1
LONGEST_SECRET = 1024
"""Bytes; far above CTAP's 63 for a PIN, and ssh-keygen's 1024 for a passphrase."""


def has_terminal() -> bool:
    """Whether this process has a controlling terminal to ask on."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def askpass_program(environ: Mapping[str, str], *, terminal: bool) -> str | None:
    """The program of SSH_ASKPASS where it is to be used, by the rules of ssh(1).

    Without a terminal it is used where a display is there; SSH_ASKPASS_REQUIRE says `never`,
    `prefer` (also beside a terminal) or `force` (also without a display).
    """
    program = environ.get("SSH_ASKPASS")
    require = environ.get("SSH_ASKPASS_REQUIRE", "")
    display = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    use = {"never": False, "force": True, "prefer": display}.get(require, display and not terminal)
    return program if program and use else None


def ask_passphrase(prompt: str) -> bytes | None:
    """Ask for a passphrase, any bytes, without showing it; None if nobody can be asked.

    Raises:
        Interrupted: the user closed the question. Malformed: what was typed is too long.
    """
    terminal = has_terminal()
    if program := askpass_program(os.environ, terminal=terminal):
        return _run_askpass(program, prompt)
    if not terminal:
        return None
    answer = _asked(prompt, hidden=True)
    if len(answer) > LONGEST_SECRET:
        raise Malformed(f"what was typed is longer than {LONGEST_SECRET} bytes")
    return answer


def ask_secret(prompt: str) -> str | None:
    """Ask for a PIN or a code, which is text; as `ask_passphrase`.

    Raises:
        Malformed: also where the answer is not UTF-8.
    """
    answer = ask_passphrase(prompt)
    return None if answer is None else _text(answer, "the answer")


def _asked(prompt: str, *, hidden: bool) -> bytes:
    """What is typed on the terminal.

    Raises:
        Interrupted: the user closed the question (Ctrl-D).
    """
    from fidokit.prompt.hidden import read_hidden, read_line

    terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    try:
        text = _fitting(escape(prompt), columns(terminal))
        shown = text.encode("utf-8", "backslashreplace")
        if hidden:
            answer = read_hidden(terminal, LONGEST_SECRET + 1, shown)
        else:
            os.write(terminal, shown)
            answer = _or_new_line(terminal, lambda: read_line(terminal, LONGEST_SECRET))
    finally:
        os.close(terminal)
    if answer is None:
        raise Interrupted("the question was not answered")
    return answer


def _or_new_line(terminal: int, read: Callable[[], bytes | None]) -> bytes | None:
    """What is read; the next message begins on a line of its own where no line end was typed."""
    try:
        answer = read()
    except KeyboardInterrupt:
        os.write(terminal, b"\n")
        raise
    if answer is None:
        os.write(terminal, b"\n")
    return answer


def _fitting(prompt: str, width: int) -> str:
    """A prompt broken at words, but not in parentheses, where it is wider than the terminal."""
    if len(prompt) < width:
        return prompt
    import re

    text = prompt.rstrip()
    whole = re.sub(r"\([^()]*\)", lambda part: part[0].replace(" ", "\u00a0"), text)
    lines = "\n".join(wrapped(whole, width - 2)).replace("\u00a0", " ")
    return lines + prompt[len(text) :]


def _run_askpass(program: str, prompt: str) -> bytes:
    """Run SSH_ASKPASS as ssh does: the prompt is its argument, its answer is on its output."""
    import subprocess

    try:
        done = subprocess.run([program, escape(prompt)], stdout=subprocess.PIPE, check=False)  # noqa: S603
    except OSError as error:
        raise FidokitError(
            f"cannot run SSH_ASKPASS {program!r}: {error.strerror}",
            hint="set SSH_ASKPASS to a program that asks for a secret, or run in a terminal",
        ) from None
    if done.returncode:
        raise Interrupted("the question of SSH_ASKPASS was canceled")
    return _first_line(done.stdout, "the answer of SSH_ASKPASS")


def ask_line(prompt: str) -> str | None:
    """Ask for a line that may be seen; None if there is no terminal.

    Raises:
        Interrupted when the user closed the question.
    """
    if not has_terminal():
        return None
    return _asked(prompt, hidden=False).decode("utf-8", "surrogateescape")


def typed_path(answer: str) -> Path | None:
    """The path that a user typed, ~ and ~user being home folders; None for nothing."""
    from pathlib import Path

    answer = answer.strip()
    # os.path's leaves ~nobody as it is; Path's raises if no user has the name
    return Path(os.path.expanduser(answer)) if answer else None  # noqa: PTH111


def confirmed(question: str) -> bool | None:
    """Ask yes or no, no being the default; None if there is no terminal."""
    answer = ask_line(f"{question} [y/N] ")
    return None if answer is None else answer.strip().lower() in {"y", "yes"}


def require_yes(question: str) -> None:
    """Go on only where the user says yes.

    Raises:
        UsageError: nobody can be asked; FidokitError: the answer was not yes.
    """
    answer = confirmed(question)
    if answer is None:
        raise UsageError("this needs confirmation, and nobody can be asked", hint="add --yes")
    if not answer:
        raise FidokitError("nothing was changed, because the answer was not yes")


def read_secret(source: str | int, what: str) -> str:
    """A PIN or a code, which is text; as `read_passphrase`.

    Raises:
        Malformed: also where the line is not UTF-8.
    """
    return _text(read_passphrase(source, what), f"the {what} from {_named(source)}")


def _named(source: str | int) -> str:
    return f"file descriptor {source}" if isinstance(source, int) else source


def read_passphrase(source: str | int, what: str = "passphrase") -> bytes:
    """The next line of a file, of standard input (`-`) or of a file descriptor, as it is.

    Two secrets read from the same descriptor are two lines of it.

    Args:
        source: a path, "-", or a descriptor's number.
        what: names the secret in errors, such as "PIN".

    Raises:
        NoPermission, FidokitError: it cannot be read; Malformed: empty or too long.
        UsageError: a number that no descriptor has.
    """
    name = _named(source)
    if isinstance(source, int) and not 0 <= source <= LARGEST_DESCRIPTOR:
        raise UsageError(
            f"there is no {name} to read the {what} from",
            hint="open one in the shell, as 3 is here: --pin-fd 3 3<FILE",
        )
    try:
        if isinstance(source, int) or source == "-":
            data = _line_of(0 if source == "-" else int(source), what)
        else:
            with open(source, "rb") as stream:  # noqa: PTH123
                data = stream.readline(LONGEST_SECRET + 1)
    except PermissionError:
        raise NoPermission(
            f"may not read the {what} from {name}", hint="check the owner and mode of the file"
        ) from None
    except OSError as error:
        raise FidokitError(f"cannot read the {what} from {name}: {error.strerror}") from None
    return _first_line(data, f"the {what} from {name}")


def _line_of(descriptor: int, what: str) -> bytes:
    """The next line of a descriptor; a terminal is told what to type, and does not show it."""
    if os.isatty(descriptor):
        from fidokit.prompt.hidden import read_hidden

        shown = f"{what[:1].upper()}{what[1:]}: ".encode()
        return read_hidden(descriptor, LONGEST_SECRET + 1, shown) or b""
    with open(descriptor, "rb", buffering=0, closefd=False) as stream:
        return stream.readline(LONGEST_SECRET + 1)


BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What editors of Windows write before UTF-8; it is not part of a secret."""


def _first_line(data: bytes, what: str) -> bytes:
    data = data.removeprefix(BYTE_ORDER_MARK)
    if len(data) > LONGEST_SECRET:
        raise Malformed(f"{what} is longer than {LONGEST_SECRET} bytes", hint="check the file")
    if not data:
        raise Malformed(f"{what} is empty", hint="put the secret on its first line")
    return data.split(b"\n", 1)[0].rstrip(b"\r")


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"{what} is not UTF-8", hint="save it as UTF-8") from None


# --- a virtual token's touches (`virtual.gestures.Gestures`) --------------------------


TOUCH = "{token} needs a touch [Enter = touch, r = refuse]: "
VERIFY = "{token} needs your fingerprint [Enter = match, m = mismatch]: "
REFUSALS = frozenset({"r", "refuse", "m", "mismatch", "n", "no"})
LONGEST_ANSWER = 1024


class TouchPrompt:
    """Asks the user to be the finger on a virtual token, one question at a time.

    The answer is looked for without waiting longer than is asked.
    """

    def __init__(self) -> None:
        self._terminal = -1
        self._question = b""
        self._open = False

    def ask(self, token: str, *, verify: bool) -> None:
        """Show the question; what was typed before it is not an answer.

        Raises:
            TouchRefused: there is no terminal.
        """
        import termios

        self.over()
        try:
            self._terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            from fidokit.virtual.gestures import nobody

            raise nobody(token) from None
        termios.tcflush(self._terminal, termios.TCIFLUSH)
        text = (VERIFY if verify else TOUCH).format(token=escape(token))
        self._question = text.encode("utf-8", "backslashreplace")
        os.write(self._terminal, self._question)
        self._open = True

    def answer(self, seconds: float) -> bool | None:
        """Yes or no, once it is typed; None if nothing was within `seconds`."""
        import select

        if not select.select([self._terminal], [], [], seconds)[0]:
            return None
        typed = os.read(self._terminal, LONGEST_ANSWER)
        word = typed.decode("utf-8", "replace").strip().lower()
        if word and word not in REFUSALS:
            os.write(self._terminal, self._question)
            return None
        self._open = not typed
        return bool(typed) and not word  # an end of file is not a touch

    def over(self) -> None:
        """Let go of the terminal."""
        if self._terminal >= 0:
            if self._open:
                os.write(self._terminal, b"\n")
            os.close(self._terminal)
            self._terminal = -1
