"""Stock libfido2 enrolls fingers and changes settings of a virtual token."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import c_int, c_uint32, c_void_p
from dataclasses import replace

import pytest
from tests.interop.libfido2 import Device

from fidokit.types import CtapStatus
from fidokit.virtual.core.profile import CTAP_2_3_ENTERPRISE, FingerSensor
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

PIN = b"correct horse"
WAIT = c_uint32(5000)
MODEL = replace(CTAP_2_3_ENTERPRISE, fingerprint=FingerSensor(samples=3, max_templates=2))


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(profile=MODEL) as token:
        yield token


@pytest.fixture
def device(token: VirtualToken) -> Iterator[Device]:
    with Device(token) as device:
        device.call("fido_dev_set_pin", PIN, None)
        yield device


def enroll(device: Device) -> tuple[c_void_p, list[tuple[int, int]]]:
    """A whole finger; returns its template, and status and remaining samples after each look."""
    template, enrollment = device.new("fido_bio_template_new"), device.new("fido_bio_enroll_new")
    device.call("fido_bio_dev_enroll_begin", template, enrollment, WAIT, PIN)
    seen = []
    while True:
        remaining = device.lib.fido_bio_enroll_remaining_samples(enrollment)
        seen.append((device.lib.fido_bio_enroll_last_status(enrollment), remaining))
        if not remaining:
            return template, seen
        device.call("fido_bio_dev_enroll_continue", template, enrollment, WAIT)


def template_id(device: Device, template: c_void_p) -> bytes:
    size = device.lib.fido_bio_template_id_len(template)
    return ctypes.string_at(device.lib.fido_bio_template_id_ptr(template), size)


def listed(device: Device) -> dict[bytes, bytes]:
    array = device.new("fido_bio_template_array_new")
    device.call("fido_bio_dev_get_template_array", array, PIN)
    found = {}
    for index in range(device.lib.fido_bio_template_array_count(array)):
        template = c_void_p(device.lib.fido_bio_template(array, index))
        found[template_id(device, template)] = device.lib.fido_bio_template_name(template) or b""
    return found


@pytest.mark.check("BIO-02")
def test_the_sensor(device: Device) -> None:
    info = device.new("fido_bio_info_new")
    device.call("fido_bio_dev_get_info", info)
    assert device.lib.fido_bio_info_type(info) == 1
    assert device.lib.fido_bio_info_max_samples(info) == 3


@pytest.mark.check("BIO-03", "BIO-04", "BIO-05", "BIO-07")
def test_the_life_of_a_finger(token: VirtualToken, device: Device) -> None:
    token.sensor.script("good", "left", "none", "good", "poor")
    template, seen = enroll(device)
    assert seen == [(0, 2), (3, 2), (0x0D, 2), (0, 1), (7, 1), (0, 0)]
    device.lib.fido_bio_template_set_name(template, b"thumb")
    device.call("fido_bio_dev_set_template_name", template, PIN)
    assert listed(device) == {template_id(device, template): b"thumb"}
    device.call("fido_bio_dev_enroll_remove", template, PIN)
    array = device.new("fido_bio_template_array_new")
    status = device.status("fido_bio_dev_get_template_array", array, PIN)
    assert status == CtapStatus.INVALID_OPTION


@pytest.mark.check("BIO-06")
def test_a_full_sensor(device: Device) -> None:
    enroll(device)
    enroll(device)
    template, enrollment = device.new("fido_bio_template_new"), device.new("fido_bio_enroll_new")
    status = device.status("fido_bio_dev_enroll_begin", template, enrollment, WAIT, PIN)
    assert status == CtapStatus.FP_DATABASE_FULL
    assert len(listed(device)) == 2


@pytest.mark.check("BIO-04")
def test_canceling(device: Device) -> None:
    template, enrollment = device.new("fido_bio_template_new"), device.new("fido_bio_enroll_new")
    device.call("fido_bio_dev_enroll_begin", template, enrollment, WAIT, PIN)
    device.call("fido_bio_dev_enroll_cancel")
    status = device.status("fido_bio_dev_enroll_continue", template, enrollment, WAIT)
    assert status == CtapStatus.INVALID_OPTION


@pytest.mark.check("PIN-31", "GI-12")
def test_the_finger_counts_as_verification(token: VirtualToken, device: Device) -> None:
    enroll(device)
    with Device(token) as again:
        assert again.lib.fido_dev_has_uv(again._dev)
        retries = c_int()
        again.call("fido_dev_get_uv_retry_count", ctypes.byref(retries))
        assert retries.value == 8


@pytest.mark.check("CM-03", "CM-13")
def test_credentials_are_counted_by_the_previews_number(device: Device) -> None:
    metadata = device.new("fido_credman_metadata_new")
    device.call("fido_credman_get_dev_metadata", metadata, PIN)
    assert device.lib.fido_credman_rk_existing(metadata) == 0
    assert device.lib.fido_credman_rk_remaining(metadata) == MODEL.max_resident


@pytest.mark.check("CFG-04", "CFG-05", "CFG-06", "CFG-08")
def test_settings(token: VirtualToken, device: Device) -> None:
    device.call("fido_dev_enable_entattest", PIN)
    device.call("fido_dev_enable_entattest", PIN)
    device.call("fido_dev_toggle_always_uv", PIN)
    device.call("fido_dev_set_pin_minlen", 6, PIN)
    assert device.status("fido_dev_set_pin_minlen", 5, PIN) == CtapStatus.PIN_POLICY_VIOLATION
    device.call("fido_dev_force_pin_change", PIN)
    status = device.status("fido_dev_toggle_always_uv", PIN)
    assert status in (CtapStatus.PIN_INVALID, CtapStatus.PIN_POLICY_VIOLATION)
    device.call("fido_dev_set_pin", b"another one", PIN)
    device.call("fido_dev_toggle_always_uv", b"another one")
