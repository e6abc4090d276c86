"""Rewrites the output in all executed pages from real runs: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.machines import MARK, two_machines
from tests.docs.pages import Step, executed_pages, expect_success, rewrite
from tests.docs.terminal import sandbox


def executed(page: str) -> str:
    """Return a page with every command run in a fresh home, and its output as it came."""
    with two_machines() if MARK in page else sandbox() as shell:

        def run(step: Step) -> str:
            return expect_success(step, shell.run(step.command))

        return rewrite(page, run)


def main(names: list[str]) -> None:
    """Rewrite the named pages, or all."""
    for page in [Path(name) for name in names] or executed_pages():
        page.write_text(executed(page.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
