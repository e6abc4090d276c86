"""credentialManagement's changes: deleting and renaming (CM-10 to CM-12), at the level of bytes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    RP,
    Platform,
    S,
    descriptor,
    get_request,
)
from tests.virtual.core.manager import (
    CM,
    HASH_PARAMS,
    Manager,
    make,
)


@pytest.mark.check("CM-10")
def test_a_deleted_credential_is_gone(pinned: Platform) -> None:
    made = make(pinned)
    manager = Manager(pinned)
    assert manager.bench.call(CM, manager.request(6, {2: descriptor(made.id)})).body is None
    assert manager.ok(1)[1] == 0
    listed = get_request({3: [descriptor(made.id)]})
    assert pinned.bench.status(GA, listed) == S.NO_CREDENTIALS
    assert pinned.bench.status(GA, get_request()) == S.NO_CREDENTIALS


@pytest.mark.check("CM-10")
def test_deleting_leaves_the_others(manager: Manager) -> None:
    gone = manager.ok(4, HASH_PARAMS)[7]
    manager.ok(6, {2: gone})
    left = manager.ok(4, HASH_PARAMS)
    assert left[9] == 1
    assert left[7] != gone


@pytest.mark.check("CM-10", "CM-11")
@pytest.mark.parametrize("unknown", [b"", b"x", bytes(32), bytes(2000)])
def test_an_unknown_id(manager: Manager, unknown: bytes) -> None:
    assert manager.status(6, {2: descriptor(unknown)}) == S.NO_CREDENTIALS
    renamed = {2: descriptor(unknown), 3: {"id": b"ada"}}
    assert manager.status(7, renamed) == S.NO_CREDENTIALS


# --- renaming ------------------------------------------------------------------------------------


@pytest.mark.check("CM-11")
@pytest.mark.parametrize(
    ("user", "listed"),
    [
        ({"name": "A", "displayName": "B"}, {"name": "A", "displayName": "B"}),
        ({"name": "A"}, {"name": "A"}),
        ({"displayName": "B", "name": ""}, {"displayName": "B"}),
        ({}, {}),
        ({"name": "ü" * 40}, {"name": "ü" * 32}),
        ({"icon": "ignored", "name": "A"}, {"name": "A"}),
    ],
)
def test_names_are_replaced(pinned: Platform, user: dict[str, Any], listed: dict[str, Any]) -> None:
    made = make(pinned)
    manager = Manager(pinned)
    assert manager.ok(7, {2: descriptor(made.id), 3: {"id": b"ada", **user}}) is None
    found = manager.ok(4, HASH_PARAMS)
    assert found[6] == {"id": b"ada", **listed}
    assert found[7]["id"] == made.id
    assert found[8] == made.data.key


@pytest.mark.check("CM-11")
@pytest.mark.parametrize("user_id", [b"", b"bob", b"ada\0"])
def test_another_user_id_changes_nothing(pinned: Platform, user_id: bytes) -> None:
    made = make(pinned)
    manager = Manager(pinned)
    change = {2: descriptor(made.id), 3: {"id": user_id, "name": "Eve"}}
    assert manager.status(7, change) == S.INVALID_PARAMETER
    assert manager.ok(4, HASH_PARAMS)[6]["name"] == "Ada"


@pytest.mark.check("CM-12")
def test_a_token_bound_to_another_rp_changes_nothing(pinned: Platform) -> None:
    made = make(pinned)
    stranger = Manager(pinned, "example.org")
    assert stranger.status(6, {2: descriptor(made.id)}) == S.PIN_AUTH_INVALID
    change = {2: descriptor(made.id), 3: {"id": b"ada", "name": "Eve"}}
    assert stranger.status(7, change) == S.PIN_AUTH_INVALID
    for bound in (stranger, Manager(pinned, RP)):  # neither learns what others have
        for sub, params in (
            (6, {2: descriptor(bytes(64))}),
            (7, change | {2: descriptor(bytes(64))}),
        ):
            assert bound.status(sub, params) == S.PIN_AUTH_INVALID
    owner = Manager(pinned, RP)
    assert owner.status(7, change) == S.OK
    assert owner.status(6, {2: descriptor(made.id)}) == S.OK


@pytest.mark.check("CM-10")
def test_deletions_survive_a_power_cycle(pinned: Platform) -> None:
    made = make(pinned)
    Manager(pinned).ok(6, {2: descriptor(made.id)})
    pinned.bench.power_up()
    pinned.agree()
    assert Manager(pinned).ok(1)[1] == 0
