"""Finding FIDO devices by usage page, and naming what keeps this user from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.system.machine import FIDO_DESCRIPTOR, KEYBOARD_DESCRIPTOR, Machine

from fidokit.system import hid, udev
from fidokit.system.probes import Finding, Status


def test_the_usage_page_tells_a_token_from_a_keyboard() -> None:
    assert hid.is_fido(FIDO_DESCRIPTOR)
    assert not hid.is_fido(KEYBOARD_DESCRIPTOR)
    assert list(hid.usage_pages(KEYBOARD_DESCRIPTOR)) == [0x01, 0x07]


@pytest.mark.parametrize("cut", range(len(FIDO_DESCRIPTOR)))
def test_cut_descriptors(cut: int) -> None:
    assert hid.is_fido(FIDO_DESCRIPTOR[:cut]) is (cut >= 3)


def test_a_page_inside_another_items_data_does_not_count() -> None:
    assert not hid.is_fido(bytes.fromhex("27 06d0f100"))  # logical maximum with those bytes
    assert not hid.is_fido(bytes.fromhex("fe 03 10 06d0f1"))  # a long item with those bytes
    assert hid.is_fido(bytes.fromhex("fe 03 10 000000 06d0f1"))
    assert hid.is_fido(bytes.fromhex("07 d0f10000"))  # the page in four bytes


@given(st.binary(max_size=5000))
def test_any_descriptor_ends(descriptor: bytes) -> None:
    assert hid.is_fido(descriptor) in (True, False)


def findings(machine: Machine) -> dict[str, Finding]:
    return {finding.check: finding for finding in hid.probe(machine.host())}


def test_a_good_token(machine: Machine) -> None:
    machine.hidraw("hidraw3", FIDO_DESCRIPTOR)
    machine.hidraw("hidraw0", KEYBOARD_DESCRIPTOR)
    assert [finding.status for finding in hid.probe(machine.host())] == [Status.OK]
    assert "/dev/hidraw3" in findings(machine)["hid"].sentence
    assert "Maker Token 5" in findings(machine)["hid"].sentence


@pytest.mark.parametrize("place", [udev.RULES_PATH, udev.PACKAGED_PATH])
@pytest.mark.parametrize(
    ("rules", "remedy"),
    [
        (None, "`sudo fidokit udev install`"),
        (udev.rules_text(), "`sudo fidokit udev install --group fido --force`"),
        (udev.rules_text("fido", with_group=True), "`sudo gpasswd -a $USER fido`"),
    ],
)
def test_no_permission_names_what_is_missing(
    machine: Machine, rules: str | None, remedy: str, place: str
) -> None:
    machine.forbidden.add(machine.hidraw("hidraw3", FIDO_DESCRIPTOR))
    if rules is not None:
        path = machine.root / place.lstrip("/")
        path.parent.mkdir(parents=True)
        path.write_text(rules)
    found = findings(machine)["hid-permission"]
    assert found.status is Status.FAIL
    assert "/dev/hidraw3" in found.sentence
    assert remedy in found.hint


def test_a_node_that_is_not_in_the_container(machine: Machine) -> None:
    machine.hidraw("hidraw3", FIDO_DESCRIPTOR, node=False)
    assert findings(machine)["hid-node"].status is Status.FAIL


def test_only_a_keyboard(machine: Machine) -> None:
    machine.hidraw("hidraw0", KEYBOARD_DESCRIPTOR)
    assert findings(machine)["hid"].status is Status.WARN
    assert "no security token" in findings(machine)["hid"].sentence


def test_no_hidraw_at_all(machine: Machine) -> None:
    assert "hidraw" in findings(machine)["hid"].sentence
    assert findings(machine)["hid"].hint


def test_other_systems_have_no_hidraw(machine: Machine) -> None:
    machine.platform = "darwin"
    assert hid.probe(machine.host()) == []


def test_a_token_that_another_program_holds(machine: Machine) -> None:
    machine.hidraw("hidraw3", FIDO_DESCRIPTOR)
    machine.process(77, "scdaemon", ["/dev/null", "/dev/hidraw3"])
    machine.process(78, "bash", ["/dev/hidraw30"])
    found = findings(machine)["hid-holder"]
    assert found.status is Status.WARN
    assert "scdaemon (pid 77)" in found.sentence
    assert "bash" not in found.sentence


def test_who_uses_the_card_service_is_named(machine: Machine) -> None:
    libraries = {
        77: ("scdaemon", "/usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0"),
        78: ("pcscd", "/usr/lib/x86_64-linux-gnu/libpcsclite_real.so.1.0.0"),
        79: ("gpg", "/usr/lib/x86_64-linux-gnu/libgcrypt.so.20"),
        80: ("fidokit", "/usr/lib/x86_64-linux-gnu/libpcsclite.so.1"),
    }
    for pid, (name, library) in libraries.items():
        machine.process(pid, name)
        (machine.root / f"proc/{pid}/maps").write_text(f"7f00-7f01 r-xp 0 fe:00 1 {library}\n")
    machine.process(81, "gone")
    assert hid.card_programs(machine.host(), but=80) == ["scdaemon (pid 77)"]


def test_a_device_that_vanishes_meanwhile(machine: Machine) -> None:
    machine.hidraw("hidraw3", FIDO_DESCRIPTOR)
    (machine.root / "sys/class/hidraw/hidraw3/device/report_descriptor").unlink()
    assert hid.fido_nodes(machine.host()) == []
