"""A tiny platform side for tests: it shares no code with src, so that it can judge it.

Replies are decoded by python-fido2's CBOR; the encoder, PIN protocols, COSE and authenticator data
are written here, from the specification, on `cryptography`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fido2 import cbor
from tests.support.blocking import BlockingAuthenticator

from fidokit.types import CtapStatus
from fidokit.virtual.core import factory
from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind
from fidokit.virtual.core.profile import Profile, profile
from fidokit.virtual.store import MemoryStore

MC, GA, INFO, PIN, RESET, GNA, SELECTION = 0x01, 0x02, 0x04, 0x06, 0x07, 0x08, 0x0B
RP = "ssh:work"
HASH = bytes(range(32))
ES256, EDDSA = -7, -8
MISSING = object()
"""In a patch: take the member out."""

S = CtapStatus


def _head(major: int, argument: int) -> bytes:
    for size, marker in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if argument < 24:
            return bytes([major << 5 | argument])
        if argument < 1 << 8 * size:
            return bytes([major << 5 | marker]) + argument.to_bytes(size, "big")
    raise ValueError(argument)


def encode(value: Any) -> bytes:
    """CTAP2 canonical CBOR; null too, which python-fido2 does not write."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(encode, value))
    items = sorted(((encode(k), v) for k, v in value.items()), key=lambda i: _order(i[0]))
    return _head(5, len(items)) + b"".join(k + encode(v) for k, v in items)


def _order(key: bytes) -> tuple[int, int, bytes]:
    return key[0] >> 5, len(key), key


def case(checks: str, *values: Any, name: str | None = None) -> Any:
    """A parameter set that proves the checks named (blank between ids)."""
    marks = [pytest.mark.check(*checks.split())]
    return pytest.param(*values, marks=marks, id=name)


def any_of(*values: Any) -> tuple[Any, ...]:
    """Values of unlike types, for a test of each."""
    return values


def patched(base: Mapping[Any, Any], patch: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """The request with members replaced, added, or (MISSING) taken out."""
    merged = {**base, **(patch or {})}
    return {key: value for key, value in merged.items() if value is not MISSING}


def descriptor(credential_id: bytes, kind: str = "public-key") -> dict[str, Any]:
    return {"id": credential_id, "type": kind}


def param(alg: int, kind: str = "public-key") -> dict[str, Any]:
    return {"alg": alg, "type": kind}


def make_request(patch: Mapping[Any, Any] | None = None, **options: bool) -> dict[Any, Any]:
    """A good makeCredential request; keyword arguments are its options."""
    base = {1: HASH, 2: {"id": RP}, 3: {"id": b"ada", "name": "Ada"}, 4: [param(ES256)]}
    return patched(base | ({7: options} if options else {}), patch)


def get_request(patch: Mapping[Any, Any] | None = None, **options: bool) -> dict[Any, Any]:
    """A good getAssertion request; keyword arguments are its options."""
    return patched({1: RP, 2: HASH} | ({5: options} if options else {}), patch)


class FakeClock:
    """Time that tests turn."""

    def __init__(self) -> None:
        self.now = 1_000

    def now_ms(self) -> int:
        return self.now

    def advance(self, ms: int) -> None:
        self.now += ms


class SeededRng:
    """The same bytes in every run."""

    repeatable = True

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


_WILLING = {
    PresenceKind.VERIFY: Outcome.UV_MATCHED,
    PresenceKind.VERIFY_NOW: Outcome.UV_MATCHED,
    PresenceKind.SAMPLE: Outcome.SAMPLE_GOOD,
}


class Person:
    """Touches and matches, unless a script says otherwise; remembers what was asked."""

    def __init__(self) -> None:
        self.script: deque[Outcome] = deque()
        self.asked: list[PresenceKind] = []

    def wait(self, need: NeedsPresence) -> Outcome:
        self.asked.append(need.kind)
        if self.script:
            return self.script.popleft()
        return _WILLING.get(need.kind, Outcome.TOUCHED)

    def will(self, *outcomes: Outcome) -> None:
        self.script.extend(outcomes)


@dataclass(frozen=True)
class Answer:
    """A reply taken apart; an error reply is the status byte alone."""

    status: int
    body: Any

    @classmethod
    def parse(cls, reply: bytes) -> Answer:
        if len(reply) == 1:
            return cls(reply[0], None)
        assert reply[0] == 0
        body = cbor.decode(reply[1:])
        assert encode(body) == reply[1:], "not canonical (CBR-11)"
        return cls(0, body)


@dataclass(frozen=True)
class AuthData:
    """Authenticator data taken apart."""

    rp_id_hash: bytes
    flags: int
    counter: int
    aaguid: bytes = b""
    credential_id: bytes = b""
    key: Any = None
    extensions: Any = None

    @classmethod
    def parse(cls, data: bytes) -> AuthData:
        head, rest = data[:37], data[37:]
        fields: dict[str, Any] = {}
        if head[32] & 0x40:
            size = int.from_bytes(rest[16:18], "big")
            fields |= {"aaguid": rest[:16], "credential_id": rest[18 : 18 + size]}
            fields["key"], rest = cbor.decode_from(rest[18 + size :])
        if head[32] & 0x80:
            fields["extensions"], rest = cbor.decode_from(rest)
        assert rest == b"", "bytes behind authenticator data"
        return cls(head[:32], head[32], int.from_bytes(head[33:], "big"), **fields)

    @property
    def up(self) -> bool:
        return bool(self.flags & 1)

    @property
    def uv(self) -> bool:
        return bool(self.flags & 4)


def _verify_ec2(key: Mapping[int, Any], signature: bytes, message: bytes) -> None:
    x, y = (int.from_bytes(key[label], "big") for label in (-2, -3))
    public = ec.EllipticCurvePublicNumbers(x, y, CURVES[key[-1]]).public_key()
    public.verify(signature, message, ec.ECDSA(EC_HASHES[key[3]]))


def _verify_okp(key: Mapping[int, Any], signature: bytes, message: bytes) -> None:
    loaders: dict[int, Any] = {
        6: ed25519.Ed25519PublicKey.from_public_bytes,
        7: ed448.Ed448PublicKey.from_public_bytes,
    }
    loaders[key[-1]](key[-2]).verify(signature, message)


def _verify_rsa(key: Mapping[int, Any], signature: bytes, message: bytes) -> None:
    n, e = (int.from_bytes(key[label], "big") for label in (-1, -2))
    schemes = {
        -257: padding.PKCS1v15(),
        -37: padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32),
    }
    public = rsa.RSAPublicNumbers(e, n).public_key()
    public.verify(signature, message, schemes[key[3]], hashes.SHA256())


def _verify_akp(key: Mapping[int, Any], signature: bytes, message: bytes) -> None:
    loaders: dict[int, Any] = {
        -48: mldsa.MLDSA44PublicKey.from_public_bytes,
        -49: mldsa.MLDSA65PublicKey.from_public_bytes,
        -50: mldsa.MLDSA87PublicKey.from_public_bytes,
    }
    loaders[key[3]](key[-1]).verify(signature, message)


CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1(), 3: ec.SECP521R1(), 8: ec.SECP256K1()}
EC_HASHES = {alg: hashes.SHA256() for alg in (-7, -9, -47)} | {
    -35: hashes.SHA384(),
    -51: hashes.SHA384(),
    -36: hashes.SHA512(),
    -52: hashes.SHA512(),
}
VERIFIERS = {1: _verify_okp, 2: _verify_ec2, 3: _verify_rsa, 7: _verify_akp}


def check_signature(key: Mapping[int, Any], signature: bytes, message: bytes) -> None:
    """Verify under a COSE key of any type; raises cryptography's InvalidSignature."""
    VERIFIERS[key[1]](key, signature, message)


@dataclass(frozen=True)
class Made:
    """A credential as the platform got it."""

    data: AuthData
    raw_data: bytes
    fmt: str
    statement: Mapping[str, Any]
    body: Mapping[int, Any]

    @property
    def id(self) -> bytes:
        return self.data.credential_id


class Bench:
    """One powered token with its clock, person and store in the test's hands."""

    def __init__(
        self, model: Profile | str = "ctap2.3", *, uv: bool = False, seed: int = 1
    ) -> None:
        self.profile = profile(model) if isinstance(model, str) else model
        self.rng = SeededRng(seed)
        state = factory.new_state(self.profile, self.rng, uv_enrolled=uv)
        self.open(MemoryStore(state))

    @classmethod
    def on(cls, model: Profile, store: MemoryStore, seed: int = 1) -> Bench:
        """A token that was made before."""
        bench = cls.__new__(cls)
        bench.profile, bench.rng = model, SeededRng(seed)
        bench.open(store)
        return bench

    def open(self, store: MemoryStore) -> None:
        self.store = store
        self.clock = FakeClock()
        self.person = Person()
        self.power_up()

    def power_up(self) -> None:
        """A new process opens the same store."""
        self.authenticator = BlockingAuthenticator(
            self.profile, self.store, self.clock, self.rng, self.person
        )

    @property
    def state(self) -> Any:
        return self.store.load()

    def raw(self, request: bytes, channel: int = 0) -> Answer:
        return Answer.parse(self.authenticator.handle(request, channel))

    def call(self, command: int, request: Any = None, channel: int = 0) -> Answer:
        body = b"" if request is None else encode(request)
        return self.raw(bytes([command]) + body, channel)

    def status(self, command: int, request: Any = None, channel: int = 0) -> int:
        return self.call(command, request, channel).status

    def ok(self, command: int, request: Any = None, channel: int = 0) -> Any:
        answer = self.call(command, request, channel)
        assert answer.status == 0, CtapStatus(answer.status).name
        return answer.body

    def info(self) -> Any:
        return self.ok(INFO)

    def settled_info(self) -> Any:
        """getInfo without encIdentifier and encCredStoreState, which differ in each reply."""
        return {key: value for key, value in self.info().items() if key not in (0x19, 0x1E)}

    def make(self, patch: Mapping[Any, Any] | None = None, **options: bool) -> Made:
        body = self.ok(MC, make_request(patch, **options))
        return Made(AuthData.parse(body[2]), body[2], body[1], body[3], body)

    def get(self, patch: Mapping[Any, Any] | None = None, **options: bool) -> Any:
        return self.ok(GA, get_request(patch, **options))

    def touches(self) -> int:
        """How often the person was asked since the last call."""
        count = len(self.person.asked)
        self.person.asked.clear()
        return count


class Platform:
    """PIN/UV auth protocol 1 or 2, the client's half."""

    def __init__(self, bench: Bench, version: int = 2) -> None:
        self.bench = bench
        self.version = version
        self.agree()

    def agree(self) -> None:
        """Fetch the token's key and make a new one of our own."""
        peer = self.bench.ok(PIN, {1: self.version, 2: 2})[1]
        x, y = (int.from_bytes(peer[label], "big") for label in (-2, -3))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        private = ec.generate_private_key(ec.SECP256R1())
        z = private.exchange(ec.ECDH(), public)
        point = private.public_key().public_numbers()
        self.key = {
            1: 2,
            3: -25,
            -1: 1,
            -2: point.x.to_bytes(32, "big"),
            -3: point.y.to_bytes(32, "big"),
        }
        if self.version == 1:
            self.mac_key = self.aes_key = hashlib.sha256(z).digest()
        else:
            self.mac_key, self.aes_key = (
                HKDF(hashes.SHA256(), 32, bytes(32), info).derive(z)
                for info in (b"CTAP2 HMAC key", b"CTAP2 AES key")
            )

    def seal(self, plain: bytes) -> bytes:
        iv = bytes(16) if self.version == 1 else os.urandom(16)
        encryptor = Cipher(algorithms.AES(self.aes_key), modes.CBC(iv)).encryptor()
        sealed = encryptor.update(plain) + encryptor.finalize()
        return sealed if self.version == 1 else iv + sealed

    def open(self, sealed: bytes) -> bytes:
        iv, body = (bytes(16), sealed) if self.version == 1 else (sealed[:16], sealed[16:])
        decryptor = Cipher(algorithms.AES(self.aes_key), modes.CBC(iv)).decryptor()
        return decryptor.update(body) + decryptor.finalize()

    def mac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, "sha256").digest()[: 16 if self.version == 1 else 32]

    @staticmethod
    def padded(pin: str | bytes) -> bytes:
        raw = pin.encode() if isinstance(pin, str) else pin
        return raw + bytes(64 - len(raw)) if len(raw) < 64 else raw

    def pin_hash(self, pin: str) -> bytes:
        return self.seal(hashlib.sha256(pin.encode()).digest()[:16])

    def set_request(self, pin: str | bytes) -> dict[int, Any]:
        sealed = self.seal(self.padded(pin))
        return {1: self.version, 2: 3, 3: self.key, 4: self.mac(self.mac_key, sealed), 5: sealed}

    def change_request(self, old: str, new: str | bytes) -> dict[int, Any]:
        sealed, hashed = self.seal(self.padded(new)), self.pin_hash(old)
        mac = self.mac(self.mac_key, sealed + hashed)
        return {1: self.version, 2: 4, 3: self.key, 4: mac, 5: sealed, 6: hashed}

    def old_token_request(self, pin: str) -> dict[int, Any]:
        return {1: self.version, 2: 5, 3: self.key, 6: self.pin_hash(pin)}

    def token_request(self, pin: str, permissions: int, rp_id: str | None = None) -> dict[int, Any]:
        rp = {} if rp_id is None else {10: rp_id}
        base = {1: self.version, 2: 9, 3: self.key, 6: self.pin_hash(pin), 9: permissions}
        return base | rp

    def uv_request(self, permissions: int, rp_id: str | None = None) -> dict[int, Any]:
        rp = {} if rp_id is None else {10: rp_id}
        return {1: self.version, 2: 6, 3: self.key, 9: permissions} | rp

    def status(self, request: Mapping[int, Any]) -> int:
        """Send; a wrong PIN changes the token's key, so agree again after a failure."""
        status = self.bench.status(PIN, request)
        if status:
            self.agree()
        return status

    def set_pin(self, pin: str) -> None:
        self.bench.ok(PIN, self.set_request(pin))

    def token(self, pin: str, permissions: int = 3, rp_id: str | None = None) -> bytes:
        return self.open(self.bench.ok(PIN, self.token_request(pin, permissions, rp_id))[2])

    def uv_token(self, permissions: int = 3, rp_id: str | None = None) -> bytes:
        return self.open(self.bench.ok(PIN, self.uv_request(permissions, rp_id))[2])

    def make_auth(self, token: bytes, message: bytes = HASH) -> dict[int, Any]:
        """Members 8 and 9 of makeCredential."""
        return {8: self.mac(token, message), 9: self.version}

    def get_auth(self, token: bytes, message: bytes = HASH) -> dict[int, Any]:
        """Members 6 and 7 of getAssertion."""
        return {6: self.mac(token, message), 7: self.version}

    def try_pin(self, pin: str) -> int:
        return self.status(self.token_request(pin, 1))

    def retries(self) -> int:
        retries: int = self.bench.ok(PIN, {2: 1})[3]
        return retries
