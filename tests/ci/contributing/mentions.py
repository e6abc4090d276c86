"""What a page or definition tells its readers to run or open: targets, scripts, paths, settings."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[3]
SOURCE = TOP / "src/fidokit"
FOLDERS = r"(?:src|tests|docs|hwtests|benchmarks|udev|\.ci|\.github)"


def code(text: str) -> list[str]:
    """Return the code of a page: fenced blocks, line by line, and spans between backticks."""
    fences = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```\w*\n.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose)
    lines = [line.split("  # ")[0] for fence in fences for line in fence.splitlines()]
    return [*lines, *(" ".join(span.split()) for span in spans)]


def targets(commands: list[str]) -> set[str]:
    """Return the make targets that commands name."""
    start = re.compile(r"(?:^|&& |; |\w=\S+ )make ([a-z][a-z-]*)")
    return {found for line in commands for found in start.findall(line.strip())}


def scripts(text: str) -> set[str]:
    """Return the scripts of .ci that a text names."""
    return set(re.findall(r"(?<![\w/])(\.ci/[\w.-]*\w)", text))


def modes(text: str) -> set[str]:
    """Return what .ci/in-venv is asked to set up."""
    return set(re.findall(r"\.ci/in-venv (\w+)", text))


def checks(commands: list[str]) -> set[str]:
    """Return the names that .ci/check is given, by itself or through make."""
    calls = [re.findall(r"(?:\.ci/check|make check ARGS=)'?((?: ?[a-z-]+)*)", c) for c in commands]
    return {name for found in calls for names in found for name in names.split()}


def settings(text: str) -> set[str]:
    """Return the variables that a text names."""
    return set(re.findall(r"\bFIDOKIT_[A-Z]+\b", text))


def links(page: Path) -> set[str]:
    """Return the files that a page links to."""
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    return {link for link in found if "://" not in link}


def paths(text: str) -> set[str]:
    """Return the paths that a text names: those below our folders, and files in code."""
    below = re.findall(rf"(?<![\w/.-])({FOLDERS}/[\w./-]*[\w/])", text)
    spans = (span for span in code(text) if re.fullmatch(r"[\w./-]+", span))
    named = (span for span in spans if "/" in span or Path(span).suffix in {".md", ".py", ".txt"})
    return {*below, *named}


def where(path: str, page: Path) -> Path | None:
    """Return the file that a page means: from the top, from beside it, or from the package."""
    for base in (TOP, page.parent, SOURCE):
        if (base / path).exists():
            return base / path
    return None
