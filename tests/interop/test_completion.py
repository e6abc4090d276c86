"""Completion in the real shells: each is started on a terminal, and a user presses Tab."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.sandbox import Sandbox
from tests.support.screen import Window, window

from fidokit.guide import shell_completion

pytestmark = pytest.mark.interop

SHELLS = {
    "bash": ("bash", "-i"),
    "zsh": ("zsh", "-i"),
    "fish": ("fish", "-i"),
}
FISH = """function fish_prompt; echo -n 'ready> '; end
set -g fish_greeting
set -g fish_autosuggestion_enabled 0
"""
PROMPTS = {
    "bash": (".bashrc", "PS1='ready> '\nbind 'set bell-style none'\n"),
    "zsh": (".zshrc", "PS1='ready> '\nunsetopt beep\n"),
    "fish": ("config/fish/config.fish", FISH),
}
READY = "ready>"


def program(folder: Path) -> Path:
    """The command, by its name, as the shells find it."""
    folder.mkdir()
    made = folder / "fidokit"
    made.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fidokit "$@"\n')
    made.chmod(0o755)
    return made


@pytest.fixture
def home(sandbox: Sandbox) -> Sandbox:
    """A home with two virtual tokens, a key, and fidokit on the search path."""
    program(sandbox.home / "bin")
    sandbox.env["PATH"] = f"{sandbox.home}/bin:{os.environ['PATH']}"
    for name in ("everyday", "evening"):
        assert sandbox.run("virtual", "create", name).code == 0
    (sandbox.home / ".ssh").mkdir(mode=0o700)
    made = sandbox.run(
        "--token", "virtual:everyday", "key", "generate", "-f", ".ssh/id_work",
        "-C", "work laptop", "--no-passphrase",
    )  # fmt: skip
    assert made.code == 0, made.err
    (sandbox.home / "pins").mkdir()
    (sandbox.home / "pins" / "the pin").write_text("1234\n")
    return sandbox


@contextmanager
def shell(home: Sandbox, name: str) -> Iterator[Window]:
    """The shell at its prompt, with completion installed in a home that has no settings yet."""
    if shutil.which(SHELLS[name][0]) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is not installed")
    where, text = PROMPTS[name]
    startup = home.home / where
    startup.parent.mkdir(parents=True, exist_ok=True)
    (home.home / "config").mkdir(exist_ok=True)
    startup.write_text(text)
    done = home.run("completion", name, "--install")
    assert done.code == 0, done.err
    env = {**home.env, "TERM": "xterm", "ZDOTDIR": str(home.home), "SHELL": name}
    env.pop("PYTHONWARNINGS")
    command = ["bash", "-c", f'cd "$HOME"; exec {shlex.join(SHELLS[name])}']
    with window(command, env, columns=100) as shown:
        shown.wait(READY)
        yield shown


def last(shown: Window) -> str:
    """What is behind the last prompt."""
    return shown.text().rpartition(READY)[2]


COMPLETED: Sequence[tuple[str, str]] = (
    ("fidokit ke", "fidokit key "),
    ("fidokit key ge", "fidokit key generate "),
    ("fidokit --tok", "fidokit --token "),
    ("fidokit --token virtual:everyd", "fidokit --token virtual:everyday "),
    ("fidokit --token virtual:everyday key ge", "fidokit --token virtual:everyday key generate "),
    ("fidokit --token=virtual:even", "fidokit --token=virtual:evening "),
    ("fidokit key generate -O resi", "fidokit key generate -O resident "),
    ("fidokit key generate -O app", "fidokit key generate -O application="),
    (
        "fidokit key generate -O device=virtual:everyd",
        "fidokit key generate -O device=virtual:everyday ",
    ),
    ("fidokit virtual run --profile ctap2.3-l", "fidokit virtual run --profile ctap2.3-largeblob "),
    ("fidokit virtual run --quirk algorithms-u", "fidokit virtual run --quirk algorithms-untold "),
    ("fidokit virtual delete eveni", "fidokit virtual delete evening "),
    ("fidokit server check --user roo", "fidokit server check --user root "),
    ("fidokit cert sign -n root,daem", "fidokit cert sign -n root,daem"),
    ("fidokit key delete wo", r"fidokit key delete work\ laptop "),
    ("fidokit pin verify --pin-file pi", "fidokit pin verify --pin-file pins/"),
    ("fidokit pin verify --pin-file=pi", "fidokit pin verify --pin-file=pins/"),
    ("fidokit pin verify --pin-file pins/t", r"fidokit pin verify --pin-file pins/the\ pin "),
    ("~/bin/fidokit key ge", "~/bin/fidokit key generate "),
    ("true && fidokit key ge", "true && fidokit key generate "),
)  # fmt: skip


@pytest.mark.parametrize("name", SHELLS)
def test_a_tab_completes(home: Sandbox, name: str) -> None:
    with shell(home, name) as shown:
        for typed, completed in COMPLETED:
            shown.type(f"{typed}\t%")
            text = shown.wait(lambda text: text.rstrip().endswith("%"))
            assert text.rpartition(READY)[2] == f" {completed}%", (typed, text)
            shown.type("\x15")  # Ctrl-U
            shown.wait(lambda text: text.rpartition("\n")[2] == READY)


def test_a_list_explains_its_words(home: Sandbox) -> None:
    """fish and zsh show what each word means, whole sentences with their commas and colons."""
    for name in ("fish", "zsh"):
        with shell(home, name) as shown:
            shown.type("fidokit \t")
            shown.wait("SSH keys on a token: create, list, recover, use")


@pytest.mark.parametrize("name", SHELLS)
def test_what_cannot_be_completed_leaves_the_line_alone(home: Sandbox, name: str) -> None:
    """A program that fails, a word that is not a command, a state folder that cannot be read."""
    with shell(home, name) as shown:
        (home.home / "bin" / "fidokit").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
        for typed in ("fidokit ke", "fidokit nonsense x"):
            shown.type(f"{typed}\t%")
            text = shown.wait(lambda text: text.rstrip().endswith("%"))
            assert text.rpartition(READY)[2] == f" {typed}%"
            shown.type("\x15")  # Ctrl-U
            shown.wait(lambda text: text.rpartition("\n")[2] == READY)
        assert "broken" not in shown.text()


@pytest.mark.parametrize("name", SHELLS)
def test_the_shell_takes_the_script_without_a_word(name: str) -> None:
    script = shell_completion.script_for(name)
    done = subprocess.run(
        [SHELLS[name][0], "-n"], input=script, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SHELLS)
def test_removed_it_is_gone(home: Sandbox, name: str) -> None:
    where, text = PROMPTS[name]
    with shell(home, name):
        assert home.run("completion", name, "--remove").code == 0
    assert (home.home / where).read_text() == text
    again = shell_completion.remove(name, home.env)
    assert (again.script.exists(), again.changed) == (False, False)
