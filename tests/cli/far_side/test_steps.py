"""The far side of steps: they last by one word, and by nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.children import popen

START = """
import sys
from pathlib import Path
from fidokit.cli.far_side import steps
from fidokit.server.host_steps import CarriedOutStep, ChangedFile

mark = Path(sys.argv[1])

def carry_out(wanted):
    for step in wanted:
        mark.write_text(mark.read_text() + step.account)
        yield CarriedOutStep((ChangedFile(step.account, "", b"a", None),), step.levels)

def take_back(files):
    mark.write_text("")
    return [f"{file.path} {file.before!r} {file.after!r}" for file in files if file.path == "bad"]

steps.carry_out, steps.take_back = carry_out, take_back
steps.main(sys.stdin.readline())
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    path = tmp_path / "mark"
    path.write_text("")
    return path


def started(mark: Path, *accounts: str, problem: str = "", seconds: int = 60) -> Any:
    pipe = subprocess.PIPE
    process: Any = popen([sys.executable, "-c", START, str(mark)], stdin=pipe, stdout=pipe)
    steps = [{"kind": "revoke", "account": name} for name in accounts]
    if problem:
        steps[-1]["levels"] = problem
    ask(process, {"nonce": "abc", "seconds": seconds, "steps": steps})
    return process


def ask(process: Any, request: dict[str, Any]) -> None:
    process.stdin.write(f"{json.dumps(request)}\n".encode())
    process.stdin.flush()


def told(process: Any) -> dict[str, Any]:
    assert process.stdout.readline() == b"\n"
    assert process.stdout.readline() == b"abc document\n"
    found: dict[str, Any] = json.loads(process.stdout.readline())
    assert process.stdout.readline() == b"abc end\n"
    return found


def end(process: Any) -> None:
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()


def test_a_word_makes_steps_last(mark: Path) -> None:
    process = started(mark, "x", "y")
    first = told(process)
    assert first["problems"] == ["", ""]
    assert first["files"][0] == {"path": "x", "account": "", "before": "YQ==", "after": None}
    process.stdin.write(b"keep\n")
    process.stdin.flush()
    assert told(process) == {"kept": True, "problems": []}
    end(process)
    assert mark.read_text() == "xy"


@pytest.mark.parametrize("word", [b"take back\n", b"kee", b"keep", b"\n", b"k" * 100, b""])
def test_anything_else_takes_them_back(mark: Path, word: bytes) -> None:
    process = started(mark, "x", "bad")
    told(process)
    process.stdin.write(word)
    process.stdin.close()
    assert told(process) == {"kept": False, "problems": ["bad b'a' None"]}
    end(process)
    assert mark.read_text() == ""


def test_so_does_silence(mark: Path) -> None:
    process = started(mark, "x", seconds=1)
    told(process)
    assert told(process)["kept"] is False
    end(process)
    assert mark.read_text() == ""


def test_a_step_that_fails_takes_the_others_back_at_once(mark: Path) -> None:
    process = started(mark, "x", "y", problem="no such user")
    first = told(process)
    assert (first["problems"], first["files"]) == (["", "no such user"], [])
    assert mark.read_text() == ""
    end(process)


def test_nobody_is_left_to_be_told(mark: Path) -> None:
    process = started(mark, "x")
    process.stdout.close()
    process.stdin.close()
    assert process.wait(60) == 0
    assert mark.read_text() == ""


def test_files_are_taken_back(mark: Path) -> None:
    pipe = subprocess.PIPE
    process: Any = popen([sys.executable, "-c", START, str(mark)], stdin=pipe, stdout=pipe)
    file = {"path": "bad", "account": "", "before": None, "after": "Yg=="}
    ask(process, {"nonce": "abc", "files": [file]})
    assert told(process) == {"problems": ["bad None b'b'"]}
    end(process)
