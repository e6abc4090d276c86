"""Quirks by name: all of them alone and together, in memory and kept with the token."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from fidokit.errors import StateUnusable, UsageError
from fidokit.virtual import VirtualToken, registry
from fidokit.virtual.core.profile import PROFILES
from fidokit.virtual.quirks.catalog import FIRMWARES, PRESETS, QUIRKS
from fidokit.virtual.quirks.choice import chosen, list_presets, list_quirks

EXCLUSIVE = {
    frozenset(pair.split())
    for pair in (
        "rp-ids-cut-at-32 rp-ids-cut-at-48",
        "long-display-names-lost display-name-dropped",
        "timeout-is-denied timeout-is-timeout",
        "init-refused-when-busy init-unheard-when-busy",
        "reset-any-time reset-comes-first",
        "algorithms-untold sm2-as-minus-48",
        "info-refused algorithms-untold",
        "info-refused no-remaining-count",
        "info-refused sm2-as-minus-48",
        "info-refused unknown-info-members",
        "info-refused unsorted-options",
        "info-refused up-shown-false",
    )
}


def test_pairs_go_together_unless_they_exclude_each_other() -> None:
    for pair in map(set, combinations(QUIRKS, 2)):
        if pair not in EXCLUSIVE:
            assert {quirk.name for quirk in chosen(pair).quirks} == pair
            continue
        with pytest.raises(UsageError, match="exclude each other") as refusal:
            chosen(pair)
        assert all(repr(name) in refusal.value.message for name in pair)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", [*QUIRKS, *PRESETS])
def test_every_quirk_and_preset_on_every_profile(name: str, profile: str) -> None:
    with VirtualToken(profile=profile, quirks=[name]) as token:
        answer = token.link().cbor(b"\x04")
        assert token.quirks == (name,)
        assert (answer[0] == 0) is (token.profile.has_ctap2 and "info-refused" not in _all(name))


def _all(name: str) -> tuple[str, ...]:
    return PRESETS.get(name, (name,))


def test_presets_are_what_firmwares_showed() -> None:
    for preset in list_presets():
        assert preset.quirks
        assert all(preset.name in QUIRKS[name].shown_by for name in preset.quirks)
    assert {name for quirk in list_quirks() for name in quirk.firmwares} == set(FIRMWARES)
    assert not set(QUIRKS) & set(PRESETS)


def test_an_unknown_name_is_refused_with_a_guess() -> None:
    with pytest.raises(UsageError, match="no quirk 'no-winks'") as refusal:
        VirtualToken(quirks=["no-winks"])
    assert "'no-wink'" in refusal.value.hint


def test_they_are_kept_with_the_token(state_home: Path) -> None:
    made = registry.create("odd", quirks=("solo1", "no-wink", "solo1"))
    assert made.identity is not None
    assert made.identity.quirks == "solo1 no-wink"
    with VirtualToken("odd") as token:
        assert token.quirks == ("solo1", "no-wink")
        assert not token.capabilities & 1
    registry.import_token(registry.export_token("odd"), "copy")
    with VirtualToken("copy", quirks=["canokey"]) as token:
        assert token.quirks == ("solo1", "no-wink")
    assert state_home.is_dir()


def test_a_file_with_quirks_of_a_later_version_is_left_alone(
    state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.create("odd", quirks=("no-wink",))
    known = {name: quirk for name, quirk in QUIRKS.items() if name != "no-wink"}
    monkeypatch.setattr("fidokit.virtual.quirks.choice.QUIRKS", known)
    with pytest.raises(StateUnusable, match="no quirk 'no-wink'") as refusal:
        VirtualToken("odd")
    assert "newer fidokit" in refusal.value.hint
    assert state_home.is_dir()


def test_a_token_without_quirks_loads_none_of_them() -> None:
    code = (
        "import sys; from fidokit.virtual import VirtualToken as Token;"
        "Token().link().cbor(b'\\x04');"
        "print([m for m in sys.modules if 'quirks' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
