"""What the authenticator needs from the world: time, randomness, a durable store, a user."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Protocol, TypeVar

from fidokit.types import Aaguid, CoseAlg, CredentialId, CredProtect, UserId

T = TypeVar("T")


class CtapRejection(Exception):
    """A command ends with a status other than 00; `engine` turns it into the reply's one byte.

    It never leaves the authenticator, so it is not a FidokitError and carries no sentence.

    Args:
        status: a `CtapStatus`, or a number of the extensions' range (E0-EF).
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:#04x}")
        self.status = status


class PresenceKind(Enum):
    """What the user is asked for."""

    TOUCH = auto()
    """Wait for a touch until the deadline."""
    TOUCH_NOW = auto()
    """Say at once whether a touch is there (U2F never waits): TOUCHED, or TIMED_OUT for not."""
    LONG_TOUCH = auto()
    """Wait for a touch that is held for five seconds; shorter ones do not count (RST-06)."""
    VERIFY = auto()
    """Wait for one attempt at built-in user verification until the deadline."""
    VERIFY_NOW = auto()
    """Say at once how an attempt ended that is there already, or TIMED_OUT if there is none."""
    SAMPLE = auto()
    """Wait for a finger that is being enrolled: one of SAMPLE_*, or TIMED_OUT for no finger."""


class NeedsPresence(NamedTuple):
    """The command cannot go on without a user.

    Args:
        kind: what is asked for.
        deadline_ms: on the injected clock; whoever waits answers TIMED_OUT from then on.
    """

    kind: PresenceKind
    deadline_ms: int


class Outcome(Enum):
    """How the wait for a user ended."""

    TOUCHED = auto()
    REFUSED = auto()
    TIMED_OUT = auto()
    CANCELED = auto()
    UV_MATCHED = auto()
    UV_MISMATCHED = auto()
    SAMPLE_GOOD = auto()
    SAMPLE_HIGH = auto()
    SAMPLE_LOW = auto()
    SAMPLE_LEFT = auto()
    SAMPLE_RIGHT = auto()
    SAMPLE_FAST = auto()
    SAMPLE_SLOW = auto()
    SAMPLE_POOR = auto()
    SAMPLE_SKEWED = auto()
    SAMPLE_SHORT = auto()
    SAMPLE_UNMERGED = auto()
    SAMPLE_KNOWN = auto()
    SAMPLE_UNMOVED = auto()


Steps = Generator[NeedsPresence, Outcome, T]
"""A command that may wait: it yields what it needs, is sent how that ended, and returns T."""


class Clock(Protocol):
    """A clock that never goes back while the token has power."""

    def now_ms(self) -> int:
        """Milliseconds since any fixed origin; never falls while the token has power."""
        ...


class Rng(Protocol):
    """A source of randomness that is good enough for keys, or a seeded one for golden tests."""

    @property
    def repeatable(self) -> bool:
        """Whether a seed determines the bytes; then signatures repeat themselves, too."""
        ...

    def bytes(self, count: int) -> bytes:
        """So many fresh random bytes, fit for keys and nonces."""
        ...


INITIAL_LARGE_BLOB_ARRAY = bytes.fromhex("8076be8b528d0075f7aae98d6fa57a6d3c")
"""An empty CBOR array and LEFT(SHA-256 of it, 16) (CTAP 2.3 section 6.10)."""


class Template(NamedTuple):
    """One enrolled finger.

    Args:
        id: what the platform names it by, unique on the token.
        name: given by the owner, or empty.
    """

    id: bytes
    name: str = ""


@dataclass(frozen=True, slots=True)
class DurableState:
    """Everything that outlives power, except the resident credentials and the counter.

    Args:
        aaguid: 16 bytes, fixed when the token is made.
        attestation_key: the ES256 secret of the batch key, 32 bytes; survives reset.
        attestation_certificate: DER of the leaf that names `aaguid`; survives reset.
        wrapping_key: 32 bytes that seal non-resident credentials; a reset replaces it.
        hmac_secret_key: 32 bytes that every credential's hmac-secret is derived from; a
            reset replaces it.
        min_pin_length: in code points, 4 to 63.
        pin_hash: LEFT(SHA-256(PIN), 16), or None while no PIN is set.
        pin_length: of the PIN in code points; 0 while none is set.
        pin_retries: tries left, 0 to 8.
        uv_retries: attempts left at built-in verification.
        uv_enrolled: whether built-in verification is configured, on models that cannot enroll
            fingers; those that can have `templates`.
        force_pin_change: the PIN works for nothing but being changed.
        always_uv: every operation that asks for presence asks for verification too.
        min_pin_rp_ids: RP ids that may learn the minimum PIN length and the complexity policy.
        pin_complexity: a new PIN that is too simple is refused.
        large_blob_array: what largeBlobs serves, with its 16-byte checksum at the end.
        templates: enrolled fingers, oldest first.
        enterprise_attestation: switched on by the owner; only a reset switches it off.
        long_touch_for_reset: a reset takes a touch of five seconds.
        persistent_token: the pinUvAuthToken of permission pcmr, 32 bytes, on models that have it.
        uv_count: attempts at built-in verification since a PIN was last right.
    """

    aaguid: Aaguid
    attestation_key: bytes = field(repr=False)
    attestation_certificate: bytes
    wrapping_key: bytes = field(repr=False)
    hmac_secret_key: bytes = field(repr=False)
    min_pin_length: int
    pin_hash: bytes | None = field(default=None, repr=False)
    pin_length: int = 0
    pin_retries: int = 8
    uv_retries: int = 8
    uv_enrolled: bool = False
    force_pin_change: bool = False
    always_uv: bool = False
    min_pin_rp_ids: tuple[str, ...] = ()
    pin_complexity: bool = False
    large_blob_array: bytes = INITIAL_LARGE_BLOB_ARRAY
    templates: tuple[Template, ...] = ()
    enterprise_attestation: bool = False
    long_touch_for_reset: bool = False
    persistent_token: bytes | None = field(default=None, repr=False)
    uv_count: int = 0


class LargeBlob(NamedTuple):
    """What a relying party keeps with one credential by the largeBlob extension.

    Args:
        data: compressed by the platform.
        original_size: in bytes before compression, as the platform said it; below 2^64.
    """

    data: bytes
    original_size: int


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """One resident (discoverable) credential.

    Args:
        id: credential id, unique on the token.
        rp_id: the relying party's id, whole.
        rp_id_hash: SHA-256(rp_id), 32 bytes.
        user_id: 0 to 64 bytes; unique per rp_id.
        user_name: at most 64 bytes of UTF-8, or None if absent or empty.
        user_display_name: at most 64 bytes of UTF-8, or None if absent or empty.
        alg: the COSE algorithm that was asked for.
        secret: what `algorithms` makes the private key of; 32 to 256 bytes.
        cred_protect: the level asked for, UV_OPTIONAL if none was.
        created: the store's own order of creation, larger is newer; set by `Store.put`.
        cred_blob: a few bytes for the relying party (credBlob), empty if there are none.
        large_blob_key: 32 bytes that the platform seals this credential's large blob with, or None.
        third_party_payment: it may be used for payments on pages of others.
        large_blob_supported: it may keep a `large_blob`.
        large_blob: what was written, or None.
        discoverable: whether the token lists it and finds it by its relying party alone. What came
            from elsewhere may be known by its id alone (`lab.webdriver`); then `user_id` is made of
            that id, and is nobody's.
    """

    id: CredentialId
    rp_id: str
    rp_id_hash: bytes
    user_id: UserId
    user_name: str | None
    user_display_name: str | None
    alg: CoseAlg
    secret: bytes = field(repr=False)
    cred_protect: CredProtect = CredProtect.UV_OPTIONAL
    created: int = 0
    cred_blob: bytes = field(default=b"", repr=False)
    large_blob_key: bytes | None = field(default=None, repr=False)
    third_party_payment: bool = False
    large_blob_supported: bool = False
    large_blob: LargeBlob | None = field(default=None, repr=False)
    discoverable: bool = True


class RelyingParty(NamedTuple):
    """A relying party that has at least one resident credential."""

    id: str
    id_hash: bytes


class Store(Protocol):
    """Durable memory. Each method is one transaction, durable when it returns.

    The authenticator owns a powered token alone: it loads the state once and saves after each
    change, so a store need not notice changes that others make to its file. Stores raise
    `fidokit.errors.StateUnusable` (disk full, read-only); the engine lets that pass.
    """

    def load(self) -> DurableState:
        """The state as last saved, or as the token was made."""
        ...

    def save(self, state: DurableState) -> None:
        """Replace the state. A spent PIN try is saved this way before the PIN is compared."""
        ...

    def wipe(self, state: DurableState) -> None:
        """Reset: drop every credential and replace the state. The counter goes on."""
        ...

    def next_counter(self, number: int = 0) -> int:
        """A value above every one that this counter returned before, over crashes too; from 1.

        A reset leaves counters alone. May reserve in batches, so that a crash skips values and
        never repeats one.

        Args:
            number: which counter; 0 is the token's own, 1 to 65536 are credentials'.
        """
        ...

    def raise_counter(self, number: int, least: int) -> None:
        """Let a counter's next value be above `least`; no counter falls."""
        ...

    def put(self, credential: StoredCredential) -> None:
        """Add as the newest, replacing one of the same rp_id_hash and user_id if there is one."""
        ...

    def delete(self, credential_id: CredentialId) -> bool:
        """Forget one; False if it was not there."""
        ...

    def update_user(
        self, credential_id: CredentialId, name: str | None, display_name: str | None
    ) -> bool:
        """Replace both names (None removes); the order of creation stays. False if not there."""
        ...

    def update_large_blob(self, credential_id: CredentialId, blob: LargeBlob) -> bool:
        """Replace its large blob; the order of creation stays. False if not there."""
        ...

    def find(self, credential_id: CredentialId) -> StoredCredential | None:
        """The credential with this id, discoverable or not."""
        ...

    def of_rp(self, rp_id_hash: bytes) -> Sequence[StoredCredential]:
        """Every discoverable credential of one relying party, newest first."""
        ...

    def of_user(self, rp_id_hash: bytes, user_id: UserId) -> StoredCredential | None:
        """The one credential that `put` would replace."""
        ...

    def relying_parties(self) -> Sequence[RelyingParty]:
        """Every relying party with a discoverable credential once, in a stable order."""
        ...

    def count(self) -> int:
        """How many discoverable credentials there are."""
        ...

    def all_credentials(self) -> Sequence[StoredCredential]:
        """Every credential, oldest first, discoverable or not."""
        ...

    def revision(self) -> int:
        """How often credentials were added, replaced, renamed or deleted; never falls.

        It rises in the same transaction as the change (encCredStoreState, GI-18).
        """
        ...
