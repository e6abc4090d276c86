"""Profiles hold together: each is consistent, and what it lists exists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fidokit.errors import UsageError
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.keys.non_resident import wrapped_length
from fidokit.virtual.core.person.pin_protocol import PROTOCOLS
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, PROFILES, U2F, Profile, profile


@pytest.fixture(params=list(PROFILES.values()), ids=list(PROFILES))
def model(request: pytest.FixtureRequest) -> Profile:
    chosen: Profile = request.param
    return chosen


def test_by_name(model: Profile) -> None:
    assert profile(model.name) is model


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"no profile 'ctap9'") as refused:
        profile("ctap9")
    assert "ctap2.3" in refused.value.hint


def test_it_lists_what_exists(model: Profile) -> None:
    assert set(model.algorithms) <= set(ALGORITHMS)
    assert set(model.pin_protocols) <= set(PROTOCOLS)
    assert len(model.aaguid) == 16


@pytest.mark.check("MC-36")
def test_ids_have_room_for_every_wrapped_key(model: Profile) -> None:
    needed = max(wrapped_length(ALGORITHMS[alg].secret_size) for alg in model.algorithms)
    assert needed <= model.max_credential_id_length <= max(needed, 128)


@pytest.mark.check("GI-13", "GI-14")
def test_options_need_each_other(model: Profile) -> None:
    assert not model.offers("credMgmt") or model.offers("rk")
    assert not model.offers("pinUvAuthToken") or model.pin_protocols
    assert not (model.options.get("alwaysUv") and model.options.get("makeCredUvNotRqd"))


def test_aaguids_differ() -> None:
    assert len({model.aaguid for model in PROFILES.values()}) == len(PROFILES)


def test_what_is_offered() -> None:
    assert CTAP_2_3.offers("uv")
    assert not CTAP_2_1.offers("uv")
    assert not CTAP_2_3.offers("plat")
    assert not CTAP_2_3.offers("ep")
    assert CTAP_2_3.has_selection
    assert U2F.has_u2f
    assert not U2F.has_ctap2
    assert not PROFILES["ctap2.0"].has_selection
    assert not replace(CTAP_2_1, versions=("FIDO_2_0", "FIDO_2_1_PRE")).has_selection


def test_variants_leave_the_original_alone() -> None:
    variant = CTAP_2_3.with_options(ep=False, rk=None, alwaysUv=True)
    assert variant.offers("ep")
    assert not variant.offers("rk")
    assert variant.options["alwaysUv"] is True
    assert CTAP_2_3.options["rk"] is True
    with pytest.raises(TypeError):
        variant.options["rk"] = True  # type: ignore[index]
