"""What each CTAP status means to a user: our error, a sentence and a hint, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from fidokit import errors
from fidokit.types import CtapStatus as S


class CtapRefusal(Exception):
    """A token answered with a status other than OK; never leaves this package unmapped.

    Args:
        status: the status byte, 0x01 to 0xff.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"CTAP status 0x{status:02x}")
        self.status = status


class Meaning(NamedTuple):
    """How one status is told: which error, what happened, what to do next."""

    error: type[errors.FidokitError]
    sentence: str
    hint: str


_FAULTY: Final = "unplug the token, plug it in again and repeat; if it persists, report a bug"
_BY_TOKEN: Final = "see `fidokit token info` for what this token can do"  # noqa: S105

MEANINGS: Final[Mapping[S, Meaning]] = MappingProxyType(
    {
        S.INVALID_COMMAND: Meaning(
            errors.Unsupported, "the token does not know this command", _BY_TOKEN
        ),
        S.INVALID_PARAMETER: Meaning(
            errors.TokenRefused, "the token found a parameter invalid", _FAULTY
        ),
        S.INVALID_LENGTH: Meaning(
            errors.TokenRefused, "the token found a length invalid", "use shorter names or comments"
        ),
        S.INVALID_SEQ: Meaning(
            errors.TokenRefused,
            "packets of the request arrived out of order",
            "close other programs that use the token, such as a browser, and repeat",
        ),
        S.TIMEOUT: Meaning(
            errors.TokenRefused, "the request reached the token too slowly", "repeat the command"
        ),
        S.CHANNEL_BUSY: Meaning(
            errors.TokenBusy,
            "another program is using the token",
            "finish or close it (a browser, an agent, scdaemon) and repeat",
        ),
        S.LOCK_REQUIRED: Meaning(
            errors.TokenBusy,
            "another program has locked the token",
            "wait ten seconds, or close that program, and repeat",
        ),
        S.INVALID_CHANNEL: Meaning(
            errors.TokenGone,
            "the token forgot the connection",
            "it was probably unplugged for a moment; repeat the command",
        ),
        S.CBOR_UNEXPECTED_TYPE: Meaning(
            errors.TokenRefused, "the token expected another type of value", _FAULTY
        ),
        S.INVALID_CBOR: Meaning(errors.TokenRefused, "the token cannot read the request", _FAULTY),
        S.MISSING_PARAMETER: Meaning(
            errors.TokenRefused, "the token reports a missing parameter", _FAULTY
        ),
        S.LIMIT_EXCEEDED: Meaning(
            errors.Unsupported, "something is longer than the token can take", "use shorter names"
        ),
        S.FP_DATABASE_FULL: Meaning(
            errors.StoreFull,
            "no room is left for another fingerprint",
            "delete one with `fidokit bio delete`",
        ),
        S.LARGE_BLOB_STORAGE_FULL: Meaning(
            errors.StoreFull,
            "no room is left for large blobs",
            "delete one with `fidokit blob delete`",
        ),
        S.CREDENTIAL_EXCLUDED: Meaning(
            errors.WouldOverwrite,
            "the token already holds a credential that was excluded",
            "use that one, or delete it with `fidokit key delete`",
        ),
        S.PROCESSING: Meaning(
            errors.TokenBusy, "the token is still working on something", "wait and repeat"
        ),
        S.INVALID_CREDENTIAL: Meaning(
            errors.CredentialNotFound,
            "the token does not accept this key handle",
            "plug in the token that made the key",
        ),
        S.USER_ACTION_PENDING: Meaning(
            errors.TokenBusy, "the token already waits for a touch", "touch it, then repeat"
        ),
        S.OPERATION_PENDING: Meaning(
            errors.TokenBusy, "the token is in the middle of another operation", "wait and repeat"
        ),
        S.NO_OPERATIONS: Meaning(
            errors.TokenRefused, "the token has no operation under way", _FAULTY
        ),
        S.UNSUPPORTED_ALGORITHM: Meaning(
            errors.Unsupported,
            "the token does not know this type of key",
            "try ecdsa-sk, which every token makes",
        ),
        S.OPERATION_DENIED: Meaning(
            errors.TouchRefused, "the token or its owner refused", "repeat, and touch the token"
        ),
        S.KEY_STORE_FULL: Meaning(
            errors.StoreFull,
            "no room is left for another resident key",
            "delete one with `fidokit key delete`, or make the key without resident",
        ),
        S.UNSUPPORTED_OPTION: Meaning(
            errors.Unsupported, "the token does not know an option of the request", _BY_TOKEN
        ),
        S.INVALID_OPTION: Meaning(
            errors.Unsupported,
            "the token does not accept an option in its present state",
            _BY_TOKEN,
        ),
        S.KEEPALIVE_CANCEL: Meaning(
            errors.Interrupted, "the operation was canceled on the token", ""
        ),
        S.NO_CREDENTIALS: Meaning(
            errors.CredentialNotFound,
            "the token does not hold this key",
            "plug in the token that made the key; `fidokit key list` shows what this one holds",
        ),
        S.USER_ACTION_TIMEOUT: Meaning(
            errors.TouchTimedOut,
            "nobody touched the token in time",
            "repeat, and touch the token when it blinks",
        ),
        S.NOT_ALLOWED: Meaning(
            errors.TokenRefused,
            "the token does not allow this now",
            "unplug it, plug it in again and repeat at once",
        ),
        S.PIN_INVALID: Meaning(errors.PinWrong, "the PIN is wrong", "type it again carefully"),
        S.PIN_BLOCKED: Meaning(
            errors.PinBlocked,
            "the PIN is blocked: no tries are left",
            "only `fidokit token reset` helps, and it destroys every key on the token",
        ),
        S.PIN_AUTH_INVALID: Meaning(
            errors.PinRequired,
            "the token did not accept the proof of the PIN",
            "repeat the command and give the PIN again",
        ),
        S.PIN_AUTH_BLOCKED: Meaning(
            errors.PinAuthBlocked,
            "three wrong PINs in a row: the token must be unplugged",
            "unplug the token, plug it in again, then give the right PIN",
        ),
        S.PIN_NOT_SET: Meaning(
            errors.PinNotSet, "the token has no PIN yet", "set one with `fidokit pin set`"
        ),
        S.PUAT_REQUIRED: Meaning(
            errors.PinRequired,
            "the token needs the PIN or a fingerprint for this",
            "give the PIN; if none is set, set one with `fidokit pin set`",
        ),
        S.PIN_POLICY_VIOLATION: Meaning(
            errors.PinPolicy,
            "the token's policy does not accept this PIN",
            "choose a longer PIN, not one that you used before; see `fidokit pin status`",
        ),
        S.PIN_TOKEN_EXPIRED: Meaning(
            errors.PinRequired, "the PIN was entered too long ago", "repeat the command"
        ),
        S.REQUEST_TOO_LARGE: Meaning(
            errors.Unsupported, "the request is larger than the token can take", "use shorter names"
        ),
        S.ACTION_TIMEOUT: Meaning(
            errors.TouchTimedOut, "the token waited too long for its owner", "repeat the command"
        ),
        S.UP_REQUIRED: Meaning(
            errors.TouchRefused,
            "the token insists on a touch",
            "make or use the key without no-touch-required",
        ),
        S.UV_BLOCKED: Meaning(
            errors.UvBlocked,
            "the fingerprint sensor is locked after too many failures",
            "give the PIN once, which unlocks the sensor",
        ),
        S.INTEGRITY_FAILURE: Meaning(
            errors.TokenMisbehaved, "data on the token is damaged", _FAULTY
        ),
        S.INVALID_SUBCOMMAND: Meaning(
            errors.Unsupported, "the token does not know this part of the command", _BY_TOKEN
        ),
        S.UV_INVALID: Meaning(
            errors.TouchRefused,
            "the fingerprint was not recognized",
            "repeat with the enrolled finger, or give the PIN",
        ),
        S.UNAUTHORIZED_PERMISSION: Meaning(
            errors.Unsupported,
            "the token does not allow this, even with the PIN",
            _BY_TOKEN,
        ),
        S.OTHER: Meaning(errors.TokenRefused, "the token failed without a reason", _FAULTY),
    }
)


def error_for(status: int, doing: str) -> errors.FidokitError:
    """The error that tells a user about `status`.

    Args:
        status: CTAP status byte, 0x01 to 0xff; vendors' and unknown ones included.
        doing: what was under way, such as "making the key".
    """
    meaning = MEANINGS.get(S(status)) if status in S._value2member_map_ else None
    if meaning is None:
        return errors.TokenRefused(
            f"{doing} failed: the token refused with {_kind(status)} status 0x{status:02x}",
            status=status,
            hint=_FAULTY,
        )
    message = f"{doing} failed: {meaning.sentence}"
    if meaning.error is errors.TokenRefused:
        return errors.TokenRefused(message, status=status, hint=meaning.hint)
    if meaning.error is errors.PinWrong:
        return errors.PinWrong(message, retries=None, hint=meaning.hint)
    return meaning.error(message, hint=meaning.hint)


UNTOUCHED: Final = frozenset({S.OPERATION_DENIED, S.USER_ACTION_TIMEOUT, S.ACTION_TIMEOUT})
"""How tokens end a command for which nobody touched them: CTAP 2.1 section 6 has the first of these
for a refusal and for the end of the time alike."""

HASTY_S: Final = 9.0
"""Seconds; whoever is refused sooner was refused: no token gives up its wait so soon."""

_SURE_S: Final = 25.0
"""Seconds; after so many a refusal is the end of the time."""


def untouched(status: int, doing: str, seconds: float) -> errors.TouchTimedOut:
    """The error for a token that waited for a touch in vain.

    Args:
        status: one of `UNTOUCHED`.
        doing: what was under way, such as "making the key".
        seconds: how long it waited.
    """
    sure = status != S.OPERATION_DENIED or seconds >= _SURE_S
    doubt = "" if sure else ", or it was refused"
    return errors.TouchTimedOut(
        f"{doing} failed: the token waited for a touch, and "
        f"nobody touched it for {seconds:.0f} seconds{doubt}",
        hint="repeat, and touch the token when it blinks",
    )


def _kind(status: int) -> str:
    if status >= 0xF0:
        return "vendor-specific"
    return "an extension's" if status >= 0xE0 else "the unknown"
