"""The boundary: whatever happens, a sentence, a hint, and the right exit status."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from tests.support.children import popen
from tests.support.sandbox import Sandbox

from fidokit.cli import app, main
from fidokit.cli.options import common_options
from fidokit.errors import (
    FidokitError,
    PinBlocked,
    PinWrong,
    TokenNotFound,
    TouchTimedOut,
    WouldOverwrite,
)

Run = Callable[..., int]


def raising(error: BaseException) -> click.Command:
    def body() -> None:
        raise error

    return click.Command("boom", callback=body, params=list(common_options()))


@pytest.fixture
def boom(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make every verb one that raises."""

    def install(error: BaseException) -> None:
        monkeypatch.setattr(app, "load", lambda _entry: raising(error))

    return install


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TokenNotFound("no token", hint="plug one in"), 3),
        (PinWrong("the PIN is wrong", retries=2, hint="mind the tries"), 5),
        (PinBlocked("the PIN is blocked"), 6),
        (TouchTimedOut("nobody touched it"), 7),
        (WouldOverwrite("it exists"), 9),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.exceptions.Exit(9), 9),
        (click.ClickException("Bad thing."), 1),
        (OSError(errno.ENOSPC, "No space left on device", "/some/file"), 1),
        (RuntimeError("secret inside"), 1),
        (RecursionError(), 1),
        (SystemExit(4), 4),
        (SystemExit("text"), 1),
    ],
)
def test_exit_status(
    in_process: Run,
    boom: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    boom(error)
    assert in_process("doctor") == code
    assert "Traceback" not in capsys.readouterr().err


def test_sentence_and_hint_are_escaped(
    in_process: Run, boom: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    boom(FidokitError("the token \x1b[2J said\nno", hint="one\ntwo\x1b"))
    in_process("doctor")
    assert capsys.readouterr().err == (
        "fidokit: the token \\x1b[2J said\\nno\nhint: one\n      two\\x1b\n"
    )


def test_json_errors_come_on_both_streams(
    in_process: Run, boom: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    boom(PinWrong("the PIN is wrong", retries=2, hint="mind the tries"))
    assert in_process("--json", "doctor") == 5
    said = capsys.readouterr()
    assert said.err == "fidokit: the PIN is wrong\nhint: mind the tries\n"
    assert json.loads(said.out) == {
        "schema": 1,
        "error": {
            "kind": "PinWrong",
            "message": "the PIN is wrong",
            "hint": "mind the tries",
            "exit_code": 5,
            "retries": 2,
        },
    }


def test_bug_names_itself_and_keeps_its_words_for_v(
    in_process: Run, boom: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    boom(RuntimeError("inner words"))
    assert in_process("doctor") == 1
    quiet = capsys.readouterr().err
    assert quiet.startswith("fidokit: unexpected RuntimeError\nhint: this is a bug in fidokit")
    assert "inner words" not in quiet
    in_process("-v", "doctor")
    assert "RuntimeError: inner words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nonsense"], "no command 'nonsense'"),
        (["key", "lst"], "did you mean 'list'?"),
        (["--nonsense"], "no such option"),
        (["key", "show"], "missing argument"),
        (["pin", "min-length", "3"], "3 is not in the range"),
        (["key", "verify", "-k", "a", "-f", "b", "file"], "either -k pub or -f"),
        (["key", "verify", "-k", "a"], "name the signature"),
        (["key", "rename", "x"], "give the new comment"),
    ],
)
def test_usage_errors_end_with_2_and_point_to_help(
    in_process: Run, capsys: pytest.CaptureFixture[str], args: list[str], sentence: str
) -> None:
    assert in_process(*args) == 2
    err = capsys.readouterr().err
    assert sentence in err.lower()
    assert "--help`" in err
    assert "Usage:" not in err


def test_closed_pipe_is_quiet(sandbox: Sandbox) -> None:
    with popen(
        [sys.executable, "-m", "fidokit", "completion", "bash"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=sandbox.env,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("args", [["--version"], ["completion", "bash"]])
def test_full_disk_is_an_error(sandbox: Sandbox, args: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fidokit", *args],
            stdout=full,
            stderr=subprocess.PIPE,
            env=sandbox.env,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"fidokit: reading or writing failed: No space left on device\n"


def test_long_output_is_whole_though_the_process_leaves_at_once(sandbox: Sandbox) -> None:
    done = sandbox.run("completion", "zsh")
    assert done.code == 0
    assert done.out.rstrip().endswith("fi")


def test_leaving_waits_for_a_thread_at_work(sandbox: Sandbox) -> None:
    code = (
        "import threading\n"
        "from fidokit.cli import main\n"
        "go = threading.Event()\n"
        "threading.Thread(target=lambda: (go.wait(), print('thread done'))).start()\n"
        "threading.Timer(0.01, go.set).start()\n"
        "main._leave(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=sandbox.env, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (7, b"thread done\n")


def test_name_that_the_locale_cannot_print_is_no_crash(sandbox: Sandbox) -> None:
    done = sandbox.run("n\u00e4chste", PYTHONIOENCODING="ascii")
    assert done.code == 2
    assert "n\\xe4chste" in done.err


def test_main_module_and_entry_point_are_the_same() -> None:
    import fidokit.__main__ as module

    assert vars(module)["main"] is main.main


@pytest.mark.parametrize("group", [[], *([name] for name in app.GROUPS)], ids=" ".join)
def test_a_group_alone_shows_its_help_and_is_a_usage_error(
    in_process: Run, capsys: pytest.CaptureFixture[str], group: list[str]
) -> None:
    assert in_process(*group) == 2
    alone = capsys.readouterr()
    assert alone.out == ""
    assert in_process(*group, "--help") == 0
    assert alone.err == capsys.readouterr().out


def every_error(of: type[FidokitError] = FidokitError) -> Iterator[type[FidokitError]]:
    yield of
    for more in of.__subclasses__():
        yield from every_error(more)


ERRORS = {kind.__name__: kind for kind in every_error()}


@pytest.mark.parametrize("kind", [ERRORS[name] for name in sorted(ERRORS)])
def test_every_kind_of_error_ends_with_its_status(
    boom: Callable[[BaseException], None],
    in_process: Run,
    capsys: pytest.CaptureFixture[str],
    kind: type[FidokitError],
) -> None:
    error = kind.__new__(kind)
    FidokitError.__init__(error, "it happened", hint="do this")
    boom(error)
    assert in_process("doctor", "--json") == kind.exit_code != 0
    said = capsys.readouterr()
    assert said.err == "fidokit: it happened\nhint: do this\n"
    told = json.loads(said.out)["error"]
    assert (told["kind"], told["exit_code"]) == (kind.__name__, kind.exit_code)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_a_command_without_standard_streams(sandbox: Sandbox, closed: tuple[int, ...]) -> None:
    """What is printed reaches no file of the command's own, and nothing ends in a traceback."""
    sandbox.run("virtual", "create", "t")
    words = ("key", "generate", "-t", "ecdsa-sk", "--no-passphrase", "-f", "k")
    shut = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {shut}', "sh", sys.executable, "-m", "fidokit", *words],
        env=sandbox.env,
        cwd=sandbox.home,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert bool(done.stdout) is (1 not in closed)
    assert (sandbox.home / "k").read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert (sandbox.home / "k.pub").read_bytes().count(b"\n") == 1
    assert sandbox.run("virtual", "list").out.count("\n") == 2
