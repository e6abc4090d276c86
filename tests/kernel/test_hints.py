"""What doctor and `virtual serve` tell root to type about the kernel's modules, typed."""

from __future__ import annotations

import json
import re

import pytest
from tests.kernel.vm import Machine

MODULES = "uhid usbhid hid-generic hid"
"""The last holds hidraw; the others need it."""


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """The guest without HID: no token is plugged in between tests."""
    machine.run("; ".join(f"modprobe -q -r {name}" for name in MODULES.split()))
    assert machine.run("ls /sys/class/hidraw").code != 0, "hid is in use"
    return machine


def finding(machine: Machine) -> dict[str, str]:
    said = json.loads(machine.run("fidokit doctor --json").out)
    (found,) = [one for one in said["findings"] if one["check"] == "hid"]
    return dict(found)


def test_the_module_that_doctor_names(bare: Machine) -> None:
    before = finding(bare)
    (command,) = re.findall("`sudo (.*?)`", before["hint"])
    bare.run(command).ok()
    after = finding(bare)
    assert after["sentence"] != before["sentence"]
    assert "no security token" in after["sentence"]


def test_the_module_that_virtual_serve_names(bare: Machine) -> None:
    bare.run("fidokit virtual create hinted").ok()
    said = bare.run("fidokit virtual serve hinted --uhid", limit=60)
    (command,) = re.findall("as root: (modprobe [a-z]+)", said.err)
    bare.run(command).ok()
    bare.run(
        "python3 -m fidokit virtual serve hinted --uhid >/tmp/hinted 2>&1 & "
        "for i in $(seq 300); do grep -q hidraw /tmp/hinted && break; sleep 0.1; done; "
        "cat /tmp/hinted; kill %1; grep -q hidraw /tmp/hinted"
    ).ok()
