"""The runner of the pages itself: the terminal, the answers, and the comparison."""

from __future__ import annotations

import pytest
from tests.docs.pages import Step, comparable, expect_success, rewrite, steps
from tests.docs.rewrite import executed
from tests.docs.terminal import COLUMNS, PASSPHRASE, PIN, READER_HOME, Said, answer, sandbox

PAGE = """\
Text with $ and ```.

```console
$ echo one
stale
$ printf 'a\\nb\\n' |
> sort -r
```

```sh
$ exit 1
```
"""


def test_rewritten_page_holds_what_was_printed() -> None:
    assert executed(PAGE) == PAGE.replace("stale\n", "one\n").replace(
        "> sort -r\n", "> sort -r\nb\na\n"
    )


def test_command_that_fails_stops_the_page() -> None:
    with pytest.raises(AssertionError, match="exit status 3"):
        executed("```console\n$ (exit 3)\n```\n")


def test_output_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="no command"):
        list(steps(["stray", "$ true"]))


def test_steps_keep_commands_and_outputs_apart() -> None:
    found = list(steps(["$ a |", "> b", "out", "", "more", "$ c"]))
    assert [step.command for step in found] == ["a |\nb", "c"]
    assert [step.output for step in found] == ["out\n\nmore", ""]


def test_rewrite_leaves_other_blocks_alone() -> None:
    page = "```sh\n$ make demo\n```\n"
    assert rewrite(page, lambda _step: pytest.fail("was run")) == page


def test_folder_and_variables_carry_over() -> None:
    with sandbox() as shell:
        assert shell.run("mkdir work && cd work && export GREETING=hello").status == 0
        said = shell.run('echo "$GREETING from $PWD"')
    assert said == Said(f"hello from {READER_HOME}/work", 0)


def test_there_is_a_terminal_of_known_width() -> None:
    with sandbox() as shell:
        said = shell.run("[ -t 0 ] && [ -t 1 ] && stty size </dev/tty")
    assert said.status == 0
    assert said.text.split()[1] == str(COLUMNS)


def test_hidden_answer_is_given_and_not_shown() -> None:
    with sandbox() as shell:
        said = shell.run("read -rsp 'PIN of the token: ' pin; echo; echo \"${#pin} characters\"")
    assert said.text == f"PIN of the token:\n{len(PIN)} characters"


def test_each_question_is_answered_once() -> None:
    ask = "for i in 1 2; do read -rp 'Go on? [y/N] ' a; echo \"got $a\"; done"
    with sandbox() as shell:
        said = shell.run(ask)
    assert said.text.count("got y") == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Enter PIN for authenticator: ", PIN),
        ("PIN\n", None),
        ("Enter passphrase (empty for no passphrase): ", PASSPHRASE),
        ("Overwrite (y/n)? ", "y"),
        ("The key is made.", None),
    ],
)
def test_answers(text: str, expected: str | None) -> None:
    assert answer(text) == expected


@pytest.mark.parametrize("previous", [PIN, PASSPHRASE])
def test_the_same_again_is_what_was_typed_before(previous: str) -> None:
    assert answer("The same again: ", previous) == previous
    assert answer("Enter same passphrase again: ", previous) == previous


def test_command_that_hangs_is_ended() -> None:
    with sandbox(patience=0.5) as shell:
        said = shell.run("echo before; sleep 1000")
    assert said == Said("before", None)
    with pytest.raises(AssertionError, match="did not end"):
        expect_success(Step(("$ sleep 1000",), ""), said)


def test_reader_sees_no_escapes_and_no_overwritten_text() -> None:
    with sandbox() as shell:
        said = shell.run(r"printf '\033[1mbold\033[0m\nworking...\rdone\n⠋ touch\n'")
    assert said.text == "bold\ndone\ntouch"


FIRST, SECOND = "SHA256:" + "a" * 43, "SHA256:" + "b" * 43


def test_comparison_knows_equal_fingerprints_from_different_ones() -> None:
    assert comparable(f"{FIRST}\n{FIRST}") == comparable(f"{SECOND}\n{SECOND}")
    assert comparable(f"{FIRST}\n{FIRST}") != comparable(f"{FIRST}\n{SECOND}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("made on 2026-11-22", "made on 2027-01-01"),
        ("took 12 ms", "took 9 ms"),
        (
            "key AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
            "key AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZA",
        ),
        ("a   b", "a b"),
        ("id 0123456789abcdef", "id fedcba9876543210"),
    ],
)
def test_comparison_masks_what_is_new_in_each_run(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


@pytest.mark.parametrize(("one", "other"), [("8 tries left", "7 tries left"), ("yes", "no")])
def test_comparison_keeps_what_matters(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)
