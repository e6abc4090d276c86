"""The hardware suite on virtual tokens of each generation: it passes, adapts, and can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hwtests.suite import Run, run_suite

from fidokit.client.ports import QUIET, PinCode
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.resident_keys import list_keys
from fidokit.lab.named_tokens import create_virtual, delete_virtual, serve_virtual
from fidokit.tokens.access import open_token
from fidokit.tokens.owner import set_pin
from fidokit.types import KeyType
from fidokit.virtual.faults import WrongSignature
from fidokit.virtual.quirks.catalog import PRESETS, QUIRKS
from fidokit.virtual.token import VirtualToken

pytestmark = [pytest.mark.long, pytest.mark.interop]

PROFILES = ("u2f", "ctap2.0", "ctap2.1", "ctap2.3")
PIN = "314159265"

ALWAYS_SKIPPED = {
    "test_it_works_after_power_was_away",
    "test_taken_away_while_it_is_open",
    "test_taken_away_while_it_waits_for_a_touch",
}
"""Nobody can unplug a token that is opened in the same process; other transports do it."""

NEED_ERASING = {
    "test_a_wrong_pin_costs_one_try",
    "test_changing_it_and_back",
    "test_a_change_can_be_demanded",
    "test_three_wrong_ones_lock_it_until_it_is_unplugged",
    "test_a_finger_is_enrolled_and_forgotten",
    "test_always_uv",
    "test_enterprise_attestation",
    "test_a_longer_minimum_length_holds",
    "test_a_wrong_name_erases_nothing",
    "test_keys_and_pin_are_gone",
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for virtual tokens, and nothing configured."""
    for name in ("FIDOKIT_TOKEN", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Iterator[str]:
    create_virtual("hw", profile=request.param)
    yield request.param
    delete_virtual("hw")


def erasing(folder: Path, *, typed: str = "hw\n") -> Run:
    return run_suite(folder, "--token", "virtual:hw", "--allow-reset", typed=typed)


def test_nothing_runs_without_a_token(tmp_path: Path) -> None:
    run = run_suite(tmp_path)
    assert run.code == pytest.ExitCode.OK
    assert "no token is named" in run.said
    assert "passed" not in run.said
    assert not run.report


def test_a_token_that_is_not_there_is_named(tmp_path: Path) -> None:
    run = run_suite(tmp_path, "--token", "virtual:nobody")
    assert run.code == 3
    assert "virtual:nobody" in run.said


def test_a_generation_that_may_be_erased(profile: str, tmp_path: Path) -> None:
    run = erasing(tmp_path)
    assert run.code == pytest.ExitCode.OK, run.said
    skipped = set(run.reasons)
    assert skipped >= ALWAYS_SKIPPED
    assert all(run.reasons.values())
    if profile == "ctap2.3":
        assert skipped == ALWAYS_SKIPPED | {
            "test_enterprise_attestation",
            "test_three_wrong_ones_lock_it_until_it_is_unplugged",
        }
    if profile == "u2f":
        assert {"test_ecdsa", "test_each_signature_counts", "test_no_touch_required"} <= {
            name for name, outcome in run.outcomes.items() if outcome == "passed"
        }


def test_a_generation_that_may_not_be_erased(profile: str, tmp_path: Path) -> None:
    """Its PIN and its keys are there afterwards."""
    held = None
    if profile != "u2f":
        held = _own_key(profile, tmp_path)
    (tmp_path / "pin").write_text(PIN + "\n")
    run = run_suite(tmp_path, "--token", "virtual:hw", "--pin-file", str(tmp_path / "pin"))
    assert run.code == pytest.ExitCode.OK, run.said
    assert set(run.reasons) >= NEED_ERASING
    if profile in {"ctap2.1", "ctap2.3"}:
        assert run.outcomes["test_deleted"] == run.outcomes["test_verify_required"] == "passed"
        assert _keys() == [held]


def _own_key(profile: str, folder: Path) -> str | None:
    """A PIN, and where the generation stores keys, one of the person's own."""
    with VirtualToken("hw"), open_token("virtual:hw", _Owner()) as session:
        set_pin(session, PinCode.parse(PIN))
        if profile == "ctap2.0":
            return None
        request = GenerateRequest(
            KeyType.ECDSA_SK, folder / "own", "ssh:fidokit-hwtests-of-mine", resident=True
        )
        return generate_key(session, request).fingerprint


def _keys() -> list[str]:
    with open_token("virtual:hw", _Owner()) as session:
        rows = list_keys(session, any_rp=True, only_token=True, search_home=False)
    return [row.fingerprint for row in rows]


class _Owner(type(QUIET)):  # type: ignore[misc]
    """Knows the PIN."""

    def ask_pin(self, *_: object) -> PinCode:
        return PinCode.parse(PIN)


@pytest.mark.parametrize("typed", ["", "HW\n"])
def test_without_the_right_name_nothing_is_erased(tmp_path: Path, typed: str) -> None:
    create_virtual("hw")
    held = _own_key("ctap2.3", tmp_path)
    run = erasing(tmp_path, typed=typed)
    assert run.code == 2
    assert "nothing was reset" in run.said
    assert _keys() == [held]


def test_the_token_is_as_new_afterwards(tmp_path: Path) -> None:
    create_virtual("hw")
    _own_key("ctap2.3", tmp_path)
    assert erasing(tmp_path).code == pytest.ExitCode.OK
    with open_token("virtual:hw") as session:
        assert session.info.pin_set is False
        assert not session.info.always_uv


def test_a_token_that_signs_wrongly_fails(tmp_path: Path) -> None:
    create_virtual("hw", profile="ctap2.1")
    with serve_virtual("hw") as token:
        token.faults.add(WrongSignature(), command=0x02, count=1000)
        run = run_suite(tmp_path, "--token", "virtual:hw")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes["test_ecdsa"] == "failed"
    assert run.outcomes["test_versions"] == "passed"


def test_the_report_names_the_model_and_not_the_token(tmp_path: Path) -> None:
    create_virtual("hw", model="YubiKey 5 Series with NFC - Enhanced PIN")
    with serve_virtual("hw") as token:
        serial = token.identity.serial
    run = erasing(tmp_path)
    told = run.report["token"]
    assert isinstance(told, dict)
    assert told["model"] == "YubiKey 5 Series with NFC - Enhanced PIN"
    assert told["aaguid"] != "00" * 16
    assert "clientPin" in told["options"]
    assert told["model"] in run.page
    assert serial not in run.page
    assert serial not in str(run.report)
    signing = next(entry for entry in run.report["results"] if "test_ecdsa" in entry["name"])  # type: ignore[attr-defined]
    assert signing["round_trips"] >= 2
    assert signing["touches"] == 2
    assert signing["seconds"] > 0


DIFFERENCES = {
    "solo1": {"test_recovered[touch and PIN]", "test_renamed", "test_deleted"},
    "canokey": set[str](),
    "pico-fido": {"test_a_key_of_another_token_is_not_used", "test_always_uv"},
    "fido2applet": {"test_made_and_listed", "test_renamed"},
    "nitrokey-fido2": {"test_deleted"},
    "nitrokey-3": set[str](),
    "opensk": set[str](),
    "u2f-with-cbor-bit": set[str](),
    "gotrust-idem": set[str](),
    "token2": {"test_changing_it_and_back"},
    "yubikey5-early": set[str](),
    "uv-flag-under-always-uv": set[str](),
}
"""Presets, and the quirks that are in none."""


def test_every_quirk_is_lived_with() -> None:
    lived = {quirk for name in DIFFERENCES for quirk in PRESETS.get(name, (name,))}
    assert lived == set(QUIRKS)


@pytest.mark.parametrize("preset", DIFFERENCES)
def test_real_firmware_differs_and_does_not_fail(tmp_path: Path, preset: str) -> None:
    create_virtual("hw", quirks=[preset])
    run = erasing(tmp_path)
    assert run.code == pytest.ExitCode.OK, run.said
    found = {name for name, outcome in run.outcomes.items() if outcome == "differs"}
    assert found == DIFFERENCES[preset]
    assert f"{len(found)} differs" in run.page
    delete_virtual("hw")
