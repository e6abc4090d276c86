"""Extensions in general and credProtect (EXT-*, CPR-*)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    MC,
    AuthData,
    Bench,
    Platform,
    S,
    any_of,
    case,
    descriptor,
    get_request,
    make_request,
)

from fidokit.types import CredProtect
from fidokit.virtual.core.extensions.table import EXTENSIONS
from fidokit.virtual.core.profile import CTAP_2_3, PROFILES

ALL = {"credProtect": 2, "hmac-secret": True}


@pytest.mark.check("EXT-01")
@pytest.mark.parametrize(
    ("asked", "outputs"),
    [
        ({}, None),
        ({"unknown": 1}, None),
        case("HMS-01", {"hmac-secret": False}, None),
        case("HMS-01", {"hmac-secret": True}, {"hmac-secret": True}),
        ({**ALL, "unknown": []}, ALL),
    ],
)
def test_outputs_only_for_what_was_asked(bench: Bench, asked: Any, outputs: Any) -> None:
    data = bench.make({6: asked}).data
    assert data.extensions == outputs
    assert bool(data.flags & 0x80) is (outputs is not None)


@pytest.mark.parametrize(
    "asked",
    [
        *[case("EXT-01", {"credProtect": value}) for value in ("2", True, None, b"", -1)],
        *[case("HMS-01 EXT-01", {"hmac-secret": value}) for value in any_of(1, "yes", None, {})],
    ],
)
def test_wrong_types(bench: Bench, asked: Any) -> None:
    assert bench.status(MC, make_request({6: asked})) == S.CBOR_UNEXPECTED_TYPE
    assert bench.touches() == 0


@pytest.mark.check("EXT-01")
def test_a_model_without_the_extension_does_not_look() -> None:
    bench = Bench(replace(CTAP_2_3, extensions=()))
    made = bench.make({6: {"credProtect": "x", "hmac-secret": 7}}, rk=True)
    assert made.data.flags == 0x41
    assert AuthData.parse(bench.get({4: {"hmac-secret": 7}})[2]).flags == 0x01


@pytest.mark.check("EXT-01")
def test_make_credentials_extensions_mean_nothing_in_assertions(bench: Bench) -> None:
    bench.make(rk=True)
    assert AuthData.parse(bench.get({4: {"credProtect": "x"}})[2]).flags == 0x01


def test_profiles_list_known_extensions() -> None:
    for model in PROFILES.values():
        assert set(model.extensions) <= set(EXTENSIONS)


@pytest.mark.check("CPR-01")
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("rk", [True, False])
def test_levels_are_echoed(bench: Bench, level: int, rk: bool) -> None:
    assert bench.make({6: {"credProtect": level}}, rk=rk).data.extensions == {"credProtect": level}


@pytest.mark.check("CPR-01")
@pytest.mark.parametrize("level", [0, 4, 255])
def test_other_numbers(bench: Bench, level: int) -> None:
    request = make_request({6: {"credProtect": level}}, rk=True)
    assert bench.status(MC, request) == S.INVALID_OPTION
    assert bench.store.count() == 0


@pytest.mark.check("CPR-02")
@pytest.mark.parametrize(
    ("level", "by_list", "without_list"),
    [(None, 0, 0), (1, 0, 0), (2, 0, S.NO_CREDENTIALS), (3, S.NO_CREDENTIALS, S.NO_CREDENTIALS)],
)
@pytest.mark.parametrize("up", [True, False])
def test_who_finds_what(
    sensed: Platform, level: int | None, by_list: int, without_list: int, up: bool
) -> None:
    bench = sensed.bench
    asked = {} if level is None else {"credProtect": level}
    listed = {3: [descriptor(bench.make({6: asked}, rk=True, uv=True).id)]}
    assert bench.status(GA, get_request(listed, up=up)) == by_list
    assert bench.status(GA, get_request(up=up)) == without_list
    assert bench.status(GA, get_request(listed, up=up, uv=True)) == 0
    assert bench.status(GA, get_request(up=up, uv=True)) == 0


@pytest.mark.check("CPR-02")
@pytest.mark.parametrize(("level", "status"), [(1, 0), (2, 0), (3, S.NO_CREDENTIALS)])
def test_wrapped_credentials_carry_their_level(sensed: Platform, level: int, status: int) -> None:
    bench = sensed.bench
    listed = {3: [descriptor(bench.make({6: {"credProtect": level}}).id)]}
    assert bench.status(GA, get_request(listed)) == status
    assert bench.status(GA, get_request(listed, uv=True)) == 0


@pytest.mark.check("CPR-02")
def test_a_protected_one_in_a_list_gives_way(bench: Bench) -> None:
    hidden = bench.make({6: {"credProtect": 3}}, rk=True)
    shown = bench.make({3: {"id": b"bob"}}, rk=True)
    listed = {3: [descriptor(hidden.id), descriptor(shown.id)]}
    assert bench.get(listed)[1]["id"] == shown.id
    body = bench.get()
    assert (body[1]["id"], 5 in body) == (shown.id, False)


@pytest.mark.check("CPR-03", "CM-06")
@pytest.mark.parametrize(("asked", "stored"), [({}, 1), ({"credProtect": 3}, 3)])
def test_the_level_is_stored(bench: Bench, asked: Any, stored: int) -> None:
    made = bench.make({6: asked}, rk=True)
    credential = bench.store.find(made.id)  # type: ignore[arg-type]
    assert credential is not None
    assert credential.cred_protect is CredProtect(stored)
