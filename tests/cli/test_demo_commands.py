"""What the tour prints behind `$` are commands: typed one after the other, they tell its story."""

from __future__ import annotations

import re
import sys

import pytest
from tests.docs.terminal import Shell, sandbox
from tests.support.sandbox import SRC

from fidokit.guide.demo import tour

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Every command of the tour, with what a terminal showed for it."""
    commands = [c for step in tour(tmp_path_factory.mktemp("tour")) for c in step.commands]
    with sandbox() as shell:
        _install(shell)
        return [(command, _typed(shell, command)) for command in commands]


def _install(shell: Shell) -> None:
    """The command on PATH, whether or not the environment of the tests has it there."""
    program = shell.home / "bin" / "fidokit"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{SRC}" exec "{sys.executable}" -m fidokit "$@"\n')
    program.chmod(0o755)
    shell.environment["PATH"] = f"{program.parent}:{shell.environment['PATH']}"


def _typed(shell: Shell, command: str) -> str:
    said = shell.run(command)
    assert said.status == 0, f"{command}\n{said.text}"
    return said.text


def said_to(told: list[tuple[str, str]], start: str) -> list[str]:
    found = [text for command, text in told if command.startswith(start)]
    assert found, f"the tour has no {start!r}"
    return found


@pytest.mark.interop
def test_the_commands_tell_the_same_story(told: list[tuple[str, str]]) -> None:
    made = {FINGERPRINT.findall(text)[0] for text in said_to(told, "fidokit key generate")}
    assert len(made) == 2
    listed = "\n".join(said_to(told, "fidokit key list"))
    assert "2 keys" in listed
    assert "id_work" in listed  # the files of this folder are joined
    shown = {FINGERPRINT.findall(text)[0] for text in said_to(told, "fidokit key show")}
    assert shown == made
    assert all("Good" in text for text in said_to(told, "fidokit key verify"))


@pytest.mark.interop
def test_ssh_keygen_agrees_with_them(told: list[tuple[str, str]]) -> None:
    made = {FINGERPRINT.findall(text)[0] for text in said_to(told, "fidokit key generate")}
    listed = {FINGERPRINT.findall(text)[0] for text in said_to(told, "ssh-keygen -lf")}
    assert listed == made
    assert all(re.search("^sk-", text, re.MULTILINE) for text in said_to(told, "ssh-keygen -y"))
    assert all("Good " in text for text in said_to(told, "ssh-keygen -Y verify"))
