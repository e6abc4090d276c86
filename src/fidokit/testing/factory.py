"""Makes tokens for one test, and looks after them when it is over."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fido2.ctap1 import Ctap1
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.webauthn import AttestedCredentialData

from fidokit.errors import UsageError
from fidokit.testing.devices import open_device
from fidokit.testing.token import PATIENCE_S, WatchedToken
from fidokit.types import CoseAlg

if TYPE_CHECKING:
    from fidokit.testing.token import Stalled
    from fidokit.virtual.core.ports import Clock, Rng
    from fidokit.virtual.core.profile import Profile
    from fidokit.virtual.presence import Person


class TokenFactory:
    """Call it for a fresh token in memory.

    Args:
        patience_s: how many seconds its tokens wait for somebody before the test fails.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.made: list[WatchedToken] = []

    def __call__(
        self,
        *,
        profile: str | Profile | None = None,
        model: str | None = None,
        pin: str | None = None,
        credentials: Iterable[Credential] = (),
        presence: str | Person = "auto",
        uv: bool = False,
        clock: Clock | None = None,
        rng: Rng | None = None,
        patience_s: float | None = None,
        quirks: Iterable[str] = (),
    ) -> WatchedToken:
        """Make a token and plug it in.

        Args:
            profile: the name of one of ours, "ctap2.3" by default, or a `Profile`.
            model: in its place, a certified model to stand in for, by AAGUID or description
                (`fidokit virtual models` lists them); needs the extra `mds`.
            pin: set before the test begins; None for none.
            credentials: on it before the test begins; `token.credentials` has their ids and
                public keys, in order.
            presence: "auto", "deny", "delay:MS", "script" or a `Person`; gestures that the test
                queues (`token.touch()`, `token.refuse()`) come first.
            uv: whether built-in verification is there and configured; the policy, or
                `token.uv_match()` and `token.uv_mismatch()`, say how it ends.
            clock: monotonic milliseconds, such as `fidokit.virtual.world.ManualClock`.
            rng: such as `fidokit.virtual.world.SeededRng`, for tokens that repeat themselves.
            patience_s: for this token alone.
            quirks: departures of real firmware, by name (`fidokit virtual quirks` lists them).

        Raises:
            UsageError: values that contradict each other, or a model that is not known or not
                the only one of its name.
            Unsupported: the metadata is not installed.
            fido2.ctap.CtapError: the model refuses the PIN or a credential.
        """
        token = WatchedToken(
            profile=profile,
            model=model,
            presence=presence,
            clock=clock,
            rng=rng,
            uv_enrolled=uv,
            patience_s=self._patience_s if patience_s is None else patience_s,
            quirks=quirks,
        )
        self.made.append(token)
        wanted = list(credentials)
        if pin is not None or wanted:
            provision(token, pin, wanted)
        return token

    def between_tests(self) -> list[Stalled]:
        """Prepare the tokens for another test, for which they stay as they are.

        Gestures and faults that wait are dropped, for the next test did not ask for them.

        Returns:
            The stalls that the last test left unmentioned; they are not told again.
        """
        for token in self.made:
            token.faults.clear()
            if token.takes_gestures:
                token.forget_gestures()
        return taken(self.made)

    def close(self) -> list[Stalled]:
        """Unplug every token; returns the stalls that the test left unmentioned."""
        for token in self.made:
            token.unplug()
        return [stalled for token in self.made for stalled in token.stalls]


def taken(tokens: Iterable[WatchedToken]) -> list[Stalled]:
    """The stalls of these tokens, taken out of them."""
    found = [stalled for token in tokens for stalled in token.stalls]
    for token in tokens:
        token.stalls.clear()
    return found


class NamedTokens(dict[str, WatchedToken]):
    """Tokens by the names that a test gives them; one that is not there yet is made when asked for.

    Args:
        factory: makes and looks after them.
        orders: the factory's arguments for those that are made at once.
    """

    def __init__(self, factory: TokenFactory, orders: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self._factory = factory
        for name, order in orders.items():
            self._make(name, order)

    def __missing__(self, name: str) -> WatchedToken:
        return self._make(name, {})

    def _make(self, name: str, order: Mapping[str, Any]) -> WatchedToken:
        self[name] = token = self._factory(**order)
        token.name = name
        return token


# --- what a token has before a test begins, made through python-fido2's client ---------------


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that a token shall have from the start.

    Args:
        rp_id: the relying party, such as "example.org", or an SSH application, "ssh:".
        user_name: the account's name.
        user_id: the account's handle, 1 to 64 bytes; the name's bytes where it is empty.
        algorithm: a COSE number; -7 is ES256.
        resident: whether the token lists it without being given its id.
        cred_protect: level 1 to 3 of that extension, or None to leave it to the token.
        hmac_secret: whether it shall have the secrets behind WebAuthn's prf.
    """

    rp_id: str
    user_name: str = "ada"
    user_id: bytes = b""
    algorithm: int = CoseAlg.ES256
    resident: bool = True
    cred_protect: int | None = None
    hmac_secret: bool = False


def provision(token: WatchedToken, pin: str | None, credentials: Iterable[Credential]) -> None:
    """Set a PIN and make credentials; touches and verification that this needs are queued.

    Args:
        token: a fresh one; what was made is in its `credentials` afterwards, in order.
        pin: 4 to 63 characters, or None for no PIN.
        credentials: what to make.

    Raises:
        UsageError: a U2F token has no PIN and no resident credentials.
        fido2.ctap.CtapError: the token refused.
    """
    with open_device(token) as device:
        if token.profile.has_ctap2:
            maker = _Maker(token, Ctap2(device), pin)
            token.credentials = [maker.make(wanted) for wanted in credentials]
        else:
            ctap1 = Ctap1(device)
            token.credentials = [
                _register(token, ctap1, wanted) for wanted in _u2f(pin, credentials)
            ]
    if token.takes_gestures:
        token.forget_gestures()


def _answer(token: WatchedToken, *, verify: bool = False) -> None:
    """Queue what a credential takes; the test's own Person answers by itself."""
    if not token.takes_gestures:
        return
    token.touch()
    if verify:
        token.uv_match()


def _u2f(pin: str | None, credentials: Iterable[Credential]) -> list[Credential]:
    wanted = list(credentials)
    if pin is not None or any(credential.resident for credential in wanted):
        raise UsageError(
            "a U2F token has no PIN and no resident credentials",
            hint="leave the pin out and say resident=False",
        )
    return wanted


def _register(token: WatchedToken, ctap: Ctap1, wanted: Credential) -> AttestedCredentialData:
    _answer(token)
    made = ctap.register(secrets.token_bytes(32), hashlib.sha256(wanted.rp_id.encode()).digest())
    return AttestedCredentialData.from_ctap1(made.key_handle, made.public_key)


class _Maker:
    def __init__(self, token: WatchedToken, ctap: Ctap2, pin: str | None) -> None:
        self._token = token
        self._ctap = ctap
        self._pin = pin
        if pin is not None:
            ClientPin(ctap).set_pin(pin)

    def make(self, wanted: Credential) -> AttestedCredentialData:
        challenge_hash = secrets.token_bytes(32)
        options = {"rk": wanted.resident}
        param, version = self._proof(wanted, challenge_hash)
        verify = param is None and bool(self._ctap.info.options.get("uv"))
        if verify:
            options["uv"] = True
        _answer(self._token, verify=verify)
        made = self._ctap.make_credential(
            challenge_hash,
            {"id": wanted.rp_id, "name": wanted.rp_id},
            {"id": wanted.user_id or wanted.user_name.encode(), "name": wanted.user_name},
            [{"type": "public-key", "alg": int(wanted.algorithm)}],
            extensions=_extensions(wanted),
            options=options,
            pin_uv_param=param,
            pin_uv_protocol=version,
        )
        return cast("AttestedCredentialData", made.auth_data.credential_data)

    def _proof(self, wanted: Credential, challenge_hash: bytes) -> tuple[bytes | None, int | None]:
        if self._pin is None:
            return None, None
        client = ClientPin(self._ctap)
        permission = ClientPin.PERMISSION.MAKE_CREDENTIAL
        pin_token = client.get_pin_token(self._pin, permission, wanted.rp_id)
        return client.protocol.authenticate(pin_token, challenge_hash), client.protocol.VERSION


def _extensions(wanted: Credential) -> dict[str, object]:
    asked = {"credProtect": wanted.cred_protect, "hmac-secret": wanted.hmac_secret or None}
    return {name: value for name, value in asked.items() if value is not None}
