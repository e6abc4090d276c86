"""The entry point, and the one place where errors become text and an exit status."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from fidokit import __version__
from fidokit.errors import ExitCode, FidokitError, Interrupted, Unsupported, UsageError

if TYPE_CHECKING:
    import click

_BY_SIGNAL = 128
"""What shells add to the number of the signal that ended a program."""

BUG_HINT = "this is a bug in fidokit; run it again with -v and report what it prints"


def main() -> NoReturn:
    """Run the command that the process was started with, and end the process with its status."""
    process(run)


def process(program: Callable[[Sequence[str]], int]) -> NoReturn:
    """Be the process of a program: run it with the words behind its name, end with its status."""
    # Imports make many objects and no garbage: looking for it 40 times costs 3 ms of 40. The
    # collector stays on for what a long command leaves behind.
    gc.set_threshold(50_000)
    _have_three_streams()
    told = _end_like_ctrl_c()
    status = program(sys.argv[1:])
    _leave(_BY_SIGNAL + told[0] if told else status)


def _end_like_ctrl_c() -> list[int]:
    """Let SIGTERM and SIGHUP end the process as Ctrl-C does; what is returned tells which came.

    The token stops waiting, and a terminal gets its cursor and its echo back. A second
    signal ends the process at once. What the caller had ignored (nohup) stays ignored, and commands
    that serve have handlers of their own.
    """
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        told.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
    return told


def _have_three_streams() -> None:
    """Put nothing behind standard streams that we were started without.

    The first file that is opened would get the number of a closed one otherwise, and what is
    printed would go into it: a key, or a token's state.
    """
    descriptor = 0
    while descriptor <= 2:  # the lowest number that is free is the one that is given
        descriptor = os.open(os.devnull, os.O_RDWR)
        os.set_inheritable(descriptor, descriptor <= 2)  # as those of programs that we start
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def run(args: Sequence[str]) -> int:
    """Run one command line; returns the exit status (docs/exit-codes.md), never raises.

    Args:
        args: the words after the program's name.
    """
    if shell := os.environ.get("_FIDOKIT_COMPLETE"):
        return _complete(shell, args)
    return guarded(lambda: _dispatch(args), args)


def _complete(shell: str, args: Sequence[str]) -> int:
    """Answer a shell that completes a line; a word that cannot be completed is not news to it."""
    try:
        from fidokit.cli.completion.answers import answer

        answer(shell, args)
    except (Exception, KeyboardInterrupt, SystemExit):  # noqa: BLE001  nothing may disturb the line
        return ExitCode.OTHER
    return ExitCode.OK


def guarded(work: Callable[[], int], args: Sequence[str]) -> int:
    """What `work` returns, or the status of the error that ended it, which is printed.

    Args:
        work: the command.
        args: the words after the program's name: they may ask for JSON, or for tracebacks.
    """
    try:
        return work()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.OTHER
    except KeyboardInterrupt:
        return _report(Interrupted("interrupted"), args)
    except BrokenPipeError:
        return ExitCode.OTHER
    except Exception as error:  # noqa: BLE001  the boundary: nothing may end in a traceback
        return _report(_explain(error), args, cause=error)


def _dispatch(args: Sequence[str]) -> int:
    from fidokit.cli.app import root
    from fidokit.cli.settings import PROGRAM

    for stream in (sys.stdout, sys.stderr):
        # A locale that cannot print a name must not turn it into a crash; a file or program gets
        # the bytes of a comment as they are, a terminal never.
        if reconfigure := getattr(stream, "reconfigure", None):
            raw = stream.encoding.lower() == "utf-8" and not stream.isatty()
            reconfigure(errors="surrogateescape" if raw else "backslashreplace")
    status = root.main(args=list(args), prog_name=PROGRAM, standalone_mode=False)
    return status if isinstance(status, int) else ExitCode.OK


def _explain(error: Exception) -> FidokitError:
    """Any exception as one of ours."""
    import click

    if isinstance(error, FidokitError):
        return error
    if isinstance(error, (click.Abort, click.ClickException)):
        return _of_click(error)
    if isinstance(error, OSError) and error.strerror:
        where = "reading or writing" if error.filename is None else error.filename
        return FidokitError(f"{where} failed: {error.strerror}")
    if isinstance(error, ModuleNotFoundError):  # in the one-file program, which lacks most of it
        return Unsupported(
            f"this needs {error.name or 'a module'}, which is not installed here",
            hint="install all of fidokit, with the wheel of this release: "
            f"pipx install ./fidokit-{__version__}-py3-none-any.whl",
        )
    return FidokitError(f"unexpected {type(error).__name__}", hint=BUG_HINT)


def _of_click(error: click.Abort | click.ClickException) -> FidokitError:
    import click

    if isinstance(error, click.Abort):
        return Interrupted("interrupted")
    sentence = _sentence(error.format_message())
    if isinstance(error, click.UsageError):
        return UsageError(sentence, hint=_usage_hint(error))
    return FidokitError(sentence)


def _sentence(text: str) -> str:
    text = text.rstrip(".")
    return text[:1].lower() + text[1:]


def _usage_hint(error: object) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if context else ""


def _report(error: FidokitError, args: Sequence[str], *, cause: Exception | None = None) -> int:
    """Say what went wrong on standard error, and as JSON where JSON was asked for."""
    from fidokit.cli import render
    from fidokit.prompt.text import BAD

    said = error.message.replace("\n", "\\n")
    lines = [render.labeled("fidokit: ", said, sys.stderr, BAD)]
    if error.hint:
        from fidokit.cli.installation import Installation

        error.hint = Installation().advice(error.hint)
        lines.append(render.labeled("hint: ", error.hint))
    try:
        print("\n".join(lines), file=sys.stderr)
        if "--json" in args:
            render.write_json({"error": render.error_data(error)})
        if cause is not None and error.hint == BUG_HINT and _verbose(args):
            _print_traceback(cause)
    except OSError:
        pass  # nobody is left to read it; the exit status still tells
    return error.exit_code


def _verbose(args: Sequence[str]) -> bool:
    return "--verbose" in args or any(a.startswith("-v") and set(a[1:]) == {"v"} for a in args)


def _print_traceback(cause: Exception) -> None:
    import traceback

    from fidokit.prompt.text import escape_lines

    text = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    print(escape_lines(text), file=sys.stderr)


def _leave(status: int) -> NoReturn:
    """End the process at once, with everything written.

    Taking the interpreter apart module by module costs 8 ms with click and 20 ms with fido2
    loaded, and frees nothing that the kernel would not. What it would do for us is done here:
    both streams are flushed (a failure there is an error of the command), and where a thread is
    still at work, or somebody traces this process, the ordinary way is taken.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        if status == ExitCode.OK and not isinstance(error, BrokenPipeError):
            _report(_explain(error), sys.argv)
        status = status or ExitCode.OTHER
    if sys.gettrace() or _threads_at_work():
        sys.exit(status)
    try:
        sys.stderr.flush()
    finally:
        os._exit(status)


def _threads_at_work() -> bool:
    """Whether the interpreter would wait for a thread at its end."""
    threading = sys.modules.get("threading")
    if threading is None:
        return False
    here = threading.current_thread()
    return any(not t.daemon for t in threading.enumerate() if t is not here)
