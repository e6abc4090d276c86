"""Files of answers: read, held to the questions that there are, and never a place for a secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fidokit.cli.commands.setup import setup as command
from fidokit.errors import FidokitError, MalformedFile
from fidokit.guide import setup as package
from fidokit.guide.setup.answers import QUESTIONS, Answers, read_answers

FILE = """
token = "virtual:work"
set_pin = false
[key]
file = "~/.ssh/id_work"
resident = true
[login]
servers = ["alice@a.example", "b.example"]
"""


def answers(folder: Path, text: str | bytes) -> Answers:
    path = folder / "answers.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_answers(path)


def test_answers_and_defaults(tmp_path: Path) -> None:
    found = answers(tmp_path, FILE)
    assert found.yes("set_pin", "?", default=True) is False
    assert found.yes("git.sign", "?", default=True) is True
    assert found.text("key.file", "?", "x") == "~/.ssh/id_work"
    assert found.text("key.application", "?", "ssh:") == "ssh:"
    assert list(found.texts("login.servers", "?")) == ["alice@a.example", "b.example"]
    assert list(found.texts("none", "?")) == []
    assert found.choice("key.use", "?", ["a", "b"], 1) == 1
    assert found.given("token") == "virtual:work"
    assert found.given("key.use") is None
    assert not found.is_person
    assert not found.wait("x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token = 1", "'token' is not a text"),
        ("set_pin = 1", "'set_pin' is not true or false"),
        ("[key]\nresident = 'yes'", "'key.resident' is not true or false"),
        ("[login]\nservers = 'a'", "'login.servers' is not a list of texts"),
        ("[login]\nservers = [1]", "'login.servers' is not a list of texts"),
        ("tokn = 'x'", "no question 'tokn'"),
        ("[key.file]\nx = 1", "'key.file' is not a text"),
        ("[key\n", "is not a TOML file"),
        (b"\xff = 1", "is not a TOML file"),
        ("x = " + "[" * 10_000, "is not a TOML file"),
        ("x" * (1 << 17), "is larger than"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(MalformedFile, match=said) as caught:
        answers(tmp_path, text)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["pin = '1234'", "[key]\npassphrase = 'x'", "new_pin = 'x'"])
def test_secrets_have_no_place_there(tmp_path: Path, text: str) -> None:
    with pytest.raises(MalformedFile, match="has no place") as caught:
        answers(tmp_path, text)
    assert "--pin-file" in caught.value.hint
    assert "1234" not in f"{caught.value.message} {caught.value.hint}"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FidokitError, match="does not exist"):
        read_answers(tmp_path / "missing")


def test_every_question_that_is_asked_has_its_type_and_no_other() -> None:
    folder = Path(str(package.__file__)).parent
    source = "\n".join(path.read_text() for path in folder.glob("*_steps.py"))
    source += Path(str(command.__file__)).read_text()
    asked = set(re.findall(r'"((?:key|login|publish|git)\.[a-z_]+|token|set_pin|test)"', source))
    named = {*asked, "publish.github", "publish.gitlab"}  # these are put together
    assert {name for name in QUESTIONS if name in named} == set(QUESTIONS)
    assert named - set(QUESTIONS) <= {"git.put"}


def test_the_example_of_the_help_is_an_answer(tmp_path: Path) -> None:
    _, _, shown = (command.setup.help or "").partition("all are optional:\n")
    found = answers(tmp_path, shown)
    assert found.given("key.resident") is True
    assert found.given("login.servers") == ["me@server.example"]
