"""What the fuzzers drive: one input is a short life of a token, judged after every request.

After each request holds:

- a CTAP status came back, alone where it is not 00; else canonical CBOR of at most maxMsgSize;
- a refused request left the durable state as it was, tries apart;
- tries rise only for the right PIN, a matching finger or a reset, and fall by one at most;
- signature counters rise;
- credentials come, change and go only by the commands whose work that is;
- nothing waits for a person any more.

After each life, the next good requests work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.fuzz import requests
from tests.fuzz.requests import PREVIEW, TEMPLATES, WITHOUT_MAP, authorized, bent, damaged
from tests.fuzz.rsa import known_rsa_keys
from tests.fuzz.source import Source
from tests.fuzz.world import HOMES, RPS, Terminal, WatchedStore, home, ids, known_pin
from tests.virtual.core.client import HASH, PIN, Bench, descriptor

from fidokit import cbor
from fidokit.cbor import encode
from fidokit.types import CtapStatus as S
from fidokit.virtual.core.ports import DurableState, NeedsPresence, Outcome

MAX_STEPS = 12
MAKE, GET, INFO, RESET, NEXT, MANAGE = 0x01, 0x02, 0x04, 0x07, 0x08, (0x0A, 0x41)
STATUSES = frozenset(map(int, S)) | {0xE0}
"""E0 is the extensions' own: a wrong saltAuth in CTAP 2.0 (HMS-05)."""

MAY_NOTE = {
    "put": (MAKE,),
    "blob": (GET,),
    "wipe": (RESET,),
    "delete": MANAGE,
    "rename": MANAGE,
}
TRIES = ("pin_retries", "uv_retries", "uv_count")
WORDS = frozenset((0x9000, 0x6700, 0x6985, 0x6986, 0x6A80, 0x6A86, 0x6D00, 0x6E00))
OUTCOMES = tuple(Outcome)
PASSING_MS = (1, 1_000, 9_000, 20_000, 31_000, 601_000)


class Life:
    """One token, what is known of it from outside, and the requests it gets."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.home = home(source.below(HOMES))
        self.bench: Bench = self.home.bench()
        self.counter = -1
        self.requests = 0
        protocols = self.home.profile.pin_protocols
        self.terminal = Terminal(self.bench, source.pick(protocols)) if protocols else None
        if self.terminal:
            self.terminal.handles = self.home.handles
        self.token = bytes(32)

    # --- steps -----------------------------------------------------------------------------------

    @property
    def notes(self) -> list[str]:
        """What was asked of the token's store."""
        store = self.bench.store
        assert isinstance(store, WatchedStore)
        return store.notes

    def step(self) -> None:
        self.source.pick(STEPS)(self)

    def structured(self) -> None:
        """A good request, bent or not, authorized or not, damaged or not."""
        source = self.source
        if self.terminal is None:
            return self.raw()
        command = source.pick(list(TEMPLATES))
        known = ids(self.bench, self.home.wrapped)
        request = bent(source, TEMPLATES[command](source, self.terminal, known))
        manner = source.byte()
        if command in requests.AUTH_MEMBERS and manner & 3:
            if manner & 3 == 3:
                self.get_token()
            request = authorized(command, request, self.terminal, self.token)
        number = PREVIEW.get(command, command) if manner & 0x40 else command
        body = encode(request)
        self.send(number, damaged(source, body) if manner & 0x1C == 0x1C else body)
        return None

    def bare(self) -> None:
        self.send(self.source.pick(WITHOUT_MAP), b"")

    def discover(self) -> None:
        """An assertion of one of two credentials, and of the other."""
        self.send(GET, encode({1: RPS[0], 2: HASH}))
        for _ in range(1 + self.source.below(2)):
            self.send(NEXT, self.source.take(self.source.below(4)))

    def raw(self) -> None:
        source = self.source
        self.send(source.byte(), source.take(source.byte()))

    def message(self) -> None:
        """A U2F message: good, damaged, or anything."""
        source = self.source
        handle = source.pick(self.home.wrapped)
        app = hashlib.sha256(source.pick(RPS).encode()).digest()
        data = source.pick(
            (b"", HASH + app, HASH + app + bytes([len(handle) % 256]) + handle, source.take(40))
        )
        head = bytes([0, source.below(5), source.pick((0, 3, 7, 8))]) + b"\0"
        length = bytes([len(data)]) if source.below(2) and len(data) < 256 else None
        length = len(data).to_bytes(3) if length is None else length
        apdu = head + length + data + bytes(source.below(3))
        self.send_message(damaged(source, apdu) if source.below(2) else apdu)

    def get_token(self) -> None:
        """A session token by the right PIN, so that deep states are reached."""
        pin = known_pin(self.bench.state)
        if self.terminal is None or pin is None:
            return
        self.terminal.agree()
        rp = self.source.pick((None, None, None, *RPS))
        permissions = self.source.byte() & self.home.permissions or self.home.permissions
        request = (
            self.terminal.token_request(pin, permissions, rp)
            if permissions
            else self.terminal.old_token_request(pin)
        )
        reply = self.send(PIN, encode(request))
        if reply[0] == 0:
            answer: Any = cbor.decode(reply[1:])
            self.token = self.terminal.open(answer[2])

    def wrong_pin(self) -> None:
        if self.terminal is not None:
            self.terminal.agree()
            before = self.bench.state.pin_retries
            reply = self.send(PIN, encode(self.terminal.old_token_request("0000 wrong")))
            if reply[0] == S.PIN_INVALID:
                assert self.bench.state.pin_retries == before - 1, "a miss cost no try"

    def person(self) -> None:
        for _ in range(1 + self.source.below(3)):
            self.bench.person.will(self.source.pick(OUTCOMES))

    def wait(self) -> None:
        self.bench.clock.advance(self.source.pick(PASSING_MS))

    def power_cycle(self) -> None:
        self.bench.authenticator.power_cycle()

    def interrupted(self) -> None:
        """A command that waits: others are turned away, and it can be canceled."""
        request = bytes([MAKE]) + encode(requests.make_request())
        begun = self.bench.authenticator.begin(request)
        if isinstance(begun, NeedsPresence):
            other = self.source.take(self.source.below(32))
            assert self.bench.authenticator.begin(other) == bytes([S.CHANNEL_BUSY])
            assert self.bench.authenticator.cancel() == bytes([S.KEEPALIVE_CANCEL])
        assert not self.bench.authenticator.waiting

    # --- judged requests -------------------------------------------------------------------------

    def send(self, command: int, body: bytes) -> bytes:
        request = bytes([command]) + body
        before, asked = self.bench.state, len(self.bench.person.asked)
        reply = self.bench.authenticator.handle(request, self.source.below(2))
        self.requests += 1
        self.judge_form(reply)
        self.judge_notes(command, reply[0])
        self.judge_state(command, reply[0], before, asked=len(self.bench.person.asked) > asked)
        if command in (MAKE, GET, NEXT) and reply[0] == 0:
            answer: Any = cbor.decode(reply[1:])
            data = answer[2]
            self.judge_counter(data[33:37])
        return reply

    def send_message(self, apdu: bytes) -> None:
        before, asked = self.bench.state, len(self.bench.person.asked)
        reply = self.bench.authenticator.handle_msg(apdu)
        self.requests += 1
        word = int.from_bytes(reply[-2:])
        assert word in WORDS, hex(word)
        assert word == 0x9000 or len(reply) == 2
        assert self.notes == []
        self.judge_state(None, word != 0x9000, before, asked=len(self.bench.person.asked) > asked)
        if word == 0x9000 and apdu[1] == 2:
            self.judge_counter(reply[1:5])

    def judge_form(self, reply: bytes) -> None:
        assert reply[0] in STATUSES, hex(reply[0])
        assert reply[0] == 0 or len(reply) == 1
        assert len(reply) <= self.home.profile.max_msg_size
        if len(reply) > 1:
            cbor.decode(reply[1:], max_depth=8)  # which refuses what is not canonical
        assert not self.bench.authenticator.waiting

    def judge_notes(self, command: int, status: int) -> None:
        for note in self.notes:
            assert status == 0, f"{note} by a refused request"
            assert command in MAY_NOTE[note], f"{note} by command {command:#x}"

    def judge_state(
        self, command: int | None, status: int, before: DurableState, *, asked: bool
    ) -> None:
        after = self.bench.state
        wiped = "wipe" in self.notes
        self.notes.clear()
        if after is before or wiped:
            return
        pin_command = command == PIN
        if status:
            tries = {name: getattr(before, name) for name in TRIES}
            assert replace(after, **tries) == before, "a refused request changed the state"
        assert after.pin_hash == before.pin_hash or (pin_command and status == 0)
        right = pin_command and status in (0, S.PIN_POLICY_VIOLATION)
        right = right or (pin_command and status == S.PIN_INVALID and before.force_pin_change)
        assert after.pin_retries <= before.pin_retries or right, "a try was given back"
        assert after.pin_retries >= before.pin_retries - pin_command
        assert after.uv_retries <= before.uv_retries or right or asked, "a try was given back"
        fixed = ("aaguid", "attestation_key", "wrapping_key", "hmac_secret_key")
        assert all(getattr(after, name) == getattr(before, name) for name in fixed)
        self.judge_kept(command, before, after)

    @staticmethod
    def judge_kept(command: int | None, before: DurableState, after: DurableState) -> None:
        """Fingers and blobs change by their own commands alone."""
        assert after.templates == before.templates or command in (0x09, 0x40)
        assert after.large_blob_array == before.large_blob_array or command == 0x0C

    def judge_counter(self, raw: bytes) -> None:
        counter = int.from_bytes(raw)
        assert counter > self.counter, "a counter fell or stood still"
        self.counter = counter

    # --- the end ---------------------------------------------------------------------------------

    def end(self) -> None:
        """After power returns the token serves a good request, whatever came before."""
        self.bench.person.script.clear()
        self.bench.power_up()
        if not self.home.profile.has_ctap2:
            assert self.bench.authenticator.handle_msg(bytes([0, 3, 0, 0])) == b"U2F_V2\x90\0"
            return
        assert self.send(INFO, b"")[0] == 0
        made = self.bench.store.of_rp(hashlib.sha256(RPS[1].encode()).digest())
        if made and not self.bench.state.always_uv and made[0].cred_protect != 3:
            request: dict[int, Any] = {1: RPS[1], 2: HASH, 3: [descriptor(made[0].id)]}
            assert self.send(GET, encode(request))[0] == 0


STEPS: tuple[Callable[[Life], None], ...] = (
    Life.structured,
    Life.get_token,
    Life.structured,
    Life.bare,
    Life.structured,
    Life.message,
    Life.structured,
    Life.person,
    Life.structured,
    Life.raw,
    Life.wait,
    Life.discover,
    Life.wrong_pin,
    Life.power_cycle,
    Life.interrupted,
)


def live(data: bytes) -> int:
    """Live one life; returns how many requests it had.

    Raises:
        AssertionError: an invariant does not hold.
    """
    life = Life(Source(data))
    with known_rsa_keys():
        for _ in range(MAX_STEPS):
            if life.source.spent:
                break
            life.step()
        life.end()
    return life.requests
