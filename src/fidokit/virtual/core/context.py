"""What every command works on: the powered token, with what it forgets when power goes."""

from __future__ import annotations

from binascii import crc32
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from fidokit.types import CoseAlg
from fidokit.virtual.core.continuation import Continuation, Enumerations, Uploads
from fidokit.virtual.core.person.pin import PinState
from fidokit.virtual.core.person.pin_uv_token import TokenState
from fidokit.virtual.core.ports import Clock, DurableState, Rng, Steps, Store
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.core.schema import Params, Record

# Keys take 10 ms to import, for which a token that tells of itself alone has no use.
if TYPE_CHECKING:
    from fidokit.virtual.core.attestation.certificates import EnterpriseIdentity
    from fidokit.virtual.core.keys.algorithms import PrivateKey
    from fidokit.virtual.core.keys.credentials import Credential, Credentials

USB: Final = "usb"
"""A transport, as getInfo names it; the one of callers that name none."""

NFC: Final = "nfc"
"""Another one, over which a pinUvAuthToken must be used sooner (TOK-01)."""

CREDENTIAL_COUNTERS: Final = 1 << 16
"""How many counters for single credentials there are at most; a store numbers them from 1, and the
token's own is 0."""

Reply = dict[int, Any] | None
"""Members of a reply by number; None is status 00 alone."""


@dataclass(slots=True)
class FingerEnrollment:
    """A finger that is being enrolled.

    Args:
        template_id: of the template that it will become.
        remaining: good samples still wanted.
    """

    template_id: bytes
    remaining: int


class TokenContext:
    """One powered token.

    `state` is the durable state; change it only through `save` or `wipe`. `channel` is who sent
    the command that runs, `transport` how it came. `authority` is the serial of the session token
    that let credential management begin an enumeration, None if that was the persistent one.
    The rest lives as long as the power does.
    """

    def __init__(self, profile: Profile, store: Store, clock: Clock, rng: Rng) -> None:
        self.profile = profile
        self.store = store
        self.clock = clock
        self.rng = rng
        self.channel = 0
        self.transport = USB
        self.authority: int | None = None
        self.state: DurableState = store.load()
        self.power_up()

    def power_up(self) -> None:
        """Power returns: everything that is not durable starts afresh."""
        self.powered_up_ms = self.clock.now_ms()
        self._credentials: Credentials | None = None
        self.forget_authorization()

    @property
    def credentials(self) -> Credentials:
        """The credentials of this power-up, or since the last reset."""
        if self._credentials is None:
            from fidokit.virtual.core.keys.credentials import Credentials

            stored_first = self.profile.behavior.deleted_keys_sign
            self._credentials = Credentials(
                self.store, self.state, self.rng, stored_first=stored_first
            )
        return self._credentials

    def forget_authorization(self) -> None:
        """Tokens, key agreement, PIN lock, enumerations and enrollment start afresh."""
        self.tokens = TokenState(self.profile, self.clock, self.rng)
        self.pin = PinState(self.rng)
        interleave = self.profile.behavior.listings_interleave
        self.enumerations = Enumerations(self.clock, interleave=interleave)
        self.enrollment: FingerEnrollment | None = None
        self.uploads = Uploads()

    def interrupt(self, but: frozenset[Continuation]) -> None:
        """A command comes: what was begun and is not among `but` will not go on."""
        self.enumerations.keep_only(but)
        kept = self.profile.behavior.upload_is_kept
        if self.uploads.going_on and Continuation.FRAGMENTS not in but and not kept:
            self.uploads.drop()

    def save(self, **changes: Any) -> None:
        """Change members of the durable state; they are durable when this returns."""
        state = replace(self.state, **changes)
        self.store.save(state)
        self.state = state

    def wipe(self, state: DurableState) -> None:
        """Reset: every credential goes, `state` takes over, and nothing is authorized."""
        self.store.wipe(state)
        self.state = state
        self._credentials = None
        self.forget_authorization()

    def counter_at_creation(self) -> int:
        """The counter in makeCredential's reply: a credential's own begins at 0, and then no flush
        of the store is spent on credentials that are never used."""
        return 0 if self.profile.behavior.counter_per_credential else self.store.next_counter()

    def next_counter(self, credential: Credential) -> int:
        """The counter of the credential's next signature (GA-17, U2F-13; WebAuthn section 6.1.1).

        A token that keeps no wrapped credential cannot keep a counter for each one either; but it
        can keep many, and let a credential's id say which. Two that share one both see it rise.
        """
        if not self.profile.behavior.counter_per_credential:
            return self.store.next_counter()
        return self.store.next_counter(1 + crc32(credential.id) % CREDENTIAL_COUNTERS)

    def option(self, name: str) -> bool:
        """Whether an option is there and true by the profile; for those state cannot change."""
        return self.profile.options.get(name, False)

    @property
    def pin_set(self) -> bool:
        """Whether a PIN is set."""
        return self.state.pin_hash is not None

    @property
    def uv_configured(self) -> bool:
        """Whether built-in user verification exists and is enrolled."""
        enrolled = self.state.templates if self.profile.enrolls_fingers else self.state.uv_enrolled
        return self.profile.offers("uv") and bool(enrolled)

    @property
    def pin_usable(self) -> bool:
        """Whether a PIN may authorize makeCredential and getAssertion on this model."""
        return self.profile.offers("clientPin") and not self.option(
            "noMcGaPermissionsWithClientPin"
        )

    @property
    def always_uv(self) -> bool:
        """Whether alwaysUv is on, and this model means it."""
        return self.state.always_uv and self.profile.behavior.always_uv_enforced

    @property
    def make_cred_uv_not_required(self) -> bool:
        """The option makeCredUvNotRqd, which alwaysUv overrides (CFG-05)."""
        return self.option("makeCredUvNotRqd") and not self.always_uv

    @cached_property
    def attestation_key(self) -> PrivateKey:
        """The loaded batch key; no reset changes it."""
        from fidokit.virtual.core.keys.algorithms import ALGORITHMS

        return ALGORITHMS[CoseAlg.ES256].key(self.state.attestation_key, self.rng)

    @cached_property
    def enterprise_identity(self) -> EnterpriseIdentity:
        """What enterprise attestation shows; no reset changes it either."""
        from fidokit.virtual.core.attestation.certificates import enterprise_identity

        return enterprise_identity(self.state)

    @property
    def protected(self) -> bool:
        """Whether some form of user verification is configured (the specification's term)."""
        return self.pin_set or self.uv_configured


Handler = Callable[[TokenContext, Params], "Reply | Steps[Reply]"]


@dataclass(frozen=True, slots=True)
class Command:
    """How a command plugs into the engine; see `engine` for the rules.

    Args:
        run: the handler; a plain function, or a generator function where it waits for a user.
        request: the form of its map, or None if whatever follows the command byte is ignored.
        offered: whether a profile has the command; otherwise it is INVALID_COMMAND.
        continues: enumerations that survive this command, because it may hand out more of them.
    """

    run: Handler
    request: Record | None = None
    offered: Callable[[Profile], bool] = lambda profile: profile.has_ctap2
    continues: frozenset[Continuation] = frozenset()
