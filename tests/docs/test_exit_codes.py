"""The page on exit codes has each code, and each command that ends with one of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fidokit.cli.app import GROUPS, TOP
from fidokit.cli.manual.pages import EXIT_STATUS
from fidokit.errors import ExitCode

TOP_FOLDER = Path(__file__).parents[2]
PAGE = (TOP_FOLDER / "docs" / "exit-codes.md").read_text()
COMMANDS = TOP_FOLDER / "src/fidokit/cli/commands"
SIGNALS = {129, 143}
"""128 and the number of SIGHUP and SIGTERM."""
PASSING = {"virtual.program", "virtual.recording"}
"""Modules that end with the status of a program, though not by click's exit."""
VERBS = {
    f"{group} {verb}": target.partition(":")[0]
    for group, section in GROUPS.items()
    for verb, target in section.verbs.items()
} | {verb: target.partition(":")[0] for verb, target in TOP.items()}
ROWS = re.findall(r"^\| (\d+(?:, \d+)?) \| ([^|]+) \|", PAGE, re.MULTILINE)


def test_each_code_has_a_row_and_a_line_in_the_manual() -> None:
    codes = [int(code) for row, _ in ROWS for code in row.split(", ")]
    assert sorted(codes) == sorted({*map(int, ExitCode), *SIGNALS})
    assert set(EXIT_STATUS) == set(ExitCode)


def exits(path: Path) -> bool:
    """Whether a module ends its command by a code, without an error."""
    calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
    return any(
        ast.unparse(call.func) in {"ctx.exit", "click.exceptions.Exit"} and call.args
        for call in calls
    )


def test_each_command_that_ends_with_a_code_of_its_own_is_there() -> None:
    _, _, section = PAGE.partition("## Commands that end with a code of their own")
    named = {
        verb
        for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        for verb in re.findall(r"`([a-z -]+)`", row)
    }
    assert named <= set(VERBS)
    modules = {
        path.relative_to(COMMANDS).with_suffix("").as_posix().replace("/", ".")
        for path in COMMANDS.rglob("*.py")
        if exits(path)
    }
    by_error = {"key.signatures"}  # SignatureInvalid, which is an error
    assert {VERBS[verb] for verb in named} == modules | PASSING | by_error
