"""Our command over /dev/hidraw*, and tokens that are pulled out in the middle."""

from __future__ import annotations

import json

import pytest
from tests.kernel.conftest import PIN, Plugged, plugged_in, unplug
from tests.kernel.vm import Machine


def test_the_life_of_a_key(owned: Plugged) -> None:
    """PIN by libfido2; made, listed, used, recovered and deleted by us."""
    owned.machine.run(f"echo {PIN} >{owned.path}/pin; echo hello >{owned.path}/letter").ok()
    pin = "--pin-file pin"
    owned.fidokit(
        f"key generate -t ed25519-sk -O resident -O verify-required -O application=ssh:life "
        f"-f id --no-passphrase {pin}"
    ).ok()
    owned.fidokit(f"key sign -f id letter {pin}").ok()
    owned.machine.run(
        f"cd {owned.path} && ssh-keygen -Y check-novalidate -n file -s letter.sig <letter"
    ).ok()
    listed = json.loads(owned.fidokit(f"key list {pin} --json .").ok())["keys"]
    assert [key["application"] for key in listed] == ["ssh:life"]
    owned.machine.run(f"cd {owned.path} && rm id").ok()
    owned.fidokit(f"key download --no-passphrase {pin}").ok()
    owned.machine.run(
        f"cd {owned.path} && diff <(cut -d' ' -f1,2 id.pub) "
        "<(cut -d' ' -f1,2 id_ed25519_sk_rk_life.pub)"
    ).ok()
    owned.fidokit(f"key delete life --yes {pin}").ok()
    assert json.loads(owned.fidokit(f"key list {pin} --json --only-token").ok())["keys"] == []


def test_program_after_program(token: Plugged) -> None:
    """Ours, stock, ours: each opens and closes the device, which lives on."""
    for _ in range(2):
        assert "FIDO_2_3" in token.fidokit("token info").ok()
        token.machine.run(f"fido2-token -I {token.node}").ok()
    assert f"usb:{token.serial}" in token.machine.run("fidokit token list").ok()


def test_taken_away_while_it_waits_for_a_touch(machine: Machine) -> None:
    """A clear error, nothing half written; and another one plugged in works."""
    with plugged_in(machine, presence="delay:60000") as token:
        machine.run(
            f"cd {token.path}; (python3 -m fidokit --token usb:{token.node} key generate -f id "
            "--no-passphrase >said 2>&1; echo $? >status) </dev/null >/dev/null 2>&1 & "
            f"for i in $(seq 300); do grep -q Touch {token.path}/said 2>/dev/null && break; "
            "sleep 0.1; done"
        ).ok()
        unplug(machine, token.name)
        machine.run(
            f"for i in $(seq 200); do [ -s {token.path}/status ] && break; sleep 0.1; done"
        ).ok()
        said = machine.run(f"cat {token.path}/said {token.path}/status").ok()
        assert said.splitlines()[-1] == "3", said
        assert "Traceback" not in said
        assert machine.run(f"ls {token.path}").ok().split() == ["said", "status"]
    with plugged_in(machine) as token:
        assert "FIDO_2_3" in token.fidokit("token info").ok()


def test_stock_ssh_keygen_survives_the_same(machine: Machine) -> None:
    with plugged_in(machine, presence="delay:60000") as token:
        machine.run(
            f"cd {token.path}; (ssh-keygen -t ed25519-sk -N '' -f id >said 2>&1; echo $? >status) "
            "</dev/null >/dev/null 2>&1 & sleep 2"
        ).ok()
        unplug(machine, token.name)
        machine.run(
            f"for i in $(seq 200); do [ -s {token.path}/status ] && break; sleep 0.1; done"
        ).ok()
        assert machine.run(f"cat {token.path}/status").ok() != "0\n"
        assert machine.run(f"ls {token.path}").ok().split() == ["said", "status"]


@pytest.mark.parametrize("end", ["TERM", "INT", "KILL"])
def test_the_device_goes_with_its_process(machine: Machine, end: str) -> None:
    with plugged_in(machine) as token:
        machine.run(f"kill -{end} $(cat /tmp/{token.name}.pid)").ok()
        machine.run(
            f"for i in $(seq 100); do [ -e {token.node} ] || break; sleep 0.05; done; "
            f"[ ! -e {token.node} ]"
        ).ok()


def test_what_the_plug_says_is_seen(machine: Machine) -> None:
    said = ("--vendor-id", "1050", "--product-id", "0407", "--product", "TestKey")
    with plugged_in(machine, *said, "--serial", "S77") as token:
        listed = machine.run("fido2-token -L").ok()
        assert f"{token.node}: vendor=0x1050, product=0x0407" in listed
        uevent = f"cat /sys/class/hidraw/{token.node[5:]}/device/uevent"
        assert "HID_NAME=TestKey" in machine.run(uevent).ok()
        assert "usb:S77" in machine.run("fidokit token list").ok()
