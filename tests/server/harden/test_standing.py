"""How users stand, in an administrator's words."""

from __future__ import annotations

import pytest
from tests.server.harden.test_lock_out import proved
from tests.server.samples import PLAIN, TOKEN

from fidokit.openssh.keys import fingerprint
from fidokit.server.harden.code_trial import CodeProof
from fidokit.server.harden.lock_out import UserProof
from fidokit.server.harden.plan import HardeningPlan, HardeningTarget
from fidokit.server.harden.standing import Standing, standings, ways_to_find_out


def planned(*proofs: UserProof, **more: object) -> HardeningPlan:
    return HardeningPlan(HardeningTarget(), "verify", (), proofs=proofs, **more)  # type: ignore[arg-type]


def test_how_users_stand() -> None:
    sure = proved(TOKEN.encode(), after=[TOKEN])
    doubtful = proved(TOKEN.encode(), after=[TOKEN], options="verify-required")
    gone = proved(PLAIN.encode(), before=[PLAIN])
    never = proved(TOKEN.encode())
    for proof, standing in (
        (sure, Standing.IN),
        (doubtful, Standing.UNKNOWN),
        (gone, Standing.OUT),
    ):
        [(name, what, _)] = standings(planned(proof))
        assert (name, what) == ("u", standing)
    assert list(standings(planned(never))) == []
    assert [what for _, what, _ in standings(planned(never, losing=("u",)))] == [Standing.OUT]
    assert list(standings(planned(outside=("v",)))) == [("v", Standing.OUT, "not among --user")]


@pytest.mark.parametrize(
    ("works", "standing"), [(True, Standing.IN), (False, Standing.OUT), (None, Standing.UNKNOWN)]
)
def test_codes_count_too(works: bool | None, standing: Standing) -> None:
    plan = planned(proved(TOKEN.encode(), after=[TOKEN]), codes=(CodeProof("u", works, "x"),))
    assert [what for _, what, _ in standings(plan)] == [standing]
    commands = list(ways_to_find_out(plan))
    assert commands == ([("u", "fidokit otp verify --user u")] if works is None else [])


def test_the_command_that_finds_out_names_the_key() -> None:
    proof = proved(TOKEN.encode(), after=[TOKEN], options="verify-required")
    name = fingerprint.sha256(TOKEN.key.blob())
    command = f"fidokit server harden verify --user u --login-with {name}"
    assert list(ways_to_find_out(planned(proof))) == [("u", command)]
