"""A command that is forked does what one does whose interpreter starts anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.sandbox import Sandbox

COMMANDS = [("--version",), ("nonsense\udcff",), ("virtual", "list"), ("--json", "virtual", "list")]


@pytest.mark.parametrize("args", COMMANDS, ids=ascii)
def test_through_pipes(sandbox: Sandbox, args: tuple[str, ...]) -> None:
    assert sandbox.run(*args) == replace(sandbox, warm=None).run(*args)


@pytest.mark.parametrize("args", COMMANDS, ids=ascii)
def test_on_a_terminal(sandbox: Sandbox, args: tuple[str, ...]) -> None:
    assert sandbox.talk(*args) == replace(sandbox, warm=None).talk(*args)


def test_what_is_read_at_the_start_has_one_start(sandbox: Sandbox) -> None:
    assert sandbox.warm
    assert sandbox.warm.suits(sandbox.env | {"NO_COLOR": "1"})
    assert not sandbox.warm.suits(sandbox.env | {"PYTHONIOENCODING": "ascii"})
