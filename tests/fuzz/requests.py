"""Good requests of every command, ways to bend them, and the MAC that makes a bent one count."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.source import Source
from tests.fuzz.world import PINS, RPS, Terminal, blob_array
from tests.support.mutate import mutants
from tests.virtual.core.client import HASH, descriptor, make_request, param

from fidokit.cbor import encode
from fidokit.types import CoseAlg
from fidokit.virtual.core.extensions.preview_sign import ESP256_SPLIT_ARKG

Map = dict[Any, Any]
MC, GA, PIN, BIO, CM, BLOBS, CONFIG = 0x01, 0x02, 0x06, 0x09, 0x0A, 0x0C, 0x0D
ALGORITHMS = (*(alg.value for alg in CoseAlg), ESP256_SPLIT_ARKG)
WITHOUT_MAP = (0x04, 0x07, 0x08, 0x0B)
PREVIEW = {BIO: 0x40, CM: 0x41}


def _hash_of(rp: str) -> bytes:
    return hashlib.sha256(rp.encode()).digest()


def _hmac_input(terminal: Terminal, salts: int) -> Map:
    terminal.agree()
    sealed = terminal.seal(bytes(range(32)) * salts)
    mac = terminal.mac(terminal.mac_key, sealed)
    return {1: terminal.key, 2: sealed, 3: mac, 4: terminal.version}


def algorithm(source: Source) -> int:
    """Mostly one that there is: those of RSA are more than a byte away."""
    number = source.byte()
    return -number if number >= 240 else ALGORITHMS[number % len(ALGORITHMS)]


def _signing(source: Source, terminal: Terminal) -> Map:
    """What previewSign shall sign, by a key that was made before."""
    value: Map = {2: source.pick((*terminal.handles, b"none")), 6: HASH}
    derive = encode({3: ESP256_SPLIT_ARKG, -1: source.take(source.below(100)), -2: b"context"})
    return value | ({7: derive} if source.below(2) else {})


def _make(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    extensions = {
        "credProtect": 1 + source.below(3),
        "credBlob": bytes(source.below(64)),
        "hmac-secret": True,
        "hmac-secret-mc": lambda: _hmac_input(terminal, 1 + source.below(2)),
        "largeBlobKey": True,
        "largeBlob": {"support": "preferred"},
        "minPinLength": True,
        "pinComplexityPolicy": True,
        "thirdPartyPayment": True,
        "uvm": True,
        "previewSign": lambda: {3: [algorithm(source)], 4: source.pick((0, 1, 5))},
    }
    chosen = _some(source, extensions)
    algorithms = [param(algorithm(source)), param(-7)]
    request = make_request({2: {"id": source.pick(RPS)}, 4: algorithms}, rk=bool(source.below(2)))
    request[3] = {"id": source.take(1 + source.below(3)), "name": "Ada", "displayName": "A. L."}
    request |= {6: chosen} if chosen else {}
    return request | _some(source, {5: [descriptor(source.pick(ids))], 10: 1, 11: ["packed"]})


def _some(source: Source, members: Map) -> Map:
    """Those members that two bytes pick; what is costly to make is made only then."""
    wanted = source.byte() << 8 | source.byte()
    picked = {key: value for at, (key, value) in enumerate(members.items()) if wanted >> at & 1}
    return {key: value() if callable(value) else value for key, value in picked.items()}


def _get(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    extensions = {
        "credBlob": True,
        "hmac-secret": lambda: _hmac_input(terminal, 1 + source.below(2)),
        "largeBlobKey": True,
        "largeBlob": source.pick([{"read": True}, {"write": b"x" * 99, "originalSize": 200}]),
        "thirdPartyPayment": True,
        "uvm": True,
        "previewSign": lambda: _signing(source, terminal),
    }
    chosen = _some(source, extensions)
    request: Map = {1: source.pick(RPS), 2: HASH} | ({4: chosen} if chosen else {})
    some = {3: [descriptor(source.pick(ids)), descriptor(source.pick(ids))], 5: {"up": False}}
    return request | _some(source, some | {8: 1, 9: ["packed", "none"]})


def _client_pin(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    terminal.agree()
    old, new = source.pick(PINS), source.pick(PINS)
    makers: list[Callable[[], Map]] = [
        lambda: {1: terminal.version, 2: 1},
        lambda: {1: terminal.version, 2: 2},
        lambda: {1: terminal.version, 2: 7},
        lambda: terminal.set_request(new),
        lambda: terminal.change_request(old, new),
        lambda: terminal.old_token_request(old),
        lambda: terminal.token_request(old, source.byte(), source.pick((None, *RPS))),
        lambda: terminal.uv_request(source.byte(), source.pick((None, *RPS))),
    ]
    return source.pick(makers)()


def _bio(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    sub = 1 + source.below(7)
    template = source.pick((b"finger01", b"unknown0"))
    params = {1: {3: 1000}, 2: {1: template}, 5: {1: template, 2: "thumb"}, 6: {1: template}}
    request: Map = {1: 1, 2: sub} if source.below(8) else {6: True}
    return request | ({3: params[sub]} if sub in params else {})


def _manage(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    sub = 1 + source.below(7)
    named = {2: descriptor(source.pick(ids))}
    user = {"id": bytes([source.below(4)]), "name": "renamed"}
    params = {4: {1: _hash_of(source.pick(RPS))}, 6: named, 7: named | {3: user}}
    return {1: sub} | ({2: params[sub]} if sub in params else {})


def _blobs(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    if source.below(2):
        return {1: source.byte(), 3: source.below(64)}
    array = blob_array(source.byte())
    cut = source.below(2) * (len(array) // 2)
    first = array[: len(array) - cut]
    if source.below(2):
        return {2: array[len(array) - cut :], 3: len(array) - cut}
    return {2: first, 3: 0, 4: len(array)}


def _config(source: Source, terminal: Terminal, ids: list[bytes]) -> Map:
    sub = source.pick((1, 2, 3, 4, 0xFF))
    params = _some(source, {1: source.below(70), 2: [*RPS], 3: True, 4: True})
    return {1: sub} | ({2: params} if sub == 3 else {})


TEMPLATES: dict[int, Callable[[Source, Terminal, list[bytes]], Map]] = {
    MC: _make,
    GA: _get,
    PIN: _client_pin,
    BIO: _bio,
    CM: _manage,
    BLOBS: _blobs,
    CONFIG: _config,
}

VALUES: tuple[Any, ...] = (
    0, 1, 2, 3, 23, 24, 64, 255, 256, 2**16, 2**32, 2**63, 2**64 - 1, -1, -7, -8, -25, -257,
    -(2**63), b"", b"\0", bytes(16), bytes(31), bytes(32), bytes(33), bytes(64), bytes(65),
    bytes(1200), "", "a", "é" * 40, "\0", "x" * 70, "public-key", "credProtect", None, True, False,
    [], [[]], [1, 1], {}, {1: {}}, {"id": b"x"}, {"id": b"x", "type": "public-key"}, {"rk": True},
    {"uv": True}, {"up": False}, [{"alg": -7, "type": "public-key"}] * 3,
)  # fmt: skip


def _containers(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found + [deeper for item in inner for deeper in _containers(item)]


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _bend_once(source: Source, request: Map) -> None:
    where = source.pick(_containers(request))
    value = _copied(source.pick(VALUES)) if source.below(4) else source.take(source.below(80))
    way = source.below(4)
    if isinstance(where, list):
        where[source.below(len(where) + 1) :] = [value] * way
    elif way == 0 or not where:
        where[source.pick(VALUES[:19]) if source.below(2) else source.below(16)] = value
    elif way == 1:
        del where[source.pick(list(where))]
    else:
        where[source.pick(list(where))] = value


def bent(source: Source, request: Map) -> Map:
    """A copy of a good request, changed in none to three places."""
    request = _copied(request)
    for _ in range(max(0, source.below(8) - 4)):
        _bend_once(source, request)
    return request


def _message(command: int, request: Map) -> bytes:
    """What the MAC of a request covers (TOK-11), as far as it still has what that is made of."""
    inner = {BIO: 3, CM: 2, CONFIG: 2}.get(command)
    params = encode(request[inner]) if inner in request else b""
    sub = request.get(2 if command == BIO else 1, 0)
    small = bytes([sub]) if isinstance(sub, int) and 0 <= sub < 256 else b""
    if command == BIO:
        return b"\x01" + small + params
    if command == BLOBS:
        fragment, offset = request.get(2, b""), request.get(3, 0)
        part = fragment if isinstance(fragment, bytes) else b""
        at = offset % 2**32 if isinstance(offset, int) else 0
        return b"\xff" * 32 + b"\x0c\x00" + at.to_bytes(4, "little") + hashlib.sha256(part).digest()
    head = b"\xff" * 32 + bytes([command]) if command == CONFIG else b""
    return head + small + params


AUTH_MEMBERS = {MC: (8, 9), GA: (6, 7), BIO: (5, 4), CM: (4, 3), BLOBS: (5, 6), CONFIG: (4, 3)}


def authorized(command: int, request: Map, terminal: Terminal, token: bytes) -> Map:
    """The request with a good pinUvAuthParam under a token."""
    client_data = request.get(1 if command == MC else 2)
    message = (
        (client_data if isinstance(client_data, bytes) else b"")
        if command in (MC, GA)
        else _message(command, request)
    )
    param, protocol = AUTH_MEMBERS[command]
    return request | {param: terminal.mac(token, message), protocol: terminal.version}


def damaged(source: Source, request: bytes) -> bytes:
    """Bytes with a few of them spoilt."""
    seed = source.byte() << 8 | source.byte()
    return next(mutants([request], 1, random.Random(seed).randrange(2**32)))
