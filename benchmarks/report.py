"""The table of results, with facts about the machine that measured them, written into a page."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.timing import Result

BEGIN = "<!-- results: written by make bench -->"
END = "<!-- end of results -->"
HEADER = (
    "| what | ours | beside | theirs | ratio | goal | met |",
    "|---|---:|---|---:|---:|---:|---|",
)
SCALES = ((1.0, "s", 2), (1e-3, "ms", 1), (1e-6, "µs", 1), (1e-9, "ns", 0))


def value(amount: float, unit: str) -> str:
    """Return an amount for a reader: seconds in the unit that suits them."""
    if unit != "s":
        return f"{amount:.1f} {unit}"
    scale, name, digits = next((s for s in SCALES if amount >= s[0]), SCALES[-1])
    return f"{amount / scale:.{digits}f} {name}"


def row(result: Result) -> str:
    """Return a line of the table."""
    cells = (
        result.name,
        value(result.ours, result.unit),
        result.peer_name,
        value(result.peer, result.unit),
        f"{result.ratio:.2f}x",
        f"<= {result.goal:.2f}x",
        "yes" if result.met else "**no**",
    )
    return f"| {' | '.join(cells)} |"


def processor() -> str:
    """Return the processor's model, as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def ssh_version() -> str:
    """Return what `ssh -V` says, without the library it was built with."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    return said.partition(",")[0].strip()


def facts(today: datetime.date) -> Iterator[str]:
    """Yield what a reader needs to judge the numbers, and nothing that names the machine."""
    yield f"- measured on {today.isoformat()}"
    yield f"- {processor()}, {os.cpu_count()} cores"
    yield f"- {platform.system()} on {platform.machine()}, Python {platform.python_version()}"
    yield f"- {ssh_version()}"


def rewrite(page: str, results: Iterable[Result], today: datetime.date) -> str:
    """Return a page with new results between its markers; ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has no place for results")
    body = [BEGIN, "", *facts(today), "", *HEADER, *map(row, results), "", END]
    return before + "\n".join(body) + after
