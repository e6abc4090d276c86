"""The journal: whatever cuts it, what was noted can be taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedFile
from fidokit.fleet.applying.journal import Journal
from fidokit.fleet.hosts.destinations import FleetHost

WEB, DB = FleetHost("web", "ana@web", ("-p", "22")), FleetHost("db", "db", python="/opt/py")
ONE = {"path": "/a", "account": "ana", "before": None, "after": "YQ=="}
TWO = {"path": "/b", "account": "", "before": "YQ==", "after": "Yg=="}
WRITER = """
import sys
from pathlib import Path
from fidokit.fleet.applying.journal import Journal
from fidokit.fleet.hosts.destinations import FleetHost
journal = Journal(Path(sys.argv[1]))
run = journal.begin()
for number in range(100000):
    file = {"path": str(number), "account": "", "before": None, "after": "x" * 5000}
    journal.note(run, FleetHost("web", "web"), [file])
    print(number, flush=True)
"""


def test_a_run_that_stopped_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal"
    journal = Journal(path)
    run = journal.begin()
    journal.note(run, WEB, [ONE])
    journal.note(run, DB, [TWO])
    journal.note(run, WEB, [TWO])
    again = Journal(path)
    assert again.begin().number == run.number
    changed = again.last_changed()
    assert changed is not None
    assert changed.hosts["web"].at == WEB
    assert changed.hosts["web"].files == [ONE, TWO]
    assert changed.hosts["db"].at == DB
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_run_that_ended_is_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    first = journal.begin()
    journal.note(first, WEB, [ONE])
    journal.note_end(first)
    second = Journal(tmp_path / "journal").begin()
    assert second.number == first.number + 1


def test_runs_are_taken_back_last_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    first = journal.begin()
    journal.note(first, WEB, [ONE])
    journal.note_end(first)
    second = journal.begin()
    journal.note(second, WEB, [TWO])
    journal.note_taken_back(second, WEB, 1)
    again = Journal(tmp_path / "journal")
    changed = again.last_changed()
    assert changed is not None
    assert (changed.number, changed.hosts["web"].files) == (first.number, [ONE])
    again.note_taken_back(changed, WEB, 1)
    assert Journal(tmp_path / "journal").last_changed() is None


@given(cut=st.integers(1, 1000))
def test_a_line_that_was_cut_takes_none_along(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal = Journal(path)
    run = journal.begin()
    journal.note(run, WEB, [ONE])
    whole = path.read_bytes()
    journal.note(run, DB, [TWO])
    data = path.read_bytes()
    path.write_bytes(data[: max(len(whole), len(data) - 1 - cut)])
    again = Journal(path)
    changed = again.last_changed()
    assert changed is not None
    assert [*changed.hosts] == ["web"]
    again.note(again.begin(), DB, [TWO])
    changed = Journal(path).last_changed()
    assert changed is not None
    assert [*changed.hosts] == ["web", "db"]


def test_a_writer_that_is_killed(tmp_path: Path) -> None:
    """What it was told is on the disk, is there."""
    path = tmp_path / "journal"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    changed = Journal(path).last_changed()
    assert changed is not None
    assert [int(file["path"] or -1) for file in changed.hosts["web"].files][: len(told)] == told


@pytest.mark.parametrize(
    "line",
    ['"x"', "{}", '{"run": 1}', '{"run": 1, "host": {}}', '{"run": "x", "host": 1, "files": []}'],
)
def test_another_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal"
    Journal(path).note_end(Journal(path).begin())
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(MalformedFile, match=r"journal:2: "):
        Journal(path)
