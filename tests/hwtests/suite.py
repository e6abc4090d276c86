"""Runs the hardware suite as a person would, in a process of its own, against a virtual token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Args:
        code: pytest's exit status.
        said: all that it printed.
        report: of report.json; empty where none was written.
        page: report.md.
    """

    code: int
    said: str
    report: Mapping[str, object]
    page: str

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each test, by its function and parameters."""
        results = self.report["results"]
        assert isinstance(results, list)
        return {entry["name"].partition("::")[2]: entry["outcome"] for entry in results}

    @property
    def reasons(self) -> dict[str, str]:
        """Why tests were skipped."""
        results = self.report["results"]
        assert isinstance(results, list)
        return {
            entry["name"].partition("::")[2]: entry["reason"]
            for entry in results
            if entry["outcome"] == "skipped"
        }


def run_suite(folder: Path, *arguments: str, typed: str = "", **variables: str) -> Run:
    """Run `pytest hwtests`.

    Args:
        folder: for the report.
        arguments: further ones for pytest.
        typed: what the person types.
        variables: of its environment, beside this process's.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("hwtests", "--report", str(folder), *arguments),
        ],
        cwd=TOP,
        input=typed,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": "", **variables},
    )
    page, data = folder / "report.md", folder / "report.json"
    return Run(
        done.returncode,
        done.stdout + done.stderr,
        json.loads(data.read_text()) if data.exists() else {},
        page.read_text() if page.exists() else "",
    )
