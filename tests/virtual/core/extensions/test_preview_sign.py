"""previewSign, and the derived keys of ARKG-P256 against the draft."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from fido2 import cbor
from fido2.cose import ARKG_P256_PLACEHOLDER, CoseKey
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    GA,
    GNA,
    HASH,
    MC,
    RESET,
    AuthData,
    Bench,
    Made,
    Platform,
    S,
    case,
    check_signature,
    descriptor,
    encode,
    get_request,
    make_request,
    param,
)

from fidokit.virtual.core.extensions.preview_sign import HANDLE_LENGTH, MAX_CONTEXT, ArkgSeed
from fidokit.virtual.core.profile import CTAP_2_3, CTAP_2_3_PREVIEW, profile

SEED = ArkgSeed.from_secret(bytes(range(32)))
CONTEXT = b"a context"


def arkg_derived(seed: ArkgSeed, entropy: bytes, context: bytes) -> tuple[tuple[int, int], bytes]:
    """A public key and its handle, made by somebody who has the public seed alone."""
    public = CoseKey.parse(dict(seed.cose()))
    assert isinstance(public, ARKG_P256_PLACEHOLDER)
    key, args = public.derive_public_key(entropy, context)
    assert args[-2] == context
    return (int.from_bytes(key[-2]), int.from_bytes(key[-3])), args[-1]


def point(key: ec.EllipticCurvePrivateKey | None) -> tuple[int, int]:
    assert key is not None
    numbers = key.public_key().public_numbers()
    return numbers.x, numbers.y


PUBLIC, HANDLE = arkg_derived(SEED, b"e" * 32, CONTEXT)


@given(
    secret=st.binary(min_size=32, max_size=32),
    entropy=st.binary(min_size=32, max_size=48),
    context=st.binary(max_size=MAX_CONTEXT),
)
def test_both_halves_agree(secret: bytes, entropy: bytes, context: bytes) -> None:
    seed = ArkgSeed.from_secret(secret)
    public, handle = arkg_derived(seed, entropy, context)
    assert len(handle) == HANDLE_LENGTH
    assert point(seed.derive(handle, context)) == public


def test_a_seed_follows_from_its_secret() -> None:
    assert ArkgSeed.from_secret(bytes(range(32))).cose() == SEED.cose()
    assert ArkgSeed.from_secret(bytes(32)).cose() != SEED.cose()
    assert SEED.cose()[-1] != SEED.cose()[-2]


@pytest.mark.parametrize("cut", range(HANDLE_LENGTH))
def test_cut_arkg_handles(cut: int) -> None:
    assert SEED.derive(HANDLE[:cut], CONTEXT) is None


@pytest.mark.parametrize("at", range(HANDLE_LENGTH))
def test_changed_arkg_handles(at: int) -> None:
    changed = HANDLE[:at] + bytes([HANDLE[at] ^ 1]) + HANDLE[at + 1 :]
    assert SEED.derive(changed, CONTEXT) is None


def test_arkg_strangers() -> None:
    assert point(SEED.derive(HANDLE, CONTEXT)) == PUBLIC
    assert SEED.derive(HANDLE + b"\0", CONTEXT) is None
    assert SEED.derive(HANDLE, b"another context") is None
    assert SEED.derive(HANDLE, bytes(MAX_CONTEXT + 1)) is None
    assert ArkgSeed.from_secret(bytes(32)).derive(HANDLE, CONTEXT) is None


MODEL = CTAP_2_3_PREVIEW
ARKG, ES384 = -65539, -35
UNATTENDED, TOUCHED, VERIFIED = 0, 1, 5


@dataclass(frozen=True)
class SigningKey:
    """What makeCredential told of a signing key."""

    made: Made
    handle: bytes
    key: Any
    data: AuthData
    fmt: str
    statement: Any
    raw: bytes


@pytest.fixture
def bench() -> Bench:
    return Bench(MODEL)


def make(
    bench: Bench, algorithms: list[int], flags: int | None = None, **options: bool
) -> SigningKey:
    asked: dict[int, Any] = {3: algorithms} | ({} if flags is None else {4: flags})
    made = bench.make({6: {"previewSign": asked}}, **options)
    raw = made.body[6]["previewSign"][7]
    nested: Any = cbor.decode(raw)
    assert encode(nested) == raw
    data = AuthData.parse(nested[2])
    return SigningKey(made, data.credential_id, data.key, data, nested[1], nested[3], raw)


def request(key: SigningKey, tbs: bytes, args: bytes | None = None, **more: bool) -> dict[int, Any]:
    value: dict[int, Any] = {2: key.handle, 6: tbs} | ({} if args is None else {7: args})
    patch = {3: [descriptor(key.made.id)], 4: {"previewSign": value}}
    return get_request(patch, **more)


def sign(
    bench: Bench, key: SigningKey, tbs: bytes, args: bytes | None = None, **more: bool
) -> bytes:
    body = bench.ok(GA, request(key, tbs, args, **more))
    extensions = AuthData.parse(body[2]).extensions
    assert list(extensions["previewSign"]) == [6]
    signature: bytes = extensions["previewSign"][6]
    return signature


# --- making --------------------------------------------------------------------------------------


def test_one_of_our_profiles_has_it() -> None:
    assert Bench(profile("ctap2.3-preview")).info()[2] == [*CTAP_2_3.extensions, "previewSign"]
    assert "previewSign" not in Bench(CTAP_2_3).info()[2]


@pytest.mark.parametrize(
    ("algorithms", "chosen"),
    [
        ([ES256], ES256),
        ([EDDSA, ES256], EDDSA),
        ([-999, ARKG, ES256], ARKG),
    ],
)
@pytest.mark.parametrize("rk", [True, False])
def test_a_key_is_attested_beside_the_credential(
    bench: Bench, algorithms: list[int], chosen: int, rk: bool
) -> None:
    key = make(bench, algorithms, rk=rk)
    assert key.made.data.extensions == {"previewSign": {3: chosen}}
    assert list(key.made.body[6]["previewSign"]) == [7]
    assert key.handle != key.made.id
    assert key.data.rp_id_hash == key.made.data.rp_id_hash
    assert key.data.aaguid == key.made.data.aaguid
    assert (key.data.counter, key.data.up, key.data.uv) == (0, True, False)
    assert key.data.extensions == {"previewSign": {4: TOUCHED}}
    leaf = key.statement["x5c"][0]
    assert leaf == key.made.statement["x5c"][0]


def test_self_attestation_is_the_keys_own() -> None:
    bench = Bench(replace(MODEL, self_attestation=True))
    key = make(bench, [ES256])
    nested: Any = cbor.decode(key.raw)
    check_signature(key.key, key.statement["sig"], nested[2] + HASH)
    assert set(key.statement) == {"alg", "sig"}
    seed = make(bench, [ARKG])
    assert (seed.fmt, seed.statement) == ("none", {})


@pytest.mark.check("CBR-11")
@pytest.mark.parametrize("room", [1536, 2048])
@pytest.mark.parametrize("algorithm", [ES256, EDDSA, ES384, ARKG])
def test_a_second_certificate_must_fit(room: int, algorithm: int) -> None:
    bench = Bench(replace(MODEL, max_msg_size=room))
    others = dict.fromkeys(("hmac-secret", "minPinLength", "uvm", "largeBlobKey"), True)
    extensions = {**others, "previewSign": {3: [algorithm]}, "credProtect": 2}
    wanted = make_request({4: [param(ES384)], 6: extensions}, rk=True)
    reply = bench.authenticator.handle(bytes([MC]) + encode(wanted))
    assert reply[0] == S.OK
    assert len(reply) <= room
    answer: Any = cbor.decode(reply[1:])
    nested: Any = cbor.decode(answer[6]["previewSign"][7])
    assert ("x5c" in nested[3]) is (room == 2048)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        case("EXT-01", True, S.CBOR_UNEXPECTED_TYPE),
        case("EXT-01", {3: ES256}, S.CBOR_UNEXPECTED_TYPE),
        case("EXT-01", {3: ["x"]}, S.CBOR_UNEXPECTED_TYPE),
        case("EXT-01", {3: [ES256], 4: -1}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-09", {}, S.MISSING_PARAMETER),
        case("CBR-09", {4: 1}, S.MISSING_PARAMETER),
        *[pytest.param({3: [ES256], 4: flags}, S.INVALID_OPTION) for flags in (2, 3, 4, 6, 7, 255)],
        pytest.param({3: []}, S.UNSUPPORTED_ALGORITHM),
        pytest.param({3: [-999, 2**40]}, S.UNSUPPORTED_ALGORITHM),
    ],
)
def test_faults_of_making(bench: Bench, value: Any, status: S) -> None:
    assert bench.status(MC, make_request({6: {"previewSign": value}}, rk=True)) == status
    assert bench.store.count() == 0


# --- signing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", [ES256, EDDSA])
@pytest.mark.parametrize("tbs", [b"", b"anything at all", bytes(2000)])
def test_bare_data_is_signed(bench: Bench, alg: int, tbs: bytes) -> None:
    key = make(bench, [alg], rk=True)
    bench.power_up()
    check_signature(key.key, sign(bench, key, tbs), tbs)


def derived(key: SigningKey, context: bytes = b"context") -> tuple[Any, bytes]:
    """A public key of the seed, and the arguments that name it."""
    public, args = CoseKey.parse(key.key).derive_public_key(b"e" * 32, context)  # type: ignore[attr-defined]
    return public, encode(dict(args))


def test_a_derived_key_signs_a_digest(bench: Bench) -> None:
    key = make(bench, [ARKG], rk=True)
    digest = hashlib.sha256(b"message").digest()
    for context in (b"", b"one", b"two"):
        public, args = derived(key, context)
        signature = sign(bench, key, digest, args)
        x, y = (int.from_bytes(public[label]) for label in (-2, -3))
        point = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        point.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (None, S.MISSING_PARAMETER),
        (b"", S.INVALID_CBOR),
        (b"\xa1", S.INVALID_CBOR),
        (encode([]), S.CBOR_UNEXPECTED_TYPE),
        (encode({3: ARKG, -1: bytes(81)}), S.MISSING_PARAMETER),
        (encode({3: ARKG, -1: "x", -2: b""}), S.CBOR_UNEXPECTED_TYPE),
        (encode({3: ARKG, -1: bytes(81), -2: b""}), S.INVALID_PARAMETER),
        (encode({3: ARKG, -1: b"", -2: b""}), S.INVALID_PARAMETER),
    ],
)
def test_faulty_arguments(bench: Bench, args: bytes | None, status: S) -> None:
    key = make(bench, [ARKG])
    assert bench.status(GA, request(key, bytes(32), args)) == status


def test_a_digest_has_its_length_and_an_algorithm_its_arguments(bench: Bench) -> None:
    seed, plain = make(bench, [ARKG]), make(bench, [ES256])
    _, args = derived(seed)
    for size in (0, 31, 33):
        assert bench.status(GA, request(seed, bytes(size), args)) == S.INVALID_LENGTH
    members: Any = cbor.decode(args)
    without = {number: value for number, value in members.items() if number != 3}
    for odd in (encode({**members, 3: ES256}), encode(without)):
        assert bench.status(GA, request(seed, bytes(32), odd)) == S.INVALID_CREDENTIAL
    assert bench.status(GA, request(plain, bytes(32), args)) == S.INVALID_PARAMETER


@pytest.mark.parametrize(
    ("flags", "without_touch", "without_pin"),
    [
        (UNATTENDED, S.OK, S.OK),
        (TOUCHED, S.UP_REQUIRED, S.OK),
        (VERIFIED, S.UP_REQUIRED, S.PUAT_REQUIRED),
    ],
)
def test_the_policy_of_the_key(flags: int, without_touch: S, without_pin: S) -> None:
    platform = Platform(Bench(MODEL, uv=True))
    bench = platform.bench
    key = make(bench, [ES256], flags, uv=True)
    assert key.data.extensions == {"previewSign": {4: flags}}
    assert key.data.uv
    assert bench.status(GA, request(key, b"x", up=False)) == without_touch
    assert bench.status(GA, request(key, b"x")) == without_pin
    check_signature(key.key, sign(bench, key, b"x", uv=True), b"x")


@pytest.mark.parametrize("at", range(5))
def test_neither_policy_nor_algorithm_can_be_changed(bench: Bench, at: int) -> None:
    key = make(bench, [ES256], VERIFIED)
    changed = key.handle[:at] + bytes([key.handle[at] ^ 1]) + key.handle[at + 1 :]
    bad = request(replace(key, handle=changed), b"x", uv=False)
    assert bench.status(GA, bad | {5: {}}) == S.INVALID_CREDENTIAL


@pytest.mark.parametrize("cut", range(71))
def test_cut_handles(cut: int) -> None:
    bench = Bench(MODEL)
    key = make(bench, [ES256])
    assert len(key.handle) == 71
    bad = request(replace(key, handle=key.handle[:cut]), b"x")
    assert bench.status(GA, bad) == S.INVALID_CREDENTIAL


def test_a_key_belongs_to_its_credential(bench: Bench) -> None:
    ours, theirs = make(bench, [ES256]), make(bench, [ES256])
    mixed = request(replace(theirs, handle=ours.handle), b"x")
    assert bench.status(GA, mixed) == S.INVALID_CREDENTIAL
    no_list = get_request({4: {"previewSign": {2: ours.handle, 6: b"x"}}})
    bench.make(rk=True)
    assert bench.status(GA, no_list) == S.INVALID_OPTION
    as_credential = get_request({3: [descriptor(ours.handle), descriptor(ours.handle[5:])]})
    assert bench.status(GA, as_credential) == S.NO_CREDENTIALS


def test_nothing_is_left_of_it_after_a_reset(bench: Bench) -> None:
    key = make(bench, [ES256], rk=True)
    bench.ok(RESET)
    assert bench.status(GA, request(key, b"x")) == S.NO_CREDENTIALS
    assert bench.status(GNA) == S.NOT_ALLOWED


def test_our_own_models_do_not_list_it() -> None:
    bench = Bench()
    assert "previewSign" not in bench.info()[2]
    assert bench.make({6: {"previewSign": 7}}).data.extensions is None
