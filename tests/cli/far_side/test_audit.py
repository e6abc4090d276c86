"""What runs on the hosts of a fleet: it answers, and leaves nothing when it is cut off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.children import popen

START = """
import json, sys, time
from tempfile import TemporaryDirectory
from fidokit.cli.far_side import audit as far_side
from fidokit.errors import SshdMissing
from fidokit.server.check.audit import ServerReport
from fidokit.server.sshd.settings import SshdSettings

def check_server(request):
    if request.users == ["missing"]:
        raise SshdMissing("there is no sshd")
    with TemporaryDirectory(dir=sys.argv[1]) as folder:
        yield ServerReport(SshdSettings(), (), (), ())
        if request.users == ["slow"]:
            print("waits", file=sys.stderr, flush=True)
            time.sleep(1000)

far_side.check_server = check_server
far_side.main(sys.stdin.readline())
"""


def started(folder: Path, *users: str, seconds: int = 60) -> Any:
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", START, str(folder)]
    process: Any = popen(words, stdin=pipe, stdout=pipe, stderr=pipe)
    request = json.dumps({"nonce": "abc", "seconds": seconds, "users": users})
    process.stdin.write(f"{request}\n".encode())
    process.stdin.flush()
    return process


def test_a_report(tmp_path: Path) -> None:
    with started(tmp_path, "ana") as process:
        lines = process.stdout.read().decode().split("\n")
        assert process.wait(60) == 0
    assert (lines[1], lines[-2]) == ("abc document", "abc end")
    assert json.loads("\n".join(lines[2:-2]))["tally"]["users"] == 0
    assert list(tmp_path.iterdir()) == []


def test_an_error(tmp_path: Path) -> None:
    with started(tmp_path, "missing") as process:
        lines = process.stdout.read().decode().split("\n")
    assert lines[1:-1] == [
        "abc error",
        '{"kind": "SshdMissing", "message": "there is no sshd"}',
        "abc end",
    ]


@pytest.mark.parametrize("how", ["the connection", "the time", "a signal"])
def test_it_leaves_nothing_when_it_is_cut_off(tmp_path: Path, how: str) -> None:
    with started(tmp_path, "slow", seconds=1 if how == "the time" else 600) as process:
        assert process.stderr.readline() == b"waits\n"
        assert how == "the time" or list(tmp_path.iterdir()) != []
        if how == "the connection":
            process.stdin.close()
        elif how == "a signal":
            process.terminate()
        assert process.wait(60) == 1
        assert b"abc end" not in process.stdout.read()
    assert list(tmp_path.iterdir()) == []
