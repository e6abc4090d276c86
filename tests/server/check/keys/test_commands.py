"""Command lines split as sshd splits them, and which programs it would run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.server.settings import settings

from fidokit.server.accounts import Account
from fidokit.server.check.keys.commands import run_command, split_words, unsafe
from fidokit.server.sshd.query import LoginOrigin

ALICE = Account("alice", 1000, 1000, Path("/home/alice"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/a b", ["/a", "b"]),
        ('/a "b c" \'d "e\'', ["/a", "b c", 'd "e']),
        (r"/a b\ c \"d \\e \f", ["/a", "b c", '"d', r"\e", r"\f"]),
        ('/a ""', ["/a", ""]),
        ('/a x"y z"w', ["/a", "xy zw"]),
        ('/a "b', []),
        ("\t/a\t b ", ["/a", "b"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert split_words(line) == words


def test_no_command_prints_nothing() -> None:
    assert run_command("AuthorizedKeysCommand", ALICE, settings(), LoginOrigin()) is None


@pytest.mark.parametrize("line", ["/bin/true %k", "/bin/true %f", '/bin/true "x', "relative %u"])
def test_what_cannot_be_listed_is_a_doubt(line: str) -> None:
    asked = settings(authorizedkeyscommand=line, authorizedkeyscommanduser="nobody")
    found = run_command("AuthorizedKeysCommand", ALICE, asked, LoginOrigin())
    assert found is not None
    assert found.doubt.startswith("AuthorizedKeysCommand")


def test_a_program_that_others_may_write_to(tmp_path: Path) -> None:
    program = tmp_path / "x"
    program.write_text("")
    program.chmod(0o777)
    assert "can write to" in unsafe(program)
    assert "absolute" in unsafe(Path("x"))
    assert "cannot be checked" in unsafe(tmp_path / "none")
    assert "regular" in unsafe(tmp_path) or os.geteuid() != 0
