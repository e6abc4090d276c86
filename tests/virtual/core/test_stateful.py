"""Random lives of a token against a model of what a token may do: tries, locks, credentials."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.virtual.core.client import (
    GA,
    HASH,
    MC,
    PIN,
    RESET,
    AuthData,
    Bench,
    Platform,
    S,
    check_signature,
    descriptor,
    get_request,
    make_request,
)

from fidokit.virtual.core.ports import Outcome

EXAMPLES = max(20, int(os.environ.get("FIDOKIT_FUZZ", "0")) // 50)
USERS = st.sampled_from([b"ada", b"bob", b"eve"])
PINS = st.sampled_from(["1234", "correct horse", "\N{KEY}\N{KEY}\N{KEY}\N{KEY}"])


class Life(RuleBasedStateMachine):
    """What the owner, a forgetful owner and a thief do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.pin: str | None = None
        self.retries = 8
        self.misses = 0
        self.counter = 0
        self.resident: dict[bytes, tuple[bytes, object]] = {}
        self.wrapped: list[bytes] = []
        self.dead: list[bytes] = []

    def platform(self) -> Platform:
        return Platform(self.bench)

    def seen(self, data: AuthData) -> None:
        assert data.counter > self.counter
        self.counter = data.counter

    def auth(self, permissions: int) -> dict[int, object] | None:
        """A good param where a PIN is set and usable; None where a PIN is set and is not."""
        if self.pin is None:
            return {}
        if self.retries == 0 or self.misses == 3:
            return None
        platform = self.platform()
        token = platform.token(self.pin, permissions)
        self.retries, self.misses = 8, 0
        mac = platform.mac(token, HASH)
        return {8: mac, 9: 2} if permissions == 1 else {6: mac, 7: 2}

    @precondition(lambda self: self.pin is None)
    @rule(pin=PINS)
    def set_pin(self, pin: str) -> None:
        self.platform().set_pin(pin)
        self.pin, self.retries = pin, 8

    @precondition(lambda self: self.pin is not None)
    @rule(pin=PINS)
    def try_a_pin(self, pin: str) -> None:
        status = self.bench.status(PIN, self.platform().token_request(pin, 3))
        if self.retries == 0:
            assert status == S.PIN_BLOCKED
        elif self.misses == 3:
            assert status == S.PIN_AUTH_BLOCKED
        elif pin == self.pin:
            assert status == S.OK
            self.retries, self.misses = 8, 0
        else:
            self.retries, self.misses = self.retries - 1, self.misses + 1
            third = S.PIN_AUTH_BLOCKED if self.misses == 3 else S.PIN_INVALID
            assert status == (third if self.retries else S.PIN_BLOCKED)

    @rule(user=USERS)
    def make_resident(self, user: bytes) -> None:
        auth = self.auth(1)
        if auth is None:
            request = make_request({3: {"id": user}}, rk=True)
            assert self.bench.status(MC, request) == S.PUAT_REQUIRED
            return
        made = self.bench.make({3: {"id": user}, **auth}, rk=True)
        self.seen(made.data)
        if user in self.resident:
            self.dead.append(self.resident.pop(user)[0])
        self.resident[user] = (made.id, made.data.key)

    @rule()
    def make_wrapped(self) -> None:
        made = self.bench.make()
        self.seen(made.data)
        self.wrapped.append(made.id)

    @rule()
    def refuse(self) -> None:
        count = self.bench.store.count()
        self.bench.person.will(Outcome.REFUSED)
        assert self.bench.status(MC, make_request()) == S.OPERATION_DENIED
        assert self.bench.store.count() == count

    @precondition(lambda self: self.resident)
    @rule()
    def discover(self) -> None:
        body = self.bench.get()
        self.seen(AuthData.parse(body[2]))
        newest, key = list(self.resident.values())[-1]
        assert body[1]["id"] == newest
        assert body.get(5, 1) == len(self.resident)
        check_signature(key, body[3], body[2] + HASH)  # type: ignore[arg-type]

    @precondition(lambda self: self.wrapped)
    @rule()
    def use_wrapped(self) -> None:
        body = self.bench.get({3: [descriptor(self.wrapped[-1])]})
        self.seen(AuthData.parse(body[2]))

    @rule()
    def power_cycle(self) -> None:
        self.bench.power_up()
        self.misses = 0

    @rule()
    def reset_in_time(self) -> None:
        self.bench.power_up()
        self.bench.ok(RESET)
        self.dead += [made for made, _ in self.resident.values()] + self.wrapped
        self.pin, self.retries, self.misses = None, 8, 0
        self.resident, self.wrapped = {}, []

    @rule()
    def reset_too_late(self) -> None:
        self.bench.clock.advance(10_001)
        assert self.bench.status(RESET) == S.NOT_ALLOWED

    @invariant()
    def tries_are_as_the_model_says(self) -> None:
        locked = {4: True} if self.misses == 3 and self.retries else {}
        assert self.bench.ok(PIN, {2: 1}) == {3: self.retries, **locked}
        assert self.bench.info()[4]["clientPin"] is (self.pin is not None)

    @invariant()
    def nothing_is_lost_or_comes_back(self) -> None:
        assert self.bench.store.count() == len(self.resident)
        for dead in self.dead[-3:]:
            request = get_request({3: [descriptor(dead)]})
            assert self.bench.status(GA, request) == S.NO_CREDENTIALS


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=EXAMPLES, stateful_step_count=30, deadline=None)
