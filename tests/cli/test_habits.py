"""What fingers type from other programs is answered with a command that is here."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.cli.commands.conftest import Bench, fresh  # noqa: F401

from fidokit.cli.app import GROUPS, TOP
from fidokit.cli.habits import LETTERS, WORDS_IN

Run = Callable[..., int]
COMMAND = re.compile(r"`fidokit ([a-z][^`]*)`")


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("group", [(), ("key",)])
def test_letters_are_answered(
    in_process: Run, capsys: pytest.CaptureFixture[str], letter: str, group: tuple[str, ...]
) -> None:
    assert in_process(*group, letter, "secret-word") == 2
    said = capsys.readouterr().err
    assert f"there is no {letter} here: {LETTERS[letter]}" in said
    assert "secret-word" not in said


@pytest.mark.parametrize("letter", ["-B", "-K", "-L", "-P", "-Y", "-l", "-p", "-y", "-N"])
def test_key_generate_answers_letters(
    in_process: Run, capsys: pytest.CaptureFixture[str], letter: str
) -> None:
    assert in_process("key", "generate", letter, "secret-word") == 2
    said = capsys.readouterr().err
    assert f"there is no {letter}: " in said
    assert "secret-word" not in said


@pytest.mark.parametrize(
    ("group", "word"), [(group, word) for group, words in WORDS_IN.items() for word in words]
)
def test_words_are_answered(
    in_process: Run, capsys: pytest.CaptureFixture[str], group: str, word: str
) -> None:
    path = () if group == "fidokit" else (group,)
    assert in_process(*path, word) == 2
    assert f"there is no command {word!r} here: {WORDS_IN[group][word]}" in capsys.readouterr().err


def test_no_answer_hides_a_command() -> None:
    for group, words in WORDS_IN.items():
        here = {*GROUPS, *TOP} if group == "fidokit" else set(GROUPS[group].verbs)
        assert not here & set(words)


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            command
            for said in (*LETTERS.values(), *(w for ws in WORDS_IN.values() for w in ws.values()))
            for command in COMMAND.findall(said)
        }
    ),
)
def test_the_answers_name_commands_that_are_here(
    in_process: Run, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words = [word for word in command.split() if not word.isupper()]
    assert in_process(*words, "--help") == 0
    assert capsys.readouterr().out.startswith("Usage: fidokit ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("key", "download", "--name", "{foo}", "--no-passphrase"),
            "fidokit: --name '{foo}': no field {foo} exists\nhint: the fields are {type}, ",
        ),
        (
            ("key", "download", "--name", "a}", "--no-passphrase"),
            "fidokit: --name 'a}': a brace stands alone\n",
        ),
        (
            ("pin", "verify", "--pin-file", "empty"),
            "fidokit: the PIN from empty is empty\nhint: put the secret on its first line\n",
        ),
        (("virtual", "create", "x", "--presence", "later"), "hint: choose auto, deny, delay:MS "),
    ],
)
def test_messages_say_what_happened_and_what_to_do(
    fresh: Bench,  # noqa: F811
    args: tuple[str, ...],
    said: str,
) -> None:
    (fresh.home / "empty").write_text("")
    fresh.ok("pin", "set", "--new-pin-file", str(fresh.home / "pin"))
    done = fresh.run(*args)
    assert done.code != 0
    assert said in done.err
