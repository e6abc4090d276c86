"""Proof that the owner is there: pinUvAuthTokens by PIN or sensor, tries counted before spent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from fidokit.client import pin_protocol
from fidokit.client.status import CtapRefusal, error_for
from fidokit.client.tolerance import PIN_LOCK_KEPT
from fidokit.errors import (
    FidokitError,
    PinAuthBlocked,
    PinLastTry,
    PinNotSet,
    PinPolicy,
    PinWrong,
    Unsupported,
    UvBlocked,
)
from fidokit.types import CtapCommand, CtapStatus

if TYPE_CHECKING:
    from fidokit.client.answer import Answer
    from fidokit.client.connection import Connection
    from fidokit.client.ports import PinCode


UV_ATTEMPTS: Final = 3
"""Fingers tried if the token does not say how many it prefers."""


class Permission(IntFlag):
    """What a pinUvAuthToken is good for (CTAP 2.1 section 6.5.5.7)."""

    MAKE_CREDENTIAL = 0x01
    GET_ASSERTION = 0x02
    CREDENTIAL_MANAGEMENT = 0x04
    BIO_ENROLLMENT = 0x08
    LARGE_BLOB_WRITE = 0x10
    CONFIG = 0x20
    PERSISTENT_READ = 0x40


class PinCommand(IntEnum):
    """Subcommands of authenticatorClientPIN (CTAP 2.1 section 6.5.5)."""

    GET_PIN_RETRIES = 1
    GET_KEY_AGREEMENT = 2
    SET_PIN = 3
    CHANGE_PIN = 4
    GET_PIN_TOKEN = 5
    GET_TOKEN_USING_UV = 6
    GET_UV_RETRIES = 7
    GET_TOKEN_USING_PIN = 9


@dataclass(frozen=True, slots=True)
class PinToken:
    """A pinUvAuthToken with what it permits; the secret never prints.

    Args:
        version: PIN/UV auth protocol, 1 or 2.
        permissions: what it was asked for; everything for a token of CTAP 2.0.
        rp_id: the one RP it is good for, None for any.
    """

    version: int
    permissions: Permission
    rp_id: str | None
    _secret: bytes = field(repr=False)

    @property
    def secret(self) -> bytes:
        """The token itself, 16 or 32 bytes; only one that lasts may be kept anywhere."""
        return self._secret

    def authenticate(self, message: bytes) -> bytes:
        """The pinUvAuthParam of `message`, under this token."""
        return pin_protocol.authenticate(self.version, self._secret, message)

    def covers(self, permissions: Permission, rp_id: str | None) -> bool:
        """Whether it also serves for these permissions on this RP."""
        return permissions in self.permissions and self.rp_id in (None, rp_id)


class Wish(NamedTuple):
    """What a pinUvAuthToken is wanted for: permissions, the RP (None: any), and the reason."""

    permissions: Permission
    rp_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class BuiltInUv:
    """The token verifies its user by itself, within the command (CTAP 2.0's option `uv`)."""


Proof = PinToken | BuiltInUv


def protocol_version(connection: Connection) -> int:
    """The PIN/UV auth protocol to speak: 2 where offered, else 1.

    Raises:
        Unsupported: the token offers only others.
    """
    offered = connection.info.pin_protocols or (1,)  # optional in CTAP 2.0, which knew only 1
    for version in (2, 1):
        if version in offered:
            return version
    raise Unsupported(f"{connection.name} supports no known PIN protocol")


def client_pin(
    connection: Connection, command: PinCommand, members: Mapping[int, object], why: str
) -> Answer:
    """One authenticatorClientPIN command.

    Raises:
        CtapRefusal: the token refused.
    """
    params = {1: protocol_version(connection), 2: int(command), **members}
    return connection.attempt(CtapCommand.CLIENT_PIN, params, "clientPIN answer", why=why)


def pin_retries(connection: Connection) -> tuple[int, bool]:
    """Tries left, and whether the token wants a power cycle before the next one.

    Raises:
        TokenMisbehaved: the token says something impossible.
    """
    try:
        answer = client_pin(connection, PinCommand.GET_PIN_RETRIES, {}, "counting PIN tries")
    except CtapRefusal as refusal:
        raise error_for(refusal.status, "counting PIN tries") from None
    return answer.uint(3), answer.flag(4)


class Tries(NamedTuple):
    """PIN tries left, and whether the token asks to be unplugged before the next one."""

    left: int
    locked: bool


def guard_tries(connection: Connection, *, after_wrong: bool = False) -> Tries:
    """How many tries are left, if one may be spent now.

    A token that asks to be unplugged may have been: some go on asking afterwards. Whether that is
    so, only the next PIN shows, and one that means it refuses that PIN without counting it
    (CTAP 2.3 section 6.5.5.7.1). Within one command nobody can have unplugged it.

    Args:
        after_wrong: whether this command's try before was wrong, to be told so.

    Raises:
        PinBlocked: none is left.
        PinAuthBlocked: the token must be unplugged first.
        PinLastTry: one is left and the caller did not allow it to be spent.
    """
    retries, locked = pin_retries(connection)
    if retries == 0:
        raise error_for(CtapStatus.PIN_BLOCKED, "checking the PIN")
    if locked and after_wrong:
        raise error_for(CtapStatus.PIN_AUTH_BLOCKED, "checking the PIN")
    if retries == 1 and not connection.spend_last_try:
        raise PinLastTry(
            f"{'that PIN is wrong: ' if after_wrong else ''}one PIN try is left on "
            f"{connection.name}, and it was not spent",
            hint="if you are sure of the PIN, repeat with --spend-last-try; "
            "a wrong one blocks the PIN until a reset",
        )
    return Tries(retries, locked)


def shared_secret(connection: Connection, why: str) -> pin_protocol.Secret:
    """A fresh secret shared with the token (getKeyAgreement).

    Raises:
        CtapRefusal: the token refused.
        TokenMisbehaved: its key is not a point on P-256.
    """
    answer = client_pin(connection, PinCommand.GET_KEY_AGREEMENT, {}, why)
    key = answer.member(1)
    key.exactly(-2, 32)
    key.exactly(-3, 32)
    return pin_protocol.Secret(protocol_version(connection), answer.raw_map(1))


def pin_hash(pin: PinCode) -> bytes:
    """The 16 bytes of a PIN that the token stores and compares."""
    return hashlib.sha256(pin.utf8()).digest()[:16]


def require_pin(connection: Connection, why: str) -> None:
    """Check, without asking the token, that its PIN can serve.

    Raises:
        PinNotSet: there is none.
        PinPolicy: it has to be changed before it is good for anything.
        Unsupported: the token has no PIN at all.
    """
    if connection.info.pin_set is None:
        raise Unsupported(
            f"{why} needs a PIN, which {connection.name} cannot have",
            hint="use a FIDO2 token, or make the key without options that need a PIN",
        )
    if not connection.info.pin_set:
        raise PinNotSet(
            f"{why} needs a PIN, and {connection.name} has none yet",
            hint="set one with `fidokit pin set`",
        )
    if connection.info.force_pin_change:
        raise PinPolicy(
            f"{connection.name} requires a new PIN first",
            hint="change it with `fidokit pin change`",
        )


def obtain(connection: Connection, wish: Wish) -> PinToken:
    """A pinUvAuthToken for just this wish: by the sensor where configured, else by PIN.

    Raises:
        PinError, PinBlocked, PinAuthBlocked, UvBlocked, TouchRefused, TouchTimedOut: as said.
        Unsupported: the token gives such permissions neither for PIN nor for sensor.
    """
    if _uv_gives(connection, wish.permissions):
        token = _by_uv(connection, wish)
        if token is not None:
            return token
        if not connection.info.pin_set:
            raise UvBlocked(
                f"the sensor of {connection.name} is locked, and no PIN is set to unlock it",
                hint="set a PIN with `fidokit pin set`",
            )
    return _by_pin(connection, wish)


def _uv_gives(connection: Connection, permissions: Permission) -> bool:
    info = connection.info
    if not (info.uv_configured and info.has_pin_token_permissions):
        return False
    by_option = {Permission.CONFIG: "uvAcfg", Permission.BIO_ENROLLMENT: "uvBioEnroll"}
    return all(
        info.options.get(option, False)
        for permission, option in by_option.items()
        if permission in permissions
    )


def _by_uv(connection: Connection, wish: Wish) -> PinToken | None:
    """A token by the sensor; None if the sensor is locked or knows nobody here."""
    attempts = min(connection.info.preferred_uv_attempts or UV_ATTEMPTS, UV_ATTEMPTS)
    for _ in range(attempts):
        try:
            return _exchange(connection, PinCommand.GET_TOKEN_USING_UV, None, wish)
        except CtapRefusal as refusal:
            if refusal.status == CtapStatus.UV_BLOCKED:
                return None
            if refusal.status != CtapStatus.UV_INVALID:
                raise error_for(refusal.status, wish.why) from None
    return None


def _by_pin(connection: Connection, wish: Wish) -> PinToken:
    return _known(connection, wish)[1]


def _known(connection: Connection, wish: Wish) -> tuple[PinCode, PinToken]:
    """The PIN that the token took, and what it gave for it."""
    require_pin(connection, wish.why)
    command = pin_command(connection, wish.permissions, wish.why)
    wrong: PinCode | None = None
    while True:
        tries = guard_tries(connection, after_wrong=wrong is not None)
        pin = connection.interaction.ask_pin(
            connection.name, tries.left, wish.why, wrong is not None
        )
        if pin == wrong:  # a script that knows one PIN must not spend a second try on it
            raise wrong_pin(connection, tries.left)
        try:
            token = _exchange(connection, command, pin, wish)
        except CtapRefusal as refusal:
            if refusal.status != CtapStatus.PIN_INVALID:
                raise refused_pin(connection, refusal, wish.why, tries.left) from None
            wrong = pin
        else:
            if tries.locked:
                connection.notes.note(PIN_LOCK_KEPT)
            return pin, token


def pin_command(connection: Connection, permissions: Permission, why: str) -> PinCommand:
    """Which subcommand gives a token for the PIN: with permissions, or CTAP 2.0's.

    Raises:
        Unsupported: this token gives such permissions only for its sensor.
    """
    use = Permission.MAKE_CREDENTIAL | Permission.GET_ASSERTION
    if connection.info.options.get("noMcGaPermissionsWithClientPin", False) and permissions & use:
        raise Unsupported(
            f"{why} needs the sensor of {connection.name}: the PIN cannot replace it",
            hint="enroll a fingerprint with `fidokit bio enroll`",
        )
    if connection.info.has_pin_token_permissions:
        return PinCommand.GET_TOKEN_USING_PIN
    return PinCommand.GET_PIN_TOKEN


def refused_pin(
    connection: Connection, refusal: CtapRefusal, why: str, before: int
) -> FidokitError:
    """The error for a PIN that was refused by a lock; a try that it cost shows that it was wrong.

    Args:
        connection: to the token.
        refusal: of the PIN.
        why: what is under way.
        before: tries that were left before it.
    """
    error = error_for(refusal.status, why)
    if not isinstance(error, PinAuthBlocked):
        return error
    try:
        left = pin_retries(connection)[0]
    except FidokitError:
        return error  # the lock is what counts
    if left < before:
        error.hint += f"; this one was wrong, {_tries(left)} left"
    return error


def _tries(left: int) -> str:
    return "1 try is" if left == 1 else f"{left} tries are"


def wrong_pin(connection: Connection, retries: int | None) -> PinWrong:
    """The error for a PIN that the token did not accept, `retries` tries being left."""
    left = "" if retries is None else f"; {_tries(retries)} left"
    return PinWrong(
        f"the PIN of {connection.name} is wrong{left}",
        retries=retries,
        hint="check the PIN; when no tries are left, only a reset helps and every key is lost",
    )


def check_pin(connection: Connection, permissions: Permission, why: str) -> PinCode:
    """The PIN, asked for and checked by the token.

    Raises:
        PinError, PinBlocked, PinAuthBlocked: as `obtain`.
    """
    rp_id = "ssh:" if Permission.GET_ASSERTION in permissions else None
    return _known(connection, Wish(permissions, rp_id, why))[0]


def _exchange(
    connection: Connection, command: PinCommand, pin: PinCode | None, wish: Wish
) -> PinToken:
    secret = shared_secret(connection, wish.why)
    members: dict[int, object] = {3: secret.key_agreement}
    if pin is not None:
        members[6] = secret.encrypt(pin_hash(pin))
    if command is not PinCommand.GET_PIN_TOKEN:
        members[9] = int(wish.permissions)
        if wish.rp_id is not None:
            members[10] = wish.rp_id
    answer = client_pin(connection, command, members, wish.why)
    token = secret.open_token(answer.octets(2, longest=64, shortest=16))
    if command is PinCommand.GET_PIN_TOKEN:  # CTAP 2.0: good for everything
        return PinToken(secret.version, Permission(0xFF), None, token)
    return PinToken(secret.version, wish.permissions, wish.rp_id, token)


def prove(
    request: dict[int, object], proof: Proof, client_data_hash: bytes, *, option: int, param: int
) -> None:
    """Add `proof` to `request`.

    Args:
        request: the request's map; changed.
        client_data_hash: what is authenticated, 32 bytes.
        option: the number of the options member: 7 for makeCredential, 5 for getAssertion.
        param: the number of pinUvAuthParam, one above which is the protocol's.
    """
    match proof:
        case PinToken():
            request[param] = proof.authenticate(client_data_hash)
            request[param + 1] = proof.version
        case BuiltInUv():
            options = request.get(option)
            request[option] = {**(options if isinstance(options, dict) else {}), "uv": True}
        case _:
            assert_never(proof)
