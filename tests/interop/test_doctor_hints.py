"""What doctor tells root to type about services, typed where a real systemd runs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import pytest
from tests.support.booted import Booted, booted

pytestmark = [pytest.mark.interop, pytest.mark.root]


@pytest.fixture(scope="module")
def machine() -> Iterator[Booted]:
    """This machine's userland, in which Debian's pcscd is installed."""
    with booted() as made:
        for unit in ("pcscd.socket", "pcscd.service"):
            made.unit(unit)
        yield made


def pcsc(machine: Booted) -> dict[str, str]:
    said = machine.tried(sys.executable, "-m", "fidokit", "--json", "doctor").stdout
    (found,) = [one for one in json.loads(said)["findings"] if one["check"] == "pcsc"]
    return dict(found)


def test_the_daemon_that_does_not_run(machine: Booted) -> None:
    before = pcsc(machine)
    assert before["status"] == "warn"
    commands = re.findall("`sudo (.*?)`", before["hint"])
    assert [command.split()[0] for command in commands] == ["apt", "systemctl"]
    # it is installed here; apt says so without asking its servers, which are out of reach
    assert "newest" in machine.run("env", "LC_ALL=C", *commands[0].split())
    machine.run(*commands[1].split())
    after = pcsc(machine)
    assert (after["status"], "starts on demand" in after["sentence"]) == ("ok", True), after
