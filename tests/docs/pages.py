"""The pages that are executed: their ```console blocks are commands (`$ `) with what they print."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.terminal import Said

TOP = Path(__file__).parents[2]
BEGIN, END = "```console", "```"


@dataclass(frozen=True)
class Step:
    """A command of a page, as typed (continued lines start with `> `), and what follows it."""

    lines: tuple[str, ...]
    output: str

    @property
    def command(self) -> str:
        """The command for a shell."""
        return "\n".join(line[2:] for line in self.lines)


def executed_pages() -> list[Path]:
    """Return the pages with commands to run."""
    pages = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
    return [page for page in pages if page.exists() and f"{BEGIN}\n" in page.read_text()]


def steps(block: list[str]) -> Iterator[Step]:
    """Yield the steps of a block; raises ValueError for output without a command."""
    at = 0
    while at < len(block):
        if not block[at].startswith("$ "):
            raise ValueError(f"no command before this line: {block[at]}")
        first = at
        at += 1
        while at < len(block) and block[at].startswith("> "):
            at += 1
        typed = tuple(block[first:at])
        after = at
        while at < len(block) and not block[at].startswith("$ "):
            at += 1
        yield Step(typed, "\n".join(block[after:at]))


def rewrite(page: str, run: Callable[[Step], str]) -> str:
    """Return a page with the output of each step replaced by what `run` gives for it."""
    written: list[str] = []
    lines = iter(page.splitlines())
    for line in lines:
        written.append(line)
        if line != BEGIN:
            continue
        block: list[str] = []
        for inner in lines:
            if inner == END:
                break
            block.append(inner)
        for step in steps(block):
            written.extend(step.lines)
            written.extend(run(step).splitlines())
        written.append(END)
    return "\n".join(written) + "\n"


def expect_success(step: Step, said: Said) -> str:
    """Return what a command said; raises AssertionError where it did not end well."""
    assert said.status == 0, (
        f"$ {step.command}\n{said.text}\n"
        f"({'did not end' if said.status is None else f'exit status {said.status}'})"
    )
    return said.text


CHANGING = re.compile(
    r"(?P<fingerprint>SHA256:[A-Za-z0-9+/]{43})"
    r"|(?P<md5>MD5:(?:[0-9a-f]{2}:){15}[0-9a-f]{2})"
    r"|(?P<blob>\bAAAA[A-Za-z0-9+/]{20,}=*)"
    r"|(?P<art>^[|+].{17}[|+]$)"
    r"|(?P<armor>^[A-Za-z0-9+/]{16,}=*$)"
    r"|(?P<secret>\b(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}\b)"
    r"|(?P<code>(?<=app shows: )\d{6}\b)"
    r"|(?P<hex>\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\b)"
    r"|(?P<date>\b20\d\d-\d\d-\d\d\b)"
    r"|(?P<time>\b\d+(?:\.\d+)? m?s\b)"
    r"|(?P<openssh>OpenSSH_[0-9a-z.]+[^\n]*)",
    re.MULTILINE,
)
UNNUMBERED = {"art", "armor", "date", "time"}
"""Kinds whose values are not told apart."""


NOTICE = re.compile(r"^Touch (your security key|.*: signing) .*\n", re.MULTILINE)
"""A line that stands only while a token waits, which a machine that is quick does not show."""


def comparable(page: str) -> str:
    """Return a page with everything masked that is new in each run.

    A fingerprint becomes its number of first appearance, so that two pages are equal only where
    the same fingerprints stand at the same places. Runs of spaces count as one: the width of a
    column depends on what is in it.
    """
    numbers: dict[str, int] = {}

    def mask(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        if kind in UNNUMBERED:
            return f"<{kind}>"
        return f"<{kind} {numbers.setdefault(match[0], len(numbers))}>"

    masked = CHANGING.sub(mask, NOTICE.sub("", page))
    return re.sub(r"[ ─━-]{2,}", " ", masked)
