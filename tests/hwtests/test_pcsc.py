"""The hardware suite on virtual tokens on a card reader: a real pcscd, and vpcd."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.hwtests import plug
from tests.hwtests.suite import Run, run_suite
from tests.support.pcscd import READER, SELECTOR, Pcscd, started, wait_for_card

from fidokit.client.ports import PinCode
from fidokit.lab.named_tokens import create_virtual
from fidokit.tokens.access import open_token
from fidokit.tokens.owner import set_pin
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

PIN = "314159265"
WAITING = "hwtests/test_plug.py::test_taken_away_while_it_waits_for_a_touch"
PULLED = ("test_it_works_after_power_was_away", "test_taken_away_while_it_is_open")


@pytest.fixture(scope="module")
def pcscd() -> Iterator[Pcscd]:
    with started() as found:
        yield found


@pytest.fixture
def run(
    pcscd: Pcscd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Run]]:
    """Lay the token `hw` on the reader and run the suite, with hands that can take it away."""
    monkeypatch.delenv("FIDOKIT_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    arguments = ["hw", "--vpcd", f"127.0.0.1:{pcscd.port}"]
    hands = shlex.join([sys.executable, plug.__file__, str(tmp_path), *arguments])

    def run(*further: str, typed: str = "") -> Run:
        plug.insert(tmp_path / "served.pid", arguments)
        wait_for_card()
        return run_suite(tmp_path, "--token", SELECTOR, "--hands", hands, *further, typed=typed)

    yield run
    plug.unplug(tmp_path / "served.pid")
    wait_for_card(there=False)


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.1"])
def test_all_of_it(run: Callable[..., Run], profile: str) -> None:
    """Erased before and after, and taken off the reader where the suite asks for that."""
    create_virtual("hw", profile=profile)
    done = run("--allow-reset", "--deselect", WAITING, typed=f"{READER}\n")
    assert done.code == pytest.ExitCode.OK, done.said
    passed = {test for test, outcome in done.outcomes.items() if outcome == "passed"}
    assert passed >= {"test_ecdsa", *PULLED}
    if profile != "u2f":
        assert passed >= {
            "test_three_wrong_ones_lock_it_until_it_is_unplugged",
            "test_keys_and_pin_are_gone",
        }


def test_one_that_is_reset_by_usb_alone(run: Callable[..., Run], tmp_path: Path) -> None:
    """CTAP 2.3: it says so, and what needs erasing is skipped with that reason."""
    create_virtual("hw", profile="ctap2.3")
    with VirtualToken("hw"), open_token("virtual:hw") as session:
        set_pin(session, PinCode.parse(PIN))
    (tmp_path / "pin").write_text(PIN + "\n")
    pin = str(tmp_path / "pin")
    done = run("--allow-reset", "--deselect", WAITING, "--pin-file", pin)
    assert done.code == pytest.ExitCode.OK, done.said
    assert "--allow-reset changes nothing" in done.said
    assert "only over usb" in done.reasons["test_keys_and_pin_are_gone"]
    passed = {test for test, outcome in done.outcomes.items() if outcome == "passed"}
    assert passed >= {"test_ecdsa", "test_deleted", "test_verify_required", *PULLED}


def test_taken_away_in_place_of_a_touch(run: Callable[..., Run]) -> None:
    """The tap is the first touch; the second one is waited for."""
    create_virtual("hw", presence="delay:20000")
    done = run("-k", "waits_for_a_touch")
    assert done.code == pytest.ExitCode.OK, done.said
    assert done.outcomes == {"test_taken_away_while_it_waits_for_a_touch": "passed"}
