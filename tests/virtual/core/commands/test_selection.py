"""authenticatorSelection (SEL-*)."""

from __future__ import annotations

import pytest
from tests.virtual.core.client import RP, SELECTION, Bench, Platform, S
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.ports import Outcome


@pytest.mark.check("SEL-01")
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.TOUCHED, S.OK),
        (Outcome.UV_MATCHED, S.OK),
        (Outcome.REFUSED, S.OPERATION_DENIED),
        (Outcome.TIMED_OUT, S.USER_ACTION_TIMEOUT),
        (Outcome.CANCELED, S.KEEPALIVE_CANCEL),
    ],
)
def test_selection(bench: Bench, outcome: Outcome, status: S) -> None:
    bench.person.will(outcome)
    assert bench.authenticator.handle(bytes([SELECTION])) == bytes([status])


@pytest.mark.check("SEL-01")
def test_it_leaves_tokens_alone(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, 1, RP)
    pinned.bench.ok(SELECTION)
    assert pinned.bench.make(pinned.make_auth(token)).data.uv


@pytest.mark.check("CBR-12")
def test_bytes_behind_are_ignored(bench: Bench) -> None:
    assert bench.authenticator.handle(bytes([SELECTION]) + b"\xff\x00") == b"\0"


def test_ctap_2_0_has_none() -> None:
    assert Bench("ctap2.0").status(SELECTION) == S.INVALID_COMMAND
