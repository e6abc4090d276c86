"""The pinUvAuthToken's life and uses (TOK-*)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    HASH,
    MC,
    PIN,
    RP,
    Answer,
    Bench,
    FakeClock,
    Platform,
    S,
    SeededRng,
    encode,
    get_request,
    make_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.person.pin_uv_token import (
    NEXT,
    Life,
    TokenEvent,
    TokenPermission,
    TokenState,
)
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_3, Profile

BLOBS = CTAP_2_3.with_options(largeBlobs=True)


class Desk:
    """A token state on its own, with a MAC written as the specification writes it."""

    def __init__(self, model: Profile = CTAP_2_3, protocol: int = 2) -> None:
        self.clock = FakeClock()
        self.state = TokenState(model, self.clock, SeededRng())
        self.protocol = protocol
        self.value = b""

    def issue(self, permissions: TokenPermission, rp_id: str | None = None, **kw: bool) -> None:
        self.value = self.state.issue(self.protocol, permissions, rp_id, **kw)

    def try_(self, permission: TokenPermission, message: bytes = b"message") -> int:
        mac = hmac.new(self.value, b"message", hashlib.sha256).digest()
        mac = mac[: 16 if self.protocol == 1 else 32]
        try:
            self.state.authenticate(self.protocol, message, mac, permission)
        except CtapRejection as rejection:
            return rejection.status
        return 0


@pytest.fixture(params=[1, 2])
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(protocol=request.param)


CM, LBW, ACFG = (
    TokenPermission.CREDENTIAL_MANAGEMENT,
    TokenPermission.LARGE_BLOB_WRITE,
    TokenPermission.AUTHENTICATOR_CONFIG,
)
BOTH = TokenPermission.MAKE_CREDENTIAL | TokenPermission.GET_ASSERTION


@pytest.mark.check("TOK-01")
@pytest.mark.parametrize(("wait", "status"), [(30_000, 0), (30_001, S.PIN_AUTH_INVALID)])
def test_first_use(desk: Desk, wait: int, status: int) -> None:
    desk.issue(CM)
    desk.clock.advance(wait)
    assert desk.try_(CM) == status


@pytest.mark.check("TOK-01", "TOK-03")
@pytest.mark.parametrize(("wait", "status"), [(19_800, 0), (19_801, S.PIN_AUTH_INVALID)])
def test_first_use_over_nfc(desk: Desk, wait: int, status: int) -> None:
    desk.issue(BOTH, user_present=True, contactless=True)
    desk.clock.advance(wait)
    assert desk.state.user_present() is (status == 0)
    assert desk.try_(BOTH) == status


@pytest.mark.check("TOK-01", "TOK-02")
@pytest.mark.parametrize(("transport", "status"), [("usb", 0), ("nfc", S.PIN_AUTH_INVALID)])
def test_the_transport_that_issues_decides(pinned: Platform, transport: str, status: int) -> None:
    bench = pinned.bench
    request = b"\x06" + encode(pinned.token_request(PIN_CODE, 1, RP))
    reply = bench.authenticator.begin(request, 0, transport)
    assert isinstance(reply, bytes)
    token = pinned.open(Answer.parse(reply).body[2])
    bench.clock.advance(19_801)
    assert bench.status(MC, make_request(pinned.make_auth(token))) == status


@pytest.mark.check("TOK-01")
def test_a_2_0_token_outlives_any_wait_over_nfc() -> None:
    desk = Desk(CTAP_2_0, protocol=1)
    desk.issue(BOTH, contactless=True)
    desk.clock.advance(700_000)
    assert desk.try_(BOTH) == 0


@pytest.mark.check("TOK-01")
def test_a_failed_try_is_no_use(desk: Desk) -> None:
    desk.issue(CM)
    assert desk.try_(CM, b"other") == S.PIN_AUTH_INVALID
    desk.clock.advance(30_001)
    assert desk.try_(CM) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-02")
def test_lifetime(desk: Desk) -> None:
    desk.issue(CM)
    assert desk.try_(CM) == 0
    desk.clock.advance(599_000)
    assert desk.try_(CM) == 0
    desk.clock.advance(1_000)
    assert desk.try_(CM) == 0
    desk.clock.advance(1)
    assert desk.try_(CM) == S.PIN_AUTH_INVALID
    assert desk.state.serial() is None


@pytest.mark.check("TOK-03")
@pytest.mark.parametrize(("wait", "present"), [(0, True), (30_000, True), (30_001, False)])
def test_user_presence_of_a_used_token(desk: Desk, wait: int, present: bool) -> None:
    desk.issue(BOTH, user_present=True)
    assert desk.try_(BOTH) == 0
    desk.clock.advance(wait)
    assert desk.state.user_present() is present


@pytest.mark.check("TOK-03")
@pytest.mark.parametrize(("wait", "touches"), [(29_000, 0), (31_000, 1)])
def test_user_presence_spares_the_touch(sensed: Platform, wait: int, touches: int) -> None:
    bench = sensed.bench
    bench.make(rk=True, uv=True)
    token = sensed.uv_token(3, RP)
    bench.get(sensed.get_auth(token), up=False)
    bench.clock.advance(wait)
    bench.touches()
    bench.get(sensed.get_auth(token))
    assert bench.touches() == touches


@pytest.mark.check("TOK-04")
def test_spent_by_presence(desk: Desk) -> None:
    desk.issue(BOTH | LBW, user_present=True)
    desk.state.spend()
    assert desk.try_(TokenPermission.MAKE_CREDENTIAL) == S.PIN_AUTH_INVALID
    assert desk.try_(LBW) == 0
    assert not desk.state.user_present()
    with pytest.raises(CtapRejection):
        desk.state.verify_user(RP)


@pytest.mark.check("TOK-04")
@pytest.mark.parametrize("command", [MC, GA])
def test_a_token_is_good_for_one_operation(pinned: Platform, command: int) -> None:
    bench = pinned.bench
    bench.make({2: {"id": "ssh:wrapped"}})
    token = pinned.token(PIN_CODE, 3, RP)
    bench.make(pinned.make_auth(token), rk=True)
    request = (
        make_request(pinned.make_auth(token))
        if command == MC
        else get_request(pinned.get_auth(token))
    )
    assert bench.status(command, request) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-05")
def test_no_presence_spends_nothing(pinned: Platform) -> None:
    bench = pinned.bench
    bench.make(pinned.make_auth(pinned.token(PIN_CODE, 1, RP)), rk=True)
    auth = pinned.get_auth(pinned.token(PIN_CODE, 2, RP))
    for _ in range(3):
        bench.get(auth, up=False)
    bench.get(auth)
    assert bench.status(GA, get_request(auth)) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-06")
def test_first_use_binds(pinned: Platform) -> None:
    bench = pinned.bench
    bench.make(pinned.make_auth(pinned.token(PIN_CODE, 1, RP)), rk=True)
    auth = pinned.get_auth(pinned.token(PIN_CODE, 2))
    bench.get(auth, up=False)
    other = get_request({1: "ssh:other"} | auth)
    assert bench.status(GA, other) == S.PIN_AUTH_INVALID
    bench.get(auth, up=False)


@pytest.mark.check("TOK-07")
@pytest.mark.parametrize("newer", [1, 2])
def test_a_new_token_kills_the_older(pinned: Platform, newer: int) -> None:
    bench = pinned.bench
    old = pinned.token(PIN_CODE, 1, RP)
    other = Platform(bench, newer)
    bench.ok(PIN, other.old_token_request(PIN_CODE))
    assert bench.status(MC, make_request(pinned.make_auth(old))) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-08")
@pytest.mark.parametrize("permission", [CM, LBW, ACFG, TokenPermission.BIO_ENROLLMENT])
def test_permissions_are_needed(desk: Desk, permission: TokenPermission) -> None:
    desk.issue(BOTH)
    assert desk.try_(permission) == S.PIN_AUTH_INVALID
    desk.issue(permission)
    assert desk.try_(permission) == 0


@pytest.mark.check("TOK-09")
def test_lengths_of_the_mac(pinned: Platform) -> None:
    bench = pinned.bench
    token = pinned.token(PIN_CODE, 1, RP)
    good = pinned.mac(token, HASH)
    for bad in (good[:-1], good + b"\0", good[:1], good * 2):
        request = make_request({8: bad, 9: pinned.version})
        assert bench.status(MC, request) == S.PIN_AUTH_INVALID
    bench.make({8: good, 9: pinned.version})


@pytest.mark.check("TOK-10")
@pytest.mark.parametrize("how", ["power", "reset", "change"])
def test_ends(pinned: Platform, how: str) -> None:
    bench = pinned.bench
    token = pinned.token(PIN_CODE, 1, RP)
    if how == "power":
        bench.authenticator.power_cycle()
    elif how == "reset":
        bench.ok(0x07)
        pinned.agree()
        pinned.set_pin(PIN_CODE)
    else:
        bench.ok(PIN, pinned.change_request(PIN_CODE, "another pin"))
    assert bench.status(MC, make_request(pinned.make_auth(token))) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-12")
def test_failures_leave_the_token_alive(desk: Desk) -> None:
    desk.issue(CM)
    for _ in range(20):
        assert desk.try_(CM, b"forged") == S.PIN_AUTH_INVALID
    assert desk.try_(CM) == 0


@pytest.mark.check("PIN-32")
def test_the_protocol_belongs_to_the_token(desk: Desk) -> None:
    desk.issue(CM)
    desk.protocol = 3 - desk.protocol
    assert desk.try_(CM) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-15")
def test_serials_tell_tokens_apart(desk: Desk) -> None:
    assert desk.state.serial() is None
    desk.issue(CM)
    first = desk.state.serial()
    desk.issue(CM)
    assert first != desk.state.serial() is not None
    desk.state.revoke()
    assert desk.state.serial() is None


@pytest.mark.check("CM-03", "CM-08")
def test_binding(desk: Desk) -> None:
    with pytest.raises(CtapRejection):
        desk.state.require_unbound()
    desk.issue(CM)
    desk.state.require_unbound()
    desk.state.require_rp(RP)
    desk.issue(CM, RP)
    desk.state.require_rp(RP)
    with pytest.raises(CtapRejection):
        desk.state.require_rp("ssh:other")
    with pytest.raises(CtapRejection):
        desk.state.require_unbound()


@pytest.mark.check("CM-01", "CFG-02")
@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, S.PUAT_REQUIRED),
        ({"pinUvAuthProtocol": 2}, S.PUAT_REQUIRED),
        ({"pinUvAuthParam": b"x"}, S.MISSING_PARAMETER),
        ({"pinUvAuthParam": b"x", "pinUvAuthProtocol": 3}, S.INVALID_PARAMETER),
        ({"pinUvAuthParam": b"x", "pinUvAuthProtocol": 2}, S.PIN_AUTH_INVALID),
        ({"pinUvAuthParam": b"", "pinUvAuthProtocol": 2}, S.PIN_AUTH_INVALID),
    ],
)
def test_demands(params: dict[str, Any], status: S) -> None:
    desk = Desk()
    desk.issue(CM)
    with pytest.raises(CtapRejection) as refused:
        desk.state.demand(params, b"message", CM)
    assert refused.value.status == status


@pytest.mark.parametrize("life", Life)
@pytest.mark.parametrize("event", TokenEvent)
def test_the_table_never_revives(life: Life, event: TokenEvent) -> None:
    following = NEXT.get((life, event), life)
    if life is Life.NONE:
        assert (following is not Life.NONE) == (event is TokenEvent.ISSUED)
    if event in (TokenEvent.REVOKED, TokenEvent.LIFETIME_LIMIT):
        assert following is Life.NONE


def test_secrets_stay_out_of_repr(bench: Bench) -> None:
    value = bench.authenticator.token.tokens.issue(2, CM)
    shown = repr(bench.authenticator.token.tokens._token)
    assert repr(value) not in shown
    assert bench.state.wrapping_key.hex() not in repr(bench.state)
    assert repr(bench.state.hmac_secret_key) not in repr(bench.state)
