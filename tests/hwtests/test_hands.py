"""Gestures: asked of a person, or done by a command."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hwtests.hands import CommandsHands, PersonsHands


def test_a_person_is_told() -> None:
    said: list[str] = []
    hands = PersonsHands(said.append)
    hands.touch("signing")
    hands.unplug()
    hands.insert()
    assert ["TOUCH" in said[0], "UNPLUG" in said[1], "INSERT" in said[2]] == [True] * 3


def test_a_command_gets_the_gesture_as_its_last_argument(tmp_path: Path) -> None:
    script = tmp_path / "with space.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ';')")
    hands = CommandsHands(shlex.join([sys.executable, str(script), str(tmp_path / "done")]), print)
    hands.unplug()
    hands.insert()
    hands.touch("signing")
    hands.wait()
    assert (tmp_path / "done").read_text() == "unplug;insert;touch;"


def test_a_command_that_fails_is_no_gesture() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        CommandsHands("false", print).unplug()
