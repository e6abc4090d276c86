"""Each quirk shows what its line in the catalog says, and a token without it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from fido2 import cbor
from tests.virtual.core.client import (
    EDDSA,
    GA,
    HASH,
    INFO,
    MC,
    PIN,
    RESET,
    RP,
    AuthData,
    Platform,
    S,
    encode,
    get_request,
    make_request,
    param,
)
from tests.virtual.core.manager import CM, PIN_CODE, Manager, make
from tests.virtual.quirks.bench import QuirkyBench

from fidokit.virtual.core.profile import InitWhenBusy
from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message
from fidokit.virtual.framing.ctaphid_device import HidDevice, RunCommand
from fidokit.virtual.quirks.catalog import QUIRKS
from fidokit.virtual.transports.card import AID, CardSession

LONG_RP = "ssh:a-name-that-is-much-longer-than-forty-eight-bytes"
DISPLAY = "Augusta Ada King, Countess of Lovelace"
CONFIG, UP_NEEDED = 0x0D, 2

Show = Callable[[QuirkyBench], object]
SHOWN: dict[str, tuple[Show, object, object]] = {}
"""By quirk: what is looked at, what it is with the quirk, and what without."""


def shows(name: str, *, with_it: object, without: object) -> Callable[[Show], Show]:
    def note(show: Show) -> Show:
        SHOWN[name] = (show, with_it, without)
        return show

    return note


def pinned(bench: QuirkyBench, pin: str = PIN_CODE) -> Platform:
    platform = Platform(bench)
    platform.set_pin(pin)
    return platform


def managed(bench: QuirkyBench, *rps: str, patch: dict[int, Any] | None = None) -> Manager:
    platform = pinned(bench)
    for rp in rps:
        make(platform, rp, patch=patch)
    return Manager(platform)


# --- getInfo -------------------------------------------------------------------------------------


@shows("algorithms-untold", with_it=False, without=True)
def _algorithms(bench: QuirkyBench) -> object:
    return 0x0A in bench.info()


@shows("no-ed25519", with_it=S.UNSUPPORTED_ALGORITHM, without=0)
def _ed25519(bench: QuirkyBench) -> object:
    return bench.status(MC, make_request({4: [param(EDDSA)]}))


@shows("sm2-as-minus-48", with_it=(1, S.UNSUPPORTED_ALGORITHM), without=(1, 0))
def _sm2(bench: QuirkyBench) -> object:
    listed = [element["alg"] for element in bench.info()[0x0A]]
    return listed.count(-48), bench.status(MC, make_request({4: [param(-48)]}))


@shows("no-remaining-count", with_it=False, without=True)
def _remaining(bench: QuirkyBench) -> object:
    return 0x14 in bench.info()


@shows("unknown-info-members", with_it=2, without=0)
def _unknown(bench: QuirkyBench) -> object:
    return sum(number > 0x1F for number in bench.info())


@shows("up-shown-false", with_it=(False, True), without=(True, True))
def _up(bench: QuirkyBench) -> object:
    return bench.info()[4]["up"], bench.make().data.up


@shows("info-refused", with_it=(S.INVALID_COMMAND, 4, 0), without=(0, 4, 0))
def _info(bench: QuirkyBench) -> object:
    return bench.status(INFO), bench.token.capabilities & 4, bench.status(MC, make_request())


@shows("unsorted-options", with_it=True, without=False)
def _unsorted(bench: QuirkyBench) -> object:
    answer = bench.handle(bytes([INFO]))
    assert answer[0] == 0
    members = cbor.decode(answer[1:])
    assert encode(members) != answer[1:] or members == cbor.decode(encode(members))
    return encode(members) != answer[1:]


# --- PINs ----------------------------------------------------------------------------------------


@shows("lasting-power-cycle-state", with_it=(True, 0, None), without=(None, 0, None))
def _lasting(bench: QuirkyBench) -> object:
    platform = pinned(bench)
    for _ in range(3):
        platform.status(platform.old_token_request("wrong"))
    bench.replug()
    platform.agree()
    shown = bench.ok(PIN, {2: 1}).get(4)
    right = platform.status(platform.old_token_request(PIN_CODE))
    return shown, right, bench.ok(PIN, {2: 1}).get(4)


@shows("deletion-ends-pin-token", with_it=(0, S.PIN_AUTH_INVALID), without=(0, 0))
def _deletion(bench: QuirkyBench) -> object:
    platform = pinned(bench)
    found = [make(platform, user=user).id for user in (b"ada", b"bob")]
    manager = Manager(platform)
    named = [{2: {"id": one, "type": "public-key"}} for one in found]
    return manager.status(6, named[0]), manager.status(6, named[1])


@shows("listing-ends-pin-token", with_it=[0, S.PIN_AUTH_INVALID], without=[0, 0])
def _listing(bench: QuirkyBench) -> object:
    manager = managed(bench, "ssh:a", "ssh:b")
    hashes = [manager.ok(2)[4], manager.next(3)[4]]
    statuses = [manager.status(4, {1: one}) for one in hashes]
    renewed = Manager(manager.platform)
    assert [renewed.status(4, {1: one}) for one in hashes] == [0, 0]
    return statuses


@shows("digit-pins", with_it=[S.PIN_POLICY_VIOLATION] * 3 + [0], without=[0, 0, 0, 0])
def _digits(bench: QuirkyBench) -> object:
    statuses = []
    for pin in ("12345", "motörhead", "12345६", "123456"):
        platform = Platform(bench)
        statuses.append(bench.status(PIN, platform.set_request(pin)))
        bench.ok(RESET)
    return statuses


@shows(
    "pin-block-blocks-all",
    with_it=(S.PIN_BLOCKED, b"\x69\x86", 0, 0),
    without=(0, b"\x90\x00", 0, 0),
)
def _block(bench: QuirkyBench) -> object:
    platform = pinned(bench)
    while bench.ok(PIN, {2: 1})[3]:
        if platform.status(platform.old_token_request("wrong")) == S.PIN_AUTH_BLOCKED:
            bench.replug()
            platform.agree()
    made = bench.status(MC, make_request())
    return made, bench.msg(b"\0\3\0\0")[-2:], bench.status(INFO), bench.status(RESET)


# --- user verification ---------------------------------------------------------------------------


@shows("pin-turns-on-always-uv", with_it=(True, False), without=(False, True))
def _turns_on(bench: QuirkyBench) -> object:
    pinned(bench)
    info = bench.info()
    return info[4]["alwaysUv"], "U2F_V2" in info[1]


def always_uv(bench: QuirkyBench) -> None:
    bench.ok(CONFIG, {1: 2})
    assert bench.info()[4]["alwaysUv"]


@shows("always-uv-not-enforced", with_it=0, without=S.PUAT_REQUIRED)
def _enforced(bench: QuirkyBench) -> object:
    made = bench.make()
    always_uv(bench)
    return bench.status(GA, get_request({3: [{"id": made.id, "type": "public-key"}]}))


@shows("always-uv-toggle-ignored", with_it=(0, False), without=(0, True))
def _toggle(bench: QuirkyBench) -> object:
    return bench.status(CONFIG, {1: 2}), bench.info()[4]["alwaysUv"]


@shows("uv-flag-under-always-uv", with_it=True, without=False)
def _flag(bench: QuirkyBench) -> object:
    made = bench.make()
    always_uv(bench)
    body = bench.get({3: [{"id": made.id, "type": "public-key"}]}, up=False)
    return AuthData.parse(body[2]).uv


# --- touches -------------------------------------------------------------------------------------


@shows("early-touch-counts", with_it=[0, S.OPERATION_DENIED], without=[0, 0])
def _early(bench: QuirkyBench) -> object:
    """Two seconds are enough, more are not; the policy then has nobody touch."""
    bench = _with(bench, presence="deny")
    statuses = []
    for wait in (2000, 2001):
        bench.token.touch()
        bench.clock.advance(wait)
        statuses.append(bench.status(MC, make_request()))
        bench.token.forget_gestures()
    return statuses


def _with(bench: QuirkyBench, presence: str) -> QuirkyBench:
    return QuirkyBench(*bench.token.quirks, presence=presence)


@shows("touch-notice-when-silent", with_it=[UP_NEEDED], without=[])
def _notice(bench: QuirkyBench) -> object:
    made = bench.make()
    bench.get({3: [{"id": made.id, "type": "public-key"}]}, up=False)
    return bench.keepalives


@shows("touch-before-no-credentials", with_it=S.OPERATION_DENIED, without=S.NO_CREDENTIALS)
def _touch_first(bench: QuirkyBench) -> object:
    return _with(bench, presence="deny").status(GA, get_request())


@shows("timeout-is-denied", with_it=S.OPERATION_DENIED, without=S.USER_ACTION_TIMEOUT)
def _denied(bench: QuirkyBench) -> object:
    quirks = bench.token.quirks
    model = "ctap2.0"
    return _timed_out(QuirkyBench(*quirks, model=model, presence="script"))


@shows("missing-parameter-inside", with_it=S.MISSING_PARAMETER, without=S.CBOR_UNEXPECTED_TYPE)
def _descriptor_without_id(bench: QuirkyBench) -> object:
    return bench.status(MC, make_request({5: [{"type": "public-key"}]}))


@shows("timeout-is-timeout", with_it=S.USER_ACTION_TIMEOUT, without=S.OPERATION_DENIED)
def _timeout(bench: QuirkyBench) -> object:
    return _timed_out(_with(bench, presence="script"))


def _timed_out(bench: QuirkyBench) -> int:
    started = bench.clock.now

    def later() -> int:
        bench.clock.now += 10_000
        return bench.clock.now

    bench.clock.now_ms = later  # type: ignore[method-assign]  # time that flies
    status = bench.status(MC, make_request())
    assert bench.clock.now > started
    return status


# --- what is on the token ------------------------------------------------------------------------


@shows("rp-ids-cut-at-32", with_it="ssh:…er-than-forty-eight-bytes", without=LONG_RP)
def _cut_32(bench: QuirkyBench) -> object:
    listed: str = managed(bench, LONG_RP).ok(2)[3]["id"]
    return listed


@shows("rp-ids-cut-at-48", with_it=LONG_RP[:48], without=LONG_RP)
def _cut_48(bench: QuirkyBench) -> object:
    return managed(bench, LONG_RP).ok(2)[3]["id"]


@shows("empty-list-is-ok", with_it=b"\0", without=bytes([S.NO_CREDENTIALS]))
def _empty(bench: QuirkyBench) -> object:
    request = managed(bench).request(2)
    return bench.handle(bytes([CM]) + encode(request))


@shows("no-user-update", with_it=S.INVALID_SUBCOMMAND, without=0)
def _update(bench: QuirkyBench) -> object:
    platform = pinned(bench)
    made = make(platform)
    user = {"id": b"ada", "name": "Augusta"}
    return Manager(platform).status(7, {2: {"id": made.id, "type": "public-key"}, 3: user})


def _display_names(bench: QuirkyBench) -> list[object]:
    """In a list, and in one assertion of several."""
    return _names_of(bench, DISPLAY)


def _names_of(bench: QuirkyBench, name: str) -> list[object]:
    platform = pinned(bench)
    for user in (b"ada", b"bob"):
        make(platform, patch={3: {"id": user, "name": "Ada", "displayName": name}})
    manager = Manager(platform)
    listed = manager.ok(4, {1: manager.ok(2)[4]})
    proof = platform.token(PIN_CODE, 2, RP)
    body = bench.get({6: platform.mac(proof, HASH), 7: platform.version})
    return [listed[6].get("displayName"), body[4].get("displayName")]


@shows("long-display-names-lost", with_it=["", DISPLAY[:31]], without=[DISPLAY, DISPLAY[:32]])
def _lost_name(bench: QuirkyBench) -> object:
    whole = _display_names(bench)[0]
    platform = Platform(bench)
    make(platform, patch={3: {"id": b"ada", "name": "Ada", "displayName": DISPLAY[:32]}})
    manager = Manager(platform)
    return [whole, manager.ok(4, {1: manager.ok(2)[4]})[6].get("displayName")]


@shows("made-up-assertion", with_it=(0, True, False, True), without=(0, False, True, True))
def _made_up(bench: QuirkyBench) -> object:
    """Without proof after a replug, and with one; what getInfo shows in between."""
    platform = pinned(bench)
    made = make(platform)
    bench.replug()
    shown = bench.info()[4]["alwaysUv"]
    status, body = _asserted(bench, made.id)
    platform.agree()
    proof = platform.token(PIN_CODE, 2, RP)
    proved = bench.get({3: [_named(made.id)], 6: platform.mac(proof, HASH), 7: platform.version})
    return status, shown, body[1]["id"] == made.id, proved[1]["id"] == made.id


def _named(credential_id: bytes) -> dict[str, object]:
    return {"id": credential_id, "type": "public-key"}


def _asserted(bench: QuirkyBench, credential_id: bytes) -> tuple[int, Any]:
    answer = bench.handle(bytes([GA]) + encode(get_request({3: [_named(credential_id)]})))
    return answer[0], cbor.decode(answer[1:]) if answer[1:] else {}


@shows(
    "deleted-keys-sign",
    with_it=(0, 0, S.NO_CREDENTIALS),
    without=(0, S.NO_CREDENTIALS, S.NO_CREDENTIALS),
)
def _deleted(bench: QuirkyBench) -> object:
    """The deletion, then a signature; a reset ends it."""
    platform = pinned(bench)
    made = make(platform)
    deleted = Manager(platform).status(6, {2: _named(made.id)})
    signed = _asserted(bench, made.id)[0]
    bench.replug()
    bench.ok(RESET)
    return deleted, signed, _asserted(bench, made.id)[0]


@shows("display-name-dropped", with_it=[None] * 2, without=[DISPLAY] * 2)
def _no_name(bench: QuirkyBench) -> object:
    return _display_names(bench)


@shows("cred-protect-untrue", with_it=[1, 3], without=[3, 3])
def _protection(bench: QuirkyBench) -> object:
    platform = pinned(bench)
    for number, alg in enumerate((EDDSA, -7)):
        make(platform, f"ssh:{number}", patch={4: [param(alg)], 6: {"credProtect": 3}})
    manager = Manager(platform)
    hashes = [manager.ok(2)[4], manager.next(3)[4]]
    return [manager.ok(4, {1: one})[0x0A] for one in hashes]


@shows("large-blob-key-unlisted", with_it=(True, False), without=(True, True))
def _large_blob(bench: QuirkyBench) -> object:
    platform = pinned(bench)
    made = make(platform, patch={6: {"largeBlobKey": True}})
    manager = Manager(platform)
    return 5 in made.body, 0x0B in manager.ok(4, {1: manager.ok(2)[4]})


@shows("certificate-serial-zero", with_it=True, without=False)
@pytest.mark.filterwarnings("ignore:.*serial number.*")
def _serial(bench: QuirkyBench) -> object:
    made = bench.make()
    certificate = x509.load_der_x509_certificate(made.statement["x5c"][0])
    key: Any = certificate.public_key()
    key.verify(made.statement["sig"], made.raw_data + HASH, certificate_signature())
    certificate.verify_directly_issued_by(certificate)
    return certificate.serial_number == 0


def certificate_signature() -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256())


# --- the plug ------------------------------------------------------------------------------------


@shows("reset-comes-first", with_it=[0, S.NOT_ALLOWED], without=[0, 0])
def _reset_after_another_command(bench: QuirkyBench) -> object:
    bench.info()
    at_once = bench.status(RESET, None)
    bench.ok(0x06, {2: 1})
    return [at_once, bench.status(RESET, None)]


@shows("reset-any-time", with_it=0, without=S.NOT_ALLOWED)
def _reset(bench: QuirkyBench) -> object:
    bench.clock.advance(86_400_000)
    return bench.status(RESET)


@shows("init-is-power-up", with_it=0, without=S.NOT_ALLOWED)
def _power_up(bench: QuirkyBench) -> object:
    bench.clock.advance(60_000)
    bench.link = bench.token.link()
    return bench.status(RESET)


@shows("no-wink", with_it=0, without=1)
def _wink(bench: QuirkyBench) -> object:
    return bench.token.capabilities & 1


def _during_work(bench: QuirkyBench) -> list[tuple[int, int]]:
    """What a broadcast INIT gets while another channel's command runs."""
    device = HidDevice(bench.token.capabilities, manners=bench.token.manners)
    said = device.receive(next(Message(BROADCAST, HidCommand.INIT, b"n" * 8).reports()), 0)
    assert isinstance(said[0], Message)
    channel = int.from_bytes(said[0].payload[8:12])
    running = device.receive(next(Message(channel, HidCommand.CBOR, b"\x04").reports()), 1)
    assert isinstance(running[0], RunCommand)
    later = device.receive(next(Message(BROADCAST, HidCommand.INIT, b"m" * 8).reports()), 2)
    return [(one.channel, one.command) for one in later if isinstance(one, Message)]


REFUSED = [(BROADCAST, HidCommand.ERROR)]


@shows("init-refused-when-busy", with_it=REFUSED, without=REFUSED)
def _refused(bench: QuirkyBench) -> object:
    assert bench.profile.behavior.hid.init_when_busy is InitWhenBusy.REFUSED
    return _during_work(bench)


@shows("init-unheard-when-busy", with_it=[], without=REFUSED)
def _unheard(bench: QuirkyBench) -> object:
    return _during_work(bench)


@shows("statuses-in-error-frames", with_it=HidCommand.ERROR, without=HidCommand.CBOR)
def _statuses(bench: QuirkyBench) -> object:
    device = HidDevice(bench.token.capabilities, manners=bench.token.manners, last_channel=1)
    started = device.receive(next(Message(1, HidCommand.CBOR, b"\x99").reports()), 0)
    assert isinstance(started[0], RunCommand)
    said = device.finish(started[0].ticket, b"\x2e")
    assert isinstance(said[0], Message)
    assert said[0].payload == b"\x2e"
    return said[0].command


@shows("statuses-in-status-words", with_it=(b"", 0x6401), without=(b"\1", 0x9000))
def _status_words(bench: QuirkyBench) -> object:
    card = CardSession(bench.token)
    assert card.transmit(bytes([0, 0xA4, 4, 0, len(AID), *AID])) == (b"U2F_V2", 0x9000)
    assert card.transmit(bytes.fromhex("8010000001 04 00"))[0][:1] == b"\0"
    said = card.transmit(bytes.fromhex("8010000001 99 00"))
    card.close()
    return said


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUIRKS)
@pytest.mark.filterwarnings("ignore:.*serial number")
def test_a_quirk_shows_itself(name: str) -> None:
    show, with_it, _ = SHOWN[name]
    assert show(QuirkyBench(name)) == with_it


@pytest.mark.parametrize("name", QUIRKS)
def test_a_token_without_it_does_not(name: str) -> None:
    show, _, without = SHOWN[name]
    assert show(QuirkyBench()) == without
