"""Tokens to fuzz: lived in, the same in every run, and cheap to have again for each input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tests.fuzz.rsa import known_rsa_keys
from tests.virtual.core.client import HASH, AuthData, Bench, Platform, encode, param

from fidokit import cbor
from fidokit.types import CoseAlg, CredentialId
from fidokit.virtual.core.extensions.preview_sign import ESP256_SPLIT_ARKG
from fidokit.virtual.core.extensions.preview_sign import NAME as PREVIEW_SIGN
from fidokit.virtual.core.ports import DurableState, LargeBlob, StoredCredential, Template
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_1, CTAP_2_3, PROFILES, Profile
from fidokit.virtual.store import MemoryStore

PINS = ("1234", "motörhead", "correct horse battery staple")
RPS = ("ssh:work", "ssh:", "example.org")

PREVIEWS = replace(CTAP_2_0, name="previews").with_options(
    credentialMgmtPreview=True, userVerificationMgmtPreview=False, uv=False
)
SIGNERS = replace(CTAP_2_3, name="signers", extensions=(*CTAP_2_3.extensions, "previewSign"))
SHORT_IDS = replace(CTAP_2_1, name="short ids", max_credential_id_length=64)
MODELS = (*PROFILES.values(), PREVIEWS, SHORT_IDS, SIGNERS)


class WatchedStore(MemoryStore):
    """Notes what was asked of it since `notes` was last emptied."""

    def __init__(self, state: DurableState) -> None:
        super().__init__(state)
        self.notes: list[str] = []

    def wipe(self, state: DurableState) -> None:
        super().wipe(state)
        self.notes.append("wipe")

    def put(self, credential: StoredCredential) -> None:
        before = len(self.notes)
        super().put(credential)
        self.notes[before:] = ["put"]  # what it deletes is what it replaces

    def delete(self, credential_id: CredentialId) -> bool:
        deleted = super().delete(credential_id)
        self.notes += ["delete"] * deleted
        return deleted

    def update_user(
        self, credential_id: CredentialId, name: str | None, display_name: str | None
    ) -> bool:
        self.notes.append("rename")
        return super().update_user(credential_id, name, display_name)

    def update_large_blob(self, credential_id: CredentialId, blob: LargeBlob) -> bool:
        self.notes.append("blob")
        return super().update_large_blob(credential_id, blob)


@dataclass(frozen=True)
class Home:
    """A token as each input finds it."""

    profile: Profile
    state: DurableState
    residents: tuple[StoredCredential, ...]
    wrapped: tuple[bytes, ...]
    handles: tuple[bytes, ...]
    """Of signing keys that are beside the first wrapped credential."""

    @property
    def permissions(self) -> int:
        """All that a session token by PIN may have; 0 where tokens have none."""
        if not self.profile.offers("pinUvAuthToken"):
            return 0
        bits = {"credMgmt": 4, "bioEnroll": 8, "largeBlobs": 0x10, "authnrCfg": 0x20}
        bits |= {"perCredMgmtRO": 0x40}
        return 3 | sum(bit for option, bit in bits.items() if self.profile.offers(option))

    def bench(self) -> Bench:
        """A powered token of its own."""
        store = WatchedStore(self.state)
        for credential in self.residents:
            store.put(credential)
        store.notes.clear()
        return Bench.on(self.profile, store, seed=2)


class Terminal(Platform):
    """A platform that remembers what it agreed on with a key it has seen, for speed."""

    handles: tuple[bytes, ...] = ()
    _agreed: dict[tuple[int, bytes], dict[str, Any]] = {}  # noqa: RUF012 - shared on purpose

    def agree(self) -> None:
        peer = self.bench.ok(0x06, {1: self.version, 2: 2})[1]
        known = self._agreed.get((self.version, peer[-2]))
        if known is None:
            super().agree()
            if len(self._agreed) > 500:
                self._agreed.clear()
            self._agreed[self.version, peer[-2]] = {
                name: getattr(self, name) for name in ("key", "mac_key", "aes_key")
            }
        else:
            self.__dict__.update(known)


def _live_in(bench: Bench) -> list[bytes]:
    """Credentials of every kind; returns the ids of wrapped ones."""
    if not bench.profile.has_ctap2:
        apdu = b"\x00\x01\x00\x00\x00\x00\x40" + HASH + hashlib.sha256(RPS[0].encode()).digest()
        reply = bench.authenticator.handle_msg(apdu)
        return [reply[67 : 67 + reply[66]]]
    asked: dict[str, Any] = {"hmac-secret": True}
    asked |= {"credBlob": b"blob"} if bench.profile.extends("credBlob") else {}
    asked |= {"largeBlobKey": True} if bench.profile.extends("largeBlobKey") else {}
    asked |= {"largeBlob": {"support": "required"}} if bench.profile.extends("largeBlob") else {}
    for number, rp in enumerate((*RPS, RPS[0])):
        user = {"id": bytes([number]), "name": f"user {number}"}
        level = {"credProtect": 1 + number % 3} if bench.profile.extends("credProtect") else {}
        bench.make({2: {"id": rp}, 3: user, 6: asked | level}, rk=True)
    chosen = [CoseAlg.ES256, CoseAlg.RS256, CoseAlg.PS256, CoseAlg.ML_DSA_65]
    offered = [alg for alg in chosen if alg in bench.profile.algorithms]
    return [bench.make().id, *(bench.make({4: [param(alg.value)]}).id for alg in offered)]


def _signing_keys(bench: Bench) -> tuple[list[bytes], list[bytes]]:
    """The ids of credentials that have a signing key beside them, and the keys' handles."""
    ids, handles = [], []
    algorithms = (CoseAlg.ES256, ESP256_SPLIT_ARKG) if bench.profile.extends(PREVIEW_SIGN) else ()
    for alg in algorithms:
        made = bench.make({6: {PREVIEW_SIGN: {3: [alg]}}})
        nested: Any = cbor.decode(made.body[6][PREVIEW_SIGN][7])
        ids.append(made.id)
        handles.append(AuthData.parse(nested[2]).credential_id)
    return ids, handles


@cache
def home(number: int) -> Home:
    """One of the tokens, by number: every profile, fresh or with a PIN, with a finger or not."""
    base = MODELS[number % len(MODELS)]
    small = replace(base, max_resident=6) if base.has_ctap2 else base
    bench = Bench(small)
    with known_rsa_keys():
        signers, handles = _signing_keys(bench)
        wrapped = signers + _live_in(bench)
    kind = number // len(MODELS) % 4
    if kind % 2 and small.pin_protocols:
        Platform(bench, small.pin_protocols[0]).set_pin(PINS[0])
    state = bench.store.load()
    if kind >= 2 and small.enrolls_fingers:
        state = replace(state, templates=(Template(b"finger01", "left"),))
    residents = [c for rp in bench.store.relying_parties() for c in bench.store.of_rp(rp.id_hash)]
    ordered = sorted(residents, key=lambda c: c.created)
    return Home(small, state, tuple(ordered), tuple(wrapped), tuple(handles))


HOMES = 4 * len(MODELS)
"""Every model, fresh or with a PIN, without a finger or with one."""


def known_pin(state: DurableState) -> str | None:
    """The PIN that is set, if it is one of ours."""
    hashes = {hashlib.sha256(pin.encode()).digest()[:16]: pin for pin in PINS}
    return None if state.pin_hash is None else hashes.get(state.pin_hash)


def ids(bench: Bench, wrapped: tuple[bytes, ...]) -> list[bytes]:
    """Ids of credentials that work, as long as nobody took them away."""
    resident = [c.id for rp in bench.store.relying_parties() for c in bench.store.of_rp(rp.id_hash)]
    return [*resident, *wrapped]


def blob_array(size: int) -> bytes:
    """A whole large blob array with its checksum."""
    array = encode([{1: bytes(size)}])
    return array + hashlib.sha256(array).digest()[:16]
