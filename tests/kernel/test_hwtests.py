"""The suite for physical tokens, run on virtual ones in the kernel: a person could not tell."""

from __future__ import annotations

import json

import pytest
from tests.kernel.conftest import plugged_in
from tests.kernel.vm import Machine

HANDS = "/opt/fidokit/guest/hands"


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.1", "ctap2.3"])
def test_a_generation(machine: Machine, profile: str) -> None:
    with plugged_in(machine, profile=profile) as token:
        erase = "" if profile == "u2f" else "--allow-reset"
        done = machine.run(
            "cd /opt/fidokit && python3 -m pytest -q -p no:cacheprovider -o pythonpath=. hwtests "
            f"--token usb:{token.serial} {erase} --hands '{HANDS} {token.name}' "
            f"--report {token.path}/report "
            "--deselect hwtests/test_plug.py::test_taken_away_while_it_waits_for_a_touch",
            stdin=f"{token.serial}\n",
            limit=400,
        )
        assert done.code == 0, done.out + done.err
        report = json.loads(machine.run(f"cat {token.path}/report/report.json").ok())
        assert report["token"]["transport"] == "usb"
        assert report["counts"]["failed"] == 0
        assert report["counts"]["passed"] >= (5 if profile == "u2f" else 15)
