"""makeCredential's authorization, check by check (MC-20 to MC-27): params, tokens and sensors."""

from __future__ import annotations

import pytest
from tests.virtual.core.client import (
    GA,
    HASH,
    MC,
    RP,
    AuthData,
    Bench,
    Platform,
    S,
    get_request,
    make_request,
    param,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.ports import Outcome
from fidokit.virtual.core.profile import CTAP_2_3

USER = {"id": b"ada"}


@pytest.mark.check("MC-20")
@pytest.mark.parametrize("extra", [{}, {9: 1}, {9: 77}])
def test_zero_length_param(fresh: Platform, extra: dict[int, int]) -> None:
    probe = make_request({8: b"", **extra, 4: [param(-999)]})
    assert fresh.bench.status(MC, probe) == S.PIN_NOT_SET
    fresh.set_pin(PIN_CODE)
    assert fresh.bench.status(MC, probe) == S.PIN_INVALID
    assert fresh.bench.touches() == 2


@pytest.mark.check("MC-20")
@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.TIMED_OUT])
@pytest.mark.parametrize("command", [MC, GA])
def test_zero_length_param_untouched(bench: Bench, outcome: Outcome, command: int) -> None:
    probe = make_request({8: b""}) if command == MC else get_request({6: b""})
    bench.person.will(outcome)
    assert bench.status(command, probe) == S.OPERATION_DENIED


@pytest.mark.check("MC-22")
def test_param_on_an_unprotected_token(fresh: Platform) -> None:
    assert fresh.bench.make({8: b"x" * 16, 9: fresh.version}).data.flags == 0x41


@pytest.mark.check("MC-22", "GA-08")
def test_param_on_an_unprotected_2_0_token() -> None:
    bench = Bench("ctap2.0")
    assert bench.status(MC, make_request({8: b"x" * 16, 9: 1})) == S.PIN_NOT_SET
    assert bench.status(GA, get_request({6: b"x" * 16, 7: 1})) == S.PIN_NOT_SET


@pytest.mark.check("MC-23", "TOK-12")
def test_verification_by_token(pinned: Platform) -> None:
    bench = pinned.bench
    token = pinned.token(PIN_CODE, 1, RP)
    bad = bytes(len(pinned.mac(token, HASH)))
    assert bench.status(MC, make_request({8: bad, 9: pinned.version})) == S.PIN_AUTH_INVALID
    assert pinned.retries() == 8
    assert bench.make(pinned.make_auth(token)).data.flags == 0x45


@pytest.mark.check("MC-23")
@pytest.mark.parametrize(("permissions", "rp_id"), [(2, RP), (1, "ssh:other"), (4, None)])
def test_a_token_for_something_else(pinned: Platform, permissions: int, rp_id: str | None) -> None:
    token = pinned.token(PIN_CODE, permissions, rp_id)
    request = make_request(pinned.make_auth(token))
    assert pinned.bench.status(MC, request) == S.PIN_AUTH_INVALID


@pytest.mark.check("MC-24")
def test_protected_and_no_param(pinned: Platform) -> None:
    bench = pinned.bench
    assert bench.make().data.flags == 0x41
    assert bench.status(MC, make_request(rk=True)) == S.PUAT_REQUIRED


STRICT = CTAP_2_3.with_options(makeCredUvNotRqd=None)


@pytest.mark.check("MC-24")
@pytest.mark.parametrize(
    ("options", "status"),
    [({}, S.PUAT_REQUIRED), ({"noMcGaPermissionsWithClientPin": True}, S.OPERATION_DENIED)],
)
def test_models_that_always_want_verification(options: dict[str, bool], status: S) -> None:
    platform = Platform(Bench(STRICT.with_options(**options)))
    platform.set_pin(PIN_CODE)
    assert platform.bench.status(MC, make_request()) == status


@pytest.mark.check("MC-24")
def test_sensor_alone_has_no_pin_to_ask_for() -> None:
    assert Bench(STRICT, uv=True).status(MC, make_request()) == S.OPERATION_DENIED


@pytest.mark.check("MC-25")
@pytest.mark.parametrize("rk", [True, False])
def test_unprotected(bench: Bench, rk: bool) -> None:
    assert bench.make(rk=rk).data.flags == 0x41


def always_uv(bench: Bench) -> Bench:
    bench.authenticator.token.save(always_uv=True)
    return bench


@pytest.mark.check("MC-26", "GA-10")
def test_always_uv_uses_the_sensor(sensed: Platform) -> None:
    bench = always_uv(sensed.bench)
    assert bench.make(rk=True).data.uv
    assert AuthData.parse(bench.get()[2]).uv


@pytest.mark.check("MC-26", "GA-10")
@pytest.mark.parametrize("pin", [True, False])
def test_always_uv_wants_the_pin(fresh: Platform, pin: bool) -> None:
    fresh.bench.make(rk=True)
    if pin:
        fresh.set_pin(PIN_CODE)
    bench = always_uv(fresh.bench)
    assert bench.status(MC, make_request()) == S.PUAT_REQUIRED
    assert bench.status(GA, get_request()) == S.PUAT_REQUIRED


@pytest.mark.check("MC-26", "GA-10")
def test_always_uv_without_any_way() -> None:
    bench = always_uv(Bench(CTAP_2_3.with_options(clientPin=None)))
    assert bench.status(MC, make_request()) == S.OPERATION_DENIED
    assert bench.status(GA, get_request()) == S.OPERATION_DENIED


@pytest.mark.check("MC-27")
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.TIMED_OUT, S.USER_ACTION_TIMEOUT),
        (Outcome.UV_MISMATCHED, S.OPERATION_DENIED),
        (Outcome.TOUCHED, S.OPERATION_DENIED),
        (Outcome.REFUSED, S.OPERATION_DENIED),
        (Outcome.CANCELED, S.KEEPALIVE_CANCEL),
    ],
)
@pytest.mark.parametrize("command", [MC, GA])
def test_failed_built_in_verification(command: int, outcome: Outcome, status: S) -> None:
    bench = Bench(uv=True)
    bench.person.will(outcome)
    request = make_request(uv=True) if command == MC else get_request(uv=True)
    assert bench.status(command, request) == status


@pytest.mark.check("MC-27")
def test_sensor_blocked() -> None:
    bench = Bench(uv=True)
    bench.person.will(*[Outcome.UV_MISMATCHED] * 8)
    statuses = [bench.status(MC, make_request(uv=True)) for _ in range(9)]
    assert statuses == [S.OPERATION_DENIED] * 7 + [S.PIN_BLOCKED] * 2
