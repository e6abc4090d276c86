"""A token as a USB device, attached by stock usbip: the kernel's own USB stack reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.conftest import Plugged, plugged_in, unplug
from tests.kernel.vm import Machine


@pytest.fixture
def attached(machine: Machine) -> Iterator[Plugged]:
    """Served in the guest, and attached there over loopback."""
    with plugged_in(machine, way="--usbip") as token:
        machine.run("usbip attach -r 127.0.0.1 -b 1-1").ok()
        node = machine.run(
            "for i in $(seq 100); do ls /dev/hidraw* 2>/dev/null && break; sleep 0.1; done"
        ).ok()
        machine.run("udevadm settle").ok()
        token.node = node.split()[0]
        yield token
        machine.run("usbip detach -p 00")  # none is there where the token went


def test_stock_programs_take_it_for_usb(attached: Plugged) -> None:
    run = attached.machine.run
    assert f"{attached.node}: vendor=0x1209" in run("fido2-token -L").ok()
    assert "FIDO_2_3" in run(f"fido2-token -I {attached.node}").ok()
    assert (
        "fidokit virtual token"
        in run("cat /sys/bus/usb/devices/*/product 2>/dev/null | sort -u").ok()
    )
    run(f"cd {attached.path} && ssh-keygen -q -t ed25519-sk -N '' -f id && ls id").ok()
    run(
        f"cd {attached.path} && echo hello >letter && "
        "ssh-keygen -q -Y sign -f id -n file letter && "
        "ssh-keygen -Y check-novalidate -n file -s letter.sig <letter"
    ).ok()


def test_ours_over_it_and_pulled_out(attached: Plugged) -> None:
    assert "FIDO_2_3" in attached.fidokit("token info").ok()
    unplug(attached.machine, attached.name)
    attached.machine.run(
        f"for i in $(seq 100); do [ -e {attached.node} ] || break; sleep 0.1; done; "
        f"[ ! -e {attached.node} ]"
    ).ok()
    attached.machine.run("usbip port | grep -c 'Port 00' || true").ok()
