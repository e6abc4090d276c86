"""The hardware suite on tokens that are really pulled out and put back, at a socket."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.hwtests import plug
from tests.hwtests.suite import Run, run_suite

from fidokit.lab.named_tokens import create_virtual

pytestmark = pytest.mark.long


@dataclass
class Hands:
    """What `--hands` is, and the selector of what they hold."""

    folder: Path
    arguments: list[str]
    selector: str

    @property
    def command(self) -> str:
        return shlex.join([sys.executable, plug.__file__, str(self.folder), *self.arguments])

    def run(self, *further: str, typed: str = "") -> Run:
        return run_suite(
            self.folder, "--token", self.selector, "--hands", self.command, *further, typed=typed
        )


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    monkeypatch.delenv("FIDOKIT_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "token.sock"
    yield Hands(tmp_path, ["hw", "--socket", str(path)], f"socket:{path}")
    plug.unplug(tmp_path / "served.pid")


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.3"])
def test_all_of_it(hands: Hands, profile: str) -> None:
    """Resets that want the plug, three wrong PINs, and power that goes in between."""
    create_virtual("hw", profile=profile)
    plug.insert(hands.folder / "served.pid", hands.arguments)
    waiting = "hwtests/test_plug.py::test_taken_away_while_it_waits_for_a_touch"
    name = "fidokit virtual token"
    run = hands.run("--allow-reset", "--deselect", waiting, typed=f"{name}\n")
    assert run.code == pytest.ExitCode.OK, run.said
    for test in (
        "test_three_wrong_ones_lock_it_until_it_is_unplugged",
        "test_it_works_after_power_was_away",
        "test_taken_away_while_it_is_open",
        "test_keys_and_pin_are_gone",
    ):
        assert run.outcomes[test] == "passed"


def test_taken_away_in_place_of_a_touch(hands: Hands) -> None:
    create_virtual("hw", presence="delay:20000")
    plug.insert(hands.folder / "served.pid", hands.arguments)
    run = hands.run("-k", "waits_for_a_touch")
    assert run.code == pytest.ExitCode.OK, run.said
    assert run.outcomes == {"test_taken_away_while_it_waits_for_a_touch": "passed"}
