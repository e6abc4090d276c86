from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fidokit.virtual.core.commands import table
from fidokit.virtual.core.context import Command


@pytest.mark.parametrize("number", sorted(table.COMMANDS))
def test_the_table_and_the_modules_agree(number: int) -> None:
    assert isinstance(table.find(number), Command)


@pytest.mark.parametrize("number", sorted(set(range(256)) - set(table.COMMANDS))[::16])
def test_nobody_serves_other_bytes(number: int) -> None:
    assert table.find(number) is None


def test_no_two_bytes_share_a_command() -> None:
    assert len(set(table.COMMANDS.values())) == len(table.COMMANDS)


def test_a_command_is_imported_when_it_comes() -> None:
    program = """
import sys
from fidokit.virtual.core.commands import table
before = set(sys.modules)
table.find(0x04)
new = {name.rpartition(".")[2] for name in set(sys.modules) - before}
assert "get_info" in new and not new & {"make_credential", "get_assertion", "u2f"}, new
"""
    source = Path(table.__file__).parents[4]
    environment = {"PYTHONPATH": str(source)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
